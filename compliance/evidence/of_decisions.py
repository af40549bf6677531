"""What the record of decisions shows: every call checked, what was refused, what went on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from audit import figures
from audit.enums import Kind
from audit.figures import Decided
from authz.models import Hold, Page, Stop
from compliance.evidence import links, samples
from compliance.evidence.look import Keep, Look, Row
from compliance.evidence.types import Evidence, Exceptional, Figure, query
from registry.enums import ToolEffect
from registry.rules import months_after

CONTAINED = ("rate", "spend", "quota", "gate")
HOSTILE = ("taint", "parameters")


def _no_call(look: Look) -> str:
    return look.no("call of an agent", "was decided in the period")


def _went_on_anyway(each: Decided) -> bool:
    """Refused or held, and let go on all the same: the row was observed."""
    return each.effect != "allow" and each.went_on


def _ends_in(effect: str) -> Keep:
    return lambda each: each.effect == effect


def stopped_at(check: str, *effects: str) -> Keep:
    """Whether this check decided, in one of these ways."""
    return lambda each: each.check == check and each.effect in effects


def observed(look: Look, checks: tuple[str, ...] = ()) -> list[Exceptional]:
    """The agents whose calls went on although a check refused them."""
    found: dict[str, list[Decided]] = {}
    for each in look.decided:
        if _went_on_anyway(each) and (not checks or each.check in checks):
            found.setdefault(each.agent, []).append(each)
    return [_went_on(look, slug, calls) for slug, calls in sorted(found.items())]


def _went_on(look: Look, slug: str, calls: Sequence[Decided]) -> Exceptional:
    """Its link finds them among the agent's decisions, where all of them ended alike."""
    ends = {(each.effect, each.check) for each in calls}
    alike = dict(zip(("effect", "check"), ends.pop(), strict=True)) if len(ends) == 1 else {}
    return Exceptional(
        f"{slug} was observed: calls of it went on that would have been refused or held.",
        agent=slug,
        calls=sum(each.calls for each in calls),
        link=links.trail(look, agent=slug, kind=Kind.DECISION, **alike),
    )


@query("decisions_checked", title="Every call is checked before it runs", annex="decisions")
def decisions_checked(look: Look) -> Evidence:
    total = look.count()
    sample = samples.spread(look)
    return Evidence(
        about=total,
        of="decisions",
        none=_no_call(look),
        figures=[
            Figure("decisions", "Decisions", total, link=links.trail(look, kind=Kind.DECISION)),
            *(
                Figure(
                    word,
                    label,
                    look.count(_ends_in(effect)),
                    link=links.trail(look, kind=Kind.DECISION, effect=effect),
                )
                for word, label, effect in (
                    ("allowed", "Allowed", "allow"),
                    ("denied", "Denied", "deny"),
                    ("held", "Held for a person", "hold"),
                )
            ),
            Figure(
                "observed",
                "Went on although refused or held",
                look.count(_went_on_anyway),
            ),
        ],
        exceptions=[*observed(look), *samples.damaged(sample)],
        sample=sample,
    )


@query("roles_decide", title="Roles and policies decide who may call what", annex="decisions")
def roles_decide(look: Look) -> Evidence:
    total = look.count()
    refused = [
        Figure(
            check,
            f"Refused for want of {words}",
            look.count(stopped_at(check, "deny")),
            link=links.trail(look, kind=Kind.DECISION, effect="deny", check=check),
        )
        for check, words in (
            ("identity", "an identity"),
            ("consent", "a user's consent"),
            ("allowlist", "an entry in the row"),
            ("role", "a role"),
            ("policy", "a policy that permits it"),
        )
    ]
    return Evidence(
        about=total,
        of="decisions",
        none=_no_call(look),
        figures=refused,
        exceptions=observed(look, ("identity", "consent", "allowlist", "role", "policy")),
        sample=samples.spread(look, effect="deny") if total else (),
    )


