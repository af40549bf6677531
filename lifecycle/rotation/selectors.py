"""Which keys are due, and which scopes are used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db.models import Count, Max, Min, Q, QuerySet

from audit.enums import Kind
from audit.models import Record
from authz.models import Lease
from lifecycle.models import KeptScope, Rotation, RotationState
from lifecycle.models.rotation import OPEN
from lifecycle.rotation import rules
from registry.enums import AgentState, Employment
from registry.models import Agent, AllowlistEntry, Client, CredentialReference, Person
from registry.models.credentials import OVER
from registry.reach import Reach, reaches_of
from registry.selectors import agents_for_reach


@dataclass(frozen=True, slots=True)
class Due:
    """One key of an agent, and when it is due."""

    agent: Agent
    key: str
    name: str
    tier: str
    last: date
    due_on: date

    @property
    def handle(self) -> str:
        """What the sweep calls it."""
        return f"{self.agent.pk} {self.key} {self.due_on.isoformat()}"


def keys_of(agents: QuerySet[Agent]) -> list[Due]:
    """Every key of these agents, those due first."""
    rows = list(agents.select_related("client").prefetch_related("credentials__system"))
    return keys_among(reaches_of(rows))


def keys_among(agents: Iterable[tuple[Agent, Reach]]) -> list[Due]:
    """The same of agents whose reach, client and credentials were read already."""
    found = [each for agent, reach in agents for each in _keys(agent, reach.tier)]
    return sorted(found, key=lambda each: (each.due_on, each.agent.slug, each.key))


def due_keys(now: datetime) -> list[Due]:
    """What is due by now and nobody has begun. In force are active rows alone."""
    today = now.astimezone(UTC).date()
    begun = set(
        Rotation.objects.filter(Q(state__in=OPEN) | Q(due_on__lte=today)).values_list(
            "agent", "key", "due_on"
        )
    )
    taken = {(agent, key) for agent, key, _ in _open()}
    return [
        each
        for each in keys_of(_may_be_due(now))
        if each.due_on <= today
        and (each.agent.pk, each.key) not in taken
        and (each.agent.pk, each.key, each.due_on) not in begun
    ]


def _open() -> QuerySet[Rotation, tuple[int, str, date]]:
    return Rotation.objects.filter(state__in=OPEN).values_list("agent", "key", "due_on")


def _may_be_due(now: datetime) -> QuerySet[Agent]:
    """Active agents with a key that the shortest time has passed for."""
    limit = now - timedelta(days=min(settings.MUSTER_ROTATION_DAYS.values()) - 1)
    old = Q(client__rotated_at__lte=limit) | Q(
        client__rotated_at__isnull=True, client__created_at__lte=limit
    )
    credentials = Q(credentials__rotated_on__lte=limit.date()) | Q(
        credentials__rotated_on__isnull=True, credentials__isnull=False
    )
    pks = in_force().filter(old | credentials).values("pk")
    return agents_for_reach().filter(pk__in=pks)


def in_force() -> QuerySet[Agent]:
    """Agents that get something now."""
    active = Agent.objects.filter(state=AgentState.ACTIVE)
    return active.exclude(owner__employment=Employment.LEFT)


def _keys(agent: Agent, tier: str) -> Iterable[Due]:
    client = getattr(agent, "client", None)
    if client and client.secret_digest:
        yield _due(agent, rules.CLIENT, "its own secret", tier, last_of_client(client))
    for each in agent.credentials.all():
        if each.state not in OVER:
            held = tier_of(each, tier)
            key = rules.credential_key(each.pk)
            yield _due(agent, key, each.reference, held, last_of_credential(each, agent))


def _due(agent: Agent, key: str, name: str, tier: str, last: date) -> Due:
    at = rules.due_on(last, tier, settings.MUSTER_ROTATION_DAYS)
    return Due(agent, key, name, tier, last, at)


def tier_of(credential: CredentialReference, tier: str) -> str:
    """What a credential opens, else what its agent reaches."""
    return (credential.system.tier or "restricted") if credential.system else tier


def last_of_client(client: Client) -> date:
    """The day on which the secret was last changed."""
    return (client.rotated_at or client.created_at).astimezone(UTC).date()


def last_of_credential(credential: CredentialReference, agent: Agent) -> date:
    """The day on which the credential was last changed, or since when it is in use at all."""
    began = agent.activated_at or agent.created_at
    return credential.rotated_on or began.astimezone(UTC).date()


def one_due(agent: Agent, key: str) -> Due | None:
    """One key of an agent as it is now; None where it has none of that name."""
    found = keys_of(agents_for_reach().filter(pk=agent.pk))
    return next((each for each in found if each.key == key), None)


def steps_due(now: datetime) -> list[int]:
    """Rotations that go on now: to be tried again, over, or answered by a person meanwhile."""
    ready = Q(state__in=[RotationState.RUNNING, RotationState.FAILED], next_at__lte=now)
    over = Q(state=RotationState.OVERLAP, overlap_until__lte=now)
    near = Q(state=RotationState.OVERLAP, reminded=False, overlap_until__lte=now + rules.REMINDER)
    rows = Rotation.objects.filter(ready | over | near | Q(state=RotationState.WAITING))
    return list(rows.order_by("next_at", "pk").values_list("pk", flat=True))


# For the page


def shown_to(person: Person) -> QuerySet[Agent]:
    """The agents whose keys this person sees."""
    visible = Agent.objects.visible_to(person).filter(state=AgentState.ACTIVE).values("pk")
    return agents_for_reach().filter(pk__in=visible)


def rotations_of(person: Person) -> QuerySet[Rotation]:
    """What was done, or is open, of agents that this person sees."""
    visible = Agent.objects.visible_to(person).values("pk")
    rows = Rotation.objects.filter(agent__in=visible).select_related("agent__owner", "done_by")
    return rows.order_by("-due_on", "-pk")


# Scope


@dataclass(frozen=True, slots=True)
class Scope:
    """One thing that an agent may do, and whether it did."""

    name: str
    kind: str
    since: datetime
    last_used: datetime | None
    uses: int
    unused: bool
    kept: KeptScope | None = None

    @property
    def to_narrow(self) -> bool:
        """The default answer: what is not used is taken away."""
        return self.unused and self.kept is None


def scopes_of(agent: Agent, now: datetime) -> list[Scope]:
    """What the agent holds, against what the record says that it used."""
    since = now - timedelta(days=settings.MUSTER_SCOPE_DAYS)
    kept = {
        each.tool: each
        for each in KeptScope.objects.filter(agent=agent, until__gt=now).select_related("by")
    }
    return [*_tools(agent, since, kept), *_credentials(agent, since, kept)]


def _tools(agent: Agent, since: datetime, kept: dict[str, KeptScope]) -> Iterable[Scope]:
    used = {
        row["tool"]: (row["last"], row["uses"])
        for row in Record.objects.filter(
            agent=agent.slug, kind=Kind.DECISION, effect="allow", at__gte=since
        )
        .order_by()
        .values("tool")
        .annotate(last=Max("at"), uses=Count("pk"))
    }
    held = _held_since(agent)
    for entry in agent.allowlist.select_related("tool").order_by("tool__name"):
        last, uses = used.get(entry.tool.name, (None, 0))
        began = held.get(entry.pk) or agent.activated_at or agent.created_at
        unused = rules.is_unused(began, last, since)
        yield Scope(entry.tool.name, "tool", began, last, uses, unused, kept.get(entry.tool.name))


def _held_since(agent: Agent) -> dict[int, datetime]:
    """When each entry came onto the list, by its own history."""
    history = AllowlistEntry.history.filter(agent_id=agent.pk, history_type="+").order_by()
    return dict(history.values("id").annotate(at=Min("history_date")).values_list("id", "at"))


def _credentials(agent: Agent, since: datetime, kept: dict[str, KeptScope]) -> Iterable[Scope]:
    for each in agent.credentials.exclude(state__in=OVER).order_by("reference"):
        reads = Lease.objects.filter(credential=each, at__gte=since)
        found = reads.aggregate(last=Max("at"), uses=Count("pk"))
        first = each.history.order_by("history_date").values_list("history_date", flat=True).first()
        began = first or agent.created_at
        unused = rules.is_unused(began, found["last"], since)
        yield Scope(
            each.reference,
            rules.CREDENTIAL,
            began,
            found["last"],
            found["uses"],
            unused,
            kept.get(each.reference),
        )
