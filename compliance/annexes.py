"""The annexes: registers and logs as tables of plain cells, ready for CSV and JSON.

Each is the same rows in the same order for the same period, whenever it is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from functools import cache

from django.conf import settings

from audit import figures
from audit.enums import Kind
from authz.models import Hold
from compliance.evidence.look import Look, Row
from compliance.evidence.of_acting import delegations_of, grants_of
from compliance.evidence.of_changes import duties_separate
from compliance.evidence.of_data import PERSONAL, Flow, flows_of, in_force
from compliance.evidence.types import Cell, Table
from lifecycle.models import (
    Anomaly,
    Attestation,
    BreakGlass,
    Case,
    EndRun,
    ProbeRun,
    ReviewStep,
    Rotation,
    SweepRun,
    ToxicFinding,
)
from lifecycle.models.cases import CaseKind
from registry.enums import AgreementKind
from registry.models import Agreement, System
from registry.signing import ABOUT_HEALTH, has_words

Rows = Iterator[Sequence[Cell]]
CHANGES = (Kind.REGISTRY, Kind.POLICY)


def said(value: date | datetime | None) -> str:
    """A day or an instant (UTC), as it is written in a table."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat() if value else ""


def _agents(look: Look) -> Rows:
    for row in look.rows:
        agent, reach = row.agent, row.reach
        yield (
            agent.slug, agent.name, agent.kind, agent.state, str(reach.tier), agent.pattern,
            str(agent.owner), agent.owner.email, str(agent.backup_owner or ""), agent.purpose,
            agent.model, reach.model_provider, " ".join(reach.categories),
            said(agent.activated_at), said(agent.review_due), said(agent.renewal_due),
        )  # fmt: skip


def _processing(look: Look) -> Rows:
    for row in look.rows:
        if row.is_personal:
            yield _processed(row)


def _processed(row: Row) -> Sequence[Cell]:
    agent, places = row.agent, (*row.reach.reads, *row.reach.writes)
    categories = [name for name in row.reach.categories if has_words([name], PERSONAL)]
    countries = {place.country for place in places if place.country}
    return (
        agent.slug, agent.purpose, agent.get_data_role_display(), str(agent.owner),
        agent.lawful_basis, agent.data_subjects, " ".join(categories), agent.recipients,
        " ".join(sorted({place.system for place in places})), " ".join(sorted(countries)),
        agent.retention, _measures(row), agent.state,
    )  # fmt: skip


def _measures(row: Row) -> str:
    """The safeguards of article 32 that hold for every live row, in words."""
    return (
        f"Tier {row.reach.tier}, each call checked and recorded, {row.agent.pattern} identity, "
        "credentials in a vault, rate limits and a spend cap"
    )


def _transfers(look: Look) -> Rows:
    systems = {system.slug: system for system in look.systems}
    for flow in flows_of(look.rows, PERSONAL):
        yield _flow(look, flow, systems[flow.place.system], AgreementKind.TRANSFER)


def _phi_flows(look: Look) -> Rows:
    systems = {system.slug: system for system in look.systems}
    for flow in flows_of(look.rows, ABOUT_HEALTH):
        yield _flow(look, flow, systems[flow.place.system], AgreementKind.BAA)


def _flow(look: Look, flow: Flow, system: System, kind: AgreementKind) -> Sequence[Cell]:
    today = min(look.now.astimezone(UTC).date(), look.period.last)
    found, place = in_force(system, kind, today), flow.place
    approved = place.country in settings.MUSTER_APPROVED_COUNTRIES
    return (
        flow.row.agent.slug, place.provider, place.system, place.country,
        "yes" if approved else "no", " ".join(flow.categories),
        found.reference if found else "", said(found.signed_on) if found else "",
        said(found.expires_on) if found else "",
    )  # fmt: skip


def _agreements(look: Look) -> Rows:
    rows = Agreement.objects.select_related("system").order_by("system__slug", "kind", "signed_on")
    for each in rows:
        yield (
            each.system.slug, each.system.provider, each.system.country,
            each.get_kind_display(), each.reference, said(each.signed_on), said(each.expires_on),
        )  # fmt: skip


def _access_reviews(look: Look) -> Rows:
    steps = ReviewStep.objects.filter(
        review__agent__in=look.pks, answered_at__gte=look.since, answered_at__lt=look.until
    ).select_related("review__agent", "system", "answered_by")
    for each in steps.order_by("answered_at", "pk"):
        yield (
            each.review.agent.slug, each.review.get_kind_display(), each.title,
            str(each.answered_by), each.outcome or each.state, said(each.review.opened_at),
            said(each.due), said(each.answered_at),
        )  # fmt: skip
    words = Attestation.objects.filter(
        agent__in=look.pks, at__gte=look.since, at__lt=look.until
    ).select_related("agent", "by")
    for word in words.order_by("at", "pk"):
        yield (
            word.agent.slug, "renewal", "Owner", str(word.by), word.answer, "",
            said(word.due_on), said(word.at),
        )  # fmt: skip


