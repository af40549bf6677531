"""Toxic combinations: one person adds one; what guards less needs two.

And the answer "aggregate" to one that was found: from then on the outputs of an agent count as
the tier that the combination implies. One person says so, two take it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from django.db import transaction

from authz import permissions, rules
from authz.models import OutputTier, ToxicCombination
from authz.services.policies import check_name
from authz.services.recording import record
from authz.signals import toxic_changed
from governance.kernel import clock
from governance.kernel.errors import Invalid
from registry import changes
from registry.errors import ChangeOutdated
from registry.models import Agent, Person, ProposedChange
from registry.services.saving import (
    Saved,
    assign,
    check,
    check_alone,
    found,
    keep,
    locked,
    plain,
    remove,
)

TOXIC_KIND = "toxic"
OUTPUT_KIND = "toxic.output"
# What a combination weighs; its reason and reference only describe it.
TERMS = ("categories", "effects", "implied_tier", "only_listed", "is_active")
_SETS = ("categories", "effects")


class ToxicFields(TypedDict, total=False):
    """What a combination says of itself."""

    categories: Sequence[str]
    effects: Sequence[str]
    implied_tier: str
    reason: str
    reference: str
    only_listed: bool
    is_active: bool


@transaction.atomic
def save_toxic(
    *, slug: str, by: Person, alone: bool = False, **fields: Unpack[ToxicFields]
) -> Saved[ToxicCombination]:
    """Add or change a combination. What would guard less waits for a second person."""
    permissions.check_can_change_toxic(by)
    check_alone(alone)
    check_name(slug)
    row = found(ToxicCombination, "toxic combination", slug=slug)
    created = row is None
    row = row or ToxicCombination(slug=slug)
    before = _terms(row)
    changed = assign(row, _tidy(fields))
    wanted = _terms(row)
    waits = not (created or alone) and rules.toxic_widens(before, wanted)
    if waits:
        _check_wanted(row)
        assign(row, before)
    at_once = sorted(set(changed) - set(TERMS if waits else ()))
    if created or at_once:
        _keep(row, "toxic_added" if created else "toxic_changed", by, at_once)
    proposed = (_propose(row, wanted, by),) if waits else ()
    return Saved(row, created=created, changed=tuple(at_once), proposed=proposed)


def _tidy(fields: ToxicFields) -> dict[str, Any]:
    """The parts once each and in order, so that the same combination reads the same."""
    return {
        name: sorted(set(value)) if name in _SETS else value  # type: ignore[call-overload]
        for name, value in fields.items()
    }


def _check_wanted(row: ToxicCombination) -> None:
    """What is proposed must hold before a second person is asked."""
    _check_parts(row)
    check(row)


def _check_parts(row: ToxicCombination) -> None:
    if len(row.categories) + len(row.effects) < 2:
        sentence = "Name at least two: categories of data, or what is done with it."
        raise Invalid(sentence, fields={"categories": [sentence]})


def _keep(
    row: ToxicCombination,
    did: str,
    by: Person,
    changed: Sequence[str],
    proposed_by: Person | None = None,
) -> None:
    _check_parts(row)
    row.version += 0 if row.pk is None else 1
    keep(row, by)
    _record(did, row, by, changed, proposed_by)
    if did == "toxic_added" or set(changed) & set(TERMS):
        toxic_changed.send(sender=ToxicCombination, combination=row, by=by)


@transaction.atomic
def remove_toxic(*, slug: str, by: Person, alone: bool = False) -> Saved[ToxicCombination]:
    """Take a combination out. One that is in force stays until a second person agrees."""
    permissions.check_can_change_toxic(by)
    check_alone(alone)
    row = locked(ToxicCombination, "toxic combination", slug=slug)
    if row.is_active and not alone:
        return Saved(row, proposed=(_propose(row, {"removed": True}, by),))
    _remove(row, by)
    return Saved(row, changed=("removed",))


def apply_toxic(change: ProposedChange, by: Person) -> None:
    """Change or remove a combination as was agreed, if it still is as it was shown."""
    row = locked(ToxicCombination, "toxic combination", slug=change.target)
    if {**_terms(row), "version": row.version} != change.before:
        raise ChangeOutdated()
    if change.after == {"removed": True}:
        _remove(row, by)
        return
    changed = assign(row, change.after)
    _keep(row, "toxic_changed", by, sorted(changed), change.proposed_by)


def _terms(row: ToxicCombination) -> dict[str, Any]:
    return {name: plain(getattr(row, name)) for name in TERMS}


def _propose(row: ToxicCombination, after: Mapping[str, Any], by: Person) -> ProposedChange:
    done = "guards less"
    if "removed" in after:
        done = "removed"
    elif not after["is_active"]:
        done = "no longer in force"
    return changes.propose(
        kind=TOXIC_KIND,
        target=row.slug,
        summary=f"Toxic combination {row.slug}: {done}",
        before={**_terms(row), "version": row.version},
        after=after,
        by=by,
    )


def _remove(row: ToxicCombination, by: Person) -> None:
    _record("toxic_removed", row, by, ["removed"])
    toxic_changed.send(sender=ToxicCombination, combination=row, by=by)
    remove(row, by)


def _record(
    did: str,
    row: ToxicCombination,
    by: Person,
    changed: Sequence[str],
    proposed_by: Person | None = None,
) -> None:
    record(
        did,
        by=by,
        resource=f"toxic:{row.slug}",
        told={
            **_terms(row),
            "version": row.version,
            **({"changed": list(changed)} if changed else {}),
            **({"proposed_by": proposed_by.pid} if proposed_by else {}),
        },
        sealed={"reason": row.reason, "reference": row.reference},
    )


# What the outputs of an agent count as


@transaction.atomic
def raise_output(
    *, agent: Agent, combination: str, parts: Mapping[str, Sequence[str]], tier: str, by: Person
) -> OutputTier:
    """Have the outputs of an agent count as `tier` once it has read any of these parts.

    Who may say so, the caller has checked. A tier that is there already only rises.
    """
    row = found(OutputTier, "output tier", agent=agent, combination=combination)
    if row is not None:
        return row
    row = OutputTier(
        agent=agent,
        combination=combination,
        categories=sorted(parts.get("categories", ())),
        effects=sorted(parts.get("effects", ())),
        tier=tier,
        set_by=by,
        set_at=clock.now(),
    )
    keep(row, by)
    _record_output("output_tier_raised", row, by)
    return row


def propose_lower_output(
    *, agent: Agent, combination: str, by: Person, reason: str
) -> ProposedChange:
    """Ask that the outputs of an agent no longer count as more: it waits for security."""
    row = locked(OutputTier, "output tier", agent=agent, combination=combination)
    return changes.propose(
        kind=OUTPUT_KIND,
        target=f"{combination}/{agent.slug}",
        agent=agent.slug,
        summary=f"{agent.slug}: what it puts out no longer counts as {row.tier}",
        before={"tier": row.tier},
        after={"removed": True},
        by=by,
        reason=reason,
    )


def apply_lower_output(change: ProposedChange, by: Person) -> None:
    """Take it back as was agreed."""
    combination, _, slug = change.target.partition("/")
    row = locked(OutputTier, "output tier", agent__slug=slug, combination=combination)
    if row.tier != change.before["tier"]:
        raise ChangeOutdated()
    _record_output("output_tier_removed", row, by)
    row.delete()


def interested_in_output(change: ProposedChange) -> set[str]:
    """Whoever answers for the agent."""
    pids = Agent.objects.filter(slug=change.agent).values_list("owner__pid", "backup_owner__pid")
    return {pid for pair in pids for pid in pair if pid}


def _record_output(did: str, row: OutputTier, by: Person) -> None:
    record(
        did,
        by=by,
        agent=row.agent.slug,
        resource=f"toxic:{row.combination}",
        told={"tier": row.tier, "categories": row.categories, "effects": row.effects},
    )
