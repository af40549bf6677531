"""What ends in the made-up company, and what is asked about: by the services, each at its time.

A year of it: an agent that is not renewed, one that is idle, someone who left, someone who is
about to, someone who moved. The directory says who, and the sweeps do what they do by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from authz.asks import Ask, Caller
from authz.decide import decide
from authz.engine.types import SubjectKind, Token
from governance.kernel import business_days, clock
from lifecycle.apply.plan import Step
from lifecycle.decommissioning import services as ends
from lifecycle.decommissioning import working
from lifecycle.demo import acting, planted
from lifecycle.demo.days import Days, at, person
from lifecycle.demo.past import Past, Rows
from lifecycle.leavers import services as leavers
from lifecycle.models import Case, EndRun, Review
from lifecycle.models.cases import CaseState
from lifecycle.models.reviews import ReviewOutcome, StepState
from lifecycle.people import importing
from lifecycle.renewals import rules as renewals
from lifecycle.reviews import looking
from lifecycle.reviews.periodic import services as periodic
from lifecycle.scim import protocol, sources
from lifecycle.scim.endpoint import CONTENT_TYPE, scim
from lifecycle.sweeps.registry import find
from registry import services as register
from registry.identity.clients import rotate_secret
from registry.models import Agent, CredentialReference
from registry.rules import months_after
from registry.vault import services as vault

SOURCE = "demo-directory"
# In the order in which they run: what one of them opens, the clock of cases tells.
SWEEPS = ("renewals", "periodic", "idle", "leavers", "cases")
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
# What each of them asks, from the day after it went live.
_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "supplier-statements": ("invoice.read", {"invoice": "INV-204388"}),
    "payment-reminders": ("invoice.read", {"invoice": "INV-204401"}),
    "credit-check": ("invoice.read", {"invoice": "INV-203977"}),
    "claims-letters": ("ticket.read", {"ticket": "40655"}),
    "lead-router": ("crm.deal.read", {"deal": "D-4410"}),
    "deal-archive": ("crm.deal.read", {"deal": "D-4127"}),
    "quote-archive": ("crm.deal.read", {"deal": "D-3960"}),
    "contact-cleaner": ("crm.contact.read", {"contact": "20417"}),
    "storm-watch": ("web.fetch", {"url": "https://trade.example/storm-damage/1"}),
    "rate-table": ("doc.read", {"document": "terms/rates"}),
    "health-quotes": ("claims.read", {"claim": "CL-20388"}),
    "complaints-digest": ("complaint.read", {"complaint": "C-1183"}),
}
_SILENT = {"storm-watch": 94}
_FILE = """\
employee_id,email,name,department,manager,status,last_day
H-1041,lars.holm@halvern.example,Lars Holm,Finance,priya.raman@halvern.example,employed,
H-1077,emil.brandt@halvern.example,Emil Brandt,Claims,jane.okafor@halvern.example,employed,
H-1102,freja.lund@halvern.example,Freja Lund,Customer care,jane.okafor@halvern.example,employed,
H-1103,otto.berg@halvern.example,Otto Berg,Finance,priya.raman@halvern.example,employed,
H-0966,sofia.lindqvist@halvern.example,Sofia Lindqvist,Operations,,leaving,{last_day}
H-1104,ida.krog,Ida Krog,Claims,,employed,
"""


def registering(past: Past, days: Days) -> Callable[[Step], AbstractContextManager[None]]:
    """When each item came onto the register: an agent of the story at its time, most today."""

    def around(step: Step) -> AbstractContextManager[None]:
        if step.item.kind != "agents":
            return past.at(at(days.first, 8))
        since = days.since.get(step.item.label)
        return past.at(at(since, 9)) if since else nullcontext()

    return around


def _often(days: int) -> Iterator[int]:
    """Days ago: two a week in the last month, and one in three weeks before."""
    yield from range(1, min(days, 30), 4)
    yield from range(33, days, 21)


class Story:
    """Everything that happens, in order. `rows` takes what is decided on its way to the record."""

    def __init__(self, past: Past, days: Days, rows: Rows) -> None:
        self.past, self.days, self.rows = past, days, rows
        self.token = ""
        self.secrets: dict[str, str] = {}
        self.ids: dict[str, str] = {}

    def tell(self) -> None:
        """Have it happen. `token` and `secrets` are what was given out meanwhile."""
        for moment, do in self.steps():
            with self.past.at(moment):
                do()
        with self.past.at(self.days.now):
            self._sweep()

    def steps(self) -> list[tuple[datetime, Callable[[], object]]]:
        """What happens, in order, without what is still to come."""
        past = (each for each in self._steps() if each[0] <= self.days.now)
        return sorted(past, key=lambda each: each[0])

    def _sweep(self) -> None:
        """What the sweeps do by themselves."""
        now = clock.now()
        for name in SWEEPS:
            sweep = find(name)
            for key in list(sweep.due(now)):
                with transaction.atomic():
                    sweep.handle(key, now)

    def _steps(self) -> Iterator[tuple[datetime, Callable[[], object]]]:
        yield from self._calls()
        yield from self._days_told()
        yield from self._directory()
        yield from self._leaver()
        yield from self._reviews()
        yield from planted.steps(self.days, self._ask)
        yield from acting.steps(self.days, self._ask)
        yield at(self.days.today - timedelta(days=20), 13), self._renew_secrets
        day = self.days.back(1)
        yield at(day, 15, 20), self._order_end
        yield at(day, 16, 5), self._one_knows

    # What agents ask

    def _calls(self) -> Iterator[tuple[datetime, Callable[[], object]]]:
        for slug, (tool, parameters) in _CALLS.items():
            until = self.days.today - timedelta(days=_SILENT.get(slug, 0))
            for number in _often((until - self.days.since[slug]).days):
                moment = at(until - timedelta(days=number), 9, 10 + number % 40)
                yield moment, partial(self._ask, slug, tool, parameters)
        for day, hour in ((self.days.back(1), 6), (self.days.today, 6)):
            yield at(day, hour, 2), self._calls_on

    def _ask(
        self,
        slug: str,
        tool: str,
        parameters: dict[str, Any],
        session: str = "",
        *,
        user: str = "",
        delegation: str = "",
    ) -> None:
        agent = Agent.objects.select_related("client").get(slug=slug)
        token = Token(client_version=agent.client.version, jti="demo")
        caller = Caller(kind="agent", slug=slug, token=token)
        ask = Ask(
            kind=SubjectKind.AGENT,
            tool=tool,
            agent=slug,
            user=user,
            parameters=parameters,
            session=session,
            delegation=delegation,
        )
        decide([ask], caller, now=clock.now(), record=self.rows.record)
        self.rows.flush()

    def _calls_on(self) -> None:
        """It was ended, and whoever runs it has not noticed."""
        tool, parameters = _CALLS["credit-check"]
        self._ask("credit-check", tool, parameters)
        register.note_caller(claimed="credit-check", source="10.20.0.44")

    def _renew_secrets(self) -> None:
        """Those that are older than their tier allows, before they are due."""
        for slug in ("deal-archive", "quote-archive", "storm-watch", "health-quotes"):
            agent = Agent.objects.select_related("client", "owner").get(slug=slug)
            self.secrets[slug] = rotate_secret(client=agent.client, by=agent.owner).secret

    def _days_told(self) -> Iterator[tuple[datetime, Callable[[], object]]]:
        """The mornings on which the sweeps have something to tell."""
        renewed = (self.days.late, self.days.today + timedelta(days=12))
        told = {day - timedelta(days=many) for day in renewed for many in renewals.NOTICES}
        told |= {self.days.today - timedelta(days=each) for each in (4, 7)}
        told |= {self.days.back(each) for each in range(6)}
        for day in told:
            yield at(day, 9, 30), self._sweep

    # What the directory says

    def _directory(self) -> Iterator[tuple[datetime, Callable[[], object]]]:
        opened, moved = self.days.today - timedelta(days=40), self.days.back(2)
        yield at(opened, 10), self._open
        yield (
            at(moved, 9, 4),
            partial(self._say, "oskar.nyberg", f"{protocol.ENTERPRISE}:department", "Operations"),
        )
        last = business_days.add_business_days(self.days.today, 8).isoformat()
        wrong = f"{last[8:]}/{last[5:7]}/{last[:4]}"
        ours = f"{protocol.OURS}:lastDay"
        yield at(moved, 13, 40), partial(self._say, "katrine.lund", ours, wrong)
        yield at(moved, 13, 52), partial(self._say, "katrine.lund", ours, last)

    def _open(self) -> None:
        _, self.token = sources.open_source(slug=SOURCE, title="Demo directory", by=None)
        staff = (
            ("henrik.vang", "Henrik Vang", "Finance"),
            ("katrine.lund", "Katrine Lund", "Customer care"),
            ("oskar.nyberg", "Oskar Nyberg", "Sales"),
        )
        for name, shown, department in staff:
            said = {
                "schemas": [_USER, protocol.ENTERPRISE],
                "userName": f"{name}@halvern.example",
                "displayName": shown,
                "active": True,
                protocol.ENTERPRISE: {"department": department},
            }
            answer = self._send("POST", "Users", said)
            self.ids[name] = json.loads(answer.content)["id"]

    def _say(self, name: str, path: str, value: object) -> None:
        said = {
            "schemas": [_PATCH],
            "Operations": [{"op": "Replace", "path": path, "value": value}],
        }
        self._send("PATCH", f"Users/{self.ids[name]}", said)

    def _send(self, method: str, path: str, said: dict[str, Any]) -> HttpResponse:
        """A request of the directory, answered as every other is."""
        request = HttpRequest()
        request.method, request._body = method, json.dumps(said).encode()
        request.META |= {
            "HTTP_AUTHORIZATION": f"Bearer {self.token}",
            "CONTENT_TYPE": CONTENT_TYPE,
            "REMOTE_ADDR": "10.20.0.30",
        }
        return scim(request, path)

    # Who left

    def _leaver(self) -> Iterator[tuple[datetime, Callable[[], object]]]:
        left = self.days.back(3)
        yield at(left, 10, 12), partial(self._say, "henrik.vang", "active", "False")
        yield at(left, 14, 35), self._end_one
        yield at(left, 16, 50), self._confirm_one
        yield at(self.days.back(2), 10, 41), self._accept_one

    def _end_one(self) -> None:
        reason = "The ledger checks suppliers itself since October. Nobody reads it any more."
        leavers.end_agent(
            case_id=_case("credit-check"), by=person("tomasz.lewandowski"), reason=reason
        )
        working.carry_on(run_id=EndRun.objects.get(agent__slug="credit-check").pk)

    def _confirm_one(self) -> None:
        """Nobody but a person knows what still opens the ledger."""
        reason = "Lars Holm removed the key in the ledger today; a call with it is refused."
        reference = CredentialReference.objects.get(agent__slug="credit-check").reference
        vault.confirm_ended(reference, by=person("tomasz.lewandowski"), reason=reason)
        working.carry_on(run_id=EndRun.objects.get(agent__slug="credit-check").pk)

    def _accept_one(self) -> None:
        leavers.accept(case_id=_case("supplier-statements"), by=person("lars.holm"))

    # Who looked again

    def _reviews(self) -> Iterator[tuple[datetime, Callable[[], object]]]:
        early = timedelta(days=10)
        for slug in ("deal-archive", "quote-archive"):
            half = months_after(self.days.since[slug], 6) - early
            opens = looking.opens_on(months_after(self.days.since[slug], 6))
            yield at(opens, 9, 30), self._sweep
            yield (
                at(half, 11),
                partial(self._look, slug, "aiko.mori", "It reads what it did."),
            )
            again = months_after(half, 6)
            yield at(looking.opens_on(again), 6, 30), self._sweep
            yield at(again - timedelta(days=9), 14, 15), partial(self._again, slug)

    def _again(self, slug: str) -> None:
        if slug == "deal-archive":
            self._look(slug, "tomasz.lewandowski", "It files closed deals and nothing else.")
        else:
            drop = ["chat.post"]
            self._look(slug, "aiko.mori", "It has never posted anything.", drop)

    def _look(self, slug: str, name: str, reason: str, drop: list[str] | None = None) -> None:
        review = Review.objects.get(agent__slug=slug, kind="periodic", state="open")
        periodic.answer_periodic(
            step_id=review.steps.get(state=StepState.WAITING).pk,
            by=person(name),
            outcome=ReviewOutcome.NARROW if drop else ReviewOutcome.KEEP,
            answers={each.name: True for each in looking.QUESTIONS},
            reason=reason,
            drop=drop or [],
        )

    # What is ordered to end, and others rely on

    def _order_end(self) -> None:
        marco, table = person("marco.ferri"), Agent.objects.get(slug="rate-table")
        register.set_dependents(
            agent_id=table.pk,
            people=[person("priya.raman")],
            agents=[Agent.objects.get(slug="deal-scoring")],
            by=marco,
        )
        reason = "The rates stand in the warehouse from December on."
        ends.end(agent_id=table.pk, by=marco, reason=reason)

    def _one_knows(self) -> None:
        table = Agent.objects.get(slug="rate-table")
        ends.acknowledge(agent_id=table.pk, by=person("sofia.lindqvist"))


def preview_file(days: Days) -> None:
    """A list of people from HR, read and shown; nobody has said yes to it so far."""
    last = business_days.add_business_days(days.today, 15).isoformat()
    importing.keep_preview(
        raw=_FILE.format(last_day=last).encode(),
        file_name="people-of-the-month.csv",
        source="hr-list",
        by=person("marco.ferri"),
    )


def _case(slug: str) -> int:
    return Case.objects.get(agent__slug=slug, kind="leaver", state=CaseState.OPEN).pk
