"""Reads that cross models or feed a page."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count, Prefetch, QuerySet

from audit.enums import Mark as MarkName
from audit.models import Mark
from governance.kernel.errors import NotFound
from registry import reach
from registry.enums import ChangeState, Employment, GroupName
from registry.models import (
    Agent,
    Clearance,
    CredentialReference,
    ExternalIdentity,
    Person,
    ProposedChange,
    Resource,
    System,
    Tool,
)


def is_bootstrapping() -> bool:
    """Whether no policy was ever active here: until then one person may load everything."""
    return not Mark.objects.filter(name=MarkName.FIRST_POLICY).exists()


def is_demo() -> bool:
    """Whether this database was marked as a demo, for good."""
    return Mark.objects.filter(name=MarkName.DEMO).exists()


def has_separation_of_duties() -> bool:
    """Whether two people in security can agree to each other's changes."""
    return security_people().count() >= 2


def security_people() -> QuerySet[Person]:
    """Who is in security and may act."""
    return Person.objects.filter(groups__name=GroupName.SECURITY, is_active=True).exclude(
        employment=Employment.LEFT
    )


def answering_for(agent: Agent) -> list[Person]:
    """Who is told about an agent: its owner and who stands in, else everyone in security."""
    named = [person for person in (agent.owner, agent.backup_owner) if person and person.may_act]
    return named or list(security_people())


def still_live_for(person: Person) -> list[CredentialReference]:
    """Revoked credentials that may still open something, of agents that this person sees."""
    found = CredentialReference.objects.filter(
        live_at_source=True, agent__in=Agent.objects.visible_to(person)
    )
    return list(found.select_related("agent").order_by("revoked_at", "pk"))


def agents_for_reach() -> QuerySet[Agent]:
    """Agents with everything that `reach.reach_of` reads, in a fixed number of queries."""
    return Agent.objects.select_related("owner", "backup_owner", "model_provider").prefetch_related(
        *reach.PREFETCH
    )


def agents_for_list(person: Person) -> QuerySet[Agent]:
    """The agents that `person` sees, ready for a list with tiers and owners."""
    visible = Agent.objects.visible_to(person).values("pk")
    return agents_for_reach().filter(pk__in=visible).order_by("slug")


def agent_by_slug(slug: str) -> Agent:
    """One agent with what its page needs; `NotFound` if there is none."""
    agent = (
        agents_for_reach()
        .prefetch_related("credentials__system", "dependents__person", "dependents__dependent")
        .filter(slug=slug)
        .first()
    )
    if agent is None:
        raise NotFound(f"There is no agent {slug[:80]}.")
    return agent


def tools_for_reach(names: Iterable[str] | None = None) -> QuerySet[Tool]:
    """Tools (all, or those named) with everything that a draft's reach reads."""
    tools = Tool.objects.select_related("system", "system__owner").prefetch_related(
        "system__resources", "accesses__system__resources"
    )
    return tools if names is None else tools.filter(name__in=list(names))


def systems_for_list(person: Person) -> QuerySet[System]:
    """The systems that `person` sees, with their resources and how many tools they have."""
    resources = Prefetch("resources", Resource.objects.select_related("system"))
    return (
        System.objects.visible_to(person)
        .select_related("owner")
        .prefetch_related(resources, "agreements")
        .annotate(tool_count=Count("tools", distinct=True))
        .order_by("slug")
    )


def people_for_list(person: Person) -> QuerySet[Person]:
    """The people that `person` sees, with manager, groups and identities."""
    return (
        Person.objects.visible_to(person)
        .select_related("manager")
        .prefetch_related("groups", "identities")
    )


def given_by(person: Person) -> dict[str, str]:
    """The fields of a person that a source gives, each with the name of that source."""
    rows = ExternalIdentity.objects.filter(person=person).order_by("-source")
    return {name: source for source, gives in rows.values_list("source", "gives") for name in gives}


def person_by_external_id(source: str, external_id: str) -> Person | None:
    """Whom a directory means by this id."""
    found = (
        ExternalIdentity.objects.select_related("person")
        .filter(source=source, external_id=external_id)
        .first()
    )
    return found.person if found else None


def open_changes(person: Person) -> QuerySet[ProposedChange]:
    """The widening changes that wait, as far as `person` sees them."""
    waiting = ProposedChange.objects.visible_to(person).filter(state=ChangeState.PROPOSED)
    return waiting.select_related("proposed_by")


def words_for(agent: Agent, digest: str) -> QuerySet[Clearance]:
    """The words that `agent` has for exactly this reach, newest first."""
    return agent.clearances.select_related("by", "system").filter(reach_digest=digest, voided="")


def current_clearance(agent: Agent, digest: str) -> Clearance | None:
    """The newest of them."""
    return words_for(agent, digest).first()


def pids_to_people(pids: Iterable[str]) -> dict[str, Person]:
    """Pseudonymous ids to people, for showing names beside the record."""
    return {person.pid: person for person in Person.objects.filter(pid__in=set(pids))}
