"""What the changes show: who asked, who agreed, and whether one person could do both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings

from audit import figures
from audit.enums import Kind
from audit.figures import Told
from authz.enums import PolicyState
from authz.models import HoldVote, Policy
from compliance.evidence import links
from compliance.evidence.look import Look
from compliance.evidence.types import Evidence, Exceptional, Figure, query
from lifecycle.models import KeptScope, ReviewStep, ToolUse
from registry.enums import ChangeState, Employment, GroupName
from registry.models import Person, ProposedChange
from registry.selectors import has_separation_of_duties, security_people

TOLD = (Kind.HOLD, Kind.REGISTRY, Kind.POLICY)
REFUSED = frozenset({"approval_refused", "change_refused"})
# Who operates the installation never approves; whoever is in both could do both.
BOTH = (GroupName.SECURITY, GroupName.DPO, GroupName.AUDITOR)


@query("widening_by_two", title="What widens takes effect with a second person", annex="changes")
def widening_by_two(look: Look) -> Evidence:
    changes = list(_changes(look))
    policies = _policies(look)
    alone = [each for each in policies if each.agreed_by_id is None]
    agreed = [each for each in changes if each.state == ChangeState.AGREED]
    return Evidence(
        about=len(changes) + len(policies),
        of="changes",
        none="Nothing was widened in the period.",
        figures=[
            Figure("proposed", "Widening changes that were decided", len(changes)),
            Figure("agreed", "Agreed to by a second person", len(agreed)),
            Figure(
                "rejected", "Rejected", sum(each.state == ChangeState.REJECTED for each in changes)
            ),
            Figure(
                "policies",
                "Versions of policies that came into force",
                len(policies),
                link=links.page("policies"),
            ),
            Figure(
                "alone",
                "Versions in force without a second person",
                len(alone),
                link=links.page("policies"),
            ),
        ],
        exceptions=[
            *(
                Exceptional(
                    f"{each.uid} came into force without a second person.",
                    since=each.activated_at,
                    link=links.page("policy", each.slug),
                )
                for each in alone
            ),
            *(
                Exceptional(
                    f"{each.summary}: proposed and agreed to by the same person.",
                    agent=each.agent,
                    since=each.decided_at,
                )
                for each in agreed
                if each.decided_by_id == each.proposed_by_id
            ),
        ],
    )


def _changes(look: Look) -> Iterator[ProposedChange]:
    rows = ProposedChange.objects.filter(decided_at__gte=look.since, decided_at__lt=look.until)
    for each in rows.order_by("decided_at", "pk"):
        if not each.agent or look.of_them([each.agent]):
            yield each


def _policies(look: Look) -> list[Policy]:
    rows = Policy.objects.filter(activated_at__gte=look.since, activated_at__lt=look.until)
    return list(rows.order_by("activated_at", "pk"))


@query("policies_tested", title="Each policy in force is tested by its own cases")
def policies_tested(look: Look) -> Evidence:
    active = list(Policy.objects.filter(state=PolicyState.ACTIVE).order_by("slug"))
    bare = [each for each in active if not each.cases]
    return Evidence(
        about=len(active),
        of="policies in force",
        none="No policy is in force.",
        figures=[
            Figure("active", "Policies in force", len(active), link=links.page("policies")),
            Figure("tested", "With cases of their own", len(active) - len(bare)),
        ],
        exceptions=[
            Exceptional(
                f"{each.uid} has no case that says what it must answer.",
                link=links.page("policy", each.slug),
            )
            for each in bare
        ],
    )


@query("duties_separate", title="Nobody approves their own work", annex="duties")
def duties_separate(look: Look) -> Evidence:
    tries = [
        each
        for each in figures.told(TOLD, look.since, look.until, look.only)
        if each.did in REFUSED
    ]
    own = _own_votes(look)
    both = _in_both()
    security = security_people().count()
    return Evidence(
        about=1,
        of="installation",
        none="",
        figures=[
            Figure(
                "security", "People in security who may act", security, link=links.page("people")
            ),
            Figure("tries", "Refused tries to approve what is one's own", len(tries)),
            Figure("own", "Approvals by who answered for the agent", len(own)),
            Figure("both", "People who operate and approve", len(both), link=links.page("people")),
        ],
        exceptions=[
            *_too_few(),
            *own,
            *both,
            *(_try(each) for each in tries),
        ],
    )


def _too_few() -> list[Exceptional]:
    if has_separation_of_duties():
        return []
    return [
        Exceptional(
            "Fewer than two people in security may act, so there is no separation of duties.",
            link=links.page("people"),
        )
    ]


def _own_votes(look: Look) -> list[Exceptional]:
    """Yeses to holds by who owned the agent. The database refuses them; this looks all the same."""
    votes = HoldVote.objects.filter(
        at__gte=look.since, at__lt=look.until, person__isnull=False
    ).select_related("hold", "person")
    return [
        Exceptional(
            f"{vote.person} approved {vote.hold.tool} for {vote.hold.agent}, for which they "
            "answered.",
            agent=vote.hold.agent,
            since=vote.at,
            record=vote.hold_id,
            link=links.record(vote.hold_id),
        )
        for vote in votes.order_by("at", "pk")
        if vote.person and vote.person.pid in vote.hold.barred and look.of_them([vote.hold.agent])
    ]


def _in_both() -> list[Exceptional]:
    """People in the group that operates and in one that approves or audits."""
    approving = Person.objects.filter(groups__name__in=BOTH).values("pk")
    people = (
        Person.objects.filter(groups__name=GroupName.PLATFORM_ADMIN, is_active=True)
        .filter(pk__in=approving)
        .exclude(employment=Employment.LEFT)
        .order_by("pid")
    )
    return [
        Exceptional(
            f"{person} operates Muster and is in a group that approves or audits.",
            link=links.page("person", person.pid),
        )
        for person in people
    ]


def _try(each: Told) -> Exceptional:
    about = each.tool or str(each.asked.get("target", "")) or "a change"
    return Exceptional(
        f"Somebody tried to approve their own matter, {about}, and was refused.",
        agent=each.agent,
        since=each.at,
        record=each.id,
        link=links.record(each.id),
    )


@query(
    "changes_recorded",
    title="Each change of a row, a role or a policy stands on the record",
    annex="changes",
)
def changes_recorded(look: Look) -> Evidence:
    kinds = figures.entries_by_kind(look.since, look.until, look.only)
    rows, policies = kinds.get(Kind.REGISTRY, 0), kinds.get(Kind.POLICY, 0)
    signed = ReviewStep.objects.filter(
        review__agent__in=look.pks, answered_at__gte=look.since, answered_at__lt=look.until
    )
    return Evidence(
        about=len(look.rows),
        of="agents",
        none=look.no("agent", "has been registered"),
        figures=[
            Figure("rows", "Changes of rows", rows, link=links.trail(look, kind=Kind.REGISTRY)),
            Figure(
                "policies",
                "Changes of roles and policies",
                policies,
                link=links.trail(look, kind=Kind.POLICY),
            ),
            Figure("signatures", "Answers in reviews", signed.count()),
        ],
    )


@query("tools_needed", title="Agents hold what they use, and no more", annex="agents")
def tools_needed(look: Look) -> Evidence:
    unused = _unused(look)
    entries = sum(len(row.agent.allowlist.all()) for row in look.live)
    return Evidence(
        about=entries,
        of="tools that live agents may call",
        none=look.no("agent", "is live"),
        figures=[
            Figure("tools", "Tools that live agents may call", entries),
            Figure("unused", "Not used for as long as is asked", len(unused)),
        ],
        exceptions=[
            Exceptional(
                f"{slug} may call {tool} and has not since it was given it.",
                agent=slug,
                link=links.page("agent_scope", slug),
            )
            for slug, tool in unused
        ],
    )


def _unused(look: Look) -> list[tuple[str, str]]:
    """(agent, tool) that was held for the whole time, not used in it, and kept by nobody's word."""
    limit = look.now - timedelta(days=settings.MUSTER_SCOPE_DAYS)
    rows = [row for row in look.live if row.agent.activated_at and row.agent.activated_at < limit]
    slugs = [row.agent.slug for row in rows]
    used = set(
        ToolUse.objects.filter(agent__in=slugs, last_hour__gte=limit).values_list("agent", "tool")
    )
    used |= {(each.agent, each.tool) for each in look.decided if each.went_on}
    kept = KeptScope.objects.filter(agent__in=[row.agent.pk for row in rows], until__gt=look.now)
    word = set(kept.values_list("agent__slug", "tool"))
    held = [
        (row.agent.slug, entry.tool.name) for row in rows for entry in row.agent.allowlist.all()
    ]
    return sorted(set(held) - used - word)
