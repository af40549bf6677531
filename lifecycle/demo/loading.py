"""Loading the made-up company: its inventory by `apply`, its month by the decision service.

Only the record's time is not the database's own here. It is given by the traffic and the story,
through a second append function that exists only in a demo, and only while this runs.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from django.conf import settings

from audit import demo_append
from audit import services as audit
from audit.enums import Kind
from audit.selectors import holds_demo_mark
from authz.asks import Ask, Caller
from authz.decide import Answer, decide
from authz.engine.plans import read_plan
from authz.engine.types import SubjectKind, Token
from authz.models import FlowSession, ReportedOutcome
from authz.outcomes import Report, Result, entry_of
from authz.services import sessions
from governance.kernel import clock, private_file
from governance.kernel.errors import NotAllowed
from lifecycle.apply.document import read_inventory
from lifecycle.apply.execute import apply_inventory
from lifecycle.apply.secret_file import SecretFile
from lifecycle.demo import endings, planted, traffic
from lifecycle.demo.days import Days
from lifecycle.demo.past import Past, Rows
from lifecycle.demo.reviews import ask_for_reviews
from registry import services
from registry.models import Agent, Person

INVENTORY = Path(__file__).parent / "halvern.yaml"
# Who asked at the gateway without standing on the register.
STRANGERS = (("sales-forecast", 14), ("export-helper", 3))


def load_demo(*, migrator: str, loader: str, folder: Path) -> int:
    """Load company and month; write `demo.json` last. Returns the number of decisions.

    `migrator` and `loader` are connection strings. Refused outside a database marked as demo.
    """
    if not holds_demo_mark():
        raise NotAllowed("This database is not marked as a demo. Start it with ./muster up --demo.")
    days = Days(clock.now())
    with psycopg.connect(migrator, autocommit=True) as owner:
        demo_append.install_demo_append(owner, first=days.first)
        try:
            known, decisions = _load_past(loader, days, folder)
        finally:
            demo_append.drop_demo_append(owner)
    _note_strangers()
    _ask_what_waits(days.now)
    planted.approve_ones_own()
    ask_for_reviews()
    endings.preview_file(days)
    known["users"] = _users()
    private_file.write(folder / "demo.json", json.dumps(known, indent=2) + "\n")
    return decisions


def _load_past(loader: str, days: Days, folder: Path) -> tuple[dict[str, Any], int]:
    """The company, its month, and what ends in it; what `demo.json` says, and the decisions."""
    with psycopg.connect(loader, autocommit=True) as connection:
        past = Past(connection)
        known = _load_company(folder, past, days)
        rows = Rows(connection)
        decisions = _load_month(rows, days.now)
        story = endings.Story(past, days, rows)
        story.tell()
        rows.flush()
    known["scim_token"] = story.token
    for agent in known["agents"]:
        agent["client_secret"] = story.secrets.get(agent["id"], agent["client_secret"])
    return known, decisions


def _load_company(folder: Path, past: Past, days: Days) -> dict[str, Any]:
    """The inventory; returns what `demo.json` says of it."""
    inventory = read_inventory(INVENTORY)
    with TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "secrets.json"
        file = SecretFile(str(path), base_url=settings.MUSTER_BASE_URL)
        apply_inventory(
            inventory,
            by_email="marco.ferri@halvern.example",
            bootstrap=True,
            secrets=file,
            around=endings.registering(past, days),
        )
        known: dict[str, Any] = json.loads(path.read_text())
    patterns = dict(Agent.objects.values_list("slug", "pattern"))
    for agent in known["agents"]:
        agent["identity_pattern"] = patterns[agent["id"]]
    return {"base_url": settings.MUSTER_BASE_URL, "users": [], **known}


def _users() -> list[dict[str, Any]]:
    """Everyone who may sign in, with a password for each."""
    here = Person.objects.filter(is_active=True).prefetch_related("groups")
    return [_user(person) for person in here.order_by("name")]


def _user(person: Person) -> dict[str, Any]:
    password = secrets.token_urlsafe(15)
    person.set_password(password)
    person.save(update_fields=["password"])
    roles = sorted(group.name for group in person.groups.all())
    if person.owned_agents.exists():
        roles.insert(0, "owner")
    return {"email": person.email, "password": password, "roles": roles}


def _load_month(rows: Rows, now: datetime) -> int:
    """Every call of the month through the decision service, then what came of those allowed."""
    calls = traffic.month(now)
    callers = {agent.slug: _caller(agent) for agent in Agent.objects.select_related("client")}
    people = dict(Person.objects.values_list("email", "pid"))
    runs = Runs(rows, callers)
    for call in calls:
        ask = _ask(call, people, runs.session_of(call))
        (answer,) = decide([ask], callers[call.agent], now=call.at, record=rows.record)
        if answer.allowed:
            _report(rows, call, answer)
    rows.flush()
    return len(calls)


def _ask_what_waits(now: datetime) -> None:
    """Leave actions that wait for a human, asked as any agent asks."""
    for call in traffic.unanswered(now):
        agent = Agent.objects.select_related("client").get(slug=call.agent)
        caller = _caller(agent)
        opened = sessions.open_session(agent="", caller=caller).pk if agent.isolated_runs else ""
        decide([_ask(call, {}, opened)], caller)


def _caller(agent: Agent) -> Caller:
    token = Token(client_version=agent.client.version, jti="demo")
    return Caller(kind="agent", slug=agent.slug, token=token)


class Runs:
    """The flow sessions of those runs that open one, each opened at its first call."""

    def __init__(self, rows: Rows, callers: Mapping[str, Caller]) -> None:
        self.rows, self.callers = rows, callers
        self.agents = {agent.slug: agent for agent in Agent.objects.all()}
        self.opened: dict[str, str] = {}

    def session_of(self, call: traffic.Call) -> str:
        """The name that the call carries: of an opened session, or just one of the run."""
        if call.plan is not None and call.session not in self.opened:
            self.opened[call.session] = self._open(call)
        return self.opened.get(call.session, call.session)

    def _open(self, call: traffic.Call) -> str:
        agent, at = self.agents[call.agent], call.at - timedelta(milliseconds=300)
        session = FlowSession.objects.create(
            id=f"s-{clock.uuid7(at).hex}",
            agent=agent,
            is_clean=agent.isolated_runs,
            plan=read_plan(call.plan),
            opened_at=at,
            expires_at=at + timedelta(hours=settings.MUSTER_SESSION_HOURS),
        )
        entry = sessions.entry_of(
            session,
            "session_opened",
            self.callers[call.agent],
            told={"clean": session.is_clean},
            sealed={"plan": session.plan},
        )
        entry["id"] = clock.uuid7(at)
        self.rows.add(audit.prepare_row(**entry), at)
        return session.id


def _ask(call: traffic.Call, people: dict[str, str], session: str) -> Ask:
    return Ask(
        kind=SubjectKind.AGENT,
        tool=call.tool,
        agent=call.agent,
        user=people.get(call.user, call.user),
        parameters=call.parameters,
        session=session,
        reasoning=call.reasoning,
    )


def _report(rows: Rows, call: traffic.Call, answer: Answer) -> None:
    """The outcome of an allowed call, a moment later."""
    if not call.output and not call.cost_minor:
        return
    at = call.at + timedelta(milliseconds=400)
    report = Report(
        result=Result.SUCCESS,
        output=call.output or None,
        cost_minor=call.cost_minor or None,
        currency="EUR" if call.cost_minor else "",
    )
    record_id = clock.uuid7(at)
    request, decision = answer.resolved.request, answer.decision
    entry = entry_of(
        report,
        id=record_id,
        kind=Kind.OUTCOME,
        actor=call.agent,
        agent=call.agent,
        user=request.user,
        tool=request.tool,
        tier=decision.classification,
        session=request.session,
        parent=answer.id,
    )
    ReportedOutcome.objects.create(decision=answer.id, record=record_id)
    rows.add(audit.prepare_row(**entry), at)


def _note_strangers() -> None:
    for claimed, count in STRANGERS:
        for _ in range(count):
            services.note_caller(claimed=claimed, source="10.20.0.7")
