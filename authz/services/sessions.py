"""Flow sessions: opened for one run, planned before it reads, raised by reports, ended.

Whoever may ask for an agent's decisions may open its sessions: the agent itself, or a gateway.
Only a gateway knows that a run starts with an empty memory, so only a gateway opens a clean one,
unless the agent's row says that its runs share none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from audit import services as audit
from audit.enums import Kind
from authz import slices, timekeeper
from authz.asks import Ask, Caller
from authz.engine import combining, extracts
from authz.engine.reading import NOTHING, Reading, carried, reading_of
from authz.engine.targets import place_in
from authz.engine.types import Document, Input
from authz.errors import (
    BadRequest,
    NoSuchSession,
    NotClean,
    SessionEnded,
    SessionTainted,
    TokenEnded,
)
from authz.models import FlowSession
from authz.runs import until_of
from governance.kernel import clock
from governance.kernel.errors import Conflict
from governance.kernel.tiers import highest
from registry import guard
from registry.errors import AgentNotActive
from registry.models import Agent, Gateway

Json = Any


@transaction.atomic
def open_session(
    *, agent: str, caller: Caller, plan: Mapping[str, Json] | None = None, clean: bool = False
) -> FlowSession:
    """Begin a run of an active agent, with its plan if it has one."""
    check_caller(caller)
    row = (
        Agent.objects.select_related("owner")
        .filter(slug=agent if caller.is_gateway else caller.slug)
        .first()
    )
    if row is None or (agent and agent != row.slug):
        raise BadRequest("Name one agent that is on the register and may be asked for.")
    guard.require_active(row)
    if clean and not (caller.is_gateway or row.isolated_runs):
        raise NotClean()
    now = timekeeper.now()
    session = FlowSession.objects.create(
        id=f"s-{clock.uuid7(now).hex}",
        agent=row,
        gateway=Gateway.objects.get(slug=caller.slug) if caller.is_gateway else None,
        is_clean=clean or row.isolated_runs,
        opened_at=now,
        expires_at=now + timedelta(hours=settings.MUSTER_SESSION_HOURS),
    )
    _record(session, "session_opened", caller, told={"clean": session.is_clean})
    if plan is not None:
        _plan(session, plan, caller, now)
    return session


def adopt_plan(ask: Ask, caller: Caller) -> None:
    """Take over the plan that came with a question, where its session can still have one.

    Where it comes too late the call is judged by the plan that there is, or by none.
    """
    if ask.plan is None or not ask.session:
        return
    with suppress(Conflict, NoSuchSession, AgentNotActive, TokenEnded):
        declare_plan(session_id=ask.session, plan=ask.plan, caller=caller)


@transaction.atomic
def declare_plan(*, session_id: str, plan: Mapping[str, Json], caller: Caller) -> FlowSession:
    """Say what the run will call; refused once it has read anything untrusted."""
    session = _own(session_id, caller)
    _plan(session, plan, caller, timekeeper.now())
    return session


def _plan(session: FlowSession, plan: Mapping[str, Json], caller: Caller, now: datetime) -> None:
    _one_at_a_time(session.agent.slug)
    session.refresh_from_db()
    _check_open(session, now)
    if session.plan is not None:
        if session.plan == plan:
            return
        raise Conflict("This session has a plan. Open another session for another one.")
    if reading_before(session, now).untrusted:
        raise SessionTainted()
    session.plan = dict(plan)
    session.save(update_fields=["plan"])
    _record(
        session,
        "plan_declared",
        caller,
        told={"steps": len(plan["steps"]), "extracts": sorted(plan["extracts"])},
        sealed={"plan": plan},
    )


def forget_plans(sessions: Sequence[str]) -> int:
    """Wipe what the plans of these runs say, because their subject's data is erased.

    A run that goes on is judged as one without a plan, which allows no more.
    """
    planned = FlowSession.objects.filter(pk__in=sessions, plan__isnull=False)
    return planned.update(plan=None)


def reading_before(session: FlowSession, now: datetime) -> Reading:
    """What counts as read in this session: its own, and what its agent carries into it."""
    own = Reading(session.tier, session.untrusted, frozenset(session.categories))
    if session.is_clean:
        return own
    return own | carried_by(session.agent.slug, now)


def reading_of_run(agent: str, session_id: str, now: datetime) -> Reading:
    """What an agent knows in a run by this name; what it carries, where it was not opened here."""
    session = _run_named(agent, session_id)
    return reading_before(session, now) if session else carried_by(agent, now)


def _run_named(agent: str, session_id: str) -> FlowSession | None:
    if not session_id:
        return None
    rows = FlowSession.objects.select_related("agent").filter(pk=session_id, agent__slug=agent)
    return rows.first()


def carried_by(agent: str, now: datetime) -> Reading:
    """What an agent carries from run to run."""
    (facts,) = slices.read([f"agent:{agent}"])
    return carried((facts.document or {}).get("carried") or {}, now)


@transaction.atomic
def report_inputs(*, session_id: str, inputs: Sequence[Input], caller: Caller) -> FlowSession:
    """Raise a session by what its run has read elsewhere."""
    session = _own(session_id, caller)
    now = timekeeper.now()
    _check_open(session, now)
    found = reading_of_inputs(inputs, _world())
    raise_session(session, found, now)
    told: dict[str, Json] = {"systems": sorted({each.system for each in inputs})}
    if found.untrusted:
        told["untrusted"] = True
    _record(session, "inputs_reported", caller, told=told)
    return session


def reading_of_inputs(inputs: Sequence[Input], world: Document) -> Reading:
    """What these inputs come to. A name that is not on the register raises `BadRequest`."""
    for each in inputs:
        if each.system not in world["systems"]:
            raise BadRequest(f"{each.system[:60]} is no registered system.", code="unknown_system")
    places = [place_in(world["systems"], each.system, each.resource) for each in inputs]
    found = reading_of(places)
    trusted = all(each.trusted for each in inputs)
    return found if trusted else found | Reading(untrusted=True)


def raise_session(session: FlowSession, reading: Reading, now: datetime) -> None:
    """Raise a session and what its agent carries; whatever is there already stays."""
    _raise_run(session.agent.slug, session, reading, now)
    session.refresh_from_db()


def label_of(session: FlowSession, reading: Reading) -> str:
    """The tier that this reading comes to in the session, combinations included."""
    return label_of_reading(session.agent.slug, reading)


def label_of_reading(agent: str, reading: Reading) -> str:
    """The tier that this reading comes to in a run of the agent, combinations included."""
    if not reading.categories:
        return reading.tier
    return highest([reading.tier, combining.tier_of(raising_of(agent, reading))])


def raising_of(agent: str, reading: Reading) -> tuple[Mapping[str, Json], ...]:
    """The toxic combinations that a run of this agent with this reading has come to."""
    world, known = (part.document or {} for part in slices.read([slices.WORLD, f"agent:{agent}"]))
    answered = combining.touched(known.get("output_tiers") or (), reading)
    return (*combining.completed(world.get("toxic") or (), reading), *answered)


def raise_run(agent: str, session_id: str, reading: Reading, now: datetime) -> None:
    """As `raise_session`, for a run by names; "" for no session that was opened."""
    _raise_run(agent, _run_named(agent, session_id), reading, now)


def _raise_run(agent: str, session: FlowSession | None, reading: Reading, now: datetime) -> None:
    if reading == NOTHING:
        return
    _one_at_a_time(agent)
    before = reading_before(session, now) if session else carried_by(agent, now)
    combined = combining.raised(reading, raising_of(agent, before | reading))
    told = {**combined.document(), "until": until_of(combined, now)}
    _raise(agent, session.id if session else "", told)


def raise_as_judged(flow: Mapping[str, Json]) -> None:
    """What `authz.decide_batch` does with it, where the past is told again: a demo."""
    for part in ("reported", "read"):
        if part in flow:
            _raise(flow["agent"], flow["session"], flow[part])


def _raise(agent: str, session_id: str, told: Mapping[str, Json]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT authz.raise_run(%s, %s, %s::jsonb)", [agent, session_id, json.dumps(told)]
        )


@transaction.atomic
def hand_extract(
    *, session_id: str, to: str, name: str, value: Json, caller: Caller
) -> tuple[FlowSession, Json]:
    """Hand a value of a tainted session to another session of the agent, without its taint.

    The value must be valid under an extract of the plan, which was declared before anything
    hostile was read, and which can hold no free text. How sensitive it is goes along.
    """
    # Before they are locked: no one locks the runs of two agents.
    named = [show_session(session_id=each, caller=caller) for each in (session_id, to)]
    if named[0].agent_id != named[1].agent_id or named[0].pk == named[1].pk:
        raise BadRequest("An extract goes to another session of the same agent.")
    source, target = _own(session_id, caller), _own(to, caller)
    now = timekeeper.now()
    for session in (source, target):
        _check_open(session, now)
    schema = (source.plan or {}).get("extracts", {}).get(name)
    if schema is None:
        raise BadRequest("The plan of this session declares no such extract.", code="no_extract")
    extracts.check_value(schema, value, _world()["systems"])
    before = reading_before(source, now)
    raise_session(target, Reading(before.tier, False, before.categories), now)
    _record(
        source,
        "extract_handed",
        caller,
        told={"extract": name, "to": target.id},
        sealed={"value": value},
    )
    # The value is sealed once, with the run that it comes from.
    _record(target, "extract_received", caller, told={"extract": name, "from": source.id})
    return target, value


@transaction.atomic
def end_session(*, session_id: str, caller: Caller) -> FlowSession:
    """End a run. Ending it twice is ending it once."""
    session = _own(session_id, caller)
    if session.ended_at is None:
        session.ended_at = max(timekeeper.now(), session.opened_at)
        session.save(update_fields=["ended_at"])
        _record(session, "session_ended", caller)
    return session


@transaction.atomic
def end_sessions_of(*, agent: Agent, actor: str) -> int:
    """End every run of an agent that is still open; how many. Ended twice, they are ended once."""
    _one_at_a_time(agent.slug)
    now = timekeeper.now()
    rows = FlowSession.objects.select_for_update(of=("self",), no_key=True).select_related("agent")
    ended = list(rows.filter(agent=agent, ended_at__isnull=True, expires_at__gt=now))
    for session in ended:
        session.ended_at = max(now, session.opened_at)
        session.save(update_fields=["ended_at"])
        _record(session, "session_ended", Caller("system", actor))
    return len(ended)


def show_session(*, session_id: str, caller: Caller) -> FlowSession:
    """A session that this caller may go on in."""
    check_caller(caller)
    return _found(session_id, caller)


def _own(session_id: str, caller: Caller) -> FlowSession:
    """The session, locked; its agent's row must be active.

    Locked as `authz.decide_batch` does it, or the two would wait for each other: first the
    agent's runs, then the row of this one.
    """
    check_caller(caller)
    _one_at_a_time(_found(session_id, caller).agent.slug)
    session = _found(session_id, caller, lock=True)
    guard.require_active(session.agent)
    return session


def _found(session_id: str, caller: Caller, *, lock: bool = False) -> FlowSession:
    rows = FlowSession.objects.select_related("agent__owner", "gateway").filter(pk=session_id)
    if lock:
        rows = rows.select_for_update(of=("self",), no_key=True)
    session = rows.first()
    if session is None or not (caller.is_gateway or session.agent.slug == caller.slug):
        raise NoSuchSession()
    return session


def _check_open(session: FlowSession, now: datetime) -> None:
    if session.ended_at is not None or session.expires_at <= now:
        raise SessionEnded()


def check_caller(caller: Caller) -> None:
    """A current token of an active client; what a decision compares too."""
    (facts,) = slices.read([caller.key])
    token, known = caller.token, facts.document or {}
    if token is None or token.client_version != known.get("client_version"):
        raise TokenEnded()
    if token.jti in known.get("revoked", ()) or known.get("active") is False:
        raise TokenEnded()


def _one_at_a_time(agent: str) -> None:
    """The lock under which `authz.decide_batch` raises runs of this agent."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('authz.run:' || %s, 0))", [agent]
        )


def _world() -> Document:
    (read,) = slices.read([slices.WORLD])
    return read.document or {}


def _record(
    session: FlowSession,
    did: str,
    caller: Caller,
    *,
    told: Mapping[str, Json] | None = None,
    sealed: Mapping[str, Json] | None = None,
) -> None:
    audit.record(**entry_of(session, did, caller, told=told, sealed=sealed))


def entry_of(
    session: FlowSession,
    did: str,
    caller: Caller,
    *,
    told: Mapping[str, Json] | None = None,
    sealed: Mapping[str, Json] | None = None,
) -> audit.Entry:
    """What is recorded of something that happened to a session."""
    return {
        "kind": Kind.SESSION,
        "actor": caller.slug,
        "agent": session.agent.slug,
        "gateway": caller.slug if caller.is_gateway else "",
        "session": session.id,
        "tier": session.tier,
        "asked": {"did": did, **(told or {})},
        "payload": sealed or {},
    }
