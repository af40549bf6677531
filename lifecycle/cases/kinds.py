"""Which kinds of case there are. Whoever has one registers it in `AppConfig.ready`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet
from django.urls import reverse

from lifecycle.models.cases import Case, CaseKind, CaseState
from registry.models import Person


def _of_owner(person: Person) -> QuerySet[Case]:
    """Those of agents that a person owns or stands in for."""
    return Case.objects.filter(Q(agent__owner=person) | Q(agent__backup_owner=person))


def _agent_page(case: Case) -> str:
    return reverse("agent", args=[case.agent.slug])


def _title(case: Case) -> str:
    return f"{case.agent.slug}: {case.get_kind_display()}"


def _nothing(case: Case, person: Person) -> str:
    return ""


def _nothing_more(case: Case) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of case.

    `still_true(case)` says whether there is still something to ask; it may read the database.
    `tell(case, what, now)` tells people what happened: `opened`, `day:N`, `answered`, `ended`,
    `dropped`; it is called once for each, in its transaction. `notice_days` are the business days
    on which people are told: 0 is the day from which it counts, below zero are days before it.
    `at_due(case, now)` is the consequence; without it the agent is decommissioned. The case is
    closed before it is called.

    `why(case)` says why it is asked about, where the title does not say it of every such case.

    For the inbox: `waits_for(person)` are the cases that concern a person, `question(case)` what
    is asked, `why_not(case, person)` why somebody else must answer, `place(case)` where one does.
    `own_note`: the agent's page shows it in a note of the kind's own.
    """

    kind: CaseKind
    title: str
    still_true: Callable[[Case], bool]
    tell: Callable[[Case, str, datetime], None]
    notice_days: tuple[int, ...]
    at_due: Callable[[Case, datetime], None] | None = None
    on_expiry: str = "It is decommissioned: it gets nothing from then on, and never again."
    waits_for: Callable[[Person], QuerySet[Case]] = _of_owner
    question: Callable[[Case], str] = _title
    why_not: Callable[[Case, Person], str] = _nothing
    place: Callable[[Case], str] = _agent_page
    own_note: bool = False
    why: Callable[[Case], str] = _nothing_more

    @property
    def unanswered(self) -> str:
        """What follows without an answer, as a whole sentence."""
        return f"If nobody answers, {self.on_expiry[0].lower()}{self.on_expiry[1:]}"

    def because(self, case: Case) -> str:
        """Why this one is asked about."""
        return self.why(case) or f"{self.title}."


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Make a kind of case known."""
    _kinds[kind.kind] = kind


def of(case: Case) -> Kind:
    """The kind of this case."""
    return _kinds[case.kind]


def registered() -> list[Kind]:
    """Every kind."""
    return [_kinds[name] for name in sorted(_kinds)]


def open_for(person: Person) -> QuerySet[Case]:
    """The open cases of every kind that concern this person, soonest due first. One query."""
    theirs = Q(pk__in=[])
    for kind in registered():
        theirs |= Q(kind=kind.kind, pk__in=kind.waits_for(person).values("pk"))
    related = ("agent__owner__manager", "agent__backup_owner", "proposed_owner", "proposed_by")
    rows = Case.objects.filter(theirs, state=CaseState.OPEN).select_related(*related)
    return rows.order_by("due_at", "pk")
