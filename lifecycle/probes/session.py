"""A run that nobody makes: each call judged as a decision would be, in a session kept here.

What the run has read rises as it would in a session that was opened, calls are counted against
the row's rates, and nothing is written down anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from authz.asks import Ask
from authz.cleaning import clean
from authz.engine.plans import read_plan
from authz.engine.rate import limits_of
from authz.engine.reading import NOTHING, Reading
from authz.engine.types import (
    Check,
    Decision,
    Effect,
    Input,
    Mode,
    Request,
    Slice,
    Snapshot,
    Status,
    Step,
    SubjectKind,
)
from authz.engine.walk import NOT_REACHED, judge
from lifecycle.probes.row import Row

NAME = "s-" + "0" * 32
OTHER = "s-" + "1" * 32
MINUTE = "rate.minute"
# No resource on the register has a longer id.
LONGEST_ID = 255
_DAY = timedelta(hours=24)

Json = Any


@dataclass(frozen=True, slots=True)
class Call:
    """What came of a call: the last decision, and how many of the repeated ones went on."""

    decision: Decision
    went_on: int


class Session:
    """One run of a row at one instant, with the plan that it declared before it read anything."""

    def __init__(self, row: Row, now: datetime, plan: Sequence[Json] | None) -> None:
        self.row, self.now = row, now
        self.plan = None if plan is None else read_plan(list(plan))
        self.reading = NOTHING
        self.heard: tuple[Input, ...] = ()
        self.used: Counter[str] = Counter()

    def ask(
        self,
        tool: str,
        parameters: Mapping[str, Json],
        *,
        times: int = 1,
        given: Mapping[str, Json] | None = None,
        untrusted: Sequence[str] = (),
    ) -> Call:
        """Judge a call, made `times` over; what it reads raises the run where it goes on."""
        request = self._request(tool, parameters, given or {}, tuple(untrusted))
        decision = judge(request, self._snapshot(request, given or {}), self.now, Mode.SIMULATE)
        self._note(decision)
        self.reading |= decision.reported
        if decision.effect is not Effect.ALLOW:
            return Call(decision, 0)
        self.reading |= decision.read
        left = self._left(tool)
        self.used[tool] += min(times, left)
        if times <= left:
            return Call(decision, times)
        return Call(_counted_out(decision), left)

    def hears(self, system: str) -> None:
        """The run gets hostile text that no tool of the row brought, and reports it as it must."""
        self.heard = (*self.heard, Input(system, trusted=False))

    def marks_untrusted(self) -> None:
        """The result of the last call is reported back as hostile."""
        self.reading |= Reading(untrusted=True)

    def _note(self, decision: Decision) -> None:
        """Keep which resource it was about, where anything can be known of it."""
        known = decision.resource_type in self.row.compiled.types
        if known and len(decision.resource_id) <= LONGEST_ID:
            self.row.things.add((decision.resource_type, decision.resource_id))

    def _left(self, tool: str) -> int:
        """How many calls of this minute the row still has."""
        most = limits_of(self.row.agent.document, tool)
        whole = min(most["agent"]) - self.used.total()
        own = min((one for one in most["tool"] if one is not None), default=whole + 1)
        return int(max(min(whole, own - self.used[tool]), 0))

    def _request(
        self,
        tool: str,
        parameters: Mapping[str, Json],
        given: Mapping[str, Json],
        untrusted: tuple[str, ...],
    ) -> Request:
        facts = self.row.world.document["tools"].get(tool, {})
        ask = Ask(kind=SubjectKind.AGENT, tool=tool, agent=self.row.slug, parameters=parameters)
        cleaned = clean(ask, tuple(facts.get("secret") or ()))
        user = self._user(str(facts.get("effect", "")), str(given.get("user", "")))
        session = "" if given.get("session") == "unnamed" else self._name(given)
        return Request(
            kind=SubjectKind.AGENT,
            tool=cleaned.ask.tool,
            agent=self.row.slug,
            agent_claimed=self.row.slug,
            user=user,
            user_claimed=user or ("a-stranger" if given.get("user") == "stranger" else ""),
            parameters=parameters,
            resource_id="somewhere-else" if given.get("resource") == "other" else "",
            session=session,
            session_opened=bool(session),
            secret_path=cleaned.secret_path,
            chain=tuple(given.get("chain", ())),
            inputs=self.heard,
            untrusted=untrusted,
        )

    def _user(self, effect: str, asked: str) -> str:
        """The person for whom the row calls by its pattern, or whom the attack names."""
        pattern, owner = self.row.agent.document["pattern"], self.row.owner
        wants = pattern == "impersonation" or (pattern == "hybrid" and effect != "read")
        if owner is None or not (asked == "owner" or (wants and not asked)):
            return ""
        return str(owner.document["pid"])

    def _name(self, given: Mapping[str, Json]) -> str:
        return OTHER if given.get("session") in ("unknown", "other") else NAME

    def _snapshot(self, request: Request, given: Mapping[str, Json]) -> Snapshot:
        agent = self.row.agent
        if not request.session:
            agent = replace(agent, document={**agent.document, "carried": self._carried()})
        return Snapshot(
            world=self.row.world,
            agent=agent,
            user=self.row.owner if request.user else None,
            session=self._slice(request.session, str(given.get("session", ""))),
        )

    def _carried(self) -> dict[str, str]:
        """What calls that name no session are judged by: all that was read before."""
        until = (self.now + _DAY).isoformat()
        return dict.fromkeys(self.reading.facts(), until)

    def _slice(self, name: str, how: str) -> Slice | None:
        if not name or how == "unknown":
            return None
        document = {
            "id": name,
            "agent": "another-agent" if how == "other" else self.row.slug,
            "clean": True,
            "ended": how == "ended",
            "expires_at": (self.now + _DAY).isoformat(),
            "personal": {"plan": self.plan},
            **self.reading.document(),
        }
        return Slice(f"session:{name}", 0, "", document)


def _counted_out(decision: Decision) -> Decision:
    """The first call that its minute has no room for, as the counters would refuse it."""
    end = list(Check).index(Check.RATE)
    walk = (
        *decision.walk[:end],
        Step(Check.RATE, Status.REFUSED, MINUTE),
        *(NOT_REACHED[check] for check in list(Check)[end + 1 :]),
    )
    return replace(decision, effect=Effect.DENY, check=Check.RATE, code=MINUTE, walk=walk)
