"""Drafts of policies: what someone keeps working on until they propose it, or give it up.

A policy has one draft at the most. Whoever saves says which state of it they had seen, so that
nobody's work is written over unseen. A draft may be wrong in every way but its shape.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction

from authz import permissions
from authz.cases import read_cases, with_pids
from authz.engine.cedar_text import MAX_TEXT
from authz.enums import PolicyState
from authz.errors import BadPolicy, DraftMoved, PolicyNotEditable
from authz.models import Policy
from authz.services.policies import (
    PolicyDraft,
    check_name,
    check_text,
    current,
    end,
    latest_of,
    move,
    put_forward,
    record_policy,
    widens,
    world,
)
from governance.kernel import clock
from registry.models import Person
from registry.services.saving import check, keep, locked


@transaction.atomic
def save_draft(*, draft: PolicyDraft, by: Person, seen: int = 0) -> Policy:
    """Save the draft of a policy, or begin one.

    `seen` is `Policy.edits` of the draft that the writer started from, 0 for none. Raises
    `DraftMoved` where that is not the draft that there is now.
    """
    permissions.check_can_propose_policies(by)
    check_name(draft.slug)
    _check_length(draft.text)
    policy = _open_draft(draft.slug)
    if (policy.edits if policy else 0) != seen:
        raise DraftMoved()
    policy = policy or _begun(draft.slug)
    policy.text, policy.description = draft.text, draft.description
    policy.log_only, policy.why = draft.log_only, draft.why
    policy.cases = with_pids(read_cases([] if draft.cases is None else draft.cases))
    policy.edits, policy.drafted_by, policy.drafted_at = seen + 1, by, clock.now()
    _keep(policy, by)
    record_policy(policy, "policy_drafted", by)
    return policy


def _check_length(text: str) -> None:
    wrong = "" if len(text) <= MAX_TEXT else f"A policy may be at most {MAX_TEXT} characters long."
    wrong = wrong or ("A policy cannot hold NUL." if "\0" in text else "")
    if wrong:
        raise BadPolicy(wrong, fields={"text": [wrong]})


def _open_draft(slug: str) -> Policy | None:
    rows = Policy.objects.select_for_update(of=("self",), no_key=True).filter(slug=slug)
    return rows.filter(state=PolicyState.DRAFT).first()


def _begun(slug: str) -> Policy:
    latest = latest_of(slug)
    return Policy(slug=slug, version=latest.version + 1 if latest else 1, state=PolicyState.DRAFT)


def _keep(policy: Policy, by: Person) -> None:
    if policy.pk is not None:
        keep(policy, by)
        return
    check(policy)
    try:
        with transaction.atomic():
            policy.save()
    except IntegrityError as error:  # someone began it at the same moment
        raise DraftMoved() from error


@transaction.atomic
def propose_draft(*, policy_id: int, by: Person, seen: int) -> Policy:
    """Send a draft on: in force at once where it only narrows, else for a second person."""
    permissions.check_can_propose_policies(by)
    policy = _seen(policy_id, seen)
    check_text(world(), policy.text)
    active, _ = current(policy.slug)
    policy.proposed_by, policy.proposed_at = by, clock.now()
    if widens(active, policy):
        move(policy, PolicyState.PROPOSED, "proposed_by", "proposed_at")
    else:
        policy.save(update_fields=["proposed_by", "proposed_at"])
    put_forward(policy, active, by)
    return policy


@transaction.atomic
def discard_draft(*, policy_id: int, by: Person, seen: int, why: str = "") -> Policy:
    """Give a draft up. It is kept, as a version that never was in force."""
    permissions.check_can_propose_policies(by)
    policy = _seen(policy_id, seen)
    end(policy, PolicyState.RETIRED, by, why or "Discarded.")
    record_policy(policy, "policy_discarded", by)
    return policy


def _seen(policy_id: int, seen: int) -> Policy:
    policy = locked(Policy, "policy", pk=policy_id)
    if policy.state != PolicyState.DRAFT:
        raise PolicyNotEditable(f"{policy.uid} is {policy.state_word}, so it is no draft any more.")
    if policy.edits != seen:
        raise DraftMoved()
    return policy
