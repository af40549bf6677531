"""For each sweep a world in which something of its is due, and what it comes to (promise 22).

`tests/lifecycle/test_sweeps.py` runs every sweep over its world: not at all, once, twice and five
times at once, and with a worker that is killed at each of its faults. A part with sweeps of its
own keeps its worlds in a module of its own and adds them below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.conf import settings
from django.db.models import DateField, F, Model

from authz.decide import decide
from authz.models import (
    AccessRequest,
    Callback,
    Counter,
    Hold,
    Page,
    Preview,
    Reservation,
    Stop,
)
from governance.kernel import clock
from lifecycle.anomalies import counting
from lifecycle.decommissioning import services as ending
from lifecycle.models import (
    Case,
    Counted,
    Delivery,
    EndOrder,
    EndRun,
    HourCount,
    Notice,
    SeenCall,
    SweepEnding,
    SweepRun,
    ToxicDue,
)
from lifecycle.notices import Severity, notify
from registry import services as register
from registry.enums import GroupName
from registry.models import Agent, Person
from tests.factories.authz import Desk, age, make_desk, observed
from tests.factories.registry import make_person
from tests.lifecycle import worlds_grants, worlds_leaver, worlds_people, worlds_renewal
from tests.lifecycle.bypassing import make_log

DUE = 3
Kept = Callable[[], Any]
Fault = dict[str, str]
CLAIMED: Fault = {"after": "lifecycle.sweeps.run._claim"}
HANDLED: Fault = {"after": "lifecycle.sweeps.run._handle_one"}
ENDING: Fault = {"before": "lifecycle.sweeps.run._end"}
RECORDING: Fault = {"before": "audit.services.record"}
RECORDED: Fault = {"after": "audit.services.record"}
TELLING: Fault = {"after": "lifecycle.sweeps.alarm.page"}


# The database lets nobody move the time of these; worlds make theirs overdue by themselves.
GUARDED = frozenset({"authz.Hold", "authz.Grant", "authz.Delegation"})


def no_time() -> None:
    """Nothing has to pass before what a killed worker left is due again."""


@dataclass(frozen=True)
class World:
    """`make` builds it and returns what reads its state, of this world alone.

    `after` is the state once the sweep came through. `told` is how often the record then says
    (kind, did). `later` lets the time pass after which a row that a killed worker had claimed is
    due again. `days_later` is the state where it ran three days late, if that is another one. One
    that `commits` cannot be made within one transaction.
    """

    make: Callable[[], Kept]
    after: Any
    faults: Sequence[Fault] = field(default_factory=list)
    told: tuple[str, str, int] | None = None
    later: Callable[[], None] = no_time
    days_later: Any = None
    commits: bool = False


def days_pass(days: timedelta) -> None:
    """As if everything that stands in the tables had happened, and been due, so much earlier."""
    for label in ("registry", "authz", "lifecycle"):
        for model in apps.get_app_config(label).get_models():
            if model._meta.managed and model._meta.label not in GUARDED:
                _age(model, days)


def _age(model: type[Model], days: timedelta) -> None:
    names = [field.name for field in model._meta.concrete_fields if isinstance(field, DateField)]
    if names:
        model._default_manager.update(**{name: F(name) - days for name in names})


def desks(days: int = 0) -> list[Desk]:
    """Agents that are live for so many days, under names that no entry of the record ever had."""
    names = [f"desk-{uuid4().hex[:12]}" for _ in range(DUE)]
    made = [make_desk(agent_fields={"slug": name}) for name in names]
    at = clock.now() - timedelta(days=days)
    for desk in made:
        desk.owner.zone = "UTC"
        desk.owner.save(update_fields=["zone"])
    pks = [desk.agent.pk for desk in made]
    Agent.objects.filter(pk__in=pks).update(state_changed_at=at, activated_at=at)
    return made


def notices_to(people: Sequence[Person], code: str) -> int:
    """How many notices of a code these people have, together."""
    return Notice.objects.filter(person__in=people, code=code).count()


def _notices() -> Kept:
    """Three notices that are due, and what they come to once they are sent."""
    people = [make_person() for _ in range(DUE)]
    for number, person in enumerate(people):
        notify(
            person=person,
            severity=Severity.INFO,
            code="agent.resumed",
            context={"agent": f"agent-{number}", "by": "Someone"},
        )
    folder = Path(settings.EMAIL_FILE_PATH)
    mine = Delivery.objects.filter(notice__person__in=people)

    def mails() -> int:
        texts = [path.read_text() for path in folder.glob("*.eml")]
        return sum(f"To: {person.email}" in text for text in texts for person in people)

    return lambda: (sorted(mine.values_list("state", flat=True)), mails())


def _previews() -> Kept:
    """Three previews that are too old."""
    person, now = make_person(), clock.now()
    for number in range(DUE):
        Preview.objects.create(by=person, change={}, summary=f"{number}", days=1, most=1, until=now)
    mine = Preview.objects.filter(by=person)
    mine.update(at=now - timedelta(days=settings.MUSTER_PREVIEW_DAYS + 1))
    return mine.count


def _holding() -> Desk:
    return make_desk(
        tool_fields={"gates": {"amount": {"above": 1, "currency": "EUR"}}, "effect": "financial"}
    )


def _held() -> tuple[Desk, list[Hold]]:
    desk = _holding()
    for number in range(DUE):
        decide([desk.ask(parameters={"claim": f"CL-{number}", "amount": 500})], desk.caller)
    return desk, list(Hold.objects.filter(agent=desk.agent.slug))


def _holds() -> Kept:
    """Three actions for whose answer the time is over."""
    desk, held = _held()
    for hold in held:
        age(hold)
    mine = Hold.objects.filter(agent=desk.agent.slug)
    return lambda: sorted(mine.values_list("state", flat=True))


def _reservations() -> Kept:
    """Three calls of which nobody said in time what they have cost."""
    desk = make_desk(tool_fields={"cost_minor": 100})
    for _ in range(DUE):
        decide([desk.ask()], desk.caller)
    mine = Reservation.objects.filter(agent=desk.agent.slug)
    mine.update(due_at=clock.now() - timedelta(days=3))
    spent = Counter.objects.filter(key=f"agent:{desk.agent.slug}")
    return lambda: (sorted(mine.values_list("ended", "cost_minor")), spent.get().day_spent)


def _callbacks() -> Kept:
    """Three callers that want to be told, and have no address any more."""
    now, names = clock.now() - timedelta(minutes=5), []
    for desk in desks():
        request = AccessRequest.objects.create(
            caller=desk.agent.slug,
            caller_kind="agent",
            callback=True,
            events=["denied"],
            made_at=now,
        )
        Callback.objects.create(request=request, event="denied", made_at=now, next_at=now)
        names.append(desk.agent.slug)
    mine = Callback.objects.filter(request__caller__in=names)
    return lambda: sorted(
        (each.sent_at is not None, each.failed_at is not None, each.answer) for each in mine.all()
    )


def _callbacks_later() -> None:
    waiting = Callback.objects.filter(sent_at__isnull=True, failed_at__isnull=True)
    waiting.update(next_at=clock.now() - timedelta(minutes=1))


def _idle() -> Kept:
    """Three agents that never asked in a hundred days."""
    made = desks(days=100)
    mine = Case.objects.filter(agent__in=[desk.agent for desk in made])
    owners = [desk.owner for desk in made]
    return lambda: (
        sorted(mine.values_list("kind", "state")),
        notices_to(owners, "idle.asked"),
    )


def _cases() -> Kept:
    """Three questions about idle agents that nobody answered; the last day was three days ago."""
    from lifecycle.idle.services import flag_idle

    made, now = desks(days=100), clock.now()
    for desk in made:
        flag_idle(agent_id=desk.agent.pk, now=now)
    mine = Case.objects.filter(agent__in=[desk.agent for desk in made])
    over = now - timedelta(days=3)
    mine.update(due_at=over, due_on=over.date(), counts_from=over.date() - timedelta(days=14))
    agents = Agent.objects.filter(pk__in=[desk.agent.pk for desk in made])
    owners = [desk.owner for desk in made]
    return lambda: (
        sorted(mine.values_list("state", "outcome")),
        sorted(agents.values_list("state", flat=True)),
        notices_to(owners, "idle.closed"),
    )


def _stopped() -> Kept:
    """Three agents that a limit has stopped."""
    made = desks()
    slugs = [desk.agent.slug for desk in made]
    for slug in slugs:
        Stop.objects.create(agent=slug, cause="spend", at=clock.now())
    return lambda: (
        sorted(Agent.objects.filter(slug__in=slugs).values_list("state", flat=True)),
        Stop.objects.filter(agent__in=slugs, handled_at__isnull=True).count(),
    )


def _observed() -> Kept:
    """Three agents whose time to be observed is up."""
    over = f"{clock.now() - timedelta(days=1):%Y-%m-%dT%H:%MZ}"
    made = [make_desk(agent_fields=observed(over)) for _ in range(DUE)]
    rows = Agent.objects.filter(pk__in=[desk.agent.pk for desk in made])
    return lambda: rows.filter(observe_until__isnull=False).count()


def _limits() -> Kept:
    """Three agents that have reached a limit."""
    made = desks()
    for desk in made:
        Page.objects.create(kind="rate", agent=desk.agent.slug, window="now", at=clock.now())
    return lambda: notices_to([desk.owner for desk in made], "limit.reached")


def _asked() -> Kept:
    """Three actions that wait, alike: whoever may decide hears of them once."""
    approver = make_person(GroupName.SECURITY)
    _held()
    return lambda: notices_to([approver], "hold.waits")


def _anomalies() -> Kept:
    """An hour that has ended and is not counted."""
    desk, hour = make_desk(), counting.hour_of(clock.now()) - timedelta(hours=2)
    HourCount.objects.filter(agent=desk.agent.slug).delete()
    Counted.objects.update_or_create(pk=1, defaults={"until": hour})
    return lambda: Counted.objects.get(pk=1).until >= hour + timedelta(hours=1)


def _bypass() -> Kept:
    """Three agents of each of which a log tells two calls, about which nothing was decided."""
    made, log = desks(), make_log(make_desk().system)
    ago = clock.now() - timedelta(minutes=10)
    for desk in made:
        for number in range(2):
            SeenCall.objects.create(
                log=log, key=f"{desk.agent.pk}-{number}", at=ago, agent=desk.agent, tool="a.tool"
            )
    owners, mine = [desk.owner for desk in made], SeenCall.objects.filter(log=log)
    return lambda: (
        sorted(mine.values_list("state", flat=True)),
        notices_to(owners, "bypass.found"),
    )


def _toxic() -> Kept:
    """Three owners whose agents have to be looked at."""
    made = desks()
    for desk in made:
        ToxicDue.objects.create(owner=desk.owner, asked_at=clock.now())
    mine = ToxicDue.objects.filter(owner__in=[desk.owner for desk in made])
    return lambda: mine.filter(done_at__isnull=True).count()


def _ended_run(sweep: str, at: datetime) -> None:
    SweepRun.objects.create(
        sweep=sweep, started_at=at, heard_at=at, ended_at=at, ending=SweepEnding.THROUGH
    )


def _runs() -> Kept:
    """Three runs of long ago, and the newest of their sweep."""
    now = clock.now()
    old = now - timedelta(days=settings.MUSTER_SWEEP_DAYS + 1)
    for _ in range(DUE):
        _ended_run("notices", old)
    _ended_run("notices", now)
    return SweepRun.objects.filter(sweep="notices", ended_at__lte=old).count


def _standing_still() -> Kept:
    """A sweep that has not ended a run for days, and somebody who operates Muster."""
    admin, ago = make_person(GroupName.PLATFORM_ADMIN), clock.now() - timedelta(days=3)
    SweepRun.objects.filter(sweep="previews").delete()
    _ended_run("previews", ago)
    return lambda: notices_to([admin], "sweep.late")


def _ending() -> Kept:
    """Three agents whose end was ordered, and whose days for who relies on them are over."""
    made, over = desks(), clock.now() - timedelta(minutes=5)
    for desk in made:
        register.set_dependents(
            agent_id=desk.agent.pk, people=[make_person()], agents=[], by=desk.owner
        )
        ending.end(agent_id=desk.agent.pk, by=desk.owner, reason="Its task is over.")
    agents = [desk.agent.pk for desk in made]
    orders = EndOrder.objects.filter(agent__in=agents)
    orders.update(at=over - timedelta(days=5), begins_at=over)
    rows, runs = Agent.objects.filter(pk__in=agents), EndRun.objects.filter(agent__in=agents)
    return lambda: (
        sorted(orders.values_list("state", flat=True)),
        sorted(rows.values_list("state", flat=True)),
        runs.count(),
    )


WORLDS: dict[str, World] = {
    "notices": World(
        _notices,
        (["sent"] * DUE, DUE),
        [
            CLAIMED,
            {"before": "lifecycle.notices.services._send"},
            {"before": "lifecycle.notices.mail._write"},
            {"after": "lifecycle.notices.mail._write"},
            {"after": "lifecycle.notices.services._sent"},
            HANDLED,
            ENDING,
            {"after": "lifecycle.sweeps.run._end"},
        ],
        ("system", "notice_sent", DUE),
    ),
    "previews": World(
        _previews,
        0,
        [CLAIMED, RECORDING, RECORDED, HANDLED],
        ("system", "preview_forgotten", DUE),
    ),
    "holds": World(
        _holds,
        ["expired"] * DUE,
        [RECORDING, RECORDED, {"after": "authz.services.holds.expire_hold"}],
        ("hold", "hold_expired", DUE),
        commits=True,
    ),
    "reservations": World(
        _reservations,
        ([("timed_out", 100)] * DUE, 100 * DUE),
        [
            {"before": "authz.services.spending.time_out_reservation"},
            {"after": "authz.services.spending.time_out_reservation"},
        ],
    ),
    "callbacks": World(
        _callbacks,
        [(False, True, "The client has no address any more.")] * DUE,
        [
            {"before": "authz.services.callbacks._claim"},
            {"after": "authz.services.callbacks._claim"},
            {"before": "authz.services.callbacks._end"},
            RECORDING,
            RECORDED,
            {"after": "authz.services.callbacks._end"},
        ],
        ("hold", "callback_given_up", DUE),
        _callbacks_later,
    ),
    "idle": World(
        _idle,
        ([("idle", "open")] * DUE, DUE),
        [RECORDING, RECORDED, {"after": "lifecycle.cases.services.open_case"}],
        ("registry", "case_opened", DUE),
    ),
    "cases": World(
        _cases,
        ([("ended", "decommissioned")] * DUE, ["decommissioning"] * DUE, DUE),
        [
            RECORDING,
            RECORDED,
            {"after": "lifecycle.cases.services.close_case"},
            {"after": "lifecycle.cases.services.end_in_time"},
        ],
        ("registry", "case_ended", DUE),
    ),
    "decommissioning": World(
        _ending,
        (["begun"] * DUE, ["decommissioning"] * DUE, DUE),
        [
            RECORDING,
            RECORDED,
            {"before": "registry.services.begin_decommissioning"},
            {"after": "lifecycle.decommissioning.services.begin_order"},
            HANDLED,
        ],
    ),
    "stopped": World(
        _stopped,
        (["suspended"] * DUE, 0),
        [RECORDED, {"after": "registry.services.suspend_agent"}],
        ("registry", "agent_suspended", DUE),
    ),
    "observed": World(_observed, 0, [RECORDED]),
    "limits": World(_limits, DUE),
    "asked": World(_asked, 1),
    "anomalies": World(_anomalies, True, [{"after": "lifecycle.anomalies.counting.claim"}]),
    "bypass": World(
        _bypass,
        (["open"] * 2 * DUE, DUE),
        [RECORDING, RECORDED, {"after": "lifecycle.bypass.services._settle"}],
        ("system", "bypass_found", DUE),
    ),
    "toxic": World(_toxic, 0, [{"after": "lifecycle.toxic.checking.look_at"}]),
    "runs": World(_runs, 0),
    "watch": World(_standing_still, 1, [TELLING]),
}

# A further world of a sweep has a name behind a stroke.
WORLDS |= {f"{name}/leaver": World(**given) for name, given in worlds_leaver.WORLDS.items()}
WORLDS |= {name: World(**given) for name, given in worlds_grants.WORLDS.items()}
WORLDS |= {name: World(**given) for name, given in worlds_renewal.WORLDS.items()}
WORLDS |= {name: World(**given) for name, given in worlds_people.WORLDS.items()}

# Sweeps whose world stands elsewhere, and where they are run twice, at once or killed.
WITHOUT = {
    "anchors": "tests/audit/test_anchors.py",
    "campaigns": "tests/lifecycle/test_campaigns.py",
    "counted": "one statement that deletes by age",
    "erasure": "tests/compliance/test_subjects.py",
    "identities": "tests/registry/test_identity_providers.py",
    "probes": "tests/lifecycle/test_probes.py",
    "provisioning": "tests/lifecycle/test_provisioning.py",
    "retention": "tests/compliance/test_retention.py",
    "reviews": "tests/lifecycle/test_reviews.py",
    "reports": "tests/compliance/test_reports.py",
    "rotation": "tests/lifecycle/test_rotation.py",
    "sealing": "tests/audit/test_sealer.py",
    "source_log": "one statement that deletes by age",
    "streams": "tests/audit/test_streams.py",
    "suspensions": "tests/lifecycle/test_switch.py",
    "vault": "tests/lifecycle/test_credentials.py",
}
