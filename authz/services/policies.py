"""Policies: written by one, in force when another agrees; what only narrows takes effect at once.

Only a draft changes (`authz.services.drafts`). Retiring a forbid, replacing one, and taking an
enforced policy back to log-only let more through, so they wait for a second person; so does every
permit. No version comes into force while one of its cases fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from audit import services as audit
from audit.enums import Mark
from authz import permissions, rules
from authz.cases import failures, read_cases, run_cases, with_pids, world_document
from authz.engine.editing import validate_policies
from authz.engine.policies import governs, parse
from authz.engine.world import World, compile_world
from authz.enums import PolicyState
from authz.errors import BadPolicy, PolicyCasesFail, PolicyDecided
from authz.models import GovernedTool, Policy
from authz.services.recording import record
from governance.kernel import clock
from governance.kernel.errors import Invalid, NotFound
from registry import changes
from registry.enums import ChangeState
from registry.models import Person, ProposedChange
from registry.services.saving import check_alone, keep

ACTIVATION_KIND = "policy.activate"
RETIREMENT_KIND = "policy.retire"
FORBID = "forbid"

Case = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PolicyDraft:
    """A policy as it is written down. `cases` None: those of the version in force."""

    slug: str
    text: str
    description: str = ""
    log_only: bool = False
    cases: Sequence[Case] | None = None
    why: str = ""


@transaction.atomic
def propose_policy(
    *,
    slug: str,
    text: str,
    by: Person,
    description: str = "",
    log_only: bool = False,
    cases: Sequence[Case] | None = None,
    why: str = "",
    alone: bool = False,
) -> Policy:
    """A new version of a policy. In force at once where it only narrows, else proposed.

    The same as the version in force, or as the one that waits, is that version.
    """
    permissions.check_can_propose_policies(by)
    check_alone(alone)
    policy = _propose(PolicyDraft(slug, text, description, log_only, cases, why), by, alone=alone)
    if alone:
        check_cases(policy)
    return policy


@transaction.atomic
def bootstrap_policies(*, policies: Sequence[PolicyDraft], by: Person) -> list[Policy]:
    """Activate a whole set alone: only while no policy was ever active here.

    Their cases are run when all are in force, since they may rest on each other.
    """
    permissions.check_can_propose_policies(by)
    check_alone(True)
    made = [_propose(draft, by, alone=True) for draft in policies]
    for policy in made:
        check_cases(policy)
    return made


def _propose(draft: PolicyDraft, by: Person, *, alone: bool) -> Policy:
    check_name(draft.slug)
    check_text(world(), draft.text)
    active, waiting = current(draft.slug)
    draft = _with_cases(draft, active)
    for known in (active, waiting):
        if known and _is_same(known, draft):
            return known
    policy = _next_version(draft, by)
    if alone:
        activate(policy, by)
        return policy
    put_forward(policy, active, by)
    return policy


def put_forward(policy: Policy, active: Policy | None, by: Person) -> None:
    """In force at once where it only narrows; else it waits for a second person."""
    check_cases(policy)
    if not widens(active, policy):
        activate(policy, by)
        return
    record_policy(policy, "policy_proposed", by)
    changes.propose(
        kind=ACTIVATION_KIND,
        target=policy.slug,
        summary=f"{policy.uid}: {policy.why or policy.description or 'a new version'}",
        before=_shown(active) if active else {},
        after=_shown(policy),
        by=by,
        reason=policy.why,
    )


def _shown(policy: Policy) -> dict[str, Any]:
    """What the second person sees of a version, and what is compared when they agree."""
    return {
        "id": policy.uid,
        "text": policy.text,
        "log_only": policy.log_only,
        "cases": policy.cases,
    }


def world() -> World:
    """What is on the register now, as policies see it."""
    return compile_world(world_document())


def check_name(slug: str) -> None:
    """Some words stand for pages."""
    if slug in rules.RESERVED_NAMES:
        sentence = "This word stands for a page. Choose another name."
        raise Invalid(sentence, fields={"slug": [sentence]})


def check_text(against: World, text: str) -> None:
    """Raise `BadPolicy` with every problem, each with its line and column."""
    problems = validate_policies(against, text)
    if problems:
        told = [f"Line {each.line}, column {each.column}: {each.message}" for each in problems]
        raise BadPolicy(told[0], fields={"text": told})


def check_cases(policy: Policy) -> None:
    """Raise `PolicyCasesFail` with what each failing case wanted and got."""
    if told := failures(run_cases(policy)):
        raise PolicyCasesFail(
            f"{len(told)} of the cases of {policy.uid} fail. {told[0]}", fields={"cases": told}
        )


def current(slug: str) -> tuple[Policy | None, Policy | None]:
    """The version in force and the one that waits, locked."""
    rows = Policy.objects.select_for_update(no_key=True).filter(slug=slug)
    return (
        rows.filter(state=PolicyState.ACTIVE).first(),
        rows.filter(state=PolicyState.PROPOSED).order_by("-version").first(),
    )


def _with_cases(draft: PolicyDraft, active: Policy | None) -> PolicyDraft:
    if draft.cases is None:
        return replace(draft, cases=active.cases if active else [])
    return replace(draft, cases=with_pids(read_cases(draft.cases)))


def _is_same(policy: Policy, draft: PolicyDraft) -> bool:
    return (policy.text, policy.log_only, policy.cases) == (
        draft.text,
        draft.log_only,
        draft.cases,
    )


def _next_version(draft: PolicyDraft, by: Person) -> Policy:
    now = clock.now()
    latest = latest_of(draft.slug)
    policy = Policy(
        slug=draft.slug,
        version=latest.version + 1 if latest else 1,
        text=draft.text,
        description=draft.description or (latest.description if latest else ""),
        log_only=draft.log_only,
        cases=list(draft.cases or ()),
        why=draft.why,
        state=PolicyState.PROPOSED,
        drafted_by=by,
        drafted_at=now,
        proposed_by=by,
        proposed_at=now,
    )
    keep(policy, by)
    return policy


def latest_of(slug: str) -> Policy | None:
    """The newest version, whatever became of it."""
    return Policy.objects.filter(slug=slug).order_by("-version").first()


def _effects(text: str) -> set[str]:
    return {str(statement["effect"]) for statement in parse(text)}


def guards(policy: Policy | None) -> bool:
    """Does this version keep anything out by itself?"""
    return policy is not None and not policy.log_only and FORBID in _effects(policy.text)


def widens(active: Policy | None, draft: Policy) -> bool:
    """Could more be let through with the draft in force than without?"""
    if guards(active) or (active and not active.log_only and draft.log_only):
        return True
    return not draft.log_only and _effects(draft.text) != {FORBID}


def move(policy: Policy, target: PolicyState, *also: str) -> None:
    """The one place where a version's state changes; `also` are the fields that go with it."""
    if not rules.may_move(policy.state, target):
        raise PolicyDecided(
            f"{policy.uid} is {policy.state_word}, so this cannot be done any more."
        )
    policy.state = target
    policy.save(update_fields=["state", *also])


