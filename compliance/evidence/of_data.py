"""What the tiers and agreements show: where data lies, where it goes, and under what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from uuid import UUID

from django.conf import settings

from audit import figures
from audit.enums import Kind
from compliance.evidence import links
from compliance.evidence.look import Look, Row
from compliance.evidence.types import Evidence, Exceptional, Figure, query
from registry.enums import AgreementKind
from registry.models import Agreement, System
from registry.reach import Place
from registry.signing import ABOUT_HEALTH, ABOUT_PEOPLE, has_words, providers_reached

PERSONAL = ABOUT_PEOPLE | ABOUT_HEALTH
ARTICLE_30 = (
    ("purpose", "purpose"),
    ("lawful_basis", "lawful basis"),
    ("data_subjects", "data subjects"),
    ("recipients", "recipients"),
    ("retention", "how long it is kept"),
    ("data_role", "our role"),
)


@dataclass(frozen=True, slots=True)
class Flow:
    """Data of one kind that an agent carries to one provider outside."""

    row: Row
    place: Place
    categories: tuple[str, ...]
    tools: frozenset[str]


def flows_of(rows: Iterable[Row], words: frozenset[str]) -> list[Flow]:
    """Where data with one of these words in its category goes, by agent and provider's system."""
    return [flow for row in rows for flow in _flows(row, words)]


def _flows(row: Row, words: frozenset[str]) -> Iterator[Flow]:
    for place, categories in providers_reached(row.reach):
        of_it = tuple(sorted(name for name in categories if has_words([name], words)))
        if of_it:
            yield Flow(row, place, of_it, _tools(row, place, words))


def _tools(row: Row, to: Place, words: frozenset[str]) -> frozenset[str]:
    """The tools whose calls carry it: those that touch the system, or read what flows there."""
    places = (*row.reach.reads, *row.reach.writes)
    touching = {name for one in places if one.system == to.system for name in one.tools}
    reading = {
        name for one in row.reach.reads if has_words(one.categories, words) for name in one.tools
    }
    at_home = row.reach.home is not None and row.reach.home.system == to.system
    return frozenset(touching | reading if at_home else touching)


def in_force(system: System, kind: str, day: date) -> Agreement | None:
    """The agreement of this kind with whoever runs the system that holds on a day."""
    for each in system.agreements.all():
        begun = each.signed_on <= day
        if each.kind == kind and begun and (each.expires_on is None or each.expires_on >= day):
            return each
    return None


@dataclass(frozen=True, slots=True)
class Gap:
    """Days in a row on which data flowed without the agreement."""

    first: date
    last: date
    calls: int
    record: UUID


def gaps(system: System, kind: str, days: Iterable[figures.Day]) -> list[Gap]:
    """The days without an agreement, those beside each other as one."""
    found: list[Gap] = []
    for each in sorted(days, key=lambda day: day.day):
        if in_force(system, kind, each.day):
            continue
        last = found[-1] if found else None
        if last and each.day - last.last <= timedelta(days=1):
            found[-1] = Gap(last.first, each.day, last.calls + each.calls, last.record)
        else:
            found.append(Gap(each.day, each.day, each.calls, each.record))
    return found


def _days(look: Look, flows: list[Flow]) -> Mapping[Flow, list[figures.Day]]:
    """The calls that carried each flow, by day, in one statement for all."""
    tools = {name for flow in flows for name in flow.tools}
    slugs = {flow.row.agent.slug for flow in flows}
    found = figures.days_of(look.since, look.until, agents=slugs, tools=tools) if flows else []
    return {
        flow: [day for day in found if day.agent == flow.row.agent.slug and day.tool in flow.tools]
        for flow in flows
    }


def without(look: Look, words: frozenset[str], kind: str, named: str) -> Evidence:
    """Flows to providers, each held against the agreement of one kind on its own days."""
    flows = flows_of(look.rows, words)
    days, systems = _days(look, flows), {system.slug: system for system in look.systems}
    today = min(look.now.astimezone(UTC).date(), look.period.last)
    exceptions, covered = [], 0
    for flow in flows:
        system = systems[flow.place.system]
        found = gaps(system, kind, days[flow])
        standing = flow.row.is_live and not in_force(system, kind, today)
        covered += not found and not standing
        exceptions += [_gap(look, flow, each, named) for each in found]
        if standing and not found:
            exceptions.append(_standing(flow, named))
    providers = {flow.place.system for flow in flows}
    return Evidence(
        about=len(flows),
        of="flows",
        none="No such data goes to a provider outside.",
        figures=[
            Figure("flows", "Flows to providers", len(flows)),
            Figure(
                "providers",
                "Providers' systems that receive it",
                len(providers),
                link=links.page("systems"),
            ),
            Figure("covered", f"Flows with a {named} on every day", covered),
            Figure(
                "calls",
                "Calls that carried it",
                sum(day.calls for each in days.values() for day in each),
            ),
            Figure(
                "uncovered_calls",
                f"Of these, without a {named}",
                sum(each.calls or 0 for each in exceptions),
            ),
        ],
        exceptions=exceptions,
    )


def _gap(look: Look, flow: Flow, gap: Gap, named: str) -> Exceptional:
    slug, to = flow.row.agent.slug, flow.place
    return Exceptional(
        f"{slug} carried {', '.join(flow.categories)} to {to.provider} ({to.system}) without a "
        f"{named} in force.",
        agent=slug,
        since=gap.first,
        until=gap.last,
        calls=gap.calls,
        record=gap.record,
        link=links.page("system", to.system),
    )


