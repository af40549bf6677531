"""Every write of a campaign: started, accepted, declined, an owner named, put aside, closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotFound
from lifecycle import services as lifecycle
from lifecycle.campaigns.candidates import Looked
from lifecycle.imports import Proposed
from lifecycle.imports.matching import matched
from lifecycle.models.campaigns import Campaign, Candidate, CandidateState
from lifecycle.notices import Severity, notify
from lifecycle.permissions import check_can_run_campaigns
from registry import rules
from registry.models import Agent, Person, UnregisteredCaller
from registry.services import link_caller
from registry.services.saving import check

S = CandidateState
TRANSITIONS: dict[CandidateState, frozenset[CandidateState]] = {
    S.UNOWNED: frozenset({S.ASKED, S.DROPPED}),
    S.ASKED: frozenset({S.ACCEPTED, S.UNOWNED, S.ASKED, S.DROPPED}),
    S.ACCEPTED: frozenset(),
    S.KNOWN: frozenset(),
    S.DROPPED: frozenset(),
}
MOST_ANSWERED = 1_000


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of several: those that moved, and why others did not, by candidate."""

    moved: list[Candidate] = field(default_factory=list)
    left: dict[int, str] = field(default_factory=dict)


@transaction.atomic
def start_campaign(*, name: str, looked: Sequence[Looked], due: date, by: Person) -> Campaign:
    """Keep every row, the wrong ones too, and ask each proposed owner."""
    check_can_run_campaigns(by)
    if not looked:
        raise Invalid("There is nothing in it. Paste a list, or take the unregistered callers.")
    now = clock.now()
    if due <= now.date():
        raise Invalid("Choose a day to come.", fields={"due": ["Choose a day to come."]})
    campaign = Campaign(name=name.strip(), started_by=by, started_at=now, due=due)
    check(campaign)
    campaign.save()
    Candidate.objects.bulk_create(
        _candidate(campaign, place, each, now) for place, each in enumerate(looked, start=1)
    )
    _record("campaign_started", campaign, by, candidates=len(looked))
    for owner in {each.owner for each in looked if each.owner}:
        tell_owner(campaign, owner, now)
    return campaign


def _candidate(campaign: Campaign, place: int, each: Looked, now: datetime) -> Candidate:
    asked = each.state == S.ASKED
    return Candidate(
        campaign=campaign,
        position=place,
        kind=each.proposed.kind,
        slug=each.proposed.slug,
        name=each.proposed.name,
        found=each.found,
        problems=list(each.problems),
        named_owner=each.proposed.owner[:254],
        owner=each.owner,
        state=each.state,
        asked_at=now if asked else None,
        told_at=now if asked else None,
        agent=each.agent,
        caller=each.caller,
    )


def tell_owner(campaign: Campaign, owner: Person, now: datetime) -> None:
    """Tell someone what may be theirs, in one notice, however much it is."""
    theirs = campaign.candidates.filter(owner=owner, state=S.ASKED)
    many = theirs.count()
    if not many:
        return
    theirs.update(told_at=now)
    said = {
        "many": "One agent" if many == 1 else f"{many} agents",
        "campaign": campaign.name,
        "due": f"{campaign.due:%Y-%m-%d}",
    }
    event = f"campaign:{campaign.pk}:{now.isoformat()}"
    notify(person=owner, severity=Severity.INFO, code="campaign.asks", context=said, event=event)


# What proposed owners answer


def accept_candidates(
    *, candidate_ids: Sequence[int], by: Person, slugs: dict[int, str] | None = None
) -> Answered:
    """Each becomes a draft of `by`'s own. What is refused is left as it was, with its sentence."""
    done = Answered()
    for key in candidate_ids[:MOST_ANSWERED]:
        try:
            done.moved.append(_accept(key, by, (slugs or {}).get(key, "")))
        except GovernanceError as error:
            done.left[key] = _sentence(error)
    return done


def _sentence(error: GovernanceError) -> str:
    said = [each for sentences in error.fields.values() for each in sentences]
    return said[0] if said else error.message


@transaction.atomic
def _accept(candidate_id: int, by: Person, slug: str) -> Candidate:
    candidate = _asked_of(candidate_id, by)
    if sentence := rules.cannot_answer(by):
        raise Invalid(sentence)
    agent = _draft(candidate, by, slug or candidate.slug)
    candidate.agent = agent
    _move(candidate, S.ACCEPTED, by)
    return candidate


def _draft(candidate: Candidate, by: Person, slug: str) -> Agent:
    proposed = Proposed(
        candidate.kind,
        slug,
        facts=candidate.found["facts"],
        servers=tuple(candidate.found["servers"]),
        tools=tuple(candidate.found["tools"]),
    )
    said = f"{candidate.name or slug}, found by the campaign {candidate.campaign.name}."
    facts: dict[str, Any] = {"purpose": said, **proposed.facts}
    agent = lifecycle.register_agent(
        by=by, slug=slug, facts=facts, tools=matched(proposed).tools, name=candidate.name[:100]
    )
    _close_caller(candidate, agent)
    return agent


def _close_caller(candidate: Candidate, agent: Agent) -> None:
    """The caller is known by now: by the word of who started the campaign, for who accepted."""
    if candidate.caller_id is not None:
        link_caller(caller_id=candidate.caller_id, agent=agent, by=candidate.campaign.started_by)


