"""What the clocks show: reviews, renewals, ends, tests, alerts, sweeps."""

from __future__ import annotations

from datetime import UTC, timedelta

from django.db.models import Q

from compliance.evidence import links
from compliance.evidence.look import Look, Row
from compliance.evidence.types import Evidence, Exceptional, Figure, query
from lifecycle.bypass import selectors as bypass
from lifecycle.idle import selectors as idle
from lifecycle.models import (
    Anomaly,
    BreakGlass,
    Case,
    EndRun,
    ProbeRun,
    ReviewStep,
    SweepRun,
    ToxicFinding,
)
from lifecycle.models.anomalies import AnomalyState
from lifecycle.models.bypass import CallState, SeenCall
from lifecycle.models.cases import CaseKind
from lifecycle.models.decommissioning import EndState
from lifecycle.models.reviews import StepState
from lifecycle.models.toxic import FindingScope, FindingState
from lifecycle.probes.corpus import product_corpus
from lifecycle.sweeps import overdue_sweeps, registered
from registry.enums import Tier
from registry.models import Clearance

# An alert that nobody looked at for so long counts as not answered.
ALERT = timedelta(days=3)
FINDING = timedelta(days=10)


@query(
    "agents_cleared", title="Each live agent reaches only what was cleared", annex="access_reviews"
)
def agents_cleared(look: Look) -> Evidence:
    words = _words(look)
    over = [row for row in look.live if not _is_cleared(row, words)]
    signed = _steps(look)
    return Evidence(
        about=len(look.live),
        of="live agents",
        none=look.no("agent", "is live"),
        figures=[
            Figure("live", "Live agents", len(look.live), link=f"{links.page('agents')}?all=1"),
            Figure("cleared", "Cleared for exactly what they reach", len(look.live) - len(over)),
            Figure("signed", "Signatures given in the period", len(signed)),
        ],
        exceptions=[
            Exceptional(
                f"{row.agent.slug} reaches what nobody cleared: it is {row.reach.tier} now.",
                agent=row.agent.slug,
                link=links.agent(row.agent.slug),
            )
            for row in over
        ],
    )


def _words(look: Look) -> set[tuple[int, str]]:
    rows = Clearance.objects.filter(agent__in=look.pks, voided="")
    return set(rows.values_list("agent_id", "reach_digest"))


def _is_cleared(row: Row, words: set[tuple[int, str]]) -> bool:
    return (row.agent.pk, row.reach.digest) in words


def _steps(look: Look) -> list[ReviewStep]:
    rows = ReviewStep.objects.filter(
        review__agent__in=look.pks,
        answered_at__gte=look.since,
        answered_at__lt=look.until,
        state__in=[StepState.APPROVED, StepState.ANSWERED],
    )
    return list(rows.order_by("answered_at", "pk"))


@query(
    "dpo_signed",
    title="The data protection officer looked at what is of high risk",
    annex="access_reviews",
)
def dpo_signed(look: Look) -> Evidence:
    risky = [row for row in look.live if "dpo" in row.reach.signers]
    theirs = Clearance.objects.filter(
        agent__in=look.pks, basis=Clearance.Basis.DPO, voided=""
    ).values_list("agent_id", "reach_digest")
    signed = set(theirs)
    missing = [row for row in risky if (row.agent.pk, row.reach.digest) not in signed]
    return Evidence(
        about=len(risky),
        of="live agents whose data asks for it",
        none=look.no("live agent", "touches data for which the data protection officer signs"),
        figures=[
            Figure("risky", "Live agents that the DPO must sign", len(risky)),
            Figure(
                "restricted",
                "Of these, with restricted data",
                sum(row.reach.tier == Tier.RESTRICTED for row in risky),
            ),
            Figure("signed", "Signed as they are now", len(risky) - len(missing)),
        ],
        exceptions=[
            Exceptional(
                f"The DPO has not signed {row.agent.slug} as it is now.",
                agent=row.agent.slug,
                link=links.agent(row.agent.slug),
            )
            for row in missing
        ],
    )


