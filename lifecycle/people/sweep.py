"""What falls due among people: files to apply, last days that are over, sources gone silent."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from lifecycle.models import HeardEvent, Source, WebhookAnswer
from lifecycle.notices import Severity, notify
from lifecycle.people import importing
from lifecycle.people.selectors import is_over, last_day_over
from registry import services
from registry.enums import Employment, GroupName
from registry.models import ExternalIdentity, Person
from registry.permissions import Automatic
from registry.services.saving import locked

ACTOR = Automatic("people")
ROW, END, FORGET, LAST_DAY, SILENT, LET_GO, OLD = (
    "row:", "end:", "forget:", "last:", "silent:", "let-go:", "old:",
)  # fmt: skip


def due(now: datetime) -> list[str]:
    """Who has left by now comes first, since their agents run."""
    return [
        *(f"{LAST_DAY}{pid}" for pid in last_day_over(now)),
        *(f"{ROW}{pk}" for pk in importing.due_rows()),
        *(f"{END}{pk}" for pk in importing.due_ends()),
        *(f"{SILENT}{pk}" for pk in _silent(now)),
        *(f"{LET_GO}{slug}" for slug in _ended()),
        *(f"{FORGET}{pk}" for pk in importing.due_forgetting()),
        *([OLD] if _old(now) else []),
    ]


def handle(key: str | int, now: datetime) -> bool:
    """One of them."""
    word, _, rest = str(key).partition(":")
    if word == "last":
        return _leave(rest, now)
    if word == "row":
        return importing.apply_row(int(rest))
    if word == "end":
        return importing.end_import(int(rest))
    if word == "silent":
        return _tell_of_silence(int(rest), now)
    if word == "let-go":
        return bool(services.let_go(source=rest))
    return importing.forget_import(int(rest)) if word == "forget" else _forget_old(now)


def _leave(pid: str, now: datetime) -> bool:
    """Their last day is over where they are: they have left, from now on."""
    person = locked(Person, "person", pid=pid)
    if person.employment != Employment.LEAVING or not is_over(person.last_day, person.zone, now):
        return False
    services.set_employment(person_id=person.pk, employment=Employment.LEFT, by=ACTOR)
    return True


def _silent(now: datetime) -> list[int]:
    """Sources that say nothing, and of whose silence nobody was told."""
    return [
        source.pk
        for source in Source.objects.filter(ended_at__isnull=True).exclude(kind="csv")
        if source.is_silent(now)
        and source.told_silent_of != (source.last_seen_at or source.created_at)
    ]


def _tell_of_silence(source_id: int, now: datetime) -> bool:
    """Tell platform admins, once for each silence."""
    source = locked(Source, "source", pk=source_id)
    heard = source.last_seen_at or source.created_at
    if not source.is_silent(now) or source.told_silent_of == heard:
        return False
    source.told_silent_of = heard
    source.save(update_fields=["told_silent_of"])
    for person in Person.objects.filter(groups__name=GroupName.PLATFORM_ADMIN):
        notify(
            person=person,
            severity=Severity.PAGE,
            code="people.silent",
            context={
                "source": source.title,
                "slug": source.slug,
                "since": f"{heard:%Y-%m-%d %H:%M} UTC",
                "days": source.silent_days or settings.MUSTER_SOURCE_SILENT_DAYS,
            },
            event=f"people.silent:{source.slug}:{heard.isoformat()}",
        )
    return True


def _ended() -> list[str]:
    """Sources to which nobody listens any more, and which still keep fields from being changed."""
    ended = Source.objects.filter(ended_at__isnull=False).values("slug")
    told = ExternalIdentity.objects.filter(source__in=ended).exclude(gives=[])
    return sorted(set(told.values_list("source", flat=True)))


def _limit(now: datetime) -> datetime:
    return now - timedelta(days=settings.MUSTER_SOURCE_LOG_DAYS)


def _old(now: datetime) -> bool:
    answers = WebhookAnswer.objects.filter(at__lt=_limit(now))
    return answers.exists() or HeardEvent.objects.filter(heard_at__lt=_limit(now)).exists()


def _forget_old(now: datetime) -> bool:
    """Messages and events so old that nobody sends them again."""
    answers, _ = WebhookAnswer.objects.filter(at__lt=_limit(now)).delete()
    heard, _ = HeardEvent.objects.filter(heard_at__lt=_limit(now)).delete()
    return bool(answers or heard)
