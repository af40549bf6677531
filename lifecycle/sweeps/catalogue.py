"""Every sweep of the installation, in one place."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings

from authz import selectors as limits
from authz import services as authorization
from authz.enums import HoldState
from authz.errors import HoldDecided
from authz.models import Callback, Hold
from authz.services import callbacks, holds, spending, stops
from lifecycle.anomalies import sweep as anomalies
from lifecycle.bypass import sweep as bypass
from lifecycle.campaigns import sweep as campaigns
from lifecycle.cases import sweep as cases
from lifecycle.credentials import sweep as credentials
from lifecycle.decommissioning import sweep as decommissioning
from lifecycle.grants import sweep as grants
from lifecycle.idle import sweep as idle
from lifecycle.inbox import asked
from lifecycle.leavers import sweep as leavers
from lifecycle.models import SweepRun
from lifecycle.models.probes import ProbeCause
from lifecycle.notices import limits as paging
from lifecycle.notices import services as notices
from lifecycle.observing import sweep as observing
from lifecycle.people import sweep as people
from lifecycle.probes import selectors as probes
from lifecycle.probes import services as probing
from lifecycle.provisioning import sweep as provisioning
from lifecycle.renewals import sweep as renewals
from lifecycle.reviews import clock as review_clock
from lifecycle.reviews.periodic import sweep as periodic
from lifecycle.rotation import services as rotation
from lifecycle.scim import log as source_log
from lifecycle.sweeps import alarm, anchors, sealing, streams
from lifecycle.sweeps.registry import Key, Sweep, register
from lifecycle.switch import selectors as switch
from lifecycle.switch.services import handle_order
from lifecycle.toxic import checking as toxic
from registry.identity import providers


def register_all() -> None:
    """Make every sweep known, once the models are there."""
    for sweep in SWEEPS:
        register(sweep)


def _old_previews(now: datetime) -> list[str]:
    return [str(pk) for pk in authorization.previews_to_forget(_preview_limit(now))]


def _forget_preview(key: Key, now: datetime) -> bool:
    return authorization.forget_preview(preview_id=UUID(str(key)), before=_preview_limit(now))


def _preview_limit(now: datetime) -> datetime:
    return now - timedelta(days=settings.MUSTER_PREVIEW_DAYS)


def _old_runs(now: datetime) -> list[int]:
    """Runs that ended long ago. A sweep's newest stays, however old it is."""
    limit = now - timedelta(days=settings.MUSTER_SWEEP_DAYS)
    newest = SweepRun.objects.order_by("sweep", "-started_at", "-pk").distinct("sweep").values("pk")
    old = SweepRun.objects.filter(ended_at__lt=limit).exclude(pk__in=newest)
    return list(old.order_by("ended_at").values_list("pk", flat=True))


def _forget_run(key: Key, now: datetime) -> bool:
    return bool(SweepRun.objects.filter(pk=key).delete()[0])


def _over_holds(now: datetime) -> list[str]:
    """Holds that nobody answered in time, those that ran out first."""
    waiting = Hold.objects.filter(state=HoldState.OPEN, expires_at__lte=now)
    return [str(pk) for pk in waiting.order_by("expires_at").values_list("pk", flat=True)]


def _expire_hold(key: Key, now: datetime) -> bool:
    try:
        return holds.expire_hold(hold_id=UUID(str(key)))
    except HoldDecided:
        return False


def _due_callbacks(now: datetime) -> list[str]:
    waiting = Callback.objects.filter(
        sent_at__isnull=True, failed_at__isnull=True, next_at__lte=now
    )
    return [str(pk) for pk in waiting.order_by("next_at").values_list("pk", flat=True)]


def _send_callback(key: Key, now: datetime) -> bool:
    return callbacks.send_callback(callback_id=UUID(str(key)))


def _stopped(now: datetime) -> list[str]:
    return [agent for agent, _ in limits.stopped_agents()]


def _suspend(key: Key, now: datetime) -> bool:
    return stops.suspend_one(str(key))


def _due_reservations(now: datetime) -> list[str]:
    return [str(decision) for decision in limits.due_reservations(now)]


def _time_out(key: Key, now: datetime) -> bool:
    return spending.time_out_reservation(UUID(str(key)), now)


def _whenever(now: datetime) -> list[int]:
    """One thing, always due."""
    return [0]


def _forget_counted(key: Key, now: datetime) -> bool:
    return bool(spending.forget_old(now))


def _stale_rows(now: datetime) -> list[int]:
    return probes.stale_agents()


def _probe(key: Key, now: datetime) -> bool:
    return probing.probe_if_stale(agent_id=int(key), cause=ProbeCause.CHANGE) is not None


