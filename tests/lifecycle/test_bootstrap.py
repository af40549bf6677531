"""Inventories against an empty register."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from authz.models import Policy, Relationship
from governance.kernel.errors import NotAllowed
from lifecycle.apply import execute
from lifecycle.apply.execute import Outcome, secret_file
from lifecycle.apply.export import export_text
from lifecycle.apply.render import plan_json, plan_lines
from registry.models import Clearance, Client, Person
from tests import public
from tests.lifecycle.inventory import ADMIN, NEW_AGENT, OWNER, apply_folder, states, waiting

pytestmark = pytest.mark.django_db


def test_bootstrap_loads_everything() -> None:
    outcome = apply_folder(bootstrap=True)

    assert outcome.by == ADMIN
    assert waiting(outcome) == {}
    assert states() == {
        "ticket-reader": "active",
        "refund-desk": "active",
        "sketch": "draft",
        "resting": "suspended",
    }
    assert set(Policy.objects.values_list("slug", "state")) == {
        ("refunds-under-50", "active"),
        ("no-legal", "active"),
    }
    assert set(Clearance.objects.values_list("agent__slug", "basis")) == {
        (slug, "bootstrap") for slug in ("ticket-reader", "refund-desk", "resting")
    }
    owner = Person.objects.get(email=OWNER)
    assert set(Relationship.objects.values_list("relation", "subject_id")) == {
        ("assigned-to", owner.pid),
        ("team", "care"),
    }
    assert set(owner.roles.values_list("slug", flat=True)) == {"support"}
    assert owner.manager == Person.objects.get(email=ADMIN)


def test_dry_run_says_it_all_and_changes_nothing(mark: Any, records_after: Any) -> None:
    before = mark()

    planned = apply_folder(bootstrap=True, dry_run=True)

    assert (Person.objects.count(), records_after(before)) == (0, [])
    assert plan_json(planned)["steps"] == plan_json(apply_folder(bootstrap=True))["steps"]


def test_export_into_an_empty_database_exports_the_same_bytes(
    apply_text: Callable[..., Outcome],
) -> None:
    with transaction.atomic():
        apply_folder(bootstrap=True)
        exported = export_text()
        transaction.set_rollback(True)

    apply_text(exported, bootstrap=True)

    assert export_text() == exported


def test_empty_installation_needs_bootstrap() -> None:
    with pytest.raises(NotAllowed, match="--bootstrap"):
        apply_folder(by_email=ADMIN)


def test_secrets_are_written_once_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"

    outcome = apply_folder(bootstrap=True, secrets=secret_file(str(path)))

    written = json.loads(path.read_text())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one["id"] for one in written["agents"]] == ["ticket-reader", "refund-desk"]
    assert [one["id"] for one in written["gateways"]] == ["tool-gateway"]
    assert set(written["agents"][0]) == {"id", "client_id", "client_secret"}
    assert list(tmp_path.iterdir()) == [path]
    secrets = [one["client_secret"] for one in (*written["agents"], *written["gateways"])]
    told = json.dumps(plan_json(outcome)) + "\n".join(plan_lines(outcome))
    assert [secret for secret in secrets if secret in told] == []
    assert apply_folder(by_email=ADMIN, secrets=secret_file(str(path))).is_empty


def test_secrets_never_overwrite_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("mine")

    with pytest.raises(execute.GovernanceError, match="exists already"):
        apply_folder(bootstrap=True, secrets=secret_file(str(path)))

    assert (path.read_text(), Person.objects.count()) == ("mine", 0)


def test_secrets_are_added_where_that_is_asked_for(
    tmp_path: Path, apply_text: Callable[..., Outcome]
) -> None:
    path = tmp_path / "secrets.yaml"
    apply_folder(bootstrap=True, secrets=secret_file(str(path)))

    apply_text(
        NEW_AGENT.format(slug="newcomer", tool="ticket.reply", more="attest: true"),
        by_email=OWNER,
        secrets=secret_file(str(path), append=True),
    )

    assert path.read_text().count("client_secret:") == 4
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_dry_run_writes_no_secrets(tmp_path: Path) -> None:
    apply_folder(bootstrap=True, dry_run=True, secrets=secret_file(str(tmp_path / "s.json")))

    assert list(tmp_path.iterdir()) == []
    assert Client.objects.count() == 0


def test_names_from_naughty_strings_survive(apply_text: Callable[..., Outcome]) -> None:
    """Whatever a name may hold comes back as it was: through YAML, the register and YAML."""
    strings = [text for text in public.naughty_strings() if _may_be_a_name(text)][::8]
    apply_folder(bootstrap=True)
    people = [
        {"email": f"n{number}@naughty.example", "name": text} for number, text in enumerate(strings)
    ]

    apply_text(json.dumps({"muster": 1, "people": people}, ensure_ascii=False), by_email=ADMIN)

    found = dict(Person.objects.values_list("email", "name"))
    assert len(people) >= 40
    assert {one["email"]: found[one["email"]] for one in people} == {
        one["email"]: one["name"] for one in people
    }
    assert apply_text(export_text(), by_email=ADMIN).is_empty


def _may_be_a_name(text: str) -> bool:
    printable = not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or ord(c) == 0xFEFF for c in text)
    return 0 < len(text) <= 150 and text == text.strip() and printable and "\ufffe" not in text
