"""A recorded decision in words. Sentences are made from codes whenever they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from audit.explain import Explanation
from authz.chains import chain_of
from authz.engine import codes, obligations
from authz.engine.types import Check, Effect, Status
from governance import words

_DECIDING = {Status.REFUSED, Status.HELD, Status.ERROR}
_VERB = {Effect.ALLOW: "allowed", Effect.DENY: "denied", Effect.HOLD: "held"}
# What a passed check established, in the words of the row.
_PASSED = {
    Check.IDENTITY: "The token is good, the row active, the owner employed, the pattern kept",
    Check.DELEGATION: "Every link is live, and hands over this call",
    Check.CONSENT: "A live consent covers the call",
    Check.ALLOWLIST: "The tool stands in the row of each agent of the call",
    Check.PARAMETERS: "They meet the tool's schema and the row's narrowing",
    Check.ROLE: "A role grants the tool to everyone behind the call",
    Check.POLICY: "No forbid fits; where policies govern the tool, a permit does",
    Check.FLOW: "What it writes lies level with all that its run has read, or above",
    Check.TAINT: "No untrusted input was read, or the plan of the run foresees this call",
    Check.RATE: "Within the calls a minute and an hour",
    Check.SPEND: "What it may cost lies within the spend cap",
    Check.QUOTA: "The records that it changes lie within the quota of the hour",
    Check.GATE: "Nothing in it needs a human's word",
}
_NOT_APPLICABLE = {
    Check.DELEGATION: "None used",
    Check.CONSENT: "None needed: no user is acted for",
    Check.ALLOWLIST: "A person has no row",
    Check.POLICY: "No policy governs the tool: the role is enough",
    Check.FLOW: "It writes nowhere",
    Check.TAINT: "A person chose this call",
    Check.RATE: "A person has no limits here",
    Check.SPEND: "A person has no spend cap here",
    Check.QUOTA: "The row sets no quota for this tool",
    Check.GATE: "A person chose this call",
}


def explain_decision(body: Mapping[str, Any]) -> Explanation:
    """Title, walk and remedies of a decision's record."""
    detail = detail_of(body)
    code = str(body.get("code", ""))
    sentence = codes.message(code, detail)
    return Explanation(
        title=_title(body, sentence),
        lede=_lede(body, sentence),
        walk=tuple(_line(step, detail) for step in walk_of(body)),
        remedies=tuple(
            text for each in codes.remedies(code, detail) if (text := codes.remedy_text(each))
        ),
        obligations=_obligations(body),
        chain=chain_of(body, body["judged"].get("detail", {})),
    )


_OF_HOLD = {
    "hold_requested": ("Asked for an approval of {tool}", "Its caller asked that a human decide."),
    "hold_vote": ("Approved by one of several: {tool}", "It waits for further approvals."),
    "approval_refused": (
        "Refused: to approve {tool}",
        "Whoever tried has a part in it, so somebody else must decide.",
    ),
    "hold_edited": ("Changed before it was approved: {tool}", "What changed: {changed}."),
    "hold_approved": ("Approved: {tool}", "It may run once, exactly as it was approved."),
    "hold_rejected": ("Rejected: {tool}", "Its agent was told why."),
    "hold_cancelled": ("Taken back: {tool}", "Its caller did not want it any more."),
    "hold_expired": ("Expired: {tool}", "Nobody decided in time, so it does not run."),
    "callback_sent": ("Told the caller what became of its request", ""),
    "callback_given_up": ("Could not tell the caller what became of its request", ""),
}


def explain_hold(body: Mapping[str, Any]) -> Explanation:
    """What happened to a hold."""
    asked = body.get("asked", {})
    title, lede = _OF_HOLD.get(str(asked.get("did")), ("A hold of {tool}", ""))
    told = {
        "tool": body.get("tool") or "a call",
        "changed": ", ".join(asked.get("changed", ())) or "nothing",
    }
    return Explanation(title=title.format_map(told), lede=lede.format_map(told))


def _obligations(body: Mapping[str, Any]) -> tuple[str, ...]:
    """What whoever went on had to do; nothing where a counter stopped them after all."""
    judged = body["judged"]
    if body.get("effect") != Effect.ALLOW and not judged.get("observed"):
        return ()
    return tuple(map(obligations.sentence, judged.get("obligations", ())))


