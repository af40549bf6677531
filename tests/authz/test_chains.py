"""Who is behind a recorded call: from the user to the tool, and where it stopped."""

from __future__ import annotations

from typing import Any

import pytest

from audit.explain import Behind
from authz.chains import chain_of
from authz.explain_access import explain_access

AGENT, USER, TOOL = "mail-writer", "p_1", "mail.draft"
PASSED = [["identity", "passed", ""], ["delegation", "passed", ""], ["consent", "passed", ""]]


def body(effect: str = "allow", code: str = "", **more: Any) -> dict[str, Any]:
    judged = {"givers": ["copilot"], "walk": PASSED} | more.pop("judged", {})
    said = {"agent": AGENT, "user": USER, "tool": TOOL, "effect": effect, "code": code}
    return said | {"check": code.partition(".")[0], "judged": judged, "asked": {}} | more


def told(chain: tuple[Behind, ...]) -> list[tuple[str, str, bool]]:
    return [(each.id, each.does, each.stopped) for each in chain]


def test_a_call_that_went_on_names_everyone_in_order() -> None:
    chain = chain_of(body(), {})

    assert told(chain) == [
        (USER, "lets it act", False),
        ("copilot", "hands over", False),
        (AGENT, "calls", False),
        (TOOL, "", False),
    ]
    assert [each.kind for each in chain] == ["person", "agent", "agent", "tool"]


def test_an_agent_for_itself_has_no_chain() -> None:
    alone = body(user="", judged={"givers": []})

    assert chain_of(alone, {}) == ()
    assert chain_of(body(agent=""), {}) == ()


@pytest.mark.parametrize(
    ("code", "detail", "stopped"),
    [
        ("delegation.ended", {"giver": "copilot"}, ("copilot", "has ended")),
        ("delegation.tool", {"giver": "copilot"}, ("copilot", "not this tool")),
        ("delegation.other_agent", {"agent": AGENT}, ("copilot", "does not hold")),
        ("consent.none", {"agent": "copilot"}, (USER, "no consent")),
        ("consent.parameters", {"agent": "copilot"}, (USER, "not these values")),
        ("allowlist.not_listed", {"agent": "copilot"}, ("copilot", "may not itself")),
        ("policy.forbidden", {"behind": "user"}, (USER, "may not itself")),
        ("policy.forbidden", {"behind": "copilot"}, ("copilot", "may not itself")),
        ("role.user_none", {"agent": AGENT}, (USER, "may not itself")),
        ("role.none", {"agent": AGENT}, (AGENT, "refused")),
        ("flow.sinks", {}, (AGENT, "refused")),
    ],
)
def test_it_stops_at_whose_hand_the_check_says(
    code: str, detail: dict[str, Any], stopped: tuple[str, str]
) -> None:
    chain = chain_of(body("deny", code), detail)

    assert [(each.id, each.does) for each in chain if each.stopped] == [stopped]
    place = [each.id for each in chain].index(stopped[0])
    assert {each.does for each in chain[place + 1 :]} <= {""}


def test_what_no_check_looked_at_is_not_said() -> None:
    walk = [["identity", "refused", "identity.pattern"], ["delegation", "not_reached", ""]]

    chain = chain_of(body("deny", "identity.pattern", judged={"walk": walk}), {"agent": AGENT})

    assert told(chain)[:3] == [(USER, "", False), ("copilot", "", False), (AGENT, "refused", True)]


def test_agents_that_were_only_named_stand_as_said_the_first_one_first() -> None:
    claimed = body("deny", "delegation.not_accepted", user="", asked={"chain": ["near", "far"]})
    claimed["judged"]["givers"] = []

    chain = chain_of(claimed, {"agent": AGENT})

    assert [(each.kind, each.id) for each in chain[:2]] == [("named", "far"), ("named", "near")]
    assert chain[1].stopped


def test_a_hold_waits_at_the_agent_that_calls() -> None:
    chain = chain_of(body("hold", "gate.amount"), {})

    assert told(chain)[2] == (AGENT, "waits", False)


# Grants and delegations


def access(did: str, **asked: Any) -> dict[str, Any]:
    return {"kind": "access", "agent": "copilot", "user": USER, "asked": {"did": did, **asked}}


def test_grants_and_delegations_are_told_in_sentences() -> None:
    until = "2027-02-25T10:00:00+00:00"
    given = explain_access(access("grant_given", tools=["a", "b", "c"], until=until))
    ended = explain_access(access("grant_ended", cause="left", delegations=2, holds=1))
    handed = explain_access(
        access("delegation_given", receiver=AGENT, tools=["a"], depth=2, until=until)
    )
    back = explain_access(access("delegation_ended", cause="giver", below=0))

    assert (given.title, given.lede) == (
        "copilot may act for a person",
        "They let it call a, b and c for them, until Thu 25 Feb 2027, 10:00:00 UTC.",
    )
    assert (ended.title, ended.lede) == (
        "copilot acts for this person no more",
        "The grant is over: the person left. Two delegations and one held action ended with it.",
    )
    assert handed.lede == (
        "It may call a as copilot could, until Thu 25 Feb 2027, 10:00:00 UTC. "
        "It is the second hand that it went through."
    )
    assert [each.id for each in handed.chain] == [USER, "copilot", AGENT]
    assert back.lede == "The delegation is over: taken back by who handed it over."


def test_any_other_entry_of_access_is_told_as_it_is() -> None:
    assert explain_access(access("token_issued")).title == "Token issued: copilot"
