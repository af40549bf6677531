"""Reads that feed the pages: what a version speaks of, and when it last decided."""

from datetime import timedelta

import pytest

from authz import selectors
from authz.decide import decide
from authz.models import Policy
from authz.selectors import Concern, concern_of, last_fired
from governance.kernel import clock
from tests.factories.authz import make_desk, make_policy

pytestmark = pytest.mark.django_db

TOOLS = {
    "crm.find": {"system": "crm", "effect": "read"},
    "crm.write": {"system": "crm", "effect": "write"},
    "mail.send": {"system": "mail", "effect": "write"},
}


WRITES = 'permit(principal, action in [Muster::Action::"effect=write"], resource);'
GONE = 'forbid(principal, action == Muster::Action::"gone", resource);'


@pytest.mark.parametrize(
    ("text", "concern"),
    [
        ("permit(principal, action, resource);", Concern(every=True)),
        (
            'permit(principal, action == Muster::Action::"crm.find", resource);',
            Concern(permits=("crm.find",)),
        ),
        (
            'forbid(principal, action in Muster::Action::"system=crm", resource);',
            Concern(forbids=("crm.find", "crm.write")),
        ),
        (
            f"{WRITES}\n{GONE}",
            Concern(permits=("crm.write", "mail.send"), forbids=("gone",)),
        ),
        ("permit(", Concern()),
    ],
)
def test_what_a_version_speaks_of(text, concern):
    assert concern_of(Policy(slug="p", text=text), TOOLS) == concern


def test_last_fired_is_read_from_the_record(monkeypatch):
    desk = make_desk()
    action = f'action == Muster::Action::"{desk.tool.name}"'
    make_policy(f"permit(principal, {action}, resource);", slug="cap")
    make_policy(f"forbid(principal, {action}, resource);", slug="watch", log_only=True)
    make_policy(
        f"forbid(principal, {action}, resource) when {{ context.parameters has amount &&"
        " context.parameters.amount > 1000 };",
        slug="large",
    )

    (answer,) = decide([desk.ask()], desk.caller)
    fired = last_fired(clock.now())
    later = last_fired(clock.now() + timedelta(days=31))
    monkeypatch.setattr(selectors, "FIRED_DECISIONS", 1)

    assert answer.allowed is True
    assert {uid: fired.at.get(uid) for uid in ("cap@v1", "watch@v1", "large@v1")} == {
        "cap@v1": answer.at,
        "watch@v1": answer.at,
        "large@v1": None,
    }
    assert "cap@v1" not in later.at
    assert last_fired(clock.now()).capped is True
