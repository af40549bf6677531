"""Previews: asked for by a person, run at once where they are small, else by the queue.

A run claims its row, so that two workers do not do the same, and can be run again after a crash:
what an earlier run left is thrown away first. The comparison itself is in no transaction, since
its reading must be on the record before anything is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from audit import selectors as trail
from audit import services as audit
from audit.enums import Kind
from audit.selectors import AuditScope, TrailFilters
from authz import permissions
from authz.enums import PreviewState
from authz.errors import PreviewRunning
from authz.models import Preview, PreviewDifference
from authz.preview.asking import Prepared, prepare
from authz.preview.comparing import Different, Found, compare
from authz.replay import read_decisions
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, Invalid, NotFound
from registry.models import Person

MOST = 10_000
MAX_DAYS = 90
# Up to so many decisions are compared while the person waits.
AT_ONCE = 500
# A run that was not heard of for so long is taken for dead.
SILENCE = timedelta(minutes=3)
MOVED_KEPT = 200
STOPPED = "Muster stopped in the middle of it. Run it again."


class Overtaken(Exception):
    """Another run of the same preview has begun."""


@transaction.atomic
def ask_preview(*, change: Any, by: Person, days: int = 30, most: int = MOST) -> Preview:
    """Note which change is to be compared with the last `days`. It has not run yet."""
    permissions.check_can_preview(by)
    _check_span(days, most)
    prepared = prepare(change)
    preview = Preview.objects.create(
        by=by,
        change=prepared.asked,
        summary=prepared.summary[:1000],
        days=days,
        most=most,
        until=clock.now(),
    )
    preview.total = min(most, _count(preview, prepared, cap=most))
    preview.save(update_fields=["total"])
    audit.record(
        kind=Kind.ACCESS,
        actor=by.pid,
        agent=prepared.agent,
        asked={
            "did": "preview_asked",
            "preview": str(preview.id),
            "kind": prepared.asked["kind"],
            "days": days,
            "most": most,
        },
        payload={"change": dict(prepared.asked)},
    )
    return preview


def _check_span(days: int, most: int) -> None:
    wrong = {}
    if not 1 <= days <= MAX_DAYS:
        wrong["days"] = [f"Compare with 1 to {MAX_DAYS} days."]
    if not 1 <= most <= MOST:
        wrong["most"] = [f"Compare with 1 to {MOST:,} decisions."]
    if wrong:
        raise Invalid(next(iter(wrong.values()))[0], fields=wrong)


def _filters(preview: Preview, prepared: Prepared) -> TrailFilters:
    since = preview.until - timedelta(days=preview.days)
    return TrailFilters(agent=prepared.agent, since=since, until=preview.until, kind=Kind.DECISION)


def _count(preview: Preview, prepared: Prepared, *, cap: int) -> int:
    everything = AuditScope(everything=True)
    return trail.count(_filters(preview, prepared), scope=everything, cap=cap).number


def is_small(preview: Preview) -> bool:
    """Can the person wait for it?"""
    return preview.total <= AT_ONCE


@transaction.atomic
def restart_preview(*, preview_id: UUID, by: Person) -> Preview:
    """Have a preview that failed, or was not heard of any more, run again from the start."""
    permissions.check_can_preview(by)
    preview = _locked(preview_id)
    if _is_alive(preview):
        raise PreviewRunning()
    preview.state, preview.failure = PreviewState.WAITING, ""
    preview.save(update_fields=["state", "failure"])
    return preview


def run_preview(*, preview_id: UUID) -> Preview:
    """Run a preview to its end, in the name of who asked for it.

    Nothing happens where it is done, or another run is alive. What goes wrong is kept with it.
    """
    preview = _claimed(preview_id)
    if preview is None:
        return Preview.objects.get(pk=preview_id)
    try:
        _run(preview)
    except Overtaken:
        pass
    except GovernanceError as error:
        _fail(preview, error.message)
    except Exception:
        _fail(preview, STOPPED)
        raise
    return Preview.objects.get(pk=preview_id)


def _locked(preview_id: UUID) -> Preview:
    preview = (
        Preview.objects.select_for_update(of=("self",), no_key=True).filter(pk=preview_id).first()
    )
    if preview is None:
        raise NotFound("There is no such preview.")
    return preview


def _is_alive(preview: Preview) -> bool:
    if preview.state != PreviewState.RUNNING or preview.heard_at is None:
        return False
    return clock.now() - preview.heard_at < SILENCE


@transaction.atomic
def _claimed(preview_id: UUID) -> Preview | None:
    preview = _locked(preview_id)
    if preview.state == PreviewState.DONE or _is_alive(preview):
        return None
    preview.differences.all().delete()
    preview.state, preview.run = PreviewState.RUNNING, preview.run + 1
    preview.done, preview.heard_at = 0, clock.now()
    preview.result, preview.failure = {}, ""
    preview.save()
    return preview


def _run(preview: Preview) -> None:
    prepared = prepare(preview.change)
    reading = read_decisions(
        _filters(preview, prepared),
        by=preview.by,
        reason=f"preview {preview.id}",
        limit=preview.most,
    )
    found, kept = Found(), _Keeper(preview)
    kept.start(reading.count)
    for differences in compare(reading, prepared, found):
        kept.page(differences, found)
    kept.end(found, left_out=reading.left_out, at_least=reading.found.capped)


class _Keeper:
    """Writes down what a run finds, a page in a transaction, as long as no other run began."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview
        self._positions = {True: 0, False: 0}

    def start(self, total: int) -> None:
        """Say how much there is to do."""
        self._write(total=total)

    @transaction.atomic
    def page(self, differences: Sequence[Different], found: Found) -> None:
        """Keep the differences of a page, and how far the run is."""
        self._write(done=found.seen)
        PreviewDifference.objects.bulk_create(
            row for each in differences if (row := self._row(each)) is not None
        )

    def end(self, found: Found, *, left_out: int, at_least: bool) -> None:
        """Say what the run came to."""
        self._write(
            state=PreviewState.DONE,
            done=found.seen,
            result={**_result(found), "left_out": left_out, "left_out_at_least": at_least},
        )

    def _write(self, **fields: Any) -> None:
        ours = Preview.objects.filter(pk=self._preview.pk, run=self._preview.run)
        if not ours.filter(state=PreviewState.RUNNING).update(heard_at=Now(), **fields):
            raise Overtaken()

    def _row(self, different: Different) -> PreviewDifference | None:
        position = self._positions[different.moved]
        if different.moved and position >= MOVED_KEPT:
            return None
        self._positions[different.moved] = position + 1
        return PreviewDifference(
            preview=self._preview,
            position=position,
            moved=different.moved,
            record=different.record,
            at=different.at,
            agent=different.agent,
            user=different.user,
            tool=different.tool,
            turn=different.turn,
            before=asdict(different.before),
            after=asdict(different.after),
        )


