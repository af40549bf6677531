"""Who lets an agent act for them in the made-up company, and what comes of it.

Emil Brandt keeps the customer register. He lets `crm-copilot` read contacts, keep the status of
the accounts that are his and draft mail, and nothing else of what he may do. Once it has
`mail-writer` word two drafts. What lies beyond what he said is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from unittest.mock import patch

from authz import snapshot, timekeeper
from authz.asks import Caller
from authz.engine.types import Token
from authz.models import Delegation
from authz.services import delegations, grants
from authz.services.delegations import HandOver
from governance.kernel import clock
from lifecycle.demo.days import Days, at, person
from registry.models import Agent

Step = tuple[datetime, Callable[[], object]]
COPILOT, WRITER, USER = "crm-copilot", "mail-writer", "emil.brandt"
# The accounts that are assigned to him.
ACCOUNTS = ("20417", "20431", "20455", "20468")
GRANTED: dict[str, dict[str, Any]] = {
    "crm.contact.read": {},
    "crm.update_status": {"properties": {"contact": {"enum": list(ACCOUNTS)}}},
    "mail.draft": {},
}
# How many business days ago he let it, it was at work, and it handed over.
LET, HANDED = 12, 2
AT_WORK = (11, 9, 8, 6, 5, 3, 1)
# What it tried beyond what he said: another's account, a deal, and once for nobody.
_BEYOND: dict[int, tuple[str, dict[str, Any], str]] = {
    6: ("crm.update_status", {"contact": "30992", "status": "solved"}, USER),
    5: ("crm.deal.read", {"deal": "D-4410"}, USER),
    3: ("crm.contact.read", {"contact": "20431"}, ""),
}


class Asks(Protocol):
    """Have an agent ask for a call, for a user, or on what was handed over to it."""

    def __call__(
        self,
        slug: str,
        tool: str,
        parameters: dict[str, Any],
        session: str = "",
        *,
        user: str = "",
        delegation: str = "",
    ) -> None: ...


def steps(days: Days, ask: Asks) -> Iterator[Step]:
    """What happens, each at its time, in no order."""
    yield at(days.back(LET), 10, 30), _let
    for number in AT_WORK:
        yield from _at_work(days, number, ask)
    for number, (tool, parameters, user) in _BEYOND.items():
        moment = at(days.back(number), 10, 40)
        yield moment, partial(_for_somebody, ask, tool, parameters, "", user)
    yield from _hand_over(days, ask)


def _let() -> None:
    """His consent, with the least that he needs."""
    emil = person(USER)
    with _by_the_story():
        grants.give_grant(agent_id=Agent.objects.get(slug=COPILOT).pk, tools=GRANTED, by=emil)
    snapshot.drop([f"user:{emil.pid}"])


def _at_work(days: Days, number: int, ask: Asks) -> Iterator[Step]:
    """One run: a contact is read, its status kept, an answer drafted."""
    account, session = ACCOUNTS[number % len(ACCOUNTS)], f"accounts-{days.back(number):%m%d}"
    status = ("waiting", "solved")[number % 2]
    draft = {
        "to": "office@nordlys-glass.example",
        "subject": f"Your account {account}",
        "body": "Thank you for your call. I have noted what we agreed on.",
    }
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("crm.contact.read", {"contact": account}),
        ("crm.update_status", {"contact": account, "status": status}),
        ("mail.draft", draft),
    )
    for minute, (tool, parameters) in enumerate(calls, start=10):
        moment = at(days.back(number), 10, minute)
        yield moment, partial(_for_somebody, ask, tool, parameters, session, USER)


def _for_somebody(
    ask: Asks, tool: str, parameters: dict[str, Any], session: str, user: str
) -> None:
    ask(COPILOT, tool, parameters, session, user=person(user).pid if user else "")


# What it hands over


def _hand_over(days: Days, ask: Asks) -> Iterator[Step]:
    """The wording of two drafts, given back when it is done; a contact was not handed over."""
    day, session = days.back(HANDED), "season-letters"
    yield at(day, 11), partial(_delegate, session)
    for minute, account in enumerate(ACCOUNTS[:2], start=2):
        draft = {
            "to": f"account-{account}@nordlys-glass.example",
            "subject": "Before the storms of the season",
            "body": "Three things that keep your windows whole, from your terms.",
        }
        yield at(day, 11, minute), partial(_on_it, ask, "mail.draft", draft, session)
    beyond = {"contact": ACCOUNTS[0]}
    yield at(day, 11, 5), partial(_on_it, ask, "crm.contact.read", beyond, session)
    yield at(day, 11, 9), _give_back


def _delegate(session: str) -> None:
    wanted = HandOver(WRITER, {"mail.draft": {}}, user=person(USER).pid, session=session)
    with _by_the_story():
        delegations.delegate(caller=_caller(COPILOT), wanted=wanted)


def _on_it(ask: Asks, tool: str, parameters: dict[str, Any], session: str) -> None:
    link = _link()
    ask(WRITER, tool, parameters, session, user=person(USER).pid, delegation=str(link.pk))


def _give_back() -> None:
    link = _link()
    with _by_the_story():
        delegations.end_delegation(delegation_id=link.pk, caller=_caller(WRITER))
    snapshot.drop([f"chain:{link.pk}"])


def _link() -> Delegation:
    return Delegation.objects.get(giver__slug=COPILOT, receiver__slug=WRITER)


def _caller(slug: str) -> Caller:
    agent = Agent.objects.select_related("client").get(slug=slug)
    return Caller("agent", slug, Token(client_version=agent.client.version, jti="demo"))


@contextmanager
def _by_the_story() -> Iterator[None]:
    """Grants go by the database's time, which nobody moves: here by the clock of the story."""
    with patch.object(timekeeper, "now", clock.now):
        yield
