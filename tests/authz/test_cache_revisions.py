"""Promise 10 and 8, with the register: a process that keeps slices decides as one that does not.

Every fact of the register that a decision reads is changed under a process that has just
decided by the old ones. Its next answer is compared with that of a process that keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz import slices, snapshot, timekeeper
from authz.asks import Ask, Caller
from authz.decide import decide
from authz.engine.types import Decision, SubjectKind, Token
from authz.engine.walk import judge
from authz.models import FlowSession, Relationship
from authz.resolve import Resolved, resolve
from authz.services.sessions import open_session
from governance.kernel import clock
from registry.models import Agent, AllowlistEntry
from tests.authz.test_cache_keys import forget
from tests.factories.authz import REFUND_SCHEMA, Desk, make_desk, make_policy, name_person, observed

pytestmark = pytest.mark.django_db

Change = Callable[[Desk, Any], None]


def field(whose: str, name: str) -> Change:
    def change(desk: Desk, value: Any) -> None:
        row = getattr(desk, whose)
        row.refresh_from_db()
        setattr(row, name, value)
        row.save(update_fields=[name])

    return change


def listed(desk: Desk, narrowing: Any) -> None:
    AllowlistEntry.objects.filter(agent=desk.agent, tool=desk.tool).delete()
    if narrowing is not None:
        AllowlistEntry.objects.create(agent=desk.agent, tool=desk.tool, narrowing=narrowing)


def observing(desk: Desk, observe: bool) -> None:
    fields = observed() if observe else dict.fromkeys(observed())
    Agent.objects.filter(pk=desk.agent.pk).update(**fields)


def granted(desk: Desk, granted: bool) -> None:
    (desk.role.agents.add if granted else desk.role.agents.remove)(desk.agent)


def session(name: str) -> Change:
    def change(desk: Desk, value: Any) -> None:
        row = FlowSession.objects.filter(agent=desk.agent).order_by("-opened_at").first()
        assert row is not None
        setattr(row, name, value)
        row.save(update_fields=[name])

    return change


def related(desk: Desk, related: bool) -> None:
    Relationship.objects.all().delete()
    if related:
        Relationship.objects.create(
            resource_type="system",
            resource_id=desk.system.slug,
            relation="owner",
            subject_type="user",
            subject_id=desk.owner.pid,
        )


# Who is changed, to what; the first value is how it is where nothing is said.
CHANGES: dict[str, tuple[Change, list[Any]]] = {
    "state": (field("agent", "state"), ["active", "suspended"]),
    "pattern": (field("agent", "pattern"), ["service", "impersonation"]),
    "prompt": (field("agent", "prompt_digest"), ["", "abc"]),
    "code": (field("agent", "code_reference"), ["", "v1"]),
    "observe": (observing, [False, True]),
    "employment": (field("owner", "employment"), ["leaving", "left"]),
    "zone": (field("owner", "zone"), ["UTC", "Asia/Tokyo"]),
    "version": (field("client", "version"), [1, 2]),
    "gateway": (field("gateway", "is_active"), [True, False]),
    "gateway version": (field("gateway_client", "version"), [1, 2]),
    "tier": (field("system", "tier"), ["internal", "public", "restricted"]),
    "trust": (field("system", "trust"), ["trusted", "untrusted"]),
    "categories": (field("system", "categories"), [[], ["health"]]),
    "effect": (field("tool", "effect"), ["write", "read"]),
    "schema": (field("tool", "schema"), [REFUND_SCHEMA, {"type": "object", "required": ["x"]}]),
    "resource": (field("tool", "resource_parameter"), ["claim", ""]),
    "on taint": (field("tool", "on_taint"), ["", "deny"]),
    "listed": (listed, [{}, {"properties": {"amount": {"maximum": 100}}}, None]),
    "role": (granted, [True, False]),
    "relationship": (related, [False, True]),
    "session ended": (session("ended_at"), [None, clock.now() + timedelta(days=1)]),
    "session tier": (session("tier"), ["public", "restricted"]),
    "session taint": (session("untrusted"), [False, True]),
    "session plan": (session("plan"), [None, {"steps": [], "extracts": {}}]),
}
RISING = {name for name in CHANGES if name.startswith("session ")}
ASKS: list[dict[str, Any]] = [
    {},
    {"session": True},
    {"parameters": {"claim": "CL-2", "amount": 50}},
    {"prompt_digest": "abc", "code_reference": "v1"},
    {"gateway": True},
    {"gateway": True, "session": True},
    {"gateway": True, "kind": SubjectKind.PERSON, "agent": "", "person": "ann@directory"},
]
Said = tuple[Any, ...]
Drawn = tuple[dict[str, int], str, int, int]


@st.composite
def one_change(draw: st.DrawFn) -> Drawn:
    """How things are, what is changed and to what, and what is asked."""
    names = sorted(CHANGES)
    base = dict.fromkeys(names, 0)
    for name in draw(st.lists(st.sampled_from(names), max_size=3, unique=True)):
        base[name] = draw(st.integers(0, len(CHANGES[name][1]) - 1))
    changed = draw(st.sampled_from(names))
    value = draw(st.integers(0, len(CHANGES[changed][1]) - 1))
    return base, changed, value, draw(st.integers(0, len(ASKS) - 1))


class Register:
    """A desk whose facts are set, and who asks at it."""

    def __init__(self) -> None:
        self.desk = make_desk(
            gateway_fields={"source": "okta"},
            agent_fields={"rate_per_minute": 10**6, "rate_per_hour": 10**6},
        )
        self.desk.owner.last_day = clock.now().date()
        self.desk.owner.employment = "leaving"
        self.desk.owner.save()
        name_person(self.desk.owner, "okta", "ann@directory")
        called = f'action == Muster::Action::"{self.desk.tool.name}", resource'
        text = f"permit(principal is Muster::Agent, {called}) when {{ context.tier < 2 }};"
        make_policy(text)
        self._is = dict.fromkeys(CHANGES, 0)

    def begin(self) -> None:
        """A run that has read nothing: what a session has read only rises."""
        self.put(dict.fromkeys(CHANGES, 0))
        self.session = open_session(agent=self.desk.agent.slug, caller=self.desk.caller).pk
        self._is |= dict.fromkeys(RISING, 0)

    def put(self, wanted: dict[str, int]) -> None:
        for name, number in wanted.items():
            if self._is[name] != number and not (name in RISING and not number):
                change, values = CHANGES[name]
                change(self.desk, values[number])
                self._is[name] = number

    def answer(self, number: int) -> Said:
        """What this process decides, by what it keeps."""
        ask, caller = self._asked(number)
        (answer,) = decide([ask], caller)
        return said(answer.decision)

    def fresh_answer(self, number: int) -> Said:
        """What a process that keeps nothing would decide, which changes nothing here."""
        ask, caller = self._asked(number)
        kept, snapshot._cache = snapshot._cache, snapshot._Cache()
        try:
            forget()
            resolved = resolve(ask, caller)
            return said(judge(resolved.request, resolved.snapshot, timekeeper.now()))
        finally:
            snapshot._cache = kept

    def _asked(self, number: int) -> tuple[Ask, Caller]:
        asked = dict(ASKS[number])
        caller = Caller("agent", self.desk.agent.slug, Token(1, "jti"))
        if asked.pop("gateway", False):
            caller = Caller("gateway", self.desk.gateway.slug, Token(1, "jti"))
        if asked.pop("session", False):
            asked["session"] = self.session
        return self.desk.ask(**asked), caller


def said(decision: Decision) -> Said:
    return decision.effect, decision.code, decision.walk, decision.policies, decision.observe


def differs(register: Register, drawn: Drawn) -> bool:
    """Does a process that decided before the change answer otherwise than a fresh one?"""
    base, changed, value, asked = drawn
    register.begin()
    register.put(base)
    register.answer(asked)  # the process now keeps the facts as they are
    register.put({changed: value})
    return register.fresh_answer(asked) != register.answer(asked)


@pytest.mark.parametrize("examples", [100, pytest.param(250, marks=pytest.mark.fuzz)])
def test_no_change_of_the_register_meets_a_kept_slice(examples: int) -> None:
    register = Register()

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(one_change())
    def holds(drawn: Drawn) -> None:
        assert differs(register, drawn) is False

    holds()


@pytest.mark.parametrize(
    ("kind", "changed", "asked"),
    [
        ("global", "schema", 0),
        ("agent", "state", 0),
        ("gateway", "gateway", 4),
        ("session", "session ended", 1),
        ("user", "employment", 6),
    ],
)
def test_slice_whose_revision_is_not_compared_is_found(
    kind: str, changed: str, asked: int, monkeypatch: Any
) -> None:
    """As if whatever is kept of this kind always passed for the newest."""
    told = Resolved.revisions.fget

    def newest(self: Resolved) -> dict[str, int]:
        revisions: dict[str, int] = told(self)
        kept = [key for key in revisions if key.partition(":")[0] == kind]
        return revisions | {each.key: each.revision for each in slices.read(kept)}

    monkeypatch.setattr(Resolved, "revisions", property(newest))

    assert differs(Register(), (dict.fromkeys(CHANGES, 0), changed, 1, asked))
