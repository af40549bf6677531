"""Recorded refusals by flow, taint and rate, in words: what, why, and what would change it."""

import pytest
from django.utils import timezone

from authz.explain import explain_decision, explain_hold

FIRST = ["identity", "delegation", "consent", "allowlist", "parameters", "role", "policy", "flow"]
ORDER = [*FIRST, "taint", "rate", "spend", "quota", "gate"]


def body(code, effect="deny", status="refused", settled=None, **detail):
    """A decision's record that stopped with `code`."""
    check = code.partition(".")[0]
    end = ORDER.index(check)
    walk = [[each, "passed", ""] for each in ORDER]
    if settled is None:
        walk[end] = [check, status, code]
    return {
        "kind": "decision",
        "agent": "desk",
        "tool": "chat.post",
        "effect": effect,
        "check": check,
        "code": code,
        "judged": {"walk": walk, "detail": detail},
        "settled": {check: settled} if settled else {},
    }


def sinks(**more):
    return body("flow.sinks", label="confidential", destination="internal", system="chat", **more)


def test_data_that_would_sink():
    told = explain_decision(sinks())

    assert told.title == "Denied: desk may not write to chat with chat.post"
    assert told.lede == (
        "Its run has read confidential data, and chat is internal. "
        "Write to a place that is confidential or above."
    )
    assert told.remedies == (
        "Write to a place that is confidential or above.",
        "Read nothing above internal in the run that writes there.",
        "Ask through a gateway that opens a clean session for this run.",
    )


def test_toxic_combination_is_told_where_it_raised_the_label():
    told = explain_decision(sinks(combinations=["payments-and-health"]))

    assert told.lede.endswith("Together what it read counts as confidential: payments-and-health.")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("taint.open_plan", "Let the plan say which value to may have."),
        ("taint.address", "Let the plan say which value to may have."),
        ("taint.parameter", "Ask the owner to list the value of to in the row."),
    ],
)
def test_hold_is_told_as_held(code, remedy):
    told = explain_decision(body(code, "hold", "held", parameter="to"))

    assert told.title == "Held: chat.post waits for a human"
    assert told.lede.endswith(
        "It waits for a human, so the caller was told not to go on before that."
    )
    assert told.remedies == ("Ask for an approval, and ask again with it.", remedy)
    assert [line["check"] for line in told.walk if line["status"] == "held"] == ["taint"]


def test_hold_in_observe_mode_says_that_the_call_went_on():
    held = body("taint.untrusted_input", "hold", "held")
    held["judged"]["observed"] = True

    told = explain_decision(held)

    assert told.lede.endswith("so the caller was told to go on.")
    assert "Nobody can release" not in told.lede


def test_remedy_without_a_parameter_speaks_of_this():
    told = explain_decision(body("taint.denied", cause="taint.outside_plan", parameter=""))

    assert told.remedies[1] == "Let the plan say which value this may have."


def test_used_up_rate_says_until_when_in_the_zone_of_the_reader():
    full = {"window": "minute", "scope": "tool", "limit": 3, "until": "2020-11-23T13:41:00Z"}

    with timezone.override("Europe/Copenhagen"):
        told = explain_decision(body("rate.minute", settled=full))

    assert told.title == "Denied: desk may not call chat.post now"
    assert told.lede == (
        "3 calls a minute are allowed, and they are used up. "
        "Wait until Mon 23 Nov 2020, 14:41:00 CET, or ask the owner for more."
    )
    assert told.remedies == (
        "Wait until Mon 23 Nov 2020, 14:41:00 CET.",
        "Ask the owner of desk for more than 3 calls each minute.",
    )
    assert [line["status"] for line in told.walk][9:] == ["refused", *["not_reached"] * 3]


@pytest.mark.parametrize(
    ("did", "title", "lede"),
    [
        ("hold_approved", "Approved: chat.post", "It may run once, exactly as it was approved."),
        ("hold_edited", "Changed before it was approved: chat.post", "What changed: amount, to."),
        (
            "approval_refused",
            "Refused: to approve chat.post",
            "Whoever tried has a part in it, so somebody else must decide.",
        ),
        ("hold_unheard_of", "A hold of chat.post", ""),
    ],
)
def test_what_happened_to_a_hold_is_told(did, title, lede):
    told = explain_hold({"tool": "chat.post", "asked": {"did": did, "changed": ["amount", "to"]}})

    assert (told.title, told.lede) == (title, lede)


def test_a_released_call_says_that_a_human_had_approved_it():
    allowed = body("gate.amount", "allow", "held") | {"check": "", "code": ""}
    allowed["settled"] = {"release": {"release": "r", "hold": "h"}}

    told = explain_decision(allowed)

    assert told.lede == "A human had approved exactly this, once; that approval is used up by it."