def end(policy: Policy, target: PolicyState, by: Person, why: str) -> None:
    """Close a version for good: who, when, why."""
    policy.ended_by, policy.ended_at, policy.ended_why = by, clock.now(), why[:500]
    move(policy, target, "ended_by", "ended_at", "ended_why")


def activate(policy: Policy, by: Person) -> None:
    """Put a version in force in the place of the one before; its permits govern from now on."""
    for former in Policy.objects.select_for_update(no_key=True).filter(
        slug=policy.slug, state=PolicyState.ACTIVE
    ):
        end(former, PolicyState.SUPERSEDED, by, f"{policy.uid} took its place.")
    policy.activated_at = clock.now()
    policy.agreed_by = by if by.pk != policy.proposed_by_id else None
    move(policy, PolicyState.ACTIVE, "activated_at", "agreed_by")
    governed = _govern(policy)
    audit.set_mark(Mark.FIRST_POLICY)
    record_policy(policy, "policy_activated", by, governed=governed)


def _govern(policy: Policy) -> list[str]:
    """Note for good which tools a permit names."""
    if policy.log_only:
        return []
    named = sorted(governs(policy.text, world().tools))
    now = clock.now()
    for tool in named:
        GovernedTool.objects.get_or_create(tool=tool, defaults={"since": now})
    return named


