"""What the queries of one asking share: the period, the scope, and what was read once for all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db.models import Q

from audit import figures
from audit.figures import Decided
from compliance import period as periods
from compliance import scope as scopes
from compliance.enums import Concern
from compliance.period import Period
from compliance.scope import COMPANY, Scope
from compliance.sealed import Coverage, coverage
from governance.kernel.database_clock import database_now
from registry.enums import AgentState, AiActUse, CombinedEffect
from registry.models import Agent, Person, System
from registry.reach import Reach, reaches_of
from registry.selectors import agents_for_reach
from registry.signing import ABOUT_HEALTH, ABOUT_PEOPLE, has_words

ABOUT_MONEY = frozenset({
    "financial", "finance", "payment", "payments", "billing", "ledger", "accounting", "payroll",
    "compensation", "invoice", "invoices", "bank", "treasury", "tax",
})  # fmt: skip
ENDED = AgentState.DECOMMISSIONED
NO_AGENT = "No agent has been registered."
# Such agents, in a sentence.
WHOSE: Mapping[Concern, str] = {
    Concern.ALL: "",
    Concern.PERSONAL: " that touches personal data",
    Concern.HEALTH: " that touches health data",
    Concern.FINANCIAL: " that touches financial data or moves money",
    Concern.HIGH_RISK: " of high risk",
}
Keep = Callable[[Decided], bool]


@dataclass(frozen=True)
class Row:
    """An agent with what follows from its row."""

    agent: Agent
    reach: Reach

    @property
    def is_live(self) -> bool:
        return self.agent.is_live

    @property
    def is_active(self) -> bool:
        return self.agent.state == AgentState.ACTIVE

    @property
    def is_personal(self) -> bool:
        """Whether data about people is touched."""
        return has_words(self.reach.categories, ABOUT_PEOPLE | ABOUT_HEALTH)

    @property
    def is_health(self) -> bool:
        return has_words(self.reach.categories, ABOUT_HEALTH)

    @property
    def is_financial(self) -> bool:
        moves = CombinedEffect.FINANCIAL in self.reach.effects
        return moves or has_words(self.reach.categories, ABOUT_MONEY)

    @property
    def is_high_risk(self) -> bool:
        return self.agent.ai_act_use == AiActUse.HIGH

    def binds_as(self, roles: Collection[str]) -> bool:
        """Whether we have one of these roles for it under the EU AI Act, or have not said which."""
        return not self.agent.ai_act_role or self.agent.ai_act_role in roles


_CONCERNS: Mapping[Concern, Callable[[Row], bool]] = {
    Concern.ALL: lambda row: True,
    Concern.PERSONAL: lambda row: row.is_personal,
    Concern.HEALTH: lambda row: row.is_health,
    Concern.FINANCIAL: lambda row: row.is_financial,
    Concern.HIGH_RISK: lambda row: row.is_high_risk,
}


@dataclass
class _Read:
    """What was read of the register and the record, once for every concern."""

    period: Period
    scope: Scope
    now: datetime
    live: bool = False
    ever: bool = False

    @cached_property
    def rows(self) -> list[Row]:
        """The agents that stood on the register in the period, or were decided about, by name."""
        if self.live or self.ever:
            return self._rows(Q() if self.ever else ~Q(state=ENDED))
        ended_before = Q(state=ENDED, state_changed_at__lt=self.period.since)
        asked = {each.agent for each in self.everything}
        there = Q(created_at__lt=self.until) & ~ended_before
        return self._rows(there | Q(slug__in=asked))

    def _rows(self, those: Q) -> list[Row]:
        agents = self.scope.narrow(agents_for_reach().filter(those))
        agents = agents.select_related("client").prefetch_related("credentials__system")
        return [Row(*each) for each in reaches_of(agents.order_by("slug"))]

    @cached_property
    def until(self) -> datetime:
        """The end of the period, or now where it is not over."""
        return min(self.period.until, self.now)

    @cached_property
    def everything(self) -> list[Decided]:
        """The decisions of the period, whoever's, the alike ones counted."""
        return [] if self.live or self.ever else figures.decisions(self.period.since, self.until)

    @cached_property
    def covered(self) -> Coverage:
        return coverage(self.until)

    @cached_property
    def systems(self) -> list[System]:
        return list(System.objects.prefetch_related("resources", "agreements").order_by("slug"))

    @cached_property
    def people(self) -> dict[int, Person]:
        return {person.pk: person for person in Person.objects.all()}