def _changes(look: Look) -> Rows:
    names = {person.pid: str(person) for person in look.people.values()}
    for each in figures.told(CHANGES, look.since, look.until, look.only):
        fields = each.asked.get("changed", {})
        yield (
            said(each.at), each.kind, each.did, names.get(each.actor, each.actor), each.actor,
            each.agent, each.resource, " ".join(sorted(fields)) if isinstance(fields, dict) else "",
            str(each.id),
        )  # fmt: skip


def _duties(look: Look) -> Rows:
    for each in duties_separate(look).exceptions:
        yield said(each.since), each.what, each.agent, str(each.record)


def _rotations(look: Look) -> Rows:
    rows = Rotation.objects.filter(agent__in=look.pks, opened_at__lt=look.until).exclude(
        done_at__lt=look.since
    )
    for each in rows.select_related("agent", "done_by").order_by("due_on", "agent__slug", "key"):
        yield (
            each.agent.slug, each.key, said(each.due_on), each.state, said(each.opened_at),
            said(each.rotated_at), said(each.done_at), str(each.done_by or ""), each.attempts,
            each.failure,
        )  # fmt: skip


def _probes(look: Look) -> Rows:
    rows = ProbeRun.objects.filter(agent__in=look.pks, at__gte=look.since, at__lt=look.until)
    for run in rows.select_related("agent").order_by("at", "id"):
        yield (
            said(run.at), run.agent.slug, run.corpus, run.cause, run.live, run.tier, run.executed,
            run.held, run.refused, run.resisted, run.not_aimed, len(run.blocking),
            "passed" if run.passed else "failed",
        )  # fmt: skip


def _sweeps(look: Look) -> Rows:
    rows = SweepRun.objects.filter(started_at__gte=look.since, started_at__lt=look.until)
    runs: Counter[str] = Counter()
    done: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for each in rows.order_by("pk"):
        runs[each.sweep] += 1
        done[each.sweep] += each.done
        failed[each.sweep] += each.failed
    for name in sorted(runs):
        yield name, runs[name], done[name], failed[name]


def _approvals(look: Look) -> Rows:
    holds = Hold.objects.filter(made_at__gte=look.since, made_at__lt=look.until)
    if look.only is not None:
        holds = holds.filter(agent__in=look.only)
    for each in holds.select_related("decided_by").order_by("made_at", "id"):
        took = (each.decided_at - each.made_at).total_seconds() if each.decided_at else None
        yield (
            said(each.made_at), each.agent, each.tool, " ".join(each.checks), each.tier,
            each.state, said(each.decided_at), str(each.decided_by or each.decided_by_agent),
            None if took is None else round(took), each.times_asked, str(each.id),
        )  # fmt: skip


def _decisions(look: Look) -> Rows:
    for each in look.decided:
        yield each.agent, each.tool, each.effect, each.check, each.mode, each.calls


def _toxic(look: Look) -> Rows:
    rows = ToxicFinding.objects.filter(since__lt=look.until).exclude(gone_at__lt=look.since)
    for each in rows.select_related("answered_by").order_by("since", "pk"):
        if look.of_them(each.agents):
            yield (
                said(each.since), each.combination, " ".join(each.agents), each.tier, each.state,
                each.answer, str(each.answered_by or ""), said(each.answered_at),
            )  # fmt: skip


def _alerts(look: Look) -> Rows:
    rows = Anomaly.objects.filter(
        found_at__gte=look.since, found_at__lt=look.until, agent__in=look.pks
    )
    for each in rows.select_related("agent", "answered_by").order_by("found_at", "pk"):
        yield (
            said(each.found_at), each.agent.slug, each.tool, each.kind, each.observed, each.limit,
            each.state, str(each.answered_by or ""), said(each.answered_at),
        )  # fmt: skip


def _leavers(look: Look) -> Rows:
    rows = Case.objects.filter(
        kind=CaseKind.LEAVER, agent__in=look.pks, opened_at__lt=look.until
    ).exclude(closed_at__lt=look.since)
    for each in rows.select_related("agent", "closed_by").order_by("due_at", "pk"):
        yield (
            each.agent.slug, said(each.opened_at), said(each.due_on), each.state, each.outcome,
            said(each.closed_at), str(each.closed_by or ""),
        )  # fmt: skip


def _ends(look: Look) -> Rows:
    rows = EndRun.objects.filter(agent__in=look.pks, started_at__lt=look.until)
    for each in rows.select_related("agent", "by").order_by("started_at", "id"):
        if each.ended_at is None or each.ended_at >= look.since:
            yield (
                each.agent.slug, said(each.started_at), said(each.ended_at), each.state,
                str(each.by or each.actor), str(each.record),
            )  # fmt: skip


def _emergencies(look: Look) -> Rows:
    rows = BreakGlass.objects.filter(opened_at__gte=look.since, opened_at__lt=look.until)
    for each in rows.select_related("person", "second", "closed_by").order_by("opened_at", "id"):
        yield (
            said(each.opened_at), said(each.ended_at or each.expires_at), str(each.person),
            str(each.second or "a sealed code"), said(each.closed_at), str(each.closed_by or ""),
        )  # fmt: skip


