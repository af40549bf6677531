"""What each point looks at. A row that was mended is none, whatever happened before."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median

from audit import protection
from audit import selectors as trail
from audit.anchors.selectors import standing as standing_outside
from audit.errors import SearchTooSlow
from audit.sealing import standing as sealing
from audit.selectors import AuditScope, PageRequest, TrailFilters
from authz.models import Delegation, Grant, ToxicCombination
from compliance.evidence import Exceptional, Look, ask, links
from compliance.evidence.look import Row
from compliance.evidence.of_acting import too_wide
from compliance.selfaudit.types import Answer
from governance import words
from lifecycle.models import FromTemplate, Source, Template
from lifecycle.models.cases import Case, CaseKind, CaseState
from lifecycle.models.templates import TemplateState
from lifecycle.selftest import held
from registry.enums import Employment, IdentityPattern, ToolEffect, Trust
from registry.models import Reliance, Tool
from registry.models.agents import LIVE
from registry.selectors import has_separation_of_duties

YEAR = timedelta(days=365)
RECENT = timedelta(days=30)
MINUTE = 60.0
# The gate by which each kind of consequence waits for a human.
GATED_BY = {
    ToolEffect.FINANCIAL: ("amount", "records"),
    ToolEffect.DESTRUCTIVE: ("destructive", "records"),
    ToolEffect.PERMISSION_GRANT: ("grants",),
    ToolEffect.EXTERNAL_COMMUNICATION: ("domains",),
}
FOR_USERS = (IdentityPattern.IMPERSONATION, IdentityPattern.HYBRID)


def nothing_live(look: Look) -> str:
    """Why nothing can be told where no agent runs; "" where one does."""
    if look.live:
        return ""
    return look.no("agent", "is live")


def still(look: Look, *query_ids: str) -> list[Exceptional]:
    """What these queries find that is so now, and not only was."""
    answers = ask(look, query_ids).values()
    return [each for one in answers for each in one.exceptions if each.until is None]


def many(number: int, one: str, several: str = "") -> str:
    """`1 agent`, `3 agents`."""
    return f"{words.count(number)} {one if number == 1 else several or one + 's'}"


def _live(look: Look) -> str:
    return many(len(look.live), "live agent")


def _at(row: Row, sentence: str, page: str = "agent") -> Exceptional:
    slug = row.agent.slug
    return Exceptional(sentence, agent=slug, link=links.page(page, slug))


# 1 to 4: who they are, and what they hold


def inventory(look: Look) -> Answer:
    owners = ask(look, ["owners_employed", "owners_reachable"]).values()
    return Answer(
        [*(each for one in owners for each in one.exceptions), *_callers(look)],
        f"{_live(look)}, each owned by somebody who works here; nobody else asks.",
        nothing_live(look),
    )


def _callers(look: Look) -> list[Exceptional]:
    """Whoever asks without a row. That it fell silent since makes it no less unknown."""
    known = ask(look, ["callers_known"])["callers_known"]
    return list(known.exceptions)


def no_row_no_key(look: Look) -> Answer:
    rows = [
        Exceptional(f"{title}: {slug} has one.", agent=slug, link=links.agent(slug))
        for title, slug in held.found()
    ]
    met = "No key, client or lease is held by an agent that is not active on the register."
    return Answer(rows, met)


def own_identity(look: Look) -> Answer:
    met = f"{_live(look)}, each with a client of its own and no credential of anybody else."
    return Answer(still(look, "own_identity"), met, nothing_live(look))


def vault(look: Look) -> Answer:
    rows = [*still(look, "secrets_rotated"), *_live_at_source(look), *_unused(look)]
    met = "Every key is younger than its tier asks, and every tool that an agent may call is used."
    return Answer(rows, met, nothing_live(look))


def _unused(look: Look) -> list[Exceptional]:
    """Tools that are not used. An agent that uses none of its own is a matter of the 15th point."""
    found = still(look, "tools_needed")
    unused = Counter(each.agent for each in found)
    held_by = {row.agent.slug: len(row.agent.allowlist.all()) for row in look.live}
    return [each for each in found if unused[each.agent] < held_by[each.agent]]


def _live_at_source(look: Look) -> Iterator[Exceptional]:
    for row in look.rows:
        for each in row.agent.credentials.all():
            if each.live_at_source:
                yield _at(row, f"{each.reference} of {row.agent.slug} is revoked and still opens.")


# 5 to 7: every call, on record, by tier


def checked(look: Look) -> Answer:
    rows = [
        Exceptional(
            f"{row.agent.slug} is observed: its calls go on whatever is decided.",
            agent=row.agent.slug,
            link=links.page("agent_observe", row.agent.slug),
        )
        for row in look.live
        if row.agent.is_observed
    ]
    asked = trail.first_decision_at(look.since)
    silent = "" if asked else "No call was decided in the last 30 days."
    met = f"Calls of {_live(look)} are decided outside of them, and a refusal stands."
    return Answer(rows, met, nothing_live(look) or silent)


def recorded(look: Look) -> Answer:
    seconds = _search_seconds(look)
    rows = [
        *(Exceptional(each, link=links.page("proof")) for each in protection.faults()),
        *_unsealed(),
    ]
    if seconds is None or seconds > MINUTE:
        slow = "A search of the record takes longer than it may."
        rows.append(Exceptional(slow, link=links.page("trail")))
    took = "" if seconds is None else f"; a search of it took {max(round(seconds * 1000), 1)} ms"
    return Answer(rows, f"No login can change an entry{took}. {_outside()}")


def _unsealed() -> list[Exceptional]:
    found = sealing.trouble(wait=None)
    return [Exceptional(found.sentence, link=links.page("proof"))] if found else []


def _outside() -> str:
    found = standing_outside()
    return found.sentence if found.outside else "Its tamper evidence is internal only."


def _search_seconds(look: Look) -> float | None:
    """How long one page of the trail takes; None where it was stopped."""
    slug = look.live[0].agent.slug if look.live else ""
    began = time.monotonic()
    try:
        trail.search(TrailFilters(agent=slug), PageRequest(), scope=AuditScope(everything=True))
    except SearchTooSlow:
        return None
    return time.monotonic() - began


def tagged(look: Look) -> Answer:
    reached = {place.system for row in look.live for place in (*row.reach.reads, *row.reach.writes)}
    systems = [each for each in look.systems if each.slug in reached]
    rows = [
        *(
            Exceptional(
                f"{system.slug} carries no tier, so it counts as restricted.",
                link=links.page("system", system.slug),
            )
            for system in systems
            if not system.tier
        ),
        *(
            Exceptional(
                f"{resource} carries no tier, so it counts as restricted.",
                link=links.page("system", system.slug),
            )
            for system in systems
            for resource in system.resources.all()
            if not resource.tier
        ),
    ]
    met = (
        f"{many(len(systems), 'system')} that agents reach, each with a tier; data that would "
        "sink to a lower one is refused."
    )
    unknown = "" if systems else "No live agent reaches a system."
    return Answer(rows, met, nothing_live(look) or unknown)


# 8 to 12: what is contained


def limited(look: Look) -> Answer:
    met = f"{_live(look)}, each with rates, a spend cap, its tools, and quotas where it writes."
    return Answer(still(look, "blast_contained"), met, nothing_live(look))


def approved(look: Look) -> Answer:
    rows = [each for row in look.live for each in _ungated(row)]
    if not has_separation_of_duties():
        alone = "Fewer than two people in security may act, so nobody can approve for the other."
        rows.append(Exceptional(alone, link=links.page("people")))
    met = "What moves money, destroys, grants or writes outside waits for somebody else's word."
    return Answer(rows, met, nothing_live(look))


def _ungated(row: Row) -> Iterator[Exceptional]:
    for entry in row.agent.allowlist.all():
        by = GATED_BY.get(ToolEffect(entry.tool.effect))
        if by and not any(
            gates.get(one) for gates in (entry.tool.gates, entry.gates) for one in by
        ):
            kind = entry.tool.get_effect_display()
            yield _at(row, f"{row.agent.slug} may call {entry.tool.name} ({kind}) without a gate.")


def untrusted(look: Look) -> Answer:
    tools = {entry.tool.pk: entry.tool for row in look.live for entry in row.agent.allowlist.all()}
    rows = [
        Exceptional(
            f"The schema of {tool.name} takes any parameters, so nothing is held against it.",
            link=links.page("tool", tool.name),
        )
        for tool in sorted(tools.values(), key=lambda each: each.name)
        if _is_open(tool)
    ]
    hostile = sum(each.trust == Trust.UNTRUSTED for each in look.systems)
    met = (
        f"{many(len(tools), 'tool')}, each with a schema that its calls are held against; "
        f"{many(hostile, 'system is', 'systems are')} tagged as untrusted."
    )
    return Answer(rows, met, nothing_live(look))


def _is_open(tool: Tool) -> bool:
    """Whether its schema lets parameters through that it does not name."""
    schema = tool.schema
    closed = schema.get("additionalProperties", schema.get("unevaluatedProperties", True))
    return closed is not False and not schema.get("properties")


def impersonation(look: Look) -> Answer:
    may = sum(row.agent.pattern in FOR_USERS for row in look.live)
    grants = list(
        Grant.objects.filter(
            agent__in=look.pks, ended_at__isnull=True, until__gt=look.now
        ).select_related("agent", "person")
    )
    rows = [
        *too_wide(grants),
        *(_without_ground(grant) for grant in grants if _lost_its_ground(grant)),
    ]
    if not grants:
        acts = many(may, "live agent acts", "live agents act") if may else "No live agent acts"
        return Answer(
            rows, f"{acts} for people; without a person's word each such call is refused."
        )
    people = many(len({grant.person_id for grant in grants}), "person", "people")
    met = f"{many(len(grants), 'grant')} of {people}, each less than they may do, each with an end."
    return Answer(rows, met)


def _lost_its_ground(grant: Grant) -> bool:
    """Whether its person has left, or its agent acts for nobody by its own row."""
    left = grant.person.employment == Employment.LEFT
    return left or grant.agent.pattern not in FOR_USERS


def _without_ground(grant: Grant) -> Exceptional:
    left = grant.person.employment == Employment.LEFT
    why = f"{grant.person} has left" if left else f"{grant.agent.slug} is declared to act as itself"
    return Exceptional(
        f"{why}, and a grant of {grant.person} to {grant.agent.slug} is in force all the same.",
        agent=grant.agent.slug,
        since=grant.given_at,
        link=links.agent(grant.agent.slug),
    )


def delegation(look: Look) -> Answer:
    relies = Reliance.objects.filter(agent__state__in=LIVE, dependent__state__in=LIVE)
    pairs = relies.order_by("agent__slug", "dependent__slug")
    handed = set(
        Delegation.objects.filter(given_at__gte=look.now - RECENT).values_list(
            "receiver__slug", "giver__slug"
        )
    )
    rows = [
        Exceptional(
            f"{above} relies on {slug} and has handed nothing over to it for 30 days: what "
            f"{slug} does for it is done on its whole row.",
            agent=slug,
            link=links.agent(slug),
        )
        for slug, above in pairs.values_list("agent__slug", "dependent__slug")
        if (slug, above) not in handed
    ]
    if not handed:
        return Answer(rows, "No live agent works for another.")
    met = (
        f"{many(len(handed), 'pair')} of agents, one of which hands over to the other what it may."
    )
    return Answer(rows, met)


# 13 to 16: combinations, clocks, shapes


def combinations(look: Look) -> Answer:
    known = ToxicCombination.objects.filter(is_active=True).count()
    rows = still(look, "toxic_answered")
    if not known:
        empty = "The catalogue of dangerous combinations is empty."
        rows.append(Exceptional(empty, link=links.page("toxic")))
    met = (
        f"{many(known, 'combination')} in the catalogue; each that an agent completes is answered."
    )
    return Answer(rows, met)


def clocks(look: Look) -> Answer:
    rows = [
        *still(look, "renewals_on_time"),
        *still(look, "leavers_handled"),
        *_unflagged(look),
        *_silent_sources(look.now),
    ]
    fed = Source.objects.filter(ended_at__isnull=True).exists()
    met = f"{_live(look)}, each with a day of renewal; no leaver's agent is past its fifth day."
    unfed = "" if fed else "No directory or HR system tells Muster who leaves."
    return Answer(rows, met, nothing_live(look) or unfed)


def _unflagged(look: Look) -> Iterator[Exceptional]:
    """Agents of people who leave, about which nobody was asked."""
    asked = set(
        Case.objects.filter(kind=CaseKind.LEAVER, state=CaseState.OPEN).values_list(
            "agent", flat=True
        )
    )
    for row in look.live:
        leaves = row.agent.owner.employment == Employment.LEAVING
        if leaves and row.agent.pk not in asked:
            yield _at(row, f"{row.agent.owner} leaves, and {row.agent.slug} is not flagged.")


def _silent_sources(now: datetime) -> list[Exceptional]:
    return [
        Exceptional(
            f"{source.title} has said nothing about people for too long.",
            since=source.last_seen_at or source.created_at,
            link=links.page("people"),
        )
        for source in Source.objects.filter(ended_at__isnull=True)
        if source.is_silent(now)
    ]


def idle(look: Look) -> Answer:
    active = sum(row.is_active for row in look.live)
    met = f"{many(active, 'active agent')}, each heard of lately or kept by its owner's word."
    return Answer(still(look, "idle_answered"), met, "" if active else nothing_live(look))


def shapes(look: Look) -> Answer:
    known = Template.objects.filter(state=TemplateState.ACTIVE).count()
    if not known:
        none = Exceptional("No template is in force.", link=links.page("templates"))
        return Answer([none], "")
    quick, slow = _times_to_live(look)
    if not quick:
        return Answer([], "", f"{many(known, 'template')} in force, and no live agent from one.")
    fast = median(quick)
    took = words.duration(fast)
    if slow and fast > median(slow):
        late = f"From a template it took {took} to go live, without one less."
        return Answer([Exceptional(late, link=links.page("templates"))], "")
    return Answer([], f"{many(known, 'template')} in force; from one it took {took} to go live.")


def _times_to_live(look: Look) -> tuple[list[float], list[float]]:
    """Seconds from the first form to live, in the last year: with a template, and without one."""
    by_template = set(FromTemplate.objects.values_list("agent", flat=True))
    with_one: list[float] = []
    without: list[float] = []
    for row in look.live:
        began, live = row.agent.created_at, row.agent.activated_at
        if live and live > look.now - YEAR and live >= began:
            times = with_one if row.agent.pk in by_template else without
            times.append((live - began).total_seconds())
    return with_one, without