SWEEPS = (
    Sweep("asked", "Tells people what waits for them.", asked.due, asked.tell),
    Sweep(
        "callbacks",
        "Tells callers what became of their access requests, where that was not taken.",
        _due_callbacks,
        _send_callback,
    ),
    Sweep(
        "campaigns",
        "Reminds people of agents that may be theirs.",
        campaigns.due,
        campaigns.tell,
    ),
    Sweep(
        "grants",
        "Ends grants and delegations that are over, tells of first uses and of ends that are near.",
        grants.due,
        grants.handle,
    ),
    Sweep(
        "limits",
        "Pages those who answer for an agent that has reached a limit.",
        paging.due,
        paging.tell,
    ),
    Sweep(
        "reservations",
        "Counts money at its ceiling where nobody said in time what a call has cost.",
        _due_reservations,
        _time_out,
    ),
    Sweep(
        "idle",
        "Asks owners about agents that nobody has heard of for too long.",
        idle.due,
        idle.ask,
    ),
    Sweep("stopped", "Suspends agents that a limit has stopped.", _stopped, _suspend),
    Sweep("holds", "Ends holds that nobody answered in time.", _over_holds, _expire_hold),
    Sweep(
        "identities",
        "Makes, changes and ends the clients of agents in identity providers outside.",
        providers.due,
        providers.handle,
        outside=True,
    ),
    Sweep(
        "rotation",
        "Rotates keys that are due by their tier, and asks people for what only they can do.",
        rotation.due,
        rotation.handle,
        outside=True,
    ),
    Sweep(
        "anomalies",
        "Counts the hours that ended, and finds what agents do not usually do.",
        anomalies.due,
        anomalies.watch,
    ),
    Sweep(
        "notices",
        "Sends notices that are due, and tries again what was not taken.",
        notices.due_bundles,
        notices.send_bundle,
    ),
    Sweep(
        "observed",
        "Ends the observing of agents whose time is up, or whose data is restricted by now.",
        observing.due,
        observing.end,
    ),
    Sweep(
        "people",
        "Has people leave after their last day, applies files of people, watches their sources.",
        people.due,
        people.handle,
    ),
    Sweep(
        "periodic",
        "Has live agents looked at again in time, and suspends what nobody looked at.",
        periodic.due,
        periodic.handle,
    ),
    Sweep(
        "renewals",
        "Asks owners in time whether their agents are still needed.",
        renewals.due,
        renewals.ask,
    ),
    Sweep(
        "previews", "Deletes previews of changes that are too old.", _old_previews, _forget_preview
    ),
    Sweep(
        "reviews",
        "Tells who signs a review, reminds them, and escalates what is overdue.",
        review_clock.due,
        review_clock.handle,
    ),
    Sweep("probes", "Attacks live rows whose last test no longer stands.", _stale_rows, _probe),
    Sweep(
        "provisioning",
        "Goes on with agents on their way to being live, where that stopped.",
        provisioning.due,
        provisioning.pick_up,
    ),
    Sweep(
        "decommissioning",
        "Begins the ends that were ordered, and goes on with those that are not over.",
        decommissioning.due,
        decommissioning.handle,
    ),
    Sweep(
        "suspensions",
        "Stops what an order to suspend many has not stopped yet.",
        switch.due_of_orders,
        handle_order,
    ),
    Sweep(
        "bypass",
        "Matches calls that logs tell of, and leases, with the decisions about them.",
        bypass.due,
        bypass.handle,
    ),
    Sweep(
        "toxic",
        "Looks whether agents complete a toxic combination, after each change.",
        toxic.due,
        toxic.check_owner,
    ),
    Sweep("counted", "Deletes what no limit counts any more.", _whenever, _forget_counted),
    Sweep(
        "vault",
        "Ends revoked credentials at their vault, and wipes values whose overlap is over.",
        credentials.due,
        credentials.handle,
    ),
    Sweep(
        "cases",
        "Tells each day of an open case, drops what is not true any more, and acts at its end.",
        cases.due,
        cases.handle,
    ),
    Sweep(
        "leavers",
        "Finds leavers of whom no event told, or whose agents it missed.",
        leavers.due,
        leavers.handle,
    ),
    Sweep(
        "source_log", "Shortens the log of what directories did.", source_log.due, source_log.forget
    ),
    Sweep(
        "watch",
        "Sets off again what does not come through, and pages platform admins where it stays so.",
        alarm.due,
        alarm.handle,
    ),
    Sweep(
        sealing.NAME,
        "Pages security and platform admins where the record is not sealed in time.",
        sealing.due,
        sealing.tell,
        outside=True,
    ),
    Sweep(
        anchors.NAME,
        "Tells anchors outside the newest checkpoint, and pages people where none takes it.",
        anchors.due,
        anchors.handle,
        outside=True,
    ),
    Sweep(
        streams.NAME,
        "Sends the record to receivers outside, and pages people where one stays behind.",
        streams.due,
        streams.handle,
        outside=True,
    ),
    Sweep("runs", "Shortens the log of the sweeps.", _old_runs, _forget_run),
)
