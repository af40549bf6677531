"""Grants that two people agree to beforehand, for everyone who holds a role: drafts alone.

An agent that its template opens to this acts for them with tools that read and write. Each of them
is told, and may end theirs; it is then not given again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from audit import services as audit
from audit.enums import Kind
from authz import timekeeper
from authz.enums import EndCause, GrantWay
from authz.errors import GrantRefused
from authz.models import Grant, Role
from authz.services import grants
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotAllowed, NotFound
from lifecycle.models import FromTemplate, Preapproval, TemplateState
from lifecycle.templates.content import DRAFTING
from lifecycle.templates.selectors import content_of, departures_of
from registry import changes, guard
from registry.enums import AgentState, ChangeState, Employment, GroupName
from registry.models import Agent, Person, ProposedChange, Tool
from registry.permissions import OPERATORS, Automatic, in_group
from registry.services.saving import locked

KIND = "grant.beforehand"
ACTOR = Automatic("grants")
# So many of a preapproval's people at a time.
LOT = 500


class NotBeforehand(Conflict):
    """This agent cannot be approved beforehand."""

    code = "not_beforehand"


def register_kind() -> None:
    """Say how what was proposed is applied; its owner has no part in agreeing."""
    changes.register(KIND, apply, interested=_answering, record_kind=Kind.ACCESS)


def _answering(change: ProposedChange) -> set[str]:
    agent = Agent.objects.select_related("owner", "backup_owner").get(slug=change.target)
    return {each.pid for each in (agent.owner, agent.backup_owner) if each}


def check_can_propose(by: Person) -> None:
    """Propose that an agent acts for the people of a role."""
    if not in_group(by, *OPERATORS):
        raise NotAllowed("Only security and platform admins propose this; security agrees.")


def check_can_end(by: Person) -> None:
    """End it, with every grant that came of it: one person of security is enough."""
    if not in_group(by, GroupName.SECURITY):
        raise NotAllowed("Only security ends what was approved beforehand.")


# Which agents, which tools


def fault_of(agent: Agent) -> str:
    """Why an agent cannot be approved beforehand, as a sentence; "" where it can."""
    if agent.state != AgentState.ACTIVE:
        return f"{agent.slug} is not active."
    origin = FromTemplate.objects.select_related("template", "agent__owner").filter(agent=agent)
    found = origin.first()
    if found is None or not content_of(found.template).beforehand:
        return f"No template of {agent.slug} says that it may be approved beforehand."
    if departures := departures_of(found):
        return f"{agent.slug} is not as its template planned it: {departures[0]}"
    return ""


def tools_for(agent: Agent) -> list[Tool]:
    """What of an agent's row may be approved beforehand: what reads, and what writes drafts."""
    rows = Tool.objects.filter(allowlisted__agent=agent, effect__in=DRAFTING)
    return list(rows.order_by("name"))


def candidates() -> list[Agent]:
    """The agents that can be approved beforehand and are not."""
    live = Preapproval.objects.filter(agent=OuterRef("pk"), ended_at__isnull=True)
    opened = FromTemplate.objects.filter(
        template__content__beforehand=True, template__state=TemplateState.ACTIVE
    )
    rows = Agent.objects.filter(
        ~Exists(live), state=AgentState.ACTIVE, from_template__in=opened
    ).select_related("owner")
    return [agent for agent in rows.order_by("slug") if not fault_of(agent)]


# Proposed, agreed, ended


@transaction.atomic
def propose(
    *, agent_id: int, role: str, tools: Sequence[str], days: int, by: Person, reason: str = ""
) -> ProposedChange:
    """Propose it; it holds when security agrees. Raises `NotBeforehand`, `Invalid`."""
    check_can_propose(by)
    agent = guard.held(agent_id)
    named = sorted(set(tools))
    _check(agent, role, named, days)
    return changes.propose(
        kind=KIND,
        target=agent.slug,
        agent=agent.slug,
        summary=f"{agent.slug} acts for everyone who holds {role}, without asking each",
        before={},
        after={"role": role, "tools": named, "days": days},
        by=by,
        reason=reason,
    )


def _check(agent: Agent, role: str, tools: Sequence[str], days: int) -> None:
    if fault := fault_of(agent):
        raise NotBeforehand(fault)
    if Preapproval.objects.filter(agent=agent, ended_at__isnull=True).exists():
        raise NotBeforehand(f"{agent.slug} is approved beforehand already. End that first.")
    if not Role.objects.filter(slug=role).exists():
        raise Invalid("There is no such role.", fields={"role": ["There is no such role."]})
    known = {tool.name for tool in tools_for(agent)}
    if not tools or set(tools) - known:
        sentence = f"Name tools of {agent.slug} that read or write."
        raise Invalid(sentence, fields={"tools": [sentence]})
    if not 1 <= days <= settings.MUSTER_GRANT_DAYS:
        sentence = f"A grant lasts from one to {settings.MUSTER_GRANT_DAYS} days."
        raise Invalid(sentence, fields={"days": [sentence]})