def _result(found: Found) -> Mapping[str, Any]:
    return {
        "compared": found.compared,
        "moved": found.moved,
        "watched": found.watched,
        "damaged": found.damaged,
        "unjudgeable": dict(found.unjudgeable),
        "turns": dict(found.turns),
        "actors": {turn: sorted(names) for turn, names in found.actors.items()},
    }


def _fail(preview: Preview, sentence: str) -> None:
    ours = Preview.objects.filter(pk=preview.pk, run=preview.run)
    ours.update(state=PreviewState.FAILED, failure=sentence[:500])


def preview_seen_by(person: Person, preview_id: UUID) -> Preview:
    """One preview for who may read all that it tells of. Raises `NotAllowed`, `NotFound`."""
    permissions.check_can_preview(person)
    preview = Preview.objects.select_related("by").filter(pk=preview_id).first()
    if preview is None:
        raise NotFound("There is no such preview.")
    return preview


def is_silent(preview: Preview, now: datetime) -> bool:
    """Was it not heard of for too long, so that it may be run again?"""
    if preview.state == PreviewState.WAITING:
        return now - preview.at >= SILENCE
    heard = preview.heard_at
    return preview.state == PreviewState.RUNNING and (heard is None or now - heard >= SILENCE)


def previews_to_forget(before: datetime) -> list[UUID]:
    """Previews that were asked for before an instant, the oldest first."""
    rows = Preview.objects.filter(at__lt=before).order_by("at")
    return list(rows.values_list("pk", flat=True))


@transaction.atomic
def forget_preview(*, preview_id: UUID, before: datetime) -> bool:
    """Delete one that was asked for before an instant, and record that. One that runs stays."""
    rows = Preview.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
    preview = rows.filter(pk=preview_id, at__lt=before).first()
    if preview is None or _is_alive(preview):
        return False
    told = {"did": "preview_forgotten", "preview": str(preview.pk), "at": preview.at.isoformat()}
    audit.record(kind=Kind.SYSTEM, actor="system:previews", asked=told)
    preview.delete()
    return True
