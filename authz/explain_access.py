"""What was said of acting for somebody, in words: grants, what agents handed over, tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from audit.explain import Behind, Explanation, plain
from authz.enums import EndCause
from governance import words

Body = Mapping[str, Any]


def explain_access(body: Body) -> Explanation:
    """Grants and delegations in words; any other entry of access as it is."""
    asked = body.get("asked", {})
    told = _OF.get(str(asked.get("did", "")))
    return told(body, asked) if told else plain(body)


def _grant_given(body: Body, asked: Body) -> Explanation:
    agent = _agent(body)
    return Explanation(
        title=f"{agent} may act for a person",
        lede=f"They let it call {_tools(asked)} for them, until {_until(asked)}.",
        chain=(*_person(body, "lets it act"), Behind("agent", agent)),
    )


def _grant_ended(body: Body, asked: Body) -> Explanation:
    ended = [
        _many(asked.get("delegations"), "delegation"),
        _many(asked.get("holds"), "held action"),
    ]
    besides = " and ".join(filter(None, ended))
    with_it = f" {besides[:1].upper()}{besides[1:]} ended with it." if besides else ""
    return Explanation(
        title=f"{_agent(body)} acts for this person no more",
        lede=f"The grant is over: {_cause(asked)}.{with_it}",
    )


def _delegation_given(body: Body, asked: Body) -> Explanation:
    agent, receiver = _agent(body), str(asked.get("receiver") or "another agent")
    depth = asked.get("depth", 1)
    lede = f"It may call {_tools(asked)} as {agent} could, until {_until(asked)}."
    if depth != 1:
        lede += f" It is the {_ORDINALS.get(depth, f'{depth}th')} hand that it went through."
    return Explanation(
        title=f"{agent} handed over to {receiver}",
        lede=lede,
        chain=(
            *_person(body, "lets it act"),
            Behind("agent", agent, "hands over"),
            Behind("agent", receiver),
        ),
    )


def _delegation_ended(body: Body, asked: Body) -> Explanation:
    below = _many(asked.get("below"), "delegation")
    with_it = f" {below[:1].upper()}{below[1:]} below it ended with it." if below else ""
    return Explanation(
        title=f"What {_agent(body)} handed over has ended",
        lede=f"The delegation is over: {_cause(asked)}.{with_it}",
    )


def _result(body: Body, asked: Body) -> Explanation:
    taken = asked.get("did") == "result_accepted"
    giver, receiver = _agent(body), str(asked.get("from") or "another agent")
    if not taken:
        codes = [str(code) for code in asked.get("codes", ())]
        return Explanation(
            title=f"{giver} took in no answer from {receiver}",
            lede=f"It is not what the row of {giver} declares: {', '.join(codes)}.",
        )
    trust = "as untrusted" if asked.get("untrusted") else "as trusted"
    return Explanation(
        title=f"{giver} took in an answer from {receiver}",
        lede=f"Its run counts what lay behind the answer as read, {trust}.",
    )


def _beforehand(body: Body, asked: Body) -> Explanation:
    agent, role = _agent(body), str(asked.get("role", ""))
    if asked.get("did") == "beforehand_ended":
        return Explanation(
            title=f"{agent} is let act for nobody beforehand any more",
            lede=f"What was approved for the role {role} has ended, with each grant of it.",
        )
    return Explanation(
        title=f"{agent} is let act for the people of a role",
        lede=f"Two people agreed that it may call {_tools(asked)} for those who hold the role "
        f"{role}, {_many(asked.get('days'), 'day')} each. Each of them can end it.",
    )


def _token(body: Body, asked: Body) -> Explanation:
    """A token that stands for nobody else says nothing here."""
    if not (asked.get("grant") or asked.get("delegation")):
        return plain(body)
    agent = _agent(body)
    whom = "for a person" if body.get("user") else "on what was handed over"
    title = {
        "token_revoked": f"{agent} gave back a token that acted {whom}",
        "code_replayed": f"A code of {agent} came a second time",
    }.get(str(asked.get("did")), f"{agent} got a token that acts {whom}")
    lede = "Whoever sent it may have read it on its way: every token of that consent has ended."
    return Explanation(title=title, lede=lede if asked.get("did") == "code_replayed" else "")


_OF: dict[str, Callable[[Body, Body], Explanation]] = {
    "grant_given": _grant_given,
    "grant_ended": _grant_ended,
    "delegation_given": _delegation_given,
    "delegation_ended": _delegation_ended,
    "result_accepted": _result,
    "result_refused": _result,
    "beforehand_agreed": _beforehand,
    "beforehand_ended": _beforehand,
    "token_issued": _token,
    "token_exchanged": _token,
    "token_revoked": _token,
    "code_replayed": _token,
}
_ORDINALS = {2: "second", 3: "third"}


def _agent(body: Body) -> str:
    return str(body.get("agent") or "an agent")


def _person(body: Body, does: str) -> Iterable[Behind]:
    user = str(body.get("user") or "")
    return (Behind("person", user, does),) if user else ()


def _tools(asked: Body) -> str:
    named = [str(tool) for tool in asked.get("tools", ())]
    return " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]])) or "nothing"


def _until(asked: Body) -> str:
    try:
        return words.instant(datetime.fromisoformat(str(asked.get("until"))), "second")
    except ValueError:
        return str(asked.get("until", "an unknown time"))


def _cause(asked: Body) -> str:
    cause = str(asked.get("cause", ""))
    return EndCause(cause).label if cause in EndCause.values else "it was ended"


def _many(count: object, what: str) -> str:
    """`two delegations`; empty where there was none, or where nothing is said of it."""
    if not isinstance(count, int) or count < 1:
        return ""
    return f"{words.number_word(count)} {what}{'' if count == 1 else 's'}"