def detail_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a sentence needs, from the record's own columns and what was kept of the walk."""
    named = {name: body.get(name) for name in ("agent", "tool", "gateway")}
    detail = {name: value for name, value in named.items() if value}
    detail["who"] = body.get("agent") or "This person"
    settled = body.get("settled", {}).get(str(body.get("check", "")), {})
    told = {**detail, **body["judged"].get("detail", {}), **settled}
    return told | ({"until": _instant(told["until"])} if "until" in told else {})


def _instant(value: object) -> str:
    """A time as people read it; as it stands where it is none."""
    try:
        return words.instant(datetime.fromisoformat(str(value)), "second")
    except ValueError:
        return str(value)


def walk_of(body: Mapping[str, Any]) -> list[list[str]]:
    """The walk as it ended: what a counter refused in the record's transaction replaces its step.

    The walk is written before the counters are asked; their word stands in the second line.
    """
    walk = [[*step, "", ""][:3] for step in body["judged"]["walk"]]
    check, order = str(body.get("check", "")), [step[0] for step in walk]
    if check not in body.get("settled", {}) or body["judged"].get("observed"):
        return walk
    end = order.index(check)
    if body.get("effect") == Effect.HOLD:
        walk[end] = [check, Status.HELD.value, str(body["code"])]
        return walk
    refused = [check, Status.REFUSED.value, str(body["code"])]
    return [
        *walk[:end],
        refused,
        *([each, Status.NOT_REACHED.value, ""] for each in order[end + 1 :]),
    ]


def _title(body: Mapping[str, Any], sentence: str) -> str:
    effect = str(body.get("effect", ""))
    word = _VERB.get(Effect(effect), effect).capitalize() if effect else "Recorded"
    if effect == Effect.ALLOW:
        return f"{word}: {_who(body)} may call {body.get('tool')}"
    return f"{word}: {sentence.split('. ', 1)[0].rstrip('.')}"


def _lede(body: Mapping[str, Any], sentence: str) -> str:
    rest = sentence.split(". ", 1)
    told = [rest[1]] if len(rest) > 1 and body.get("effect") != Effect.ALLOW else []
    return " ".join([*told, *_besides(body)])


def _besides(body: Mapping[str, Any]) -> Iterator[str]:
    """What the sentence of the code leaves open."""
    detail = body["judged"].get("detail", {})
    judged = body["judged"]
    if completed := detail.get("combinations") or judged.get("combinations"):
        label = detail.get("label") or judged.get("label")
        yield f"Together what it read counts as {label}: {', '.join(completed)}."
    yield from map(_answered, judged.get("outside", ()))
    if would_ask := judged.get("would_ask"):
        yield f"A decision would ask {', '.join(would_ask)} as well; nobody was asked here."
    if body["judged"].get("observed"):
        yield "The row is in observe mode, so the caller was told to go on."
    elif body.get("effect") == Effect.HOLD:
        yield "It waits for a human, so the caller was told not to go on before that."
    elif "release" in body.get("settled", {}):
        yield "A human had approved exactly this, once; that approval is used up by it."


def _answered(said: Mapping[str, Any]) -> str:
    """What a decision point outside answered, and how long that took."""
    verb = {"allow": "allowed it", "deny": "denied it"}.get(str(said["answer"]))
    told = verb or f"gave no answer that counts ({said.get('cause') or 'not asked'})"
    return f"{said['pdp']}, which was asked as well, {told} in {said['ms']} ms."


def _who(body: Mapping[str, Any]) -> str:
    return str(body.get("agent") or "this person")


def _line(step: Any, detail: Mapping[str, Any]) -> dict[str, str]:
    check, status, code = (*step, "", "")[:3]
    return {"check": check, "status": status, "sentence": _sentence(check, status, code, detail)}


def _sentence(check: str, status: str, code: str, detail: Mapping[str, Any]) -> str:
    if status in _DECIDING:
        return codes.message(code, detail)
    if status == Status.PASSED:
        return _PASSED.get(Check(check), "")
    if status == Status.NOT_APPLICABLE:
        return _NOT_APPLICABLE.get(Check(check), "")
    return ""
