"""The case of a renewal: opened ahead of its day, told of on its days, ending the agent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from django.urls import reverse

from governance import words
from governance.kernel import clock
from lifecycle.cases import kinds
from lifecycle.cases import rules as case_rules
from lifecycle.models.cases import Case, CaseKind
from lifecycle.notices import Severity, notify
from lifecycle.renewals import rules, services
from lifecycle.renewals.selectors import EXTENSION_KIND
from registry import changes, permissions
from registry import rules as register
from registry.models import Agent, Person
from registry.permissions import can
from registry.selectors import answering_for

TITLE = "It was not renewed"


def connect() -> None:
    """Say what a case of this kind is, and how an extension is applied."""
    kinds.register(
        kinds.Kind(
            kind=CaseKind.RENEWAL,
            title=TITLE,
            still_true=still_asked,
            tell=tell,
            notice_days=rules.NOTICE_DAYS,
            question=_question,
            why_not=_why_not,
            place=_place,
            own_note=True,
            why=_why,
        )
    )
    changes.register(
        EXTENSION_KIND,
        services.apply_extension,
        interested=services.interested_in_extension,
    )


def due_of(case: Case) -> date:
    """The day on which the renewal is due, whenever it was asked."""
    return date.fromisoformat(case.about["renewal_due"])


def still_asked(case: Case) -> bool:
    """Whether the agent is live and due on the same day still."""
    agent = Agent.objects.get(pk=case.agent_id)
    return agent.state in register.LIVE and agent.renewal_due == due_of(case)


def tell(case: Case, what: str, now: datetime) -> None:
    """Tell who answers for it on each of its days; on the last day before it the manager too."""
    agent = Agent.objects.select_related("owner__manager", "backup_owner").get(pk=case.agent_id)
    if what == "ended":
        _send(case, answering_for(agent), "renewal.ended", what, Severity.PAGE)
    if not what.startswith("day:"):
        return
    day = int(what.removeprefix("day:"))
    people = [*answering_for(agent), *(_managers(agent) if day >= -rules.NOTICES[-1] else [])]
    code = "renewal.due" if day < 0 else "renewal.overdue"
    last = day == rules.WINDOW
    _send(case, people, code, what, Severity.PAGE if last else Severity.INFO)


def _managers(agent: Agent) -> list[Person]:
    manager = agent.owner.manager
    return [manager] if manager and manager.may_act else []


def _send(case: Case, people: Iterable[Person], code: str, what: str, severity: Severity) -> None:
    context = {
        "agent": case.agent.slug,
        "due": words.day(due_of(case), year=True),
        "until": case_rules.said_due(case),
    }
    event = f"renewal:{case.pk}:{what}"
    for person in {each.pk: each for each in people}.values():
        notify(person=person, severity=severity, code=code, context=context, event=event)


def _question(case: Case) -> str:
    return f"Is {case.agent.slug} still needed?"


def _why(case: Case) -> str:
    day = due_of(case)
    was = "was" if day < case_rules.today_of(case, clock.now()) else "is"
    return f"It {was} to be renewed by {words.day(day)}."


def _why_not(case: Case, person: Person) -> str:
    return can(permissions.check_can_renew_agent, case.agent, person)


def _place(case: Case) -> str:
    return reverse("renewal", args=[case.agent.slug])
