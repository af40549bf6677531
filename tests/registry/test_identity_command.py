"""./muster rotate_token_key."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from audit import services as audit_services
from audit.errors import AuditUnavailable
from audit.models import Record
from audit.selectors import parse_body
from registry.identity import keys

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def key_folder(tmp_path: Path, settings: Any) -> Path:
    settings.MUSTER_KEYS = str(tmp_path)
    keys.ensure_signing_key(tmp_path)
    return tmp_path


def test_rotating_makes_a_key_and_records_it(
    key_folder: Path, mark: Any, records_after: Any
) -> None:
    marked, out = mark(), StringIO()

    call_command("rotate_token_key", stdout=out)

    kid = keys.Keyring(key_folder).signing_key().kid
    assert out.getvalue() == f"{kid} signs from now on. Older keys verify for 24 hours more.\n"
    (record,) = records_after(marked, kind="admin")
    asked = parse_body(Record.objects.get(id=record["id"]))["asked"]
    assert asked == {"did": "token_key_rotated", "kid": kid}


def test_a_key_that_could_not_be_recorded_never_signs(
    key_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys.Keyring(key_folder).signing_key().kid

    def fail(_: object) -> None:
        raise AuditUnavailable()

    monkeypatch.setattr(audit_services, "append_rows", fail)

    with pytest.raises(AuditUnavailable):
        call_command("rotate_token_key", stdout=StringIO())
    assert keys.Keyring(key_folder).signing_key().kid == before
