"""The sweep of grants: ends what is over, tells of first uses, asks before an end.

No decision waits for it: each compares the time itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.db.models import CharField, Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Cast, Concat

from audit import in_name
from audit.errors import SearchTooSlow
from authz.models import Delegation, Grant
from authz.services import delegations, grants
from lifecycle.grants import beforehand, rules, selectors, telling
from lifecycle.models import Notice
from lifecycle.sweeps.registry import Key
from registry.enums import Employment

log = logging.getLogger(__name__)

LOT = 200
OVER, HANDED = "over", "handed"
BEFOREHAND, USED, NEAR = "beforehand", "used", "near"


def due(now: datetime) -> list[str]:
    """What is over, what was agreed to beforehand, first uses to be told, ends that are near."""
    beforehand_due = [f"{BEFOREHAND}:{each}" for each in beforehand.due()]
    return [*_over(now), *beforehand_due, *_used(now), *_near(now)]


def _over(now: datetime) -> list[str]:
    """Each kind once: all that is over of it ends in one order of its locks."""
    kinds = ((OVER, Grant), (HANDED, Delegation))
    return [
        f"{word}:all"
        for word, model in kinds
        if model._default_manager.filter(ended_at__isnull=True, until__lte=now).exists()
    ]


def _used(now: datetime) -> list[str]:
    """Some at a time: where one lot takes too long, the others are told all the same."""
    found: list[str] = []
    spans = [selectors.span_of(grant) for grant in _untold(now, telling.USED)]
    for start in range(0, len(spans), LOT):
        lot = spans[start : start + LOT]
        try:
            first = in_name.first_uses(lot)
        except SearchTooSlow:
            log.warning("first uses of %d grants took too long to find", len(lot))
            continue
        found += [f"{USED}:{each.key}" for each in first]
    return found


def _near(now: datetime) -> list[str]:
    near = _untold(now, telling.NEAR).filter(until__lte=now + rules.NEAR).order_by("until", "pk")
    return [f"{NEAR}:{grant.pk}" for grant in near if rules.is_near(grant, now)]


def _untold(now: datetime, code: str) -> QuerySet[Grant]:
    """Live grants of people who can be told, and were not told this of them yet."""
    event = Concat(Value(f"{code}:"), Cast(OuterRef("pk"), CharField()), output_field=CharField())
    told = Notice.objects.filter(event=event, person=OuterRef("person"))
    live = Grant.objects.filter(
        ~Exists(told), ended_at__isnull=True, until__gt=now, person__is_active=True
    )
    return live.exclude(person__employment=Employment.LEFT).select_related("person", "agent")


def handle(key: Key, now: datetime) -> bool:
    """Do one of them, in the transaction of the sweep."""
    what, _, which = str(key).partition(":")
    return _HANDLERS[what](which, now)


def _end_over(_: str, now: datetime) -> bool:
    return grants.expire_grants(now) > 0


def _end_handed(_: str, now: datetime) -> bool:
    return delegations.expire_delegations(now) > 0


def _give(which: str, _: datetime) -> bool:
    return beforehand.give(which)


def _tell_used(which: str, now: datetime) -> bool:
    grant = _live(which, now)
    first = in_name.first_uses([selectors.span_of(grant)]) if grant else []
    return grant is not None and bool(first) and telling.tell_used(grant, first[0])


def _tell_near(which: str, now: datetime) -> bool:
    grant = _live(which, now)
    return grant is not None and rules.is_near(grant, now) and telling.tell_near(grant, now)


def _live(which: str, now: datetime) -> Grant | None:
    """The grant as it is now, held so that it does not end beside this."""
    rows = Grant.objects.select_for_update(of=("self",), no_key=True)
    grant = rows.select_related("person", "agent").filter(pk=UUID(which)).first()
    return grant if grant and rules.is_live(grant, now) else None


_HANDLERS: dict[str, Callable[[str, datetime], bool]] = {
    OVER: _end_over,
    HANDED: _end_handed,
    BEFOREHAND: _give,
    USED: _tell_used,
    NEAR: _tell_near,
}
