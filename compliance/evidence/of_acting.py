"""Who acts for people, by whose word; and what agents hand on to agents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from django.db.models import Max, Q, QuerySet

from authz.enums import EndCause
from authz.models import Delegation, Grant, Role
from compliance.evidence import links
from compliance.evidence.look import Look
from compliance.evidence.of_decisions import observed, stopped_at
from compliance.evidence.types import Evidence, Exceptional, Figure, query
from registry.enums import Employment


def grants_of(look: Look) -> QuerySet[Grant]:
    """The grants to these agents that were in force at some time of the period."""
    rows = Grant.objects.filter(agent__in=look.pks).filter(_in_force(look))
    return rows.select_related("agent", "person", "ended_by").order_by("given_at", "id")


def delegations_of(look: Look) -> QuerySet[Delegation]:
    """What these agents handed over, and was in force at some time of the period."""
    rows = Delegation.objects.filter(giver__in=look.pks).filter(_in_force(look))
    related = rows.select_related("giver", "receiver", "grant__person")
    return related.order_by("given_at", "id")


def _in_force(look: Look) -> Q:
    ended = Q(ended_at__isnull=True) | Q(ended_at__gte=look.since)
    return Q(given_at__lt=look.until) & ended


def _live(rows: QuerySet[Grant], at: datetime) -> QuerySet[Grant]:
    return rows.filter(ended_at__isnull=True, until__gt=at)


@query("acting_consented", title="Who acts for a person has that person's word", annex="grants")
def acting_consented(look: Look) -> Evidence:
    grants = grants_of(look)
    live = list(_live(grants, look.until))
    total = grants.count()
    return Evidence(
        about=total,
        of="grants",
        none=look.no("agent", "was let act for a person in the period"),
        figures=[
            Figure("grants", "Grants in force in the period", total),
            Figure(
                "given", "Of these: given in it", grants.filter(given_at__gte=look.since).count()
            ),
            Figure(
                "ended", "Of these: ended in it", grants.filter(ended_at__lt=look.until).count()
            ),
            Figure("live", "Of these: in force at its end", len(live)),
            Figure(
                "refused",
                "Calls refused for want of a user's consent",
                look.count(stopped_at("consent", "deny")),
                link=links.trail(look, kind="decision", effect="deny", check="consent"),
            ),
        ],
        exceptions=[*too_wide(live), *_of_leavers(live)],
    )


def too_wide(grants: Collection[Grant]) -> list[Exceptional]:
    """Grants that are all that their person may do by now. Two statements."""
    theirs = _tools_of({grant.person_id for grant in grants})
    return [
        Exceptional(
            f"{grant.agent.slug} may do for {grant.person} all that they may do themself.",
            agent=grant.agent.slug,
            since=grant.given_at,
            link=links.agent(grant.agent.slug),
        )
        for grant in grants
        if (own := theirs.get(grant.person_id)) and all(not grant.tools.get(t, True) for t in own)
    ]


def _tools_of(people: Collection[int]) -> Mapping[int, set[str]]:
    """What each of these people may do by their roles."""
    found: dict[int, set[str]] = defaultdict(set)
    pairs = Role.objects.filter(people__in=people).values_list("people", "tools__name")
    for person, tool in pairs:
        if tool and person in people:
            found[person].add(tool)
    return found


def _of_leavers(grants: Collection[Grant]) -> list[Exceptional]:
    return [
        Exceptional(
            f"{grant.person} has left, and {grant.agent.slug} may still act for them.",
            agent=grant.agent.slug,
            since=grant.given_at,
            link=links.agent(grant.agent.slug),
        )
        for grant in grants
        if grant.person.employment == Employment.LEFT
    ]


@query(
    "delegations_narrow", title="What agents hand on is narrow, short and ends", annex="delegations"
)
def delegations_narrow(look: Look) -> Evidence:
    links_of = delegations_of(look)
    total = links_of.count()
    early = links_of.filter(ended_at__lt=look.until).exclude(end_cause=EndCause.EXPIRED)
    return Evidence(
        about=total,
        of="delegations",
        none=look.no("agent", "handed anything over in the period"),
        figures=[
            Figure("delegations", "Delegations in force in the period", total),
            Figure("early", "Of these: ended before their time", early.count()),
            Figure(
                "for_people",
                "Of these: for a person",
                links_of.filter(grant__isnull=False).count(),
            ),
            Figure("depth", "Hands at most", links_of.aggregate(most=Max("depth"))["most"] or 0),
            Figure(
                "refused",
                "Calls refused at what was handed over",
                look.count(stopped_at("delegation", "deny")),
                link=links.trail(look, kind="decision", effect="deny", check="delegation"),
            ),
        ],
        exceptions=observed(look, ("delegation",)),
    )
