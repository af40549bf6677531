"""What a preview found, in sentences: the title is the answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from audit.explain import Explanation
from authz import simulate
from authz.enums import PreviewState
from authz.models import Preview, PreviewDifference
from authz.replay import REASONS, Reason
from governance.words import count, number_word

Json = Any
_VERBS = {"allow": "allowed", "deny": "denied", "hold": "held"}
EFFECTS = ("deny", "hold", "allow")


def title(preview: Preview) -> str:
    """The answer in a sentence."""
    if preview.state == PreviewState.FAILED:
        return "This preview could not be finished"
    if preview.state != PreviewState.DONE:
        return f"{count(preview.done)} of {_calls(preview.total)} compared so far"
    if not preview.result["compared"]:
        return "There is no decision to compare with"
    return _answer(preview)


def _answer(preview: Preview) -> str:
    parts = [part for effect in EFFECTS if (part := _turned(preview.result, effect))]
    if parts:
        return f"It would have {', and '.join(parts)}"
    if _total(preview.result["turns"]):
        return f"It would have denied {_calls(_total(preview.result['turns']))} for another reason"
    return f"None of {_calls(preview.result['compared'])} would have been decided otherwise"


def _turned(result: Mapping[str, Json], effect: str) -> str:
    """`denied 14 calls by 3 agents that were allowed or held`, "" for none."""
    turns = {turn: number for turn, number in result["turns"].items() if _is_to(turn, effect)}
    if not turns:
        return ""
    was = {_VERBS[turn.partition(">")[0]] for turn in turns}
    actors = {name for turn in turns for name in result["actors"][turn]}
    return (
        f"{_VERBS[effect]} {_calls(_total(turns))} by {_who(actors)} "
        f"that {'was' if _total(turns) == 1 else 'were'} {' or '.join(sorted(was))}"
    )


def _is_to(turn: str, effect: str) -> bool:
    before, _, after = turn.partition(">")
    return after == effect != before


def _total(turns: Mapping[str, int]) -> int:
    return sum(turns.values())


def _calls(number: int) -> str:
    return f"{count(number)} call{'' if number == 1 else 's'}"


def _who(names: Collection[str]) -> str:
    people = [name for name in names if name.startswith("p_")]
    unnamed = [name for name in names if not name]
    agents = len(names) - len(people) - len(unnamed)
    told = [
        _counted(agents, "agent", "agents"),
        _counted(len(people), "person", "people"),
        "callers who are not on the register" if unnamed else "",
    ]
    return " and ".join(part for part in told if part)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number_word(number)} {one if number == 1 else many}" if number else ""


def left_out(preview: Preview) -> list[str]:
    """What the answer does not rest on, and why."""
    result = preview.result
    told = []
    if result.get("left_out"):
        least = "at least " if result["left_out_at_least"] else ""
        told.append(
            f"{least}{_calls(result['left_out'])} of these days {_were(result['left_out'])} left "
            f"out: the newest {count(preview.most)} are compared.".capitalize()
        )
    for reason, number in sorted(result.get("unjudgeable", {}).items()):
        told.append(f"{_calls(number)} cannot be judged again: {REASONS[Reason(reason)]}.")
    if result.get("damaged"):
        told.append(
            f"{_calls(result['damaged'])} do not fit what is stored of them. Tell security now."
        )
    return told


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def watched(preview: Preview) -> str:
    """For a policy that is only logged: how often it would have applied."""
    if preview.state != PreviewState.DONE or not preview.change.get("log_only"):
        return ""
    number = preview.result["watched"]
    return f"It would have applied to {_calls(number)}, and been logged there."


def moved(preview: Preview) -> str:
    """How often today's register decides otherwise than the record, without the change."""
    number = preview.result.get("moved", 0)
    if not number:
        return ""
    return (
        f"{_calls(number)} would be decided otherwise today even without this change, since the "
        "register has moved on. They are no part of the answer."
    )


def why(difference: PreviewDifference) -> str:
    """What decides with the change, in one sentence."""
    told = explained(difference, difference.after)
    return told.lede.split(". ", 1)[0].rstrip(".") if told.lede else told.title


def explained(difference: PreviewDifference, side: Mapping[str, Json]) -> Explanation:
    """One side of a difference, as a decision's own page tells it."""
    return simulate.explained(
        {
            "effect": side["effect"],
            "code": side["code"],
            "agent": difference.agent,
            "tool": difference.tool,
            "judged": {"walk": side["walk"], "detail": side["detail"]},
        }
    )