@dataclass
class Look:
    """One asking. Everything that queries share they take from here."""

    read: _Read
    concern: Concern = Concern.ALL

    def about(self, concern: Concern) -> Look:
        """The same for the agents of a framework; nothing is read again."""
        return Look(self.read, concern)

    def bound(self, roles: Collection[str]) -> int:
        """How many of its agents a line is about that binds these roles; without any, all."""
        return sum(not roles or row.binds_as(roles) for row in self.rows)

    def no(self, noun: str, rest: str) -> str:
        """The sentence for nothing to look at: `look.no("live agent", "holds a key")`."""
        if not self.registered:
            return NO_AGENT
        where = "" if self.scope.is_all else " in this scope"
        return f"No {noun}{WHOSE[self.concern]}{where} {rest}."

    @property
    def period(self) -> Period:
        return self.read.period

    @property
    def scope(self) -> Scope:
        return self.read.scope

    @property
    def now(self) -> datetime:
        return self.read.now

    @property
    def since(self) -> datetime:
        return self.read.period.since

    @property
    def until(self) -> datetime:
        return self.read.until

    @property
    def registered(self) -> int:
        """How many agents stood on the register at all."""
        return len(self.read.rows)

    @property
    def undeclared(self) -> int:
        """How many live agents do not say their use under the EU AI Act."""
        return sum(row.is_live and not row.agent.ai_act_use for row in self.read.rows)

    @property
    def every_live(self) -> int:
        """How many live agents there are, whatever they touch."""
        return sum(row.is_live for row in self.read.rows)

    @cached_property
    def rows(self) -> list[Row]:
        """The agents that the framework is about."""
        concerned = _CONCERNS[self.concern]
        return [row for row in self.read.rows if concerned(row)]

    @cached_property
    def live(self) -> list[Row]:
        """Those of them that are live when this is asked."""
        return [row for row in self.rows if row.is_live]

    @cached_property
    def slugs(self) -> frozenset[str]:
        return frozenset(row.agent.slug for row in self.rows)

    @property
    def only(self) -> frozenset[str] | None:
        """As `slugs`, but None where every agent is meant, unknown ones among them."""
        everyone = self.scope.is_all and self.concern == Concern.ALL
        return None if everyone else self.slugs

    @cached_property
    def pks(self) -> list[int]:
        return [row.agent.pk for row in self.rows]

    @cached_property
    def decided(self) -> list[Decided]:
        """The decisions about those agents, the alike ones counted."""
        only = self.only
        return [each for each in self.read.everything if only is None or each.agent in only]

    @property
    def covered(self) -> Coverage:
        """The checkpoint over what is asked about, the same for everything that is asked."""
        return self.read.covered

    @property
    def systems(self) -> list[System]:
        return self.read.systems

    @property
    def people(self) -> dict[int, Person]:
        return self.read.people

    def count(self, keep: Keep = lambda each: True) -> int:
        """How many decisions are such."""
        return sum(each.calls for each in self.decided if keep(each))

    def of_them(self, slugs: Iterable[str]) -> bool:
        """Whether one of these agents is among those that are asked about."""
        return self.only is None or not self.slugs.isdisjoint(slugs)


def look_asked(period: str, scope: str) -> Look:
    """As an address says it: no period is the quarter that runs, no scope is everyone.

    Raises `BadPeriod`, `BadScope`.
    """
    now = database_now()
    wanted = periods.read(period) if period else periods.quarter_of(now.date())
    return look_at(wanted, scopes.read(scope), now)


def look_at(
    period: Period,
    scope: Scope = COMPANY,
    now: datetime | None = None,
    *,
    live: bool = False,
    ever: bool = False,
) -> Look:
    """One asking; `now` is the database's time, by which the record is kept, unless said.

    A `live` one is about the register as it stands: it reads no decision, and no agent that ended.
    One of what `ever` was reads no decision either, and is about every agent that ever stood there.
    """
    return Look(_Read(period, scope, now or database_now(), live, ever))