@query("record_kept", title="Each action stands on an append-only record", version=2)
def record_kept(look: Look) -> Evidence:
    kinds = figures.entries_by_kind(look.since, look.until, look.only)
    total = sum(kinds.values())
    sample = samples.spread(look, decisions=False)
    return Evidence(
        about=total,
        of="entries",
        none="Nothing was recorded in the period."
        if look.only is None
        else look.no("entry about an agent", "was written in the period"),
        figures=[
            Figure("entries", "Entries", total, link=links.trail(look)),
            *(
                Figure(
                    kind,
                    f"Of these: {Kind(kind).label.lower()}",
                    many,
                    link=links.trail(look, kind=kind),
                )
                for kind, many in sorted(kinds.items())
                if kind in Kind.values
            ),
            Figure("looked_at", "Entries looked at one by one", len(sample)),
        ],
        exceptions=samples.damaged(sample),
        sample=sample,
    )


@query("record_sealed", title="The record is sealed, so that a change of it shows")
def record_sealed(look: Look) -> Evidence:
    covered = look.covered
    exceptions = []
    if not covered.covers:
        exceptions.append(Exceptional(covered.sentence, link=links.page("proof")))
    if not covered.anchored:
        why = covered.anchors or "No anchor outside holds it: tamper evidence is internal only."
        exceptions.append(Exceptional(why, link=links.page("proof")))
    return Evidence(
        about=1,
        of="record",
        none="",
        figures=[
            Figure(
                "sealed", "Entries under the checkpoint", covered.size, link=links.page("proof")
            ),
            Figure(
                "anchored",
                "Entries under an anchor outside",
                covered.anchored_size,
                link=links.page("proof"),
            ),
        ],
        exceptions=exceptions,
    )


@query("record_retained", title="Entries are kept for as long as is asked", takes=("months",))
def record_retained(look: Look, months: int = 6) -> Evidence:
    first = figures.first_entry_at()
    dropped = list(_dropped(look, months))
    return Evidence(
        about=0 if first is None else 1,
        of="record",
        none="Nothing was ever recorded.",
        figures=[
            Figure("asked_months", "Kept for at least", months, "months"),
            Figure("days", "The record reaches back", _days(first, look.until), "days"),
            Figure("dropped", "Parts that were dropped before their time", len(dropped)),
        ],
        exceptions=dropped,
    )


def _days(first: datetime | None, until: datetime) -> int:
    return max((until - first).days, 0) if first else 0


def _dropped(look: Look, months: int) -> list[Exceptional]:
    """Parts of the record that were dropped, younger than is asked. Dropping records itself."""
    found = []
    for each in figures.told([Kind.ADMIN], look.since, look.until):
        if each.did != "partition_dropped" or "until" not in each.asked:
            continue
        until = datetime.fromisoformat(str(each.asked["until"]))
        if each.at.astimezone(UTC).date() < months_after(until.date(), months):
            found.append(
                Exceptional(
                    f"Entries until {until:%Y-%m-%d} were dropped when the last of them were "
                    f"{(each.at - until).days} days old.",
                    since=each.at,
                    record=each.id,
                )
            )
    return found


@query("down_tier_refused", title="Data does not move to a lower tier", annex="decisions")
def down_tier_refused(look: Look) -> Evidence:
    refused = look.count(lambda each: each.check == "flow" and each.effect == "deny")
    return Evidence(
        about=look.count(),
        of="decisions",
        none=_no_call(look),
        figures=[
            Figure(
                "refused",
                "Movements to a lower tier that were refused",
                refused,
                link=links.trail(look, kind=Kind.DECISION, effect="deny", check="flow"),
            ),
            Figure(
                "went_on",
                "Of these, went on all the same, because the agent was observed",
                look.count(lambda each: each.check == "flow" and _went_on_anyway(each)),
            ),
        ],
        exceptions=observed(look, ("flow",)),
        sample=samples.spread(look, effect="deny", check="flow") if refused else (),
    )