def _standing(flow: Flow, named: str) -> Exceptional:
    slug, to = flow.row.agent.slug, flow.place
    return Exceptional(
        f"{slug} may carry {', '.join(flow.categories)} to {to.provider} ({to.system}), and no "
        f"{named} is in force. Nothing has flowed yet.",
        agent=slug,
        calls=0,
        link=links.page("system", to.system),
    )


@query(
    "phi_flows_without_baa",
    title="Health data goes only to providers that signed a BAA",
    annex="phi_flows",
)
def phi_flows_without_baa(look: Look) -> Evidence:
    return without(look, ABOUT_HEALTH, AgreementKind.BAA, "BAA")


@query(
    "processors_without_dpa",
    title="Personal data goes only to processors that signed a DPA",
    annex="agreements",
)
def processors_without_dpa(look: Look) -> Evidence:
    return without(look, PERSONAL, AgreementKind.DPA, "DPA")


@query(
    "transfers_safeguarded",
    title="Data that leaves the approved countries has a safeguard",
    annex="transfers",
)
def transfers_safeguarded(look: Look) -> Evidence:
    abroad = [
        flow
        for flow in flows_of(look.rows, PERSONAL)
        if flow.place.country not in settings.MUSTER_APPROVED_COUNTRIES
    ]
    systems = {system.slug: system for system in look.systems}
    today = min(look.now.astimezone(UTC).date(), look.period.last)
    bare = [
        flow
        for flow in abroad
        if not in_force(systems[flow.place.system], AgreementKind.TRANSFER, today)
    ]
    every = flows_of(look.rows, PERSONAL)
    return Evidence(
        about=len(every),
        of="flows of personal data",
        none="No personal data goes to a provider outside.",
        figures=[
            Figure("flows", "Flows of personal data to providers", len(every)),
            Figure(
                "abroad",
                "Of these, outside the approved countries",
                len(abroad),
                link=links.page("systems"),
            ),
            Figure("safeguarded", "Of these, with a safeguard in force", len(abroad) - len(bare)),
        ],
        exceptions=[
            Exceptional(
                f"{flow.row.agent.slug} carries {', '.join(flow.categories)} to "
                f"{flow.place.provider} ({flow.place.system}) in "
                f"{flow.place.country or 'a country that is not said'}, without a safeguard.",
                agent=flow.row.agent.slug,
                link=links.page("system", flow.place.system),
            )
            for flow in bare
        ],
    )


@query("systems_classified", title="Each system that is reached carries a tier")
def systems_classified(look: Look) -> Evidence:
    reached = {place.system for row in look.rows for place in (*row.reach.reads, *row.reach.writes)}
    rows = [system for system in look.systems if system.slug in reached]
    bare = [system for system in rows if not system.tier]
    ownerless = [system for system in rows if system.owner_id is None]
    return Evidence(
        about=len(rows),
        of="systems that agents reach",
        none=look.no("agent", "reaches a system"),
        figures=[
            Figure("systems", "Systems that agents reach", len(rows), link=links.page("systems")),
            Figure("tagged", "With a tier", len(rows) - len(bare)),
            Figure("owned", "With an owner", len(rows) - len(ownerless)),
        ],
        exceptions=[
            *(
                Exceptional(
                    f"{system.slug} carries no tier, so it counts as restricted.",
                    link=links.page("system", system.slug),
                )
                for system in bare
            ),
            *(
                Exceptional(
                    f"{system.slug} has no owner who signs for its data.",
                    link=links.page("system", system.slug),
                )
                for system in ownerless
            ),
        ],
    )


@query(
    "processing_recorded",
    title="Each processing of personal data is recorded in full",
    annex="processing",
)
def processing_recorded(look: Look) -> Evidence:
    rows = [row for row in look.live if row.is_personal]
    missing = {
        row.agent.slug: [said for field, said in ARTICLE_30 if not getattr(row.agent, field)]
        for row in rows
    }
    return Evidence(
        about=len(rows),
        of="live agents that touch personal data",
        none=look.no("live agent", "is there"),
        figures=[
            Figure("processing", "Live agents that touch personal data", len(rows)),
            Figure(
                "complete",
                "With a complete record of processing",
                sum(not each for each in missing.values()),
            ),
        ],
        exceptions=[
            Exceptional(
                f"{slug} does not say {', '.join(each)}.", agent=slug, link=links.agent(slug)
            )
            for slug, each in sorted(missing.items())
            if each
        ],
    )


@query(
    "personal_data_located",
    title="It is known which agents hold whose data, and for how long",
    annex="processing",
)
def personal_data_located(look: Look) -> Evidence:
    rows = [row for row in look.rows if row.is_personal]
    places = {
        (place.system, place.resource)
        for row in rows
        for place in (*row.reach.reads, *row.reach.writes)
        if has_words(place.categories, PERSONAL)
    }
    silent = [row for row in rows if row.is_live and not row.agent.retention]
    erased = [
        each
        for each in figures.told([Kind.ADMIN, Kind.ACCESS, Kind.SYSTEM], look.since, look.until)
        if each.did in ("holder_erased", "subject_erased")
    ]
    return Evidence(
        about=len(rows),
        of="agents that touch personal data",
        none=look.no("agent", "is there"),
        figures=[
            Figure("agents", "Agents that touch personal data", len(rows)),
            Figure(
                "places",
                "Systems and resources where it lies",
                len(places),
                link=links.page("systems"),
            ),
            Figure("erased", "People whose data was erased in the period", len(erased)),
        ],
        exceptions=[
            Exceptional(
                f"{row.agent.slug} does not say how long it keeps personal data.",
                agent=row.agent.slug,
                link=links.agent(row.agent.slug),
            )
            for row in silent
        ],
    )
