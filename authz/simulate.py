"""What would be decided, if it were asked: judged like a decision, recorded as none.

The facts are those of now, the instant may be another one. No token is shown, so nothing is said
of tokens. Who simulated what kind of request is recorded, never what was in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from audit.enums import Mode as RecordMode
from audit.explain import Explanation
from authz import permissions, refusals, slices, snapshot, timekeeper
from authz.asks import Ask, Caller
from authz.cleaning import Clean, clean
from authz.engine.types import Check, Decision, Mode, Status, SubjectKind
from authz.engine.walk import judge
from authz.errors import NotRecorded
from authz.explain import explain_decision
from authz.resolve import Resolved, resolve
from authz.rows import plain
from authz.snapshot import WORLD
from governance.kernel.errors import Invalid
from registry.models import Agent, Client, Gateway, Person

MAX_TRIES = 3
_KNOWN = "The row is active, the owner employed, the pattern kept. No token was looked at"

Json = Any


@dataclass(frozen=True, slots=True)
class Simulated:
    """What would be decided at `now`; `record` is the entry that says that it was simulated."""

    ask: Ask
    resolved: Resolved
    decision: Decision
    now: datetime
    record: UUID

    @property
    def explanation(self) -> Explanation:
        """The decision in words, as on the page of a recorded one."""
        request, decision = self.resolved.request, self.decision
        observe = decision.observe
        return explained(
            {
                "effect": str(observe.would if observe else decision.effect),
                "code": decision.code,
                "agent": request.agent,
                "tool": request.tool,
                "gateway": request.gateway,
                "judged": {
                    "walk": [(step.check, step.status, step.code) for step in decision.walk],
                    "detail": plain(decision.detail),
                    "observed": observe is not None,
                    "would_ask": list(decision.would_ask),
                },
            }
        )


def explained(body: Mapping[str, Json]) -> Explanation:
    """A decision that nobody made, in words: what would be, and that no token was shown."""
    told = explain_decision(body)
    walk = tuple(
        {**line, "sentence": _KNOWN}
        if (line["check"], line["status"]) == (Check.IDENTITY, Status.PASSED)
        else line
        for line in told.walk
    )
    return replace(told, title=f"Would be {told.title[:1].lower()}{told.title[1:]}", walk=walk)


def simulate(ask: Ask, *, by: Person, now: datetime | None = None, gateway: str = "") -> Simulated:
    """Judge a request that nobody made. Raises `NotAllowed`, `Invalid`, `AuditUnavailable`.

    `gateway` is who would ask; without one an agent asks for itself, and a person is named by
    their pseudonymous id.
    """
    ask, caller = _caller(ask, gateway, by)
    cleaned = clean(ask, _secret_parameters(ask))
    resolved = fresh(cleaned, caller)
    at = now or timekeeper.now()
    decision = refusals.mismatch(resolved.request) or judge(
        resolved.request, resolved.snapshot, at, Mode.SIMULATE
    )
    recorded = _record(cleaned, resolved, by)
    return Simulated(cleaned.ask, resolved, decision, at, recorded)


def _caller(ask: Ask, gateway: str, by: Person) -> tuple[Ask, Caller]:
    """Who would ask, if this person may ask in their place."""
    if gateway or ask.kind is SubjectKind.PERSON:
        permissions.check_can_simulate_anything(by)
    if gateway:
        if "\0" in gateway or not Gateway.objects.filter(slug=gateway).exists():
            sentence = f"There is no gateway {gateway[:80]!r}."
            raise Invalid(sentence, fields={"gateway": [sentence]})
        return ask, Caller("gateway", gateway)
    if ask.kind is SubjectKind.PERSON:
        return ask, Caller("agent", "")
    agent = _agent(ask.agent)
    if agent is None:
        permissions.check_can_simulate_anything(by)
        return ask, Caller("agent", ask.agent)
    permissions.check_can_simulate_for(agent, by)
    return replace(ask, agent=agent.slug), Caller("agent", agent.slug)


def _agent(name: str) -> Agent | None:
    if "\0" in name:
        return None
    agents = Agent.objects.select_related("owner")
    found = agents.filter(slug=name).first()
    if found is None and Client.objects.filter(client_id=name, agent__isnull=False).exists():
        found = agents.filter(client__client_id=name).first()
    return found


def _secret_parameters(ask: Ask) -> tuple[str, ...]:
    world = snapshot.load([WORLD])[WORLD].slice
    tools = world.document["tools"] if world else {}
    return tuple(tools.get(ask.tool, {}).get("secret", ()))


def fresh(cleaned: Clean, caller: Caller) -> Resolved:
    """The question with facts that are those of now: kept slices that changed are read again."""
    for _ in range(MAX_TRIES):
        resolved = resolve(cleaned.ask, caller, secret_path=cleaned.secret_path)
        stale = _stale(resolved.revisions)
        if not stale:
            return resolved
        snapshot.drop(stale)
    raise NotRecorded("The register keeps changing. Simulate it again in a moment.")


def _stale(revisions: Mapping[str, int]) -> list[str]:
    current = slices.revisions(list(revisions))
    return [key for key, revision in revisions.items() if current.get(key, 0) != revision]


@transaction.atomic
def _record(cleaned: Clean, resolved: Resolved, by: Person) -> UUID:
    request = resolved.request
    known = request.tool in resolved.snapshot.world.document["tools"]
    return audit.record(
        kind=Kind.ACCESS,
        actor=by.pid,
        agent=request.agent if resolved.snapshot.agent else "",
        user=request.user or request.person,
        gateway=request.gateway,
        tool=request.tool if known else "",
        mode=RecordMode.SIMULATE,
        asked={"did": "decision_simulated", "as": request.kind},
    )


def example_of(schema: Mapping[str, Json]) -> dict[str, Json]:
    """Parameters that a tool's schema might take: a start for who fills in a request."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {str(name): _example(rule) for name, rule in properties.items()}


def _example(rule: Json, depth: int = 0) -> Json:
    if not isinstance(rule, Mapping) or depth > 3:
        return ""
    for key in ("default", "const"):
        if key in rule:
            return rule[key]
    for key in ("examples", "enum"):
        if isinstance(rule.get(key), list) and rule[key]:
            return rule[key][0]
    kind = rule.get("type", "string")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        inner = rule.get("properties")
        members = inner.items() if isinstance(inner, Mapping) else ()
        return {str(name): _example(each, depth + 1) for name, each in members}
    if kind == "array":
        return [_example(rule["items"], depth + 1)] if rule.get("items") else []
    least = rule.get("minimum", 0)
    plain_ones: dict[str, Json] = {"integer": least, "number": least, "boolean": False}
    return plain_ones.get(str(kind), "")
