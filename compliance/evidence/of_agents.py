"""What the register shows: who answers for an agent, how it proves itself, what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from django.db.models import Count

from authz.models import Lease
from compliance.evidence import links
from compliance.evidence.look import NO_AGENT, Look, Row
from compliance.evidence.types import Evidence, Exceptional, Figure, query
from lifecycle.models import Case, Rotation
from lifecycle.models.cases import CaseKind, CaseState
from lifecycle.models.rotation import RotationState
from lifecycle.rotation.selectors import keys_among
from registry.enums import AiActRole, CallerState, CredentialHolder, CredentialKind, Employment
from registry.models import CredentialReference, UnregisteredCaller
from registry.models.credentials import OVER


def _at(row: Row, sentence: str) -> Exceptional:
    return Exceptional(sentence, agent=row.agent.slug, link=links.agent(row.agent.slug))


@query("owners_employed", title="Each agent has one employed owner", version=2, annex="agents")
def owners_employed(look: Look) -> Evidence:
    rows = look.live
    left = [row for row in rows if row.agent.owner.employment == Employment.LEFT]
    leaving = [row for row in rows if row.agent.owner.employment == Employment.LEAVING]
    return Evidence(
        about=len(rows),
        of="live agents",
        none=look.no("agent", "is live"),
        figures=[
            Figure("live", "Live agents", len(rows), link=f"{links.page('agents')}?all=1"),
            Figure("owners", "People who own one", len({row.agent.owner_id for row in rows})),
            Figure(
                "leaving",
                "Owned by somebody who is leaving",
                len(leaving),
                link=links.page("leavers"),
            ),
            Figure("left", "Owned by somebody who has left", len(left), link=links.page("leavers")),
        ],
        exceptions=[
            _at(row, f"{row.agent.owner} owns {row.agent.slug} and has left.") for row in left
        ],
    )


@query("owners_reachable", title="Each owner can be reached at once", annex="agents")
def owners_reachable(look: Look) -> Evidence:
    mute = [row for row in look.live if not row.agent.owner.chat_handle]
    return Evidence(
        about=len(look.live),
        of="live agents",
        none=look.no("agent", "is live"),
        figures=[
            Figure("live", "Live agents", len(look.live)),
            Figure("reachable", "Whose owner has a chat handle", len(look.live) - len(mute)),
        ],
        exceptions=[
            _at(
                row,
                f"{row.agent.slug} runs, and its owner {row.agent.owner} has no chat "
                "handle by which to be reached.",
            )
            for row in mute
        ],
    )


@query(
    "leavers_handled",
    title="What a leaver owned is handed on or ended in five business days",
    annex="leavers",
)
def leavers_handled(look: Look) -> Evidence:
    rows = Case.objects.filter(kind=CaseKind.LEAVER, agent__in=look.pks, opened_at__lt=look.until)
    rows = rows.exclude(closed_at__lt=look.since).select_related("agent")
    cases = list(rows.order_by("due_at", "pk"))
    late = [
        case
        for case in cases
        if (case.closed_at or look.now) > case.due_at and case.state != CaseState.ENDED
    ]
    return Evidence(
        about=len(cases),
        of="questions about a leaver's agent",
        none=look.no("agent", "was owned by somebody who was leaving in the period"),
        figures=[
            Figure("cases", "Agents of leavers", len(cases), link=links.page("leavers")),
            Figure(
                "answered",
                "Handed on or ended by a person",
                sum(case.state == CaseState.ANSWERED for case in cases),
            ),
            Figure(
                "ended", "Ended by the clock", sum(case.state == CaseState.ENDED for case in cases)
            ),
            Figure("open", "Waiting", sum(case.is_open for case in cases)),
            Figure("late", "Later than its day", len(late)),
        ],
        exceptions=[
            Exceptional(
                f"{case.agent.slug} of a leaver was to be answered for by {case.due_on}.",
                agent=case.agent.slug,
                since=case.due_at,
                until=case.closed_at,
                link=links.page("leavers"),
            )
            for case in late
        ],
    )


@query("own_identity", title="Each agent proves itself as itself", annex="agents")
def own_identity(look: Look) -> Evidence:
    held = _credentials(look.live)
    borrowed = [each for each in held if each.holder != CredentialHolder.OWN]
    with_client = [row for row in look.live if getattr(row.agent, "client", None)]
    slugs = {row.agent.pk: row.agent.slug for row in look.live}
    return Evidence(
        about=len(look.live),
        of="live agents",
        none=look.no("agent", "is live"),
        figures=[
            Figure("agents", "Live agents", len(look.live)),
            Figure("clients", "With a client of their own", len(with_client)),
            Figure("borrowed", "Credentials of a person or shared", len(borrowed)),
        ],
        exceptions=[
            *(
                Exceptional(
                    f"{slugs[each.agent_id]} uses {each.reference}, which is "
                    f"{each.get_holder_display()}.",
                    agent=slugs[each.agent_id],
                    link=links.agent(slugs[each.agent_id]),
                )
                for each in borrowed
            ),
            *(
                _at(row, f"{row.agent.slug} is live and has no client of its own.")
                for row in look.live
                if row not in with_client
            ),
        ],
    )


def _credentials(rows: Iterable[Row]) -> list[CredentialReference]:
    return [each for row in rows for each in row.agent.credentials.all() if each.state not in OVER]


@query("callers_known", title="Whoever calls stands on the register")
def callers_known(look: Look) -> Evidence:
    rows = UnregisteredCaller.objects.filter(first_seen__lt=look.until, last_seen__gte=look.since)
    callers = list(rows.order_by("first_seen", "pk"))
    waiting = [each for each in callers if each.state == CallerState.OPEN]
    return Evidence(
        about=look.registered + len(callers),
        of="agents and callers",
        none=NO_AGENT,
        figures=[
            Figure(
                "callers",
                "Callers that were not on the register",
                len(callers),
                link=links.page("callers"),
            ),
            Figure(
                "adopted",
                "Taken onto it",
                sum(each.state == CallerState.ADOPTED for each in callers),
            ),
            Figure(
                "blocked", "Blocked", sum(each.state == CallerState.BLOCKED for each in callers)
            ),
            Figure(
                "open",
                "Nobody has said what becomes of them",
                len(waiting),
                link=links.page("callers"),
            ),
        ],
        exceptions=[
            Exceptional(
                f"{each.claimed or 'Somebody nameless'} calls from {each.source} and is not on "
                "the register.",
                since=each.first_seen,
                until=each.last_seen,
                calls=each.count,
                link=links.page("callers"),
            )
            for each in waiting
        ],
    )


@query("secrets_rotated", title="Keys are changed by their day", annex="rotations")
def secrets_rotated(look: Look) -> Evidence:
    keys = keys_among((row.agent, row.reach) for row in look.live)
    today = look.now.astimezone(UTC).date()
    overdue = [each for each in keys if each.due_on < today]
    done = _rotations(look)
    late = [each for each in done if each.rotated_at and each.rotated_at.date() > each.due_on]
    return Evidence(
        about=len(keys),
        of="keys of live agents",
        none=look.no("live agent", "holds a key"),
        figures=[
            Figure("keys", "Keys in use", len(keys), link=links.page("rotation")),
            Figure("rotated", "Changed in the period", len(done), link=links.page("rotation")),
            Figure("late", "Of these, after their day", len(late)),
            Figure("overdue", "Overdue now", len(overdue), link=links.page("rotation")),
        ],
        exceptions=[
            *(
                Exceptional(
                    f"{each.name} of {each.agent.slug} was to be changed by {each.due_on}; "
                    f"it is from {each.last}.",
                    agent=each.agent.slug,
                    since=each.due_on,
                    link=links.page("rotation"),
                )
                for each in overdue
            ),
            *(
                Exceptional(
                    f"{each.key} of {each.agent.slug} was due on {each.due_on} and changed later.",
                    agent=each.agent.slug,
                    since=each.due_on,
                    until=each.rotated_at,
                    link=links.page("rotation"),
                )
                for each in late
            ),
        ],
    )


def _rotations(look: Look) -> list[Rotation]:
    rows = Rotation.objects.filter(
        agent__in=look.pks,
        rotated_at__gte=look.since,
        rotated_at__lt=look.until,
        state__in=[RotationState.OVERLAP, RotationState.DONE],
    )
    return list(rows.select_related("agent").order_by("rotated_at", "pk"))


@query(
    "secrets_in_vault",
    title="Credentials lie in a vault, and each reading is recorded",
    annex="agents",
)
def secrets_in_vault(look: Look) -> Evidence:
    held = _credentials(look.rows)
    over = [each for row in look.rows for each in row.agent.credentials.all() if each.state in OVER]
    live = [each for each in over if each.live_at_source]
    slugs = {row.agent.pk: row.agent.slug for row in look.rows}
    leases = Lease.objects.filter(agent__in=look.pks, at__gte=look.since, at__lt=look.until)
    counted = leases.aggregate(leases=Count("pk"))
    return Evidence(
        about=len(held) + len(over),
        of="credentials",
        none=look.no("agent", "names a credential"),
        figures=[
            Figure("credentials", "Credentials in use", len(held)),
            Figure(
                "here", "Stored by Muster", sum(each.kind == CredentialKind.HERE for each in held)
            ),
            Figure(
                "elsewhere",
                "In another vault",
                sum(each.kind == CredentialKind.ELSEWHERE for each in held),
            ),
            Figure("readings", "Readings in the period, each on the record", counted["leases"]),
            Figure("live_at_source", "Revoked, and still live at their source", len(live)),
        ],
        exceptions=[
            Exceptional(
                f"{each.reference} of {slugs[each.agent_id]} is revoked, and may still open what "
                "it was for.",
                agent=slugs[each.agent_id],
                since=each.revoked_at,
                link=links.agent(slugs[each.agent_id]),
            )
            for each in live
        ],
    )


@query(
    "purpose_declared",
    title="Each row says what the agent is for, and by what it acts",
    annex="agents",
)
def purpose_declared(look: Look) -> Evidence:
    wanted = (("purpose", "what it is for"), ("builder", "who built it"), ("model", "its model"))
    return _said(look, "purpose", wanted)


@query(
    "documentation_kept",
    title="Each row says where its code, its model and its prompt are",
    annex="agents",
)
def documentation_kept(look: Look) -> Evidence:
    wanted = (
        ("repository", "where its code is"),
        ("runs_at", "where it runs"),
        ("model", "its model"),
        ("prompt_digest", "its version of the prompt"),
    )
    return _said(look, "documentation", wanted)


def _said(look: Look, key: str, wanted: Iterable[tuple[str, str]]) -> Evidence:
    wanted = tuple(wanted)
    missing = {
        row.agent.slug: [said for field, said in wanted if not getattr(row.agent, field)]
        for row in look.live
    }
    return Evidence(
        about=len(look.live),
        of="live agents",
        none=look.no("agent", "is live"),
        figures=[
            Figure("agents", "Live agents", len(look.live)),
            Figure(
                f"{key}_complete",
                "With everything said",
                sum(not each for each in missing.values()),
            ),
        ],
        exceptions=[
            Exceptional(
                f"{slug} does not say {' and '.join(each)}.", agent=slug, link=links.agent(slug)
            )
            for slug, each in sorted(missing.items())
            if each
        ],
    )


@query(
    "ai_act_declared",
    title="Each row says its use and our role under the EU AI Act",
    annex="agents",
)
def ai_act_declared(look: Look) -> Evidence:
    every = [row for row in look.read.rows if row.is_live]
    silent = [row for row in every if not (row.agent.ai_act_use and row.agent.ai_act_role)]
    roles = (("provider", AiActRole.PROVIDER), ("deployer", AiActRole.DEPLOYER))
    return Evidence(
        about=len(every),
        of="live agents",
        none=look.no("agent", "is live"),
        figures=[
            Figure("agents", "Live agents", len(every)),
            Figure("declared", "With use and role declared", len(every) - len(silent)),
            Figure("high_risk", "Of high risk", sum(row.is_high_risk for row in every)),
            *(
                Figure(
                    word,
                    f"Where we are the {word}",
                    sum(row.agent.ai_act_role == role for row in every),
                )
                for word, role in roles
            ),
        ],
        exceptions=[
            _at(row, f"{row.agent.slug} does not say its use and our role under the EU AI Act.")
            for row in silent
        ],
    )