@query("reviews_on_time", title="Agents are looked at again by their day", annex="access_reviews")
def reviews_on_time(look: Look) -> Evidence:
    today = look.now.astimezone(UTC).date()
    overdue = [row for row in look.live if row.agent.review_due and row.agent.review_due < today]
    steps = list(
        ReviewStep.objects.filter(
            review__agent__in=look.pks, due__gte=look.since, due__lt=look.until
        )
        .exclude(review__state="withdrawn")
        .select_related("review__agent", "system")
        .order_by("due", "pk")
    )
    late = [each for each in steps if (each.answered_at or look.now) > each.due]
    return Evidence(
        about=len(look.live) + len(steps),
        of="live agents and signatures",
        none=look.no("agent", "is live"),
        figures=[
            Figure(
                "due", "Signatures that were due in the period", len(steps), link=links.page("due")
            ),
            Figure("late", "Of these, later than their day", len(late)),
            Figure(
                "overdue",
                "Live agents whose review is overdue now",
                len(overdue),
                link=links.page("due"),
            ),
        ],
        exceptions=[
            *(
                Exceptional(
                    f"{row.agent.slug} was to be looked at again by {row.agent.review_due}.",
                    agent=row.agent.slug,
                    since=row.agent.review_due,
                    link=links.agent(row.agent.slug),
                )
                for row in overdue
            ),
            *(
                Exceptional(
                    f"{each.title} was to sign {each.review.agent.slug} by "
                    f"{each.due.astimezone(UTC):%Y-%m-%d}.",
                    agent=each.review.agent.slug,
                    since=each.due,
                    until=each.answered_at,
                    link=links.agent(each.review.agent.slug),
                )
                for each in late
            ),
        ],
    )


@query(
    "renewals_on_time",
    title="Owners say in time that an agent is still needed",
    annex="access_reviews",
)
def renewals_on_time(look: Look) -> Evidence:
    today = look.now.astimezone(UTC).date()
    late = [row for row in look.live if row.agent.renewal_due and row.agent.renewal_due < today]
    without = [row for row in look.live if row.agent.renewal_due is None]
    cases = Case.objects.filter(
        kind=CaseKind.RENEWAL,
        agent__in=look.pks,
        closed_at__gte=look.since,
        closed_at__lt=look.until,
    )
    return Evidence(
        about=len(look.live),
        of="live agents",
        none=look.no("agent", "is live"),
        figures=[
            Figure("live", "Live agents", len(look.live), link=links.page("renewals")),
            Figure("answered", "Renewals answered in the period", cases.count()),
            Figure("overdue", "Past their day", len(late), link=links.page("renewals")),
            Figure("without", "Without a day", len(without)),
        ],
        exceptions=[
            Exceptional(
                f"{row.agent.slug} was to be renewed by {row.agent.renewal_due}."
                if row.agent.renewal_due
                else f"{row.agent.slug} has no day by which it is renewed.",
                agent=row.agent.slug,
                since=row.agent.renewal_due,
                link=links.agent(row.agent.slug),
            )
            for row in [*late, *without]
        ],
    )


@query(
    "idle_answered", title="Agents that nobody uses are renewed, narrowed or ended", annex="agents"
)
def idle_answered(look: Look) -> Evidence:
    active = [row for row in look.live if row.is_active]
    silent = idle.silences([row.agent for row in active])
    found = [row for row in active if silent[row.agent.pk].is_idle(look.now)]
    cases = Case.objects.filter(
        kind=CaseKind.IDLE,
        agent__in=look.pks,
        closed_at__gte=look.since,
        closed_at__lt=look.until,
    )
    return Evidence(
        about=len(active),
        of="active agents",
        none=look.no("agent", "is active"),
        figures=[
            Figure("active", "Active agents", len(active)),
            Figure("idle", "Idle for too long", len(found), link=links.page("strays")),
            Figure("answered", "Answered for in the period", cases.count()),
        ],
        exceptions=[
            Exceptional(
                f"Nobody has heard of {row.agent.slug} for too long, and nobody has said that it "
                "is kept.",
                agent=row.agent.slug,
                since=silent[row.agent.pk].idle_at,
                link=links.page("agent_idle", row.agent.slug),
            )
            for row in found
        ],
    )


