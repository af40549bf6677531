"""What one does in the inbox: each answer is one call of the service behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from governance.kernel.errors import Invalid, NotFound
from lifecycle import services
from lifecycle.inbox.entries import split
from registry import changes
from registry import services as register
from registry import waiting as waits
from registry.models import Agent, Person

Given = Mapping[str, str]


def answer(*, key: str, word: str, given: Given, by: Person) -> str:
    """Give one answer; returns the sentence that tells what happens now.

    What the services refuse is raised as it is. `NotFound` where kind and word do not fit.
    """
    kind, name = split(key)
    act = _ANSWERS.get((kind, word))
    if act is None:
        raise NotFound()
    return act(name, given, by)


def _agree(name: str, given: Given, by: Person) -> str:
    changes.agree(change_id=_number(name), by=by, answer=given.get("reason", "")[:500])
    return "Agreed. It is in effect from now on."


def _reject(name: str, given: Given, by: Person) -> str:
    changes.reject(change_id=_number(name), by=by, answer=reason_in(given))
    return "Rejected. Nothing was changed, and its proposer reads your reason."


def _withdraw(name: str, given: Given, by: Person) -> str:
    changes.withdraw(change_id=_number(name), by=by)
    return "Taken back. Nothing was changed."


def _clear(name: str, given: Given, by: Person) -> str:
    digest = given.get("reach_digest", "")
    agent = services.clear_and_activate(agent_id=_agent(name).pk, by=by, reach_digest=digest)
    return f"{agent.slug} is live. Its owner gives it a secret on its page."


def _send_back(name: str, given: Given, by: Person) -> str:
    register.send_back_agent(agent_id=_agent(name).pk, by=by, reason=reason_in(given))
    return f"{name} is a draft again. Its owner reads your reason."


def _number(name: str) -> int:
    if not name.isdecimal() or len(name) > 18:
        raise NotFound()
    return int(name)


def _agent(slug: str) -> Agent:
    found = Agent.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound()
    return found


def reason_in(given: Given) -> str:
    """The reason, which whoever is refused reads."""
    if not (reason := given.get("reason", "").strip()):
        raise Invalid("Say why, so that they can do better.")
    return reason[:500]


_ANSWERS: dict[tuple[str, str], Callable[[str, Given, Person], str]] = {
    (waits.CHANGE, "approve"): _agree,
    (waits.CHANGE, "reject"): _reject,
    (waits.CHANGE, "withdraw"): _withdraw,
    (waits.REVIEW, "approve"): _clear,
    (waits.REVIEW, "reject"): _send_back,
}
