"""What a person takes along from the pages, and what the pages say of anchors."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as given
from django.test import Client

from audit import services
from audit.anchors.selectors import INTERNAL_ONLY
from audit.enums import Kind
from client.muster_client import verify
from registry.enums import GroupName
from tests.factories.registry import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def record(many: int = 1) -> None:
    for _ in range(many):
        services.record(kind=Kind.SYSTEM, actor="system:test", asked={"did": "test"})


def saved(response: Any, path: Path) -> Path:
    path.write_bytes(b"".join(response.streaming_content))
    return path


def test_what_the_pages_give_is_what_the_verifier_takes(
    auditor: Client, seal_now: Any, tmp_path: Path, mark: Any, records_after: Any
) -> None:
    record(3)
    kept = seal_now()
    record(5)
    seal_now()
    keys = verify.read_keys(auditor.get("/log/keys").content.decode())
    before = mark()

    answer = auditor.get(f"/proof/export.jsonl?since={kept.size}")
    whole = saved(answer, tmp_path / "whole")
    part = saved(auditor.get(f"/proof/export.jsonl?start=2&since={kept.size}"), tmp_path / "part")
    choice = saved(auditor.get("/trail/export.proof?kind=system"), tmp_path / "choice")

    assert answer["Content-Disposition"] == 'attachment; filename="muster-proof.jsonl"'
    assert verify.check([whole], verify.Given(keys, kept.note)).verdict == verify.HOLDS
    part_given = verify.Given(keys, kept.note, part=True)
    assert verify.check([part], part_given).verdict == verify.HOLDS
    chosen = verify.check([choice], verify.Given(keys, part=True, first=True))
    assert (chosen.verdict, chosen.entries >= 8) == (verify.HOLDS, True)
    told = [each["body"].split(b'"did":"')[1].split(b'"')[0] for each in records_after(before)]
    assert told == [*[b"record_exported"] * 2, b"trail_exported", b"trail_export_ended"]


def test_only_who_sees_everything_exports_everything(client: Client, seal_now: Any) -> None:
    record()
    latest = seal_now()
    client.force_login(make_person())

    refused = client.get("/proof/export.jsonl")
    page = client.get("/proof/").content.decode()

    assert refused.status_code == 403
    assert "Only who may see every entry exports all of them." in page
    client.force_login(make_person(GroupName.AUDITOR))
    for query in ("start=x", "start=-1", "start=5&until=4", f"until={latest.size + 1}"):
        assert client.get(f"/proof/export.jsonl?{query}").status_code == 400


def test_the_verifier_is_saved_as_it_is(auditor: Client) -> None:
    for name in ("verify.py", "verify.html"):
        answer = auditor.get(f"/proof/{name}")
        path = given.BASE_DIR / "client" / "muster_client" / name
        assert b"".join(answer.streaming_content) == path.read_bytes()
        assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert auditor.get("/proof/other.py").status_code == 404


def test_pages_say_where_no_anchor_lies_outside(
    client: Client, settings: Any, seal_now: Any, tmp_path: Path
) -> None:
    record()
    seal_now()
    client.force_login(make_person(GroupName.SECURITY))

    pages = [client.get(path).content.decode() for path in ("/", "/proof/")]
    settings.MUSTER_ANCHORS = [
        {"name": "worm", "kind": "file", "path": str(tmp_path / "n"), "outside": True}
    ]
    with_one = [client.get(path).content.decode() for path in ("/", "/proof/")]

    assert [INTERNAL_ONLY in page for page in pages] == [True, True]
    assert [INTERNAL_ONLY in page for page in with_one] == [False, False]
    assert ">worm <" in with_one[1]
    client.force_login(make_person())
    settings.MUSTER_ANCHORS = []
    assert INTERNAL_ONLY not in client.get("/").content.decode()