@query("ended_cleanly", title="What an agent held is ended with it", annex="ends")
def ended_cleanly(look: Look) -> Evidence:
    runs = list(
        EndRun.objects.filter(agent__in=look.pks, started_at__lt=look.until)
        .filter(Q(ended_at__isnull=True) | Q(ended_at__gte=look.since))
        .select_related("agent")
        .prefetch_related("steps", "agent__credentials")
        .order_by("started_at", "id")
    )
    left = [(run, step) for run in runs for step in run.steps.all() if step.left]
    slow = [run for run in runs if run.is_open and run.patience_at < look.now]
    return Evidence(
        about=len(runs),
        of="ends of agents",
        none=look.no("agent", "ended in the period"),
        figures=[
            Figure("ended", "Agents whose end began or was done", len(runs)),
            Figure("done", "Done", sum(run.state == EndState.DONE for run in runs)),
            Figure("left", "Things that Muster could not end", len(left)),
        ],
        exceptions=[
            *(
                Exceptional(
                    f"{step.title} of {run.agent.slug}: not everything was ended.",
                    agent=run.agent.slug,
                    since=run.started_at,
                    record=step.record or run.record,
                    link=links.page("agent_end", run.agent.slug),
                )
                for run, step in left
            ),
            *(
                Exceptional(
                    f"The end of {run.agent.slug} takes longer than its tier allows.",
                    agent=run.agent.slug,
                    since=run.started_at,
                    record=run.record,
                    link=links.page("agent_end", run.agent.slug),
                )
                for run in slow
            ),
        ],
    )


@query("toxic_answered", title="Dangerous combinations are found and answered", annex="toxic")
def toxic_answered(look: Look) -> Evidence:
    rows = ToxicFinding.objects.filter(since__lt=look.until).exclude(gone_at__lt=look.since)
    found = [each for each in rows.order_by("since", "pk") if look.of_them(each.agents)]
    waiting = [each for each in found if each.state == FindingState.OPEN]
    return Evidence(
        about=len(look.rows),
        of="agents",
        none=look.no("agent", "has been registered"),
        figures=[
            Figure("found", "Combinations found", len(found), link=links.page("toxic_findings")),
            Figure(
                "answered", "Answered", sum(each.state == FindingState.ANSWERED for each in found)
            ),
            Figure(
                "gone", "No longer there", sum(each.state == FindingState.GONE for each in found)
            ),
            Figure(
                "open", "Waiting for an answer", len(waiting), link=links.page("toxic_findings")
            ),
        ],
        exceptions=[
            Exceptional(
                f"{', '.join(each.agents)} can put together {each.combination}, which counts as "
                f"{each.tier}. Nobody has answered.",
                agent=each.agents[0] if each.scope == FindingScope.AGENT else "",
                since=each.since,
                link=links.page("toxic_finding", each.pk),
            )
            for each in waiting
        ],
    )


@query("probes_pass", title="Each live row withstands the attacks that are known", annex="probes")
def probes_pass(look: Look) -> Evidence:
    newest = _newest_runs(look)
    missing = [row for row in look.live if row.agent.pk not in newest]
    failing = [row for row in look.live if (run := newest.get(row.agent.pk)) and run.blocking]
    runs = ProbeRun.objects.filter(agent__in=look.pks, at__gte=look.since, at__lt=look.until)
    return Evidence(
        about=len(look.live),
        of="live agents",
        none=look.no("agent", "is live"),
        figures=[
            Figure("live", "Live agents", len(look.live)),
            Figure("runs", "Tests in the period", runs.count()),
            Figure(
                "passing",
                "Agents whose newest test passed",
                len(look.live) - len(missing) - len(failing),
            ),
            Figure("failing", "Agents that an attack would get through", len(failing)),
            Figure("missing", "Agents without a test", len(missing)),
        ],
        exceptions=[
            *(
                Exceptional(
                    f"{len(newest[row.agent.pk].blocking)} attacks would get through "
                    f"{row.agent.slug}.",
                    agent=row.agent.slug,
                    since=newest[row.agent.pk].at,
                    link=links.page("agent_probes", row.agent.slug),
                )
                for row in failing
            ),
            *(
                Exceptional(
                    f"{row.agent.slug} is live and was never tested.",
                    agent=row.agent.slug,
                    link=links.page("agent_probes", row.agent.slug),
                )
                for row in missing
            ),
        ],
    )


def _newest_runs(look: Look) -> dict[int, ProbeRun]:
    """The newest run of the product's attacks on each agent."""
    rows = ProbeRun.objects.filter(
        agent__in=look.pks, corpus_digest=product_corpus().digest, live=""
    )
    newest = rows.order_by("agent_id", "-at", "-id").distinct("agent_id")
    return {run.agent_id: run for run in newest}


