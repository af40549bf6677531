"""`/metrics`: what a monitoring system watches, as Prometheus reads it.

Gauges are read from the database when somebody asks, so every web process tells the same; what is
counted with each decision is added up over the web processes (`governance.kernel.meters`).

Told on this machine itself, and elsewhere to who has `MUSTER_METRICS_TOKEN`.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Iterable, Mapping

from django.conf import settings
from django.db import connection
from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit.anchors import selectors as anchors
from audit.sealing import selectors as sealing
from audit.siem import selectors as streams
from authz import meters as counted
from authz.enums import HoldState
from authz.models import Hold
from compliance.enums import Tick
from compliance.selfaudit.recent import lately
from governance import queue
from governance.celery import HEARTBEAT
from governance.kernel import meters
from governance.kernel.database_clock import database_now
from governance.kernel.errors import NotFound
from governance.models import Heartbeat
from lifecycle import sweeps
from registry.enums import AgentState
from registry.models import Agent

FORMAT = "text/plain; version=0.0.4; charset=utf-8"
FORWARDED = (
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP"),
    *("Forwarded", "Via"),
)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Every gauge, one after the other. Raises `NotFound` for who may not ask."""
    if not _may_ask(request):
        raise NotFound()
    counted.write_down()
    lines = [line for gauge in GAUGES for line in gauge()]
    return HttpResponse("\n".join([*lines, meters.told()]), content_type=FORMAT)


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


def labelled(name: str, about: str, label: str, values: Mapping[str, float]) -> Iterable[str]:
    """One gauge with a value for each of few values of its label."""
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} gauge"
    for each, value in values.items():
        yield f'{name}{{{label}="{each}"}} {float(value)}'


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
    taken = found.anchored_at
    since = (database_now() - taken).total_seconds() if taken else -1.0
    yield from gauge("muster_anchored_seconds", "Since one took a checkpoint; -1 never.", since)
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


def waiting() -> Iterable[str]:
    """What waits for people, and for the worker."""
    found = Hold.objects.filter(state=HoldState.OPEN).aggregate(
        many=Count("pk"), oldest=Min("made_at")
    )
    age = (database_now() - found["oldest"]).total_seconds() if found["oldest"] else 0.0
    yield from gauge("muster_holds_open", "Calls that wait for a human.", found["many"])
    yield from gauge("muster_holds_oldest_seconds", "Since when the oldest of them waits.", age)
    depth = queue.depth()
    yield from gauge("muster_queue_up", "1 while the queue answers.", depth is not None)
    if depth is not None:
        yield from gauge("muster_queue_tasks", "Tasks that wait for a worker.", depth)


def swept() -> Iterable[str]:
    """Whether periodic work comes through."""
    late = sweeps.overdue_sweeps()
    beat = Heartbeat.objects.filter(name=HEARTBEAT).first()
    since = (database_now() - beat.at).total_seconds() if beat else -1.0
    yield from gauge("muster_sweeps_late", "Sweeps that did not come through in time.", len(late))
    yield from gauge("muster_beat_seconds", "Since beat, queue and worker all worked.", since)


def registered() -> Iterable[str]:
    """How many agents there are, by the state of their row."""
    rows = Agent.objects.order_by().values_list("state").annotate(many=Count("pk"))
    found = dict(rows)
    yield from labelled(
        "muster_agents",
        "Agents on the register, by state.",
        "state",
        {state.value: found.get(state.value, 0) for state in AgentState},
    )


_CONNECTIONS = """
SELECT CASE WHEN usename LIKE 'muster\\_%' THEN usename ELSE 'other' END, count(*)
FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1 ORDER BY 1
"""


def connected() -> Iterable[str]:
    """Who is connected to the database, and how many may be."""
    with connection.cursor() as cursor:
        cursor.execute(_CONNECTIONS)
        found = dict(cursor.fetchall())
        cursor.execute("SELECT current_setting('max_connections')::int")
        most = cursor.fetchone()[0]
    name = "muster_database_connections"
    yield from labelled(name, "Connections to the database, by login.", "login", found)
    yield from gauge("muster_database_connections_most", "That the server allows.", most)


# Whoever has something to be watched adds it here.
GAUGES: list[Callable[[], Iterable[str]]] = [
    sealed,
    anchored,
    streamed,
    self_audit,
    waiting,
    swept,
    registered,
    connected,
]