def decline_candidates(
    *, candidate_ids: Sequence[int], by: Person, reason: str, other: str = ""
) -> Answered:
    """They are not `by`'s: another person is asked, or security has to name one."""
    if not reason.strip():
        raise Invalid("Say why, or whose it is.", fields={"reason": ["Say why."]})
    to = _someone(other) if other.strip() else None
    if to and to.pk == by.pk:
        raise Invalid("Name someone else.", fields={"other": ["Name someone else."]})
    done = Answered()
    for key in candidate_ids[:MOST_ANSWERED]:
        try:
            done.moved.append(_decline(key, by, reason, to))
        except GovernanceError as error:
            done.left[key] = error.message
    if to:
        for campaign in {each.campaign for each in done.moved}:
            tell_owner(campaign, to, clock.now())
    return done


def _someone(email: str) -> Person:
    person = Person.objects.filter(email__iexact=email.strip()).first()
    sentence = f"Nobody on the register has the address {email.strip()[:120]}."
    if person is None:
        raise Invalid(sentence, fields={"other": [sentence]})
    if why := rules.cannot_answer(person):
        raise Invalid(why, fields={"other": [why]})
    return person


@transaction.atomic
def _decline(candidate_id: int, by: Person, reason: str, to: Person | None) -> Candidate:
    candidate = _asked_of(candidate_id, by)
    _ask(candidate, to, by, reason)
    return candidate


def _ask(candidate: Candidate, to: Person | None, by: Person, reason: str) -> None:
    candidate.owner = to
    candidate.asked_at = clock.now() if to else None
    candidate.answer = reason.strip()[:500]
    _move(candidate, S.ASKED if to else S.UNOWNED, by)


def _asked_of(candidate_id: int, by: Person) -> Candidate:
    candidate = _locked(candidate_id)
    if candidate.owner_id != by.pk:
        raise NotFound("There is no such candidate of yours.")
    if candidate.state != S.ASKED:
        raise Conflict(f"{candidate} {candidate.get_state_display()}.")
    return candidate


# What security does


@transaction.atomic
def name_owner(*, candidate_id: int, email: str, by: Person) -> Candidate:
    """Ask someone (else)."""
    check_can_run_campaigns(by)
    candidate, to = _locked(candidate_id), _someone(email)
    _ask(candidate, to, by, candidate.answer)
    tell_owner(candidate.campaign, to, clock.now())
    return candidate


@transaction.atomic
def drop_candidate(*, candidate_id: int, reason: str, by: Person) -> Candidate:
    """Put it aside: it is no agent, or runs no more. It stays in the list with the reason."""
    check_can_run_campaigns(by)
    if not reason.strip():
        raise Invalid("Say why.", fields={"reason": ["Say why."]})
    candidate = _locked(candidate_id)
    candidate.answer = reason.strip()[:500]
    _move(candidate, S.DROPPED, by)
    return candidate


@transaction.atomic
def close_campaign(*, campaign_id: int, by: Person) -> Campaign:
    """Ask nobody any more. What is open stays in the list as it is."""
    check_can_run_campaigns(by)
    campaign = Campaign.objects.select_for_update(of=("self",), no_key=True).get(pk=campaign_id)
    if campaign.closed_at is None:
        campaign.closed_at, campaign.closed_by = clock.now(), by
        campaign.save(update_fields=["closed_at", "closed_by"])
        _record("campaign_closed", campaign, by)
    return campaign


def _locked(candidate_id: int) -> Candidate:
    rows = Candidate.objects.select_for_update(of=("self",), no_key=True)
    candidate = rows.select_related("campaign__started_by").filter(pk=candidate_id).first()
    if candidate is None:
        raise NotFound("There is no such candidate.")
    if candidate.campaign.closed_at:
        raise Conflict(f"The campaign {candidate.campaign} is closed.")
    return candidate


def _move(candidate: Candidate, target: CandidateState, by: Person) -> None:
    """The only place that changes a candidate's state."""
    if target not in TRANSITIONS[S(candidate.state)]:
        raise Conflict(f"{candidate} {candidate.get_state_display()}.")
    candidate.state = target
    candidate.answered_by, candidate.answered_at = by, clock.now()
    candidate.save()
    _record(
        f"candidate_{target}",
        candidate.campaign,
        by,
        candidate=candidate.pk,
        agent=candidate.agent.slug if candidate.agent else "",
        owner=candidate.owner.pid if candidate.owner else "",
    )


def remind(*, campaign_id: int, owner_id: int, now: datetime) -> bool:
    """Tell a proposed owner again."""
    campaign = Campaign.objects.filter(pk=campaign_id, closed_at__isnull=True).first()
    owner = Person.objects.get(pk=owner_id)
    if campaign is None or not campaign.candidates.filter(owner=owner, state=S.ASKED).exists():
        return False
    tell_owner(campaign, owner, now)
    return True


def open_callers() -> int:
    """How many unregistered callers could be taken into a campaign."""
    return UnregisteredCaller.objects.filter(state="open").exclude(claimed="").count()


def _record(did: str, campaign: Campaign, by: Person, *, agent: str = "", **more: Any) -> None:
    audit.record(
        kind=Kind.REGISTRY,
        actor=by.pid,
        agent=agent,
        resource=f"campaign:{campaign.pk}",
        asked={"did": did, "campaign": campaign.pk, **more},
    )
