"""`/metrics`: what a monitoring system watches, as Prometheus reads it.

Told on this machine itself, and elsewhere to who has `MUSTER_METRICS_TOKEN`.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Iterable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit.anchors import selectors as anchors
from audit.sealing import selectors as sealing
from audit.siem import selectors as streams
from compliance.enums import Tick
from compliance.selfaudit.recent import lately
from governance.kernel.errors import NotFound

FORMAT = "text/plain; version=0.0.4; charset=utf-8"
FORWARDED = ("X-Forwarded-For", "Forwarded")


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Every gauge, one after the other. Raises `NotFound` for who may not ask."""
    if not _may_ask(request):
        raise NotFound()
    lines = [line for gauge in GAUGES for line in gauge()]
    return HttpResponse("\n".join([*lines, ""]), content_type=FORMAT)


def _may_ask(request: HttpRequest) -> bool:
    token = settings.MUSTER_METRICS_TOKEN
    if token:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    # What a proxy passes on comes from elsewhere, whatever the address says.
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def gauge(name: str, about: str, value: float) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} gauge", f"{name} {float(value)}"]


def sealed() -> Iterable[str]:
    """How far the record is sealed, and whether the sealer signs."""
    found = sealing.freshness()
    oldest = found.oldest_unsealed_at
    waits = (found.now - oldest).total_seconds() if oldest else 0.0
    since = (found.now - found.sealed_until).total_seconds() if found.sealed_until else -1.0
    yield from gauge("muster_log_size", "Entries under the newest checkpoint.", found.size)
    yield from gauge("muster_log_unsealed", "Entries under no checkpoint yet.", found.unsealed)
    yield from gauge("muster_log_unsealed_seconds", "Since when the oldest of them waits.", waits)
    yield from gauge("muster_log_checkpoint_seconds", "Since the newest checkpoint.", since)
    yield from gauge("muster_log_sealing", "1 while a sealer is connected.", found.is_sealing)
    alarm = sealing.alarm() is not None
    yield from gauge("muster_log_alarm", "1 while the sealer refuses to sign.", alarm)


def anchored() -> Iterable[str]:
    """How the record stands outside of this installation."""
    found = anchors.standing()
    behind = found.behind.total_seconds() if found.behind else 0.0
    yield from gauge("muster_anchors_outside", "1 while one is set up.", found.outside)
    yield from gauge("muster_anchored_size", "Entries that one has taken.", found.anchored_size)
    yield from gauge("muster_anchored_behind_seconds", "Since when the next one waits.", behind)
    yield from gauge("muster_anchored_late", "1 while it waits too long.", found.late)


def streamed() -> Iterable[str]:
    """How far receivers outside are, all of them together: the worst of each."""
    found = streams.standing()
    behind = max((each.behind.total_seconds() for each in found if each.behind), default=0.0)
    waiting = max((each.waiting for each in found), default=0)
    late = any(each.late for each in found)
    yield from gauge("muster_streams", "Receivers outside that are set up.", len(found))
    yield from gauge("muster_streams_waiting", "Entries that the last of them lacks.", waiting)
    yield from gauge("muster_streams_behind_seconds", "Since when the oldest waits.", behind)
    yield from gauge("muster_streams_late", "1 while one stays behind for too long.", late)


_TICKS = {Tick.MET: 1, Tick.NOT_MET: 0, Tick.CANNOT_TELL: -1}


def self_audit() -> Iterable[str]:
    """How the points of the self-audit stand, no more than a minute ago."""
    found = lately()
    yield from gauge("muster_self_audit_met", "Points that are met, of 16.", found.met)
    name = "muster_self_audit_point"
    yield f"# HELP {name} 1 met, 0 not met, -1 cannot be told; at most a minute old."
    yield f"# TYPE {name} gauge"
    for each in found.points:
        yield f'{name}{{point="{each.point.number}"}} {float(_TICKS[each.status])}'


# Whoever has something to be watched adds it here.
GAUGES: list[Callable[[], Iterable[str]]] = [sealed, anchored, streamed, self_audit]
