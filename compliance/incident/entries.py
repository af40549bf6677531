"""Entries of the record with what was known of them then. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from audit.enums import Kind, Mode
from audit.models import Record
from authz.engine import codes
from authz.explain import detail_of, walk_of
from authz.story import Call
from compliance.incident.facts import (
    AgentThen,
    Approval,
    Emergency,
    Facts,
    PolicyNote,
    agent_digest,
    emergency_of,
    hold_of,
)
from governance import words

Json = Any
Body = Mapping[str, Json]
EARNEST = (Mode.ENFORCE, Mode.OBSERVE)


@dataclass(frozen=True)
class Entry:
    """One entry of the record; `leaf` is its place in the log, None while it has none."""

    record: Record
    body: Body
    facts: Facts
    leaf: int | None = None
    sealed: bool = False

    @cached_property
    def call(self) -> Call | None:
        """The decision that it is, if it is one in earnest that can be read."""
        return Call(self.record, self.body) if self.is_decision and self.body else None

    @property
    def is_decision(self) -> bool:
        """Whether a call was decided in earnest: trials decide nothing."""
        return self.record.kind == Kind.DECISION and self.record.mode in EARNEST

    @property
    def asked(self) -> Body:
        found: Body = self.body.get("asked", {})
        return found

    @property
    def did(self) -> str:
        """What is told, where it is no decision."""
        return str(self.asked.get("did", self.record.kind)).replace("_", " ")

    @property
    def hands(self) -> tuple[str, ...]:
        """Agents that handed the call on, nearest first: by the delegation, else as was said."""
        return self.givers[::-1] or tuple(map(str, self.asked.get("chain", ())))

    @property
    def givers(self) -> tuple[str, ...]:
        """Agents that handed it on by delegations that Muster knew, the first one first."""
        return tuple(map(str, self.body.get("judged", {}).get("givers", ())))

    @property
    def went_on(self) -> bool:
        return bool(self.call and self.call.went_on)

    @property
    def sentence(self) -> str:
        """Why it was decided so; what happened, where nothing was decided."""
        if not self.is_decision:
            return self.did.capitalize()
        if not self.body:
            return "This entry was tampered with."
        return codes.message(self.record.code, detail_of(self.body))

    @property
    def walk(self) -> list[list[str]]:
        """The walk as it ended; none of an entry that cannot be read."""
        judged = self.body.get("judged", {})
        return walk_of(self.body) if self.is_decision and judged.get("walk") else []

    @property
    def then(self) -> AgentThen:
        """The agent's row as it was read."""
        return self.facts.agents.get(agent_digest(self.body), AgentThen())

    @property
    def owner(self) -> str:
        """Who owned the agent then, by pseudonymous id."""
        if self.then.owner or not self.record.agent:
            return self.then.owner
        known = self.facts.owners
        times = [at for slug, at in known if slug == self.record.agent]
        near = min(times, key=lambda at: abs(at - self.record.at), default=None)
        return known[self.record.agent, near] if near else ""

    @property
    def approval(self) -> Approval | None:
        return self.facts.approvals.get(hold_of(self.body))

    @property
    def emergency(self) -> Emergency | None:
        return self.facts.emergencies.get(emergency_of(self.body))

    @property
    def policies(self) -> tuple[PolicyNote, ...]:
        uids = self.body.get("judged", {}).get("policies", ())
        return tuple(self.facts.policies.get(uid, PolicyNote(uid)) for uid in map(str, uids))

    @property
    def roles(self) -> tuple[str, ...]:
        """The agent's roles that grant the tool."""
        granting = self.facts.world.roles
        return tuple(role for role in self.then.roles if self.record.tool in granting.get(role, ()))

    @property
    def limits(self) -> str:
        """The limits that stood then, in words."""
        return limits_in_words(self.then, self.record.tool)


def limits_in_words(then: AgentThen, tool: str) -> str:
    """The row's own limits and those of one tool, those that are set."""
    row, entry = then.limits, then.allowlist.get(tool) or {}
    money = str(row.get("currency") or "EUR")
    said = [f"{row[name]:,} {per}" for name, per in _RATES if row.get(name)]
    said += [f"{words.money(row[name], money)} {per}" for name, per in _CAPS if row.get(name)]
    of_tool = [f"{entry[name]:,} {per}" for name, per in _OF_TOOL if entry.get(name)]
    return "; ".join(
        part
        for part in (", ".join(said), f"this tool {', '.join(of_tool)}" if of_tool else "")
        if part
    )


_RATES = (("rate_per_minute", "calls a minute"), ("rate_per_hour", "an hour"))
_CAPS = (("spend_cap_minor", "a day"), ("spend_cap_month_minor", "a month"))
_OF_TOOL = (*_RATES, ("write_quota_per_hour", "records an hour"))


def many(number: int, one: str, several: str) -> str:
    """A count with its noun."""
    return f"{number:,} {one if number == 1 else several}"