def apply(change: ProposedChange, by: Person) -> None:
    """Let it hold, if it still may. The sweep gives each their grant."""
    agent = guard.held(Agent.objects.values_list("pk", flat=True).get(slug=change.target))
    wanted = change.after
    _check(agent, wanted["role"], wanted["tools"], wanted["days"])
    now = timekeeper.now()
    row = Preapproval.objects.create(
        id=clock.uuid7(now),
        agent=agent,
        role=wanted["role"],
        tools=wanted["tools"],
        days=wanted["days"],
        proposed_by=change.proposed_by,
        agreed_by=by,
        agreed_at=now,
    )
    _record(row, "beforehand_agreed", by)


@transaction.atomic
def end(*, preapproval_id: UUID, by: Person) -> int:
    """End it, and every grant that came of it and is live; how many those were."""
    check_can_end(by)
    row = locked(Preapproval, "approval", pk=preapproval_id)
    if row.ended_at is not None:
        return 0
    row.ended_at, row.ended_by = timekeeper.now(), by
    row.save(update_fields=["ended_at", "ended_by"])
    _record(row, "beforehand_ended", by)
    return grants.end_grants_of(
        cause=EndCause.SECURITY, by=by, agent=row.agent, way=GrantWay.PREAPPROVED
    )


def _record(row: Preapproval, did: str, by: Person) -> None:
    audit.record(
        kind=Kind.ACCESS,
        actor=by.pid,
        agent=row.agent.slug,
        asked={
            "did": did,
            "approval": str(row.pk),
            "role": row.role,
            "tools": row.tools,
            "days": row.days,
        },
    )


# Given, by the sweep


def live() -> QuerySet[Preapproval]:
    """What holds now."""
    rows = Preapproval.objects.filter(ended_at__isnull=True)
    return rows.select_related("agent__owner", "proposed_by", "agreed_by")


def missing(row: Preapproval, **of: int) -> list[int]:
    """Who is to get a grant of it: holds the role, may do something of it, and never had one.

    With `pk`, of that person alone.
    """
    mine = Grant.objects.filter(agent=row.agent, person=OuterRef("pk"))
    people = Person.objects.filter(
        ~Exists(mine.filter(ended_at__isnull=True)),
        ~Exists(mine.filter(way=GrantWay.PREAPPROVED, given_at__gte=row.agreed_at)),
        roles__slug=row.role,
        is_active=True,
        **of,
    ).exclude(employment=Employment.LEFT)
    found = list(people.order_by("pk").values_list("pk", flat=True).distinct())
    theirs = _tools_of(found)
    return [pk for pk in found if _gets(row, theirs[pk])]


def _tools_of(people: Sequence[int]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    pairs = Tool.objects.filter(roles__people__in=people).values_list("roles__people", "name")
    wanted = set(people)
    for person, name in pairs:
        if person in wanted:
            found[person].add(name)
    return found


def _gets(row: Preapproval, theirs: Iterable[str]) -> set[str]:
    """What of it somebody with these rights is given: nothing where it would be all they have."""
    both = set(row.tools) & set(theirs)
    return both if set(theirs) - both else set()


def due() -> list[str]:
    """A row and a person each, the oldest agreement first."""
    return [
        f"{row.pk}:{person}"
        for row in live().order_by("agreed_at", "pk")
        if not fault_of(row.agent)
        for person in missing(row)[:LOT]
    ]


def give(which: str) -> bool:
    """Give one person theirs, in the caller's transaction. False where it may not be any more."""
    key, _, person_id = which.partition(":")
    row = live().select_for_update(of=("self",), no_key=True).filter(pk=UUID(key)).first()
    person = Person.objects.filter(pk=int(person_id)).first()
    if row is None or person is None or not missing(row, pk=person.pk) or fault_of(row.agent):
        return False
    wanted = _gets(row, _tools_of([person.pk])[person.pk])
    until = timekeeper.now() + timedelta(days=row.days) - timedelta(minutes=1)
    try:
        with transaction.atomic():
            grants.give_beforehand(
                person=person,
                agent_id=row.agent_id,
                tools={name: {} for name in sorted(wanted)},
                by=ACTOR,
                until=until,
            )
    except GrantRefused:
        return False
    return True


# Seen


def shown() -> list[dict[str, object]]:
    """Each that holds, with how many people it gave a grant that is live."""
    now = timekeeper.now()
    return [
        {
            "row": row,
            "people": _given(row, now),
            "waiting": len(missing(row)),
            "fault": fault_of(row.agent),
        }
        for row in live()
    ]


def _given(row: Preapproval, now: datetime) -> int:
    rows = Grant.objects.filter(agent=row.agent, way=GrantWay.PREAPPROVED, until__gt=now)
    return rows.filter(ended_at__isnull=True).count()


def proposed() -> QuerySet[ProposedChange]:
    """What waits for security."""
    return ProposedChange.objects.filter(kind=KIND, state=ChangeState.PROPOSED)


def candidate(slug: str) -> Agent:
    """An agent that can be approved beforehand. Raises `NotFound`, `NotBeforehand`."""
    agent = Agent.objects.select_related("owner").filter(slug=slug).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    if fault := fault_of(agent):
        raise NotBeforehand(fault)
    return agent
