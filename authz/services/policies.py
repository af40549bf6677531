"""Policies: written by one, in force when another agrees; what only narrows takes effect at once.

A version's text never changes. Retiring a forbid, replacing one, and taking an enforced policy
back to log-only let more through, so they wait for a second person; so does every permit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from audit import services as audit
from audit.enums import Mark
from authz import permissions, slices
from authz.engine.editing import validate_policies
from authz.engine.policies import governs, parse
from authz.engine.world import World, compile_world
from authz.enums import PolicyState
from authz.errors import BadPolicy, PolicyDecided
from authz.models import GovernedTool, Policy
from authz.services.recording import record
from governance.kernel import clock
from governance.kernel.errors import NotFound
from registry import changes
from registry.enums import ChangeState
from registry.models import Person, ProposedChange
from registry.services.saving import check_alone, keep

ACTIVATION_KIND = "policy.activate"
RETIREMENT_KIND = "policy.retire"
FORBID = "forbid"


@dataclass(frozen=True, slots=True)
class PolicyDraft:
    """A policy as it is written down."""

    slug: str
    text: str
    description: str = ""
    log_only: bool = False


@transaction.atomic
def propose_policy(
    *,
    slug: str,
    text: str,
    by: Person,
    description: str = "",
    log_only: bool = False,
    alone: bool = False,
) -> Policy:
    """A new version of a policy. In force at once where it only narrows, else proposed.

    The same text as the version in force, or as the one that waits, is that version.
    """
    permissions.check_can_propose_policies(by)
    check_alone(alone)
    return _propose(PolicyDraft(slug, text, description, log_only), by, alone=alone)


@transaction.atomic
def bootstrap_policies(*, policies: Sequence[PolicyDraft], by: Person) -> list[Policy]:
    """Activate a whole set alone: only while no policy was ever active here."""
    permissions.check_can_propose_policies(by)
    check_alone(True)
    return [_propose(draft, by, alone=True) for draft in policies]


def _propose(draft: PolicyDraft, by: Person, *, alone: bool) -> Policy:
    world = _world()
    _check_text(world, draft.text)
    active, waiting = _current(draft.slug)
    for known in (active, waiting):
        if known and _is_same(known, draft):
            return known
    policy = _next_version(draft, by)
    if alone or not _widens(active, draft):
        _activate(policy, by)
        return policy
    _record(policy, "policy_proposed", by)
    changes.propose(
        kind=ACTIVATION_KIND,
        target=policy.slug,
        summary=f"{policy.uid}: {policy.description or 'a new version'}",
        before={"id": active.uid, "text": active.text} if active else {},
        after={"id": policy.uid, "text": policy.text, "log_only": policy.log_only},
        by=by,
    )
    return policy


def _world() -> World:
    (read,) = slices.read([slices.WORLD])
    return compile_world(read.document or {})


def _check_text(world: World, text: str) -> None:
    problems = validate_policies(world, text)
    if problems:
        told = [f"Line {each.line}, column {each.column}: {each.message}" for each in problems]
        raise BadPolicy(told[0], fields={"text": told})


def _current(slug: str) -> tuple[Policy | None, Policy | None]:
    """The version in force and the one that waits, locked."""
    rows = Policy.objects.select_for_update().filter(slug=slug)
    return (
        rows.filter(state=PolicyState.ACTIVE).first(),
        rows.filter(state=PolicyState.PROPOSED).order_by("-version").first(),
    )


def _is_same(policy: Policy, draft: PolicyDraft) -> bool:
    return (policy.text, policy.log_only) == (draft.text, draft.log_only)


def _next_version(draft: PolicyDraft, by: Person) -> Policy:
    latest = Policy.objects.filter(slug=draft.slug).order_by("-version").first()
    policy = Policy(
        slug=draft.slug,
        version=latest.version + 1 if latest else 1,
        text=draft.text,
        description=draft.description or (latest.description if latest else ""),
        log_only=draft.log_only,
        state=PolicyState.PROPOSED,
        proposed_by=by,
    )
    keep(policy, by)
    return policy


def _effects(text: str) -> set[str]:
    return {str(statement["effect"]) for statement in parse(text)}


def _guards(policy: Policy | None) -> bool:
    """Does this version keep anything out by itself?"""
    return policy is not None and not policy.log_only and FORBID in _effects(policy.text)


def _widens(active: Policy | None, draft: PolicyDraft) -> bool:
    """Could more be let through with the draft in force than without?"""
    if _guards(active) or (active and not active.log_only and draft.log_only):
        return True
    return not draft.log_only and _effects(draft.text) != {FORBID}


def _activate(policy: Policy, by: Person) -> None:
    """Put a version in force in the place of the one before; its permits govern from now on."""
    now = clock.now()
    for former in Policy.objects.select_for_update().filter(
        slug=policy.slug, state=PolicyState.ACTIVE
    ):
        former.state = PolicyState.SUPERSEDED
        former.save(update_fields=["state"])
    policy.state, policy.activated_at = PolicyState.ACTIVE, now
    policy.agreed_by = by if by.pk != policy.proposed_by_id else None
    policy.save(update_fields=["state", "activated_at", "agreed_by"])
    governed = _govern(policy)
    audit.set_mark(Mark.FIRST_POLICY)
    _record(policy, "policy_activated", by, governed=governed)


def _govern(policy: Policy) -> list[str]:
    """Note for good which tools a permit names."""
    if policy.log_only:
        return []
    named = sorted(governs(policy.text, _world().tools))
    now = clock.now()
    for tool in named:
        GovernedTool.objects.get_or_create(tool=tool, defaults={"since": now})
    return named


def _record(policy: Policy, did: str, by: Person, governed: Sequence[str] = ()) -> None:
    record(
        did,
        by=by,
        resource=f"policy:{policy.slug}",
        told={
            "policy": policy.uid,
            "log_only": policy.log_only,
            "proposed_by": policy.proposed_by.pid if policy.proposed_by else "",
            **({"governed": list(governed)} if governed else {}),
        },
        sealed={"text": policy.text, "description": policy.description},
    )


def agree_policy(*, policy_id: int, by: Person, answer: str = "") -> Policy:
    """Put a proposed version in force. Nobody agrees to their own."""
    change = _open_change(policy_id)
    changes.agree(change_id=change.pk, by=by, answer=answer)
    return Policy.objects.get(pk=policy_id)


def reject_policy(*, policy_id: int, by: Person, answer: str) -> Policy:
    """Refuse a proposed version, with the reason that its author reads."""
    change = _open_change(policy_id)
    changes.reject(change_id=change.pk, by=by, answer=answer)
    return Policy.objects.get(pk=policy_id)


def _open_change(policy_id: int) -> ProposedChange:
    policy = Policy.objects.filter(pk=policy_id).first()
    if policy is None:
        raise NotFound("There is no such policy.")
    change = ProposedChange.objects.filter(
        kind=ACTIVATION_KIND,
        target=policy.slug,
        state=ChangeState.PROPOSED,
        after__id=policy.uid,
    ).first()
    if change is None:
        raise PolicyDecided()
    return change


def apply_activation(change: ProposedChange, by: Person) -> None:
    """Put in force what was agreed to, if it still reads as it was shown and still holds."""
    policy = _proposed(change)
    _check_text(_world(), policy.text)
    _activate(policy, by)


def drop_activation(change: ProposedChange, by: Person) -> None:
    """What was rejected or withdrawn waits no longer."""
    policy = _proposed(change)
    policy.state = PolicyState.RETIRED
    policy.save(update_fields=["state"])
    _record(policy, "policy_dropped", by)


def _proposed(change: ProposedChange) -> Policy:
    slug, _, version = str(change.after["id"]).rpartition("@v")
    policy = (
        Policy.objects.select_for_update(of=("self",))
        .select_related("proposed_by")
        .filter(slug=slug, version=int(version), state=PolicyState.PROPOSED)
        .first()
    )
    if policy is None or policy.text != change.after["text"]:
        raise PolicyDecided()
    return policy


@transaction.atomic
def retire_policy(*, slug: str, by: Person, alone: bool = False) -> Policy:
    """Take a policy out of force. Its tools stay governed; a forbid waits for a second person."""
    permissions.check_can_propose_policies(by)
    check_alone(alone)
    active, _ = _current(slug)
    if active is None:
        raise NotFound("No version of this policy is in force.")
    if alone or not _guards(active):
        _retire(active, by)
        return active
    changes.propose(
        kind=RETIREMENT_KIND,
        target=slug,
        summary=f"{active.uid}: no longer in force",
        before={"id": active.uid, "text": active.text},
        after={"id": active.uid, "state": PolicyState.RETIRED},
        by=by,
    )
    return active


def apply_retirement(change: ProposedChange, by: Person) -> None:
    """Take the version that was agreed on out of force."""
    active, _ = _current(change.target)
    if active is None or active.uid != change.before["id"]:
        raise PolicyDecided()
    _retire(active, by)


def _retire(policy: Policy, by: Person) -> None:
    policy.state = PolicyState.RETIRED
    policy.save(update_fields=["state"])
    _record(policy, "policy_retired", by)
