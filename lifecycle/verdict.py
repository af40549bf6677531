"""What follows from a row, in words: shown while the form is filled in and on the agent's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.conf import settings

from authz.models import Role
from governance.kernel.business_days import add_business_days
from registry.enums import Employment, GroupName
from registry.models import Person, Tool
from registry.reach import Reach

_ROLES = {
    "owner": "You, its owner",
    "security": "Security",
    "dpo": "Data protection officer",
    "source_owner": "Owners of the sources",
}


@dataclass(frozen=True)
class Signer:
    """Who must say yes, and by when (None: at once)."""

    role: str
    names: str
    by: date | None


@dataclass(frozen=True)
class Combined:
    """A toxic combination that the reach completes."""

    title: str
    tier: str
    reason: str


@dataclass(frozen=True)
class LiveVerdict:
    """Everything that the right-hand side of the registration page says."""

    tools: bool
    title: str
    why: str
    alone: bool
    tier: str
    signers: tuple[Signer, ...]
    combinations: tuple[Combined, ...]
    ungranted: tuple[str, ...]
    helpful_roles: tuple[str, ...]
    review_due: date
    renewal_due: date


def verdict_of(
    reach: Reach, *, tools: Sequence[Tool], roles: Sequence[Role], today: date
) -> LiveVerdict:
    """What `reach` means for who signs, and whether `roles` grant the `tools`."""
    alone = tuple(reach.signers) == ("owner",)
    due = None if alone else _due(today, reach.review_within_days)
    ungranted = _ungranted(tools, roles)
    return LiveVerdict(
        tools=bool(tools),
        title="Goes live when you attest" if alone else _title(len(reach.signers)),
        why=_why(reach, alone=alone),
        alone=alone,
        tier=str(reach.tier),
        signers=tuple(_signer(role, reach, due) for role in reach.signers),
        combinations=tuple(
            Combined(
                "Toxic together: " + " + ".join(sorted(each.categories)).replace("_", " "),
                str(each.tier),
                each.reason,
            )
            for each in reach.combinations
        ),
        ungranted=ungranted,
        helpful_roles=_helpful(ungranted),
        review_due=reach.review_due(today),
        renewal_due=reach.renewal_due(today),
    )


def _due(today: date, days: int) -> date:
    """By the holidays of the installation."""
    return add_business_days(today, days, settings.MUSTER_CALENDAR)


def _title(signers: int) -> str:
    return "One person signs first" if signers == 1 else f"{signers} sign before it is live"


def _why(reach: Reach, *, alone: bool) -> str:
    highest = sorted(
        {place.system for place in (*reach.reads, *reach.writes) if place.tier == reach.tier}
    )
    named = ", ".join(highest) or "what it combines"
    if alone:
        return f"{str(reach.tier).capitalize()}, because the highest that it touches is {named}."
    return (
        f"{str(reach.tier).capitalize()}, {reach.review_within_days} business days, because it "
        f"touches {named}. It is not live before everyone has signed."
    )


def _signer(role: str, reach: Reach, due: date | None) -> Signer:
    groups = {"security": GroupName.SECURITY, "dpo": GroupName.DPO}
    names = ""
    if role in groups:
        people = Person.objects.filter(groups__name=groups[role], employment=Employment.EMPLOYED)
        names = " or ".join(people.order_by("name").values_list("name", flat=True)[:4]) or (
            "nobody yet: ask a platform admin"
        )
    return Signer(_ROLES.get(role, role), names, due)


def _ungranted(tools: Sequence[Tool], roles: Sequence[Role]) -> tuple[str, ...]:
    granted = set(
        Role.objects.filter(pk__in=[role.pk for role in roles]).values_list(
            "tools__name", flat=True
        )
    )
    return tuple(sorted(tool.name for tool in tools if tool.name not in granted))


def _helpful(ungranted: Sequence[str]) -> tuple[str, ...]:
    if not ungranted:
        return ()
    roles = Role.objects.filter(tools__name__in=ungranted).distinct().order_by("slug")
    return tuple(roles.values_list("slug", flat=True)[:4])
