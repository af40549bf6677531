"""What the sweeps of cases and leavers find due, and what it comes to however often they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from governance.kernel import clock
from lifecycle.models import Case, Notice
from registry import services as register
from registry.models import Agent, Person
from registry.permissions import Automatic
from tests.factories.registry import make_agent, make_person, security

HR = Automatic("scim")
WEEK = timedelta(days=7)


def cases_due() -> Callable[[], Any]:
    """Two agents of a leaver: one whose time is over, one whose last day has come; one of another
    who stays after all, without an event."""
    boss, admin = make_person(), security()
    owner, back = make_person(manager=boss), make_person()
    over, last, stays = make_agent(owner=owner), make_agent(owner=owner), make_agent(owner=back)
    day = clock.now().date()
    for person in (owner, back):
        register.set_employment(person_id=person.pk, employment="left", last_day=day, by=HR)
    Case.objects.filter(agent=over).update(due_at=clock.now() - timedelta(hours=1))
    Case.objects.filter(agent=last).update(counts_from=day - WEEK)
    Person.objects.filter(pk=back.pk).update(employment="employed", last_day=None)

    def kept() -> Any:
        agents = Agent.objects.filter(pk__in=[over.pk, last.pk, stays.pk]).order_by("pk")
        cases = Case.objects.filter(agent__in=agents).order_by("agent_id")
        people = [boss.pk, admin.pk]
        codes = Notice.objects.filter(person__in=people).values_list("code", flat=True)
        told = Counter(code for code in codes if code in {"leaver.last_day", "leaver.closed"})
        return (
            [str(agent.state) for agent in agents],
            [(str(case.state), case.outcome) for case in cases],
            dict(told),
        )

    return kept


CASES_AFTER = (
    ["decommissioning", "active", "active"],
    [("ended", "decommissioned"), ("open", ""), ("dropped", "no_longer_true")],
    # The manager and security of what ended; both of the last day.
    {"leaver.closed": 2, "leaver.last_day": 2},
)
CASES_FAULTS = [
    {"after": "lifecycle.sweeps.run._claim"},
    {"before": "audit.services.record"},
    {"after": "audit.services.record"},
    {"after": "lifecycle.cases.services.close_case"},
    {"before": "registry.services.begin_decommissioning"},
    {"after": "registry.services.begin_decommissioning"},
    {"before": "lifecycle.leavers.telling.notify"},
    {"after": "lifecycle.leavers.telling.notify"},
    {"after": "lifecycle.sweeps.run._handle_one"},
    {"before": "lifecycle.sweeps.run._end"},
]


def leavers_missed() -> Callable[[], Any]:
    """Somebody whom no event told of, and somebody whose last day has passed."""
    boss = make_person()
    lost, passed = make_person(manager=boss), make_person(manager=boss)
    agents = [make_agent(owner=lost), make_agent(owner=passed)]
    day = clock.now().date()
    register.set_employment(
        person_id=passed.pk, employment="leaving", last_day=day + timedelta(days=9), by=HR
    )
    Person.objects.filter(pk=passed.pk).update(last_day=day - WEEK)
    Person.objects.filter(pk=lost.pk).update(employment="left", last_day=day)
    Notice.objects.all().delete()

    def kept() -> Any:
        people = Person.objects.filter(pk__in=[lost.pk, passed.pk]).order_by("pk")
        cases = Case.objects.filter(agent__in=agents).order_by("agent_id")
        told = Notice.objects.filter(person=boss, code__startswith="leaver.")
        return (
            [(str(each.employment), each.is_active) for each in people],
            [sorted(event.what.split(":")[0] for event in case.events.all()) for case in cases],
            told.count(),
        )

    return kept


LEAVERS_AFTER = (
    [("left", False), ("left", False)],
    [["left", "offered", "opened"], ["left", "offered", "opened"]],
    1,
)
LEAVERS_FAULTS = [
    {"after": "lifecycle.sweeps.run._claim"},
    {"before": "registry.services.settle_leaver"},
    {"after": "lifecycle.leavers.services.flag_agents"},
    {"before": "registry.services.end_access"},
    {"after": "registry.services.end_access"},
    {"after": "lifecycle.sweeps.run._handle_one"},
    {"before": "lifecycle.sweeps.run._end"},
]

WORLDS: dict[str, dict[str, Any]] = {
    "cases": {
        "make": cases_due,
        "after": CASES_AFTER,
        "faults": CASES_FAULTS,
        "told": ("registry", "case_ended", 1),
    },
    "leavers": {
        "make": leavers_missed,
        "after": LEAVERS_AFTER,
        "faults": LEAVERS_FAULTS,
        "told": ("registry", "access_ended", 2),
    },
}
