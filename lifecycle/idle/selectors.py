"""When agents last asked, and what they used: read without a scan of the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, QuerySet

from audit import selectors as trail
from lifecycle.decommissioning import reading
from lifecycle.idle.rules import KEPT, Limits, Silence, silence
from lifecycle.models import Counted, ToolUse
from lifecycle.models.cases import Case, CaseKind, CaseState
from registry.enums import AgentState, Employment
from registry.models import Agent


def last_decisions(slugs: Iterable[str]) -> dict[str, datetime]:
    """When each of these agents was last decided about, in earnest; without those never were."""
    return trail.last_decisions(slugs)


def last_uses(agent: str, since: datetime) -> dict[str, datetime]:
    """The tools that an agent used since then, and when last; by the hour where that is counted.

    Used is what went on: an allow, or a call in observe. Hours that are counted are read from
    their count, the newest ones (and what is older than all counting) from the record.
    """
    rows = ToolUse.objects.filter(agent=agent, last_hour__gte=since)
    found = dict(rows.values_list("tool", "last_hour"))
    for begin, end in _not_counted(since):
        for tool, at in trail.last_uses(agent, begin, end).items():
            found[tool] = max(at, found.get(tool, at))
    return found


def used_tools(agent: str, since: datetime) -> set[str]:
    """The names of the tools that an agent used since then."""
    return set(last_uses(agent, since))


def _not_counted(since: datetime) -> list[tuple[datetime, datetime | None]]:
    """The spans from `since` on of which `ToolUse` knows nothing yet."""
    counted = Counted.objects.filter(pk=1).first()
    if counted is None or counted.uses_from is None:
        return [(since, None)]
    before = [(since, counted.uses_from)] if since < counted.uses_from else []
    return [*before, (max(since, counted.until), None)]


# Who is idle


def limits() -> Limits:
    """What the installation says."""
    return Limits(settings.MUSTER_IDLE_DAYS, settings.MUSTER_NEVER_FIRED_DAYS)


def watched() -> QuerySet[Agent]:
    """The agents whose silence counts: active ones whose owner is here.

    A suspended agent cannot ask, and nobody is asked about it; its clock begins anew when it is
    resumed. One whose owner left is denied everything, and has a case of that kind.
    """
    return Agent.objects.filter(state=AgentState.ACTIVE).exclude(owner__employment=Employment.LEFT)


def to_flag(now: datetime) -> list[Agent]:
    """The idle agents that nobody is asked about yet, those idle longest first.

    Nobody is where their end is ordered.
    """
    asked = Case.objects.filter(kind=CaseKind.IDLE, state=CaseState.OPEN).values("agent")
    candidates = watched().filter(state_changed_at__lte=now - limits().shortest)
    unasked = candidates.exclude(pk__in=asked).exclude(pk__in=reading.ordered())
    rows = list(unasked.select_related("owner", "backup_owner"))
    found = silences(rows)
    idle = [each for each in rows if found[each.pk].is_idle(now)]
    return sorted(idle, key=lambda each: (found[each.pk].idle_at, each.slug))


def silence_of(agent: Agent) -> Silence:
    """How long nobody has heard of this agent."""
    return silences([agent])[agent.pk]


def silences(agents: Sequence[Agent]) -> dict[int, Silence]:
    """The same for many, by their keys; a fixed number of queries."""
    last = last_decisions(each.slug for each in agents)
    answered = _answers(agents)
    return {each.pk: _silence(each, last.get(each.slug), answered) for each in agents}


def _silence(agent: Agent, last: datetime | None, answered: Mapping[int, datetime]) -> Silence:
    live = agent.state_changed_at or agent.activated_at or agent.created_at
    return silence(live_since=live, last=last, answered=answered.get(agent.pk), limits=limits())


def _answers(agents: Sequence[Agent]) -> dict[int, datetime]:
    """When its owner last said of each that it is kept."""
    rows = Case.objects.filter(
        kind=CaseKind.IDLE,
        state=CaseState.ANSWERED,
        outcome__in=KEPT,
        agent__in=[each.pk for each in agents],
    )
    return dict(rows.order_by().values_list("agent").annotate(Max("closed_at")))


def case_of(agent: Agent) -> Case | None:
    """The open question about an idle agent."""
    rows = Case.objects.filter(agent=agent, kind=CaseKind.IDLE, state=CaseState.OPEN)
    return rows.select_related("agent__owner", "agent__backup_owner").first()


@dataclass(frozen=True, slots=True)
class Held:
    """A tool of an idle agent, and when it last used it."""

    name: str
    last: datetime | None
    unused: bool


def tools_of(agent: Agent, silence: Silence) -> list[Held]:
    """What an agent holds, against what it used in as many days before it fell silent."""
    since = silence.since - timedelta(days=limits().days)
    used = last_uses(agent.slug, since)
    names = agent.allowlist.order_by("tool__name").values_list("tool__name", flat=True)
    return [Held(name, used.get(name), name not in used) for name in names]
