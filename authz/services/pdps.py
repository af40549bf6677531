"""Decision points of others: one person of security has one asked; asking less needs two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

from django.db import transaction

from authz import permissions
from authz.engine.outside import SYSTEM, Question
from authz.engine.types import OutsideAnswer, SubjectKind
from authz.models import ExternalPDP, PDPHealth, Role
from authz.outside import Asker, send
from authz.services.guarded import Guarded, Terms
from authz.services.recording import record
from governance.kernel import egress
from governance.kernel.errors import Invalid, NotFound
from registry.models import Person, ProposedChange, Tool
from registry.services.saving import Saved, check

PDP_KIND = "external_pdp"
# By which of them calls are refused, and what leaves the house for it.
TERMS = (
    *("url", "subject_type", "resource_type", "roles_as", "sends", "parameters", "parameters_in"),
    *("tools", "roles", "is_active"),
)
# More of these only refuses more.
CALLS = ("tools", "roles")


# Who a sample question is about.
TRIED = "muster-try"


@dataclass(frozen=True, slots=True)
class Tried:
    """A sample question, as it was sent, and what came back."""

    question: Mapping[str, Any]
    answer: OutsideAnswer


class PDPFields(TypedDict, total=False):
    """What the row of a decision point says."""

    description: str
    owner: Person
    url: str
    timeout_ms: int
    subject_type: str
    resource_type: str
    roles_as: str
    sends: Sequence[str]
    parameters: Sequence[str]
    parameters_in: str
    tools: Sequence[str]
    roles: Sequence[str]
    is_active: bool


@transaction.atomic
def save_pdp(
    *, slug: str, by: Person, alone: bool = False, **fields: Unpack[PDPFields]
) -> Saved[ExternalPDP]:
    """Add or change a decision point.

    While one is in force, whatever could refuse less or tell it more waits for a second person:
    another address, another question, fewer calls, none at all. More calls ask it at once.
    """
    permissions.check_can_change_pdps(by)
    return _PDPS.save(
        lambda: ExternalPDP(slug=slug, owner=by), slug=slug, by=by, alone=alone, fields=fields
    )


@transaction.atomic
def remove_pdp(*, slug: str, by: Person, alone: bool = False) -> Saved[ExternalPDP]:
    """Take a decision point out. One in force is asked until a second person agrees."""
    permissions.check_can_change_pdps(by)
    return _PDPS.remove(slug=slug, by=by, alone=alone)


def apply_pdp(change: ProposedChange, by: Person) -> None:
    """Change or remove a decision point as was agreed, if it still is as it was shown."""
    _PDPS.apply(change, by)


@transaction.atomic
def note_health(*, slug: str, cause: str, now: datetime) -> None:
    """Note that a decision point has fallen silent, by `cause`, or answers again: cause ""."""
    pdp = ExternalPDP.objects.filter(slug=slug).first()
    if pdp is None:
        return
    seen = {"is_silent": bool(cause), "cause": cause, "since": now}
    PDPHealth.objects.update_or_create(pdp=pdp, defaults=seen)


def _waiting(before: Terms, new: Terms) -> Terms:
    return {
        name: value
        for name, value in new.items()
        if name not in CALLS or not set(value) >= set(before[name])
    }


def _check(row: ExternalPDP) -> None:
    check(row)
    try:
        egress.place_of(row.url)
    except egress.AddressRefused as error:
        raise Invalid(error.message, fields={"url": [error.message]}) from error
    known = {
        "tools": set(Tool.objects.filter(name__in=row.tools).values_list("name", flat=True)),
        "roles": set(Role.objects.filter(slug__in=row.roles).values_list("slug", flat=True)),
    }
    for name, there in known.items():
        if unknown := sorted(set(getattr(row, name)) - there):
            sentence = f"There is no {name.removesuffix('s')} {unknown[0]}."
            raise Invalid(sentence, fields={name: [sentence]})


def _summary(row: ExternalPDP, after: Terms) -> str:
    done = f"other {', '.join(sorted(after)).replace('_', ' ')}" if after else "removed"
    if after.get("is_active") is False:
        done = "no longer asked"
    return f"External decision point {row.slug}: {done}"


_PDPS: Guarded[ExternalPDP] = Guarded(
    model=ExternalPDP,
    what="external decision point",
    word="pdp",
    kind=PDP_KIND,
    terms=TERMS,
    check=_check,
    waiting=_waiting,
    summary=_summary,
    told=lambda row: {**_PDPS.terms_of(row), "owner": row.owner.pid},
    sealed=lambda _: {},
)


def try_pdp(*, slug: str, by: Person, now: datetime) -> Tried:
    """Put a question that nobody asks, and say what comes back.

    It is about nobody, by the name `muster-try`, so a decision point that knows its agents denies
    it; that is an answer. Whether it answers is noted, and that it was tried is recorded.
    """
    permissions.check_can_change_pdps(by)
    row = ExternalPDP.objects.filter(slug=slug).first()
    if row is None:
        raise NotFound("There is no such external decision point.")
    question = _sample(row)
    # Not by the asker of decisions: whether they leave it alone is theirs to know.
    (answer,) = Asker(send).ask([question])
    with transaction.atomic():
        note_health(slug=slug, cause=answer.cause, now=now)
        record("pdp_tried", by=by, resource=f"pdp:{slug}", told={"cause": answer.cause})
    return Tried(question.body, answer)


def _sample(row: ExternalPDP) -> Question:
    subject: dict[str, Any] = {"type": row.subject_type or SubjectKind.AGENT.value, "id": TRIED}
    if row.roles_as:
        subject["properties"] = {row.roles_as: list(row.roles)}
    body = {
        "subject": subject,
        "action": {"name": row.tools[0] if row.tools else TRIED},
        "resource": {"type": row.resource_type or SYSTEM, "id": TRIED},
        "context": {},
    }
    return Question(row.slug, row.url, row.timeout_ms, body, digest="")