@query(
    "hostile_input_contained",
    title="What comes from outside does not choose what is done",
    annex="decisions",
)
def hostile_input_contained(look: Look) -> Evidence:
    return Evidence(
        about=look.count(),
        of="decisions",
        none=_no_call(look),
        figures=[
            Figure(
                "parameters",
                "Calls refused for their parameters",
                look.count(lambda each: each.check == "parameters" and each.effect == "deny"),
                link=links.trail(look, kind=Kind.DECISION, effect="deny", check="parameters"),
            ),
            Figure(
                "taint",
                "Calls held or refused after untrusted input",
                look.count(lambda each: each.check == "taint" and each.effect != "allow"),
                link=links.trail(look, kind=Kind.DECISION, check="taint"),
            ),
        ],
        exceptions=observed(look, HOSTILE),
        sample=samples.spread(look, check="taint")
        if look.count(lambda each: each.check == "taint")
        else (),
    )


@query("blast_contained", title="What an agent can do is limited", annex="agents")
def blast_contained(look: Look) -> Evidence:
    slugs = [row.agent.slug for row in look.live]
    stopped = Stop.objects.filter(at__gte=look.since, at__lt=look.until, agent__in=slugs)
    pages = Page.objects.filter(at__gte=look.since, at__lt=look.until, agent__in=slugs)
    exceptions = [each for row in look.live for each in _unlimited(row)]
    return Evidence(
        about=len(look.live),
        of="live agents",
        none=look.no("agent", "is live"),
        figures=[
            Figure("agents", "Live agents with rate limits and a spend cap", len(look.live)),
            *(
                Figure(
                    check,
                    f"Calls stopped at the {check} check",
                    look.count(stopped_at(check, "deny", "hold")),
                    link=links.trail(look, kind=Kind.DECISION, check=check),
                )
                for check in CONTAINED
            ),
            Figure("stopped", "Agents that a limit suspended", stopped.count()),
            Figure("paged", "Times that somebody was paged about a limit", pages.count()),
        ],
        exceptions=exceptions,
    )


def _unlimited(row: Row) -> list[Exceptional]:
    """Tools of a live agent that change something and have no quota of writes."""
    return [
        Exceptional(
            f"{row.agent.slug} may call {entry.tool.name}, which changes something, "
            "without a quota of writes.",
            agent=row.agent.slug,
            link=links.agent(row.agent.slug),
        )
        for entry in row.agent.allowlist.all()
        if entry.tool.effect != ToolEffect.READ and entry.write_quota_per_hour is None
    ]


@query("holds_decided", title="A person decides what must not run by itself", annex="approvals")
def holds_decided(look: Look) -> Evidence:
    rows = Hold.objects.filter(made_at__gte=look.since, made_at__lt=look.until)
    if look.only is not None:
        rows = rows.filter(agent__in=look.only)
    holds = list(rows.select_related("decided_by").order_by("made_at", "id"))
    decided = [each for each in holds if each.state in ("approved", "rejected")]
    expired = [each for each in holds if each.state == "expired"]
    took = sorted(
        (each.decided_at - each.made_at).total_seconds() for each in decided if each.decided_at
    )
    return Evidence(
        about=len(holds),
        of="held actions",
        none=look.no("action of an agent", "was held for a person in the period"),
        figures=[
            Figure("held", "Actions held", len(holds)),
            Figure("approved", "Approved", sum(each.state == "approved" for each in holds)),
            Figure("rejected", "Rejected", sum(each.state == "rejected" for each in holds)),
            Figure("expired", "Not answered in time, so not done", len(expired)),
            Figure("open", "Waiting", sum(each.state == "open" for each in holds)),
            Figure("median_seconds", "Median time to decide", _median(took), "seconds"),
        ],
        exceptions=[
            Exceptional(
                f"Nobody answered in time when {each.agent} was to call {each.tool}.",
                agent=each.agent,
                since=each.made_at,
                until=each.expires_at,
                record=each.id,
                link=links.record(each.id),
            )
            for each in expired
        ],
        sample=samples.spread(look, effect="hold") if holds else (),
    )


def _median(values: list[float]) -> int | None:
    """The middle one; of an even number, the lower of the two."""
    return round(values[(len(values) - 1) // 2]) if values else None
