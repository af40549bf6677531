"""Reads of notices that feed a page."""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet

from lifecycle.models import Channel, Delivery, Notice
from lifecycle.models.notices import DeliveryState
from registry.models import Person


def notices_of(person: Person) -> QuerySet[Notice]:
    """What a person was told, newest first, with the ways it took."""
    deliveries = Prefetch("deliveries", Delivery.objects.select_related("channel"))
    return Notice.objects.filter(person=person).prefetch_related(deliveries)


def unread(person: Person) -> int:
    """How much a person was told and has not looked at."""
    return Notice.objects.filter(person=person, read_at__isnull=True).count()


def channels_of(person: Person) -> QuerySet[Channel]:
    """The open ways to a person besides mail."""
    return Channel.objects.filter(person=person, removed_at__isnull=True).select_related("added_by")


def not_sent() -> QuerySet[Delivery]:
    """What could not be sent at all, and what was tried in vain and is tried again."""
    tried = Delivery.objects.filter(state=DeliveryState.FAILED) | Delivery.objects.filter(
        state=DeliveryState.WAITING, attempts__gt=0
    )
    return tried.select_related("notice__person", "channel").order_by("-pk")


def sent_by_mail() -> QuerySet[Delivery]:
    """Every mail that was handed over, newest first."""
    sent = Delivery.objects.filter(state=DeliveryState.SENT, channel__isnull=True)
    return sent.select_related("notice__person").order_by("-sent_at", "-pk")