def record_policy(policy: Policy, did: str, by: Person, governed: Sequence[str] = ()) -> None:
    """Record what was done with a version."""
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
        sealed={
            "text": policy.text,
            "description": policy.description,
            **({"cases": policy.cases} if policy.cases else {}),
            **({"why": policy.why} if policy.why else {}),
            **({"ended_why": policy.ended_why} if policy.ended_why else {}),
        },
    )


def agree_policy(*, policy_id: int, by: Person, answer: str = "") -> Policy:
    """Put a proposed version in force. Nobody agrees to their own."""
    change = _open_change(policy_id)
    changes.agree(change_id=change.pk, by=by, answer=answer)
    return Policy.objects.get(pk=policy_id)


def reject_policy(*, policy_id: int, by: Person, answer: str) -> Policy:
    """Refuse a proposed version, with the reason that its author reads."""
    if not answer.strip():
        sentence = "Say why, so that its author can do better."
        raise Invalid(sentence, fields={"answer": [sentence]})
    change = _open_change(policy_id)
    changes.reject(change_id=change.pk, by=by, answer=answer)
    return Policy.objects.get(pk=policy_id)


def withdraw_policy(*, policy_id: int, by: Person) -> Policy:
    """Take back what one proposed oneself."""
    change = _open_change(policy_id)
    changes.withdraw(change_id=change.pk, by=by)
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
    check_text(world(), policy.text)
    check_cases(policy)
    activate(policy, by)


def drop_activation(change: ProposedChange, by: Person) -> None:
    """What was rejected or withdrawn waits no longer."""
    policy = _proposed(change)
    end(policy, PolicyState.RETIRED, by, change.answer or f"{change.get_state_display()}.")
    record_policy(policy, "policy_dropped", by)


def _proposed(change: ProposedChange) -> Policy:
    slug, _, version = str(change.after["id"]).rpartition("@v")
    policy = (
        Policy.objects.select_for_update(of=("self",), no_key=True)
        .select_related("proposed_by")
        .filter(slug=slug, version=int(version), state=PolicyState.PROPOSED)
        .first()
    )
    if policy is None or _shown(policy) != {"cases": [], **change.after}:
        raise PolicyDecided()
    return policy


@transaction.atomic
def retire_policy(*, slug: str, by: Person, why: str = "", alone: bool = False) -> Policy:
    """Take a policy out of force. Its tools stay governed; a forbid waits for a second person."""
    permissions.check_can_propose_policies(by)
    check_alone(alone)
    active, _ = current(slug)
    if active is None:
        raise NotFound("No version of this policy is in force.")
    if alone or not guards(active):
        _retire(active, by, why)
        return active
    changes.propose(
        kind=RETIREMENT_KIND,
        target=slug,
        summary=f"{active.uid}: no longer in force",
        before={"id": active.uid, "text": active.text},
        after={"id": active.uid, "state": PolicyState.RETIRED},
        by=by,
        reason=why,
    )
    return active


def apply_retirement(change: ProposedChange, by: Person) -> None:
    """Take the version that was agreed on out of force."""
    active, _ = current(change.target)
    if active is None or active.uid != change.before["id"]:
        raise PolicyDecided()
    _retire(active, by, change.reason)


def _retire(policy: Policy, by: Person, why: str) -> None:
    end(policy, PolicyState.RETIRED, by, why)
    record_policy(policy, "policy_retired", by)
