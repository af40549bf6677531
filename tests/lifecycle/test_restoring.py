"""A restoration stands on the record, and stops every agent where something is gone."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit import leaf
from lifecycle.restoring import Restored, declare
from registry.enums import AgentState
from registry.models import Agent
from tests.factories.authz import make_desk

pytestmark = pytest.mark.django_db

COPIED = "2026-11-27 06:00:00+00"


@pytest.mark.parametrize(("signed", "lost"), [(90, 0), (100, 0), (112, 12)])
def test_agents_are_stopped_where_entries_are_gone_and_there_alone(
    signed: int, lost: int, mark: Callable[[], Any], records_after: Callable[..., Any]
) -> None:
    desk, before = make_desk(), mark()

    stopped = declare(Restored("the disk died", COPIED, entries=100, signed=signed))

    found = Agent.objects.get(pk=desk.agent.pk)
    first, *others = records_after(before)
    asked = leaf.parse_body(bytes(first["body"]))["asked"]
    assert set(asked.pop("digests")) == {"reason"}
    assert asked == {
        "did": "installation_restored",
        "copied_at": COPIED,
        "entries": 100,
        "signed": signed,
        "lost": lost,
    }
    assert first["actor"] == "system:restore"
    did = [leaf.parse_body(bytes(each["body"]))["asked"]["did"] for each in others]
    assert (stopped, did.count("agent_suspended")) == ((1, 1) if lost else (0, 0))
    assert bool(did) == bool(lost)
    assert found.state == (AgentState.SUSPENDED if lost else AgentState.ACTIVE)
    assert found.state_reason == (
        f"Restored from a copy of {COPIED}: 12 entries are gone." if lost else ""
    )


def test_what_is_no_restoration_is_refused(mark: Callable[[], Any]) -> None:
    with pytest.raises(CommandError):
        call_command("declare_restored", json.dumps({"because": "x"}))