@query("alerts_answered", title="Unusual behaviour is found, and somebody looks", annex="alerts")
def alerts_answered(look: Look) -> Evidence:
    rows = Anomaly.objects.filter(
        found_at__gte=look.since, found_at__lt=look.until, agent__in=look.pks
    )
    alerts = list(rows.select_related("agent").order_by("found_at", "pk"))
    late = [
        each
        for each in alerts
        if each.state == AnomalyState.OPEN and each.found_at < look.now - ALERT
    ]
    return Evidence(
        about=len(look.live),
        of="live agents that are watched",
        none=look.no("agent", "is live"),
        figures=[
            Figure("alerts", "Alerts", len(alerts), link=links.page("anomalies")),
            Figure(
                "acknowledged",
                "Somebody looked",
                sum(each.state == AnomalyState.ACKNOWLEDGED for each in alerts),
            ),
            Figure(
                "false",
                "False alarms",
                sum(each.state == AnomalyState.FALSE_ALARM for each in alerts),
            ),
            Figure(
                "open",
                "Waiting",
                sum(each.state == AnomalyState.OPEN for each in alerts),
                link=links.page("anomalies"),
            ),
            *_not_asked(look),
        ],
        exceptions=[
            Exceptional(
                f"{each.agent.slug}: {each.get_kind_display()}. Nobody has looked for "
                f"{ALERT.days} days.",
                agent=each.agent.slug,
                since=each.found_at,
                calls=each.observed,
                link=links.page("anomaly", each.pk),
            )
            for each in late
        ],
    )


def _not_asked(look: Look) -> list[Figure]:
    """Calls that were seen at systems without a decision; none where none was seen."""
    rows = SeenCall.objects.filter(
        settled_at__gte=look.since,
        settled_at__lt=look.until,
        agent__in=look.pks,
        state__in=bypass.FOUND,
    )
    many, waiting = rows.count(), rows.filter(state=CallState.OPEN).count()
    if not many:
        return []
    return [
        Figure("bypass", "Calls that nobody asked for", many, link=links.page("bypass")),
        Figure("bypass_open", "Of them waiting", waiting, link=links.page("bypass")),
    ]


@query(
    "emergency_reviewed", title="Emergency access is short, loud and reviewed", annex="emergencies"
)
def emergency_reviewed(look: Look) -> Evidence:
    uses = list(
        BreakGlass.objects.filter(opened_at__gte=look.since, opened_at__lt=look.until)
        .select_related("person", "closed_by")
        .order_by("opened_at", "id")
    )
    waiting = [each for each in uses if each.closed_at is None]
    return Evidence(
        about=len(uses),
        of="uses",
        none="Nobody used emergency access in the period.",
        figures=[
            Figure("uses", "Uses", len(uses), link=links.page("break_glass_uses")),
            Figure("reviewed", "Reviewed by somebody else", len(uses) - len(waiting)),
            Figure("open", "Not reviewed", len(waiting), link=links.page("break_glass_uses")),
        ],
        exceptions=[
            Exceptional(
                f"Nobody has reviewed the emergency access of {each.person}.",
                since=each.opened_at,
                link=links.page("break_glass_use", each.pk),
            )
            for each in waiting
        ],
    )


@query("sweeps_on_time", title="What falls due with time is done in time", annex="sweeps")
def sweeps_on_time(look: Look) -> Evidence:
    runs = SweepRun.objects.filter(started_at__gte=look.since, started_at__lt=look.until)
    late = overdue_sweeps()
    failed = runs.filter(failed__gt=0)
    known = len(registered())
    ran = runs.order_by().values("sweep").distinct().count()
    return Evidence(
        about=known if ran else 0,
        of="sweeps",
        none="No sweep has run in the period. Its log is kept for MUSTER_SWEEP_DAYS.",
        figures=[
            Figure("sweeps", "Sweeps", known, link=links.page("sweeps")),
            Figure("runs", "Runs in the period that are still in the log", runs.count()),
            Figure("failed", "Runs in which a row failed", failed.count()),
            Figure("late", "Sweeps that are late now", len(late), link=links.page("sweeps")),
        ],
        exceptions=[
            Exceptional(each.sentence, since=each.ended, link=links.page("sweeps")) for each in late
        ],
    )