def _grants(look: Look) -> Rows:
    for each in grants_of(look):
        yield (
            each.agent.slug, str(each.person), " ".join(each.tools), each.get_way_display(),
            said(each.given_at), said(each.until), said(each.ended_at),
            each.get_end_cause_display(), str(each.ended_by or ""), str(each.pk),
        )  # fmt: skip


def _delegations(look: Look) -> Rows:
    for each in delegations_of(look):
        person = each.grant.person if each.grant else None
        yield (
            each.giver.slug, each.receiver.slug, str(person or ""), " ".join(each.tools),
            each.depth, said(each.given_at), said(each.until), said(each.ended_at),
            each.get_end_cause_display(), str(each.pk),
        )  # fmt: skip


_FLOW = ("agent", "provider", "system", "country", "approved country", "categories")
TABLES = (
    Table(
        "agents", "Register of agents", "Every agent of the period, as its row stands.",
        ("agent", "name", "kind", "state", "tier", "identity", "owner", "owner's address",
         "backup owner", "purpose", "model", "model provider", "categories", "live since",
         "review due", "renewal due"),
        _agents,
    ),
    Table(
        "processing", "Record of processing activities",
        "One line for each agent that touches personal data (GDPR article 30).",
        ("agent", "purpose", "our role", "owner", "lawful basis", "data subjects", "categories",
         "recipients", "systems", "countries", "kept for", "security measures", "state"),
        _processing,
    ),
    Table(
        "transfers", "Personal data to providers, by country and safeguard",
        "One line for each flow; the safeguard is the one in force on the last day.",
        (*_FLOW, "safeguard", "signed on", "ends on"), _transfers,
    ),
    Table(
        "phi_flows", "Health data to providers, and their BAAs",
        "One line for each flow; the BAA is the one in force on the last day.",
        (*_FLOW, "BAA", "signed on", "ends on"), _phi_flows,
    ),
    Table(
        "agreements", "Agreements with providers", "Every agreement that was ever entered.",
        ("system", "provider", "country", "kind", "reference", "signed on", "ends on"),
        _agreements,
    ),
    Table(
        "access_reviews", "Reviews of access", "Each signature and each renewal of the period.",
        ("agent", "review", "role", "by", "answer", "opened", "due", "answered"),
        _access_reviews,
    ),
    Table(
        "changes", "Changes of rows, roles and policies", "As the record tells them.",
        ("at", "kind", "what", "by", "id of who", "agent", "about", "fields", "record"), _changes,
    ),
    Table(
        "duties", "Segregation of duties: what was found", "Also what was tried and refused.",
        ("at", "what", "agent", "record"), _duties,
    ),
    Table(
        "rotations", "Rotation of keys", "Each key that fell due, and what became of it.",
        ("agent", "key", "due", "state", "opened", "changed", "done", "by", "attempts", "failure"),
        _rotations,
    ),
    Table(
        "probes", "Adversarial tests", "Each run of the period.",
        ("at", "agent", "attacks", "cause", "running at", "tier", "got through", "held",
         "refused", "not followed", "do not apply", "blocking", "result"),
        _probes,
    ),
    Table(
        "sweeps", "Sweeps", "Runs that are still in the log.",
        ("sweep", "runs", "rows done", "rows failed"), _sweeps,
    ),
    Table(
        "approvals", "Approvals, with the time to decide", "Each action that waited for a person.",
        ("held at", "agent", "tool", "checks", "tier", "state", "decided at", "by",
         "seconds to decide", "times asked", "record"),
        _approvals,
    ),
    Table(
        "decisions", "Decisions", "Counted by agent, tool, effect and deciding check.",
        ("agent", "tool", "effect", "check", "mode", "calls"), _decisions,
    ),
    Table(
        "toxic", "Toxic combinations", "Each that was there in the period.",
        ("since", "combination", "agents", "tier", "state", "answer", "by", "at"), _toxic,
    ),
    Table(
        "alerts", "Alerts", "Each of the period.",
        ("found at", "agent", "tool", "kind", "observed", "limit", "state", "by", "at"), _alerts,
    ),
    Table(
        "leavers", "Agents of leavers", "Each question of the period.",
        ("agent", "asked", "due", "state", "outcome", "answered", "by"), _leavers,
    ),
    Table(
        "ends", "Ends of agents", "Each that was under way in the period.",
        ("agent", "began", "done", "state", "by", "record"), _ends,
    ),
    Table(
        "emergencies", "Emergency access", "Each use of the period.",
        ("opened", "ended", "person", "second", "reviewed", "by"), _emergencies,
    ),
    Table(
        "grants", "Grants: who acts for whom", "Each that was in force in the period.",
        ("agent", "person", "tools", "how", "given", "until", "ended", "why", "by", "id"), _grants,
    ),
    Table(
        "delegations", "Delegations: what agents handed on",
        "Each that was in force in the period.",
        ("giver", "receiver", "for", "tools", "hand", "given", "until", "ended", "why", "id"),
        _delegations,
    ),
)  # fmt: skip


@cache
def tables() -> dict[str, Table]:
    """Every annex by its name."""
    return {table.name: table for table in TABLES}
