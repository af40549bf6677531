"""What follows from a row, in words: shown while the form is filled in and on the agent's page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from authz.models import Role
from lifecycle.reviews.rules import OWNER
from lifecycle.reviews.selectors import PlannedStep, planned
from lifecycle.toxic.findings import Found, of_draft
from registry.models import Agent, Person, Tool
from registry.reach import Reach

_ROLES = {
    "owner": "You, its owner",
    "security": "Security",
    "dpo": "Data protection officer",
    "source_owner": "Owner of {}",
}
_MOST_NAMES = 4


@dataclass(frozen=True)
class Signer:
    """Who must say yes, why, and by when (None: at once)."""

    role: str
    names: str
    by: date | None
    why: str = ""


@dataclass(frozen=True)
class Combined:
    """A toxic combination that the row completes, alone or with other agents of its owner.

    `signed` says that it adds signatures; what comes together across agents asks its owner for
    an answer where `blocks`, and is only told otherwise.
    """

    title: str
    tier: str
    reason: str
    agents: tuple[str, ...] = ()
    blocks: bool = True
    signed: bool = True


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
    template: str = ""
    seen: str = ""


def verdict_of(
    reach: Reach,
    *,
    owner: Person,
    tools: Sequence[Tool],
    roles: Sequence[Role],
    today: date,
    agent: Agent | None = None,
    template: str = "",
) -> LiveVerdict:
    """What `reach` means for who signs, and whether `roles` grant the `tools`.

    `agent` is the row itself where it is on the register. `template` is the name of the template
    whose approval covers the reach, if one does: then the owner's word is enough, unless the
    agents of the owner complete something toxic together.
    """
    found = of_draft(owner, reach, agent)
    steps = planned(reach, owner, today)
    if template and not any(each.blocks for each in found):
        steps = [PlannedStep(OWNER, (owner,), None, (f"It is made from {template}.",))]
    alone = [step.role for step in steps] == [OWNER]
    ungranted = _ungranted(tools, roles)
    signers = tuple(_signer(step) for step in steps)
    return LiveVerdict(
        tools=bool(tools),
        title="Goes live now, on your word" if alone else _title(signers),
        why=" ".join(dict.fromkeys(why for step in steps for why in step.why)),
        alone=alone,
        tier=str(reach.tier),
        signers=signers,
        combinations=tuple(map(_combined, found)),
        ungranted=ungranted,
        helpful_roles=_helpful(ungranted),
        review_due=reach.review_due(today),
        renewal_due=reach.renewal_due(today),
        template=template,
        seen=fingerprint(reach, [signer.role for signer in signers]),
    )


def _title(signers: Sequence[Signer]) -> str:
    return (
        "One person signs first" if len(signers) == 1 else f"{len(signers)} sign before it is live"
    )


def _signer(step: PlannedStep) -> Signer:
    shown = [person.name for person in step.people[:_MOST_NAMES]]
    names = step.note or " or ".join(shown)
    return Signer(
        _ROLES[step.role].format(step.system),
        "" if step.role == OWNER else names,
        step.due,
        " ".join(step.why),
    )


def _combined(found: Found) -> Combined:
    parts = " + ".join(sorted((*found.categories, *found.effects)))
    with_ = tuple(sorted(each for each in found.agents if each)) if len(found.agents) > 1 else ()
    return Combined(
        "Toxic together: " + parts.replace("_", " ").replace("-", " "),
        found.tier,
        found.reason,
        with_,
        found.blocks,
        found.blocks and not with_,
    )


def fingerprint(reach: Reach, signers: Sequence[str]) -> str:
    """Stands for what was shown: other places, tiers or signers give another one."""
    shown = [
        [each.direction, each.system, each.resource, each.match, each.tier, *each.tools]
        for each in (*reach.reads, *reach.writes)
    ]
    return hashlib.sha256(json.dumps([shown, reach.tier, *signers]).encode()).hexdigest()[:32]


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
