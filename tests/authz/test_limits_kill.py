"""64 callers in four processes against a limit of 50, two of which are killed on the way."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from authz import decide as deciding
from authz import recorder, timekeeper
from authz.decide import decide
from authz.models import Counter, Reservation
from authz.services.spending import settle
from authz.work import Look
from registry.models import AllowlistEntry
from tests.authz.test_limits import _one_window, codes  # noqa: F401 (a fixture)
from tests.factories.authz import make_desk
from tests.factories.sweeping import settle_overdue

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.kill]

PROCESSES, THREADS, CALLS, MOST, COST = 4, 16, 8, 50, 100
WORKER = Path(__file__).parent / "limit_worker.py"


def desk_of(kind):
    rate = MOST if kind == "rate" else 100_000
    desk = make_desk(
        tool_fields={"cost_minor": COST},
        agent_fields={
            "rate_per_minute": 100_000,
            "rate_per_hour": rate,
            "spend_cap_minor": MOST * COST if kind == "spend" else 10**9,
        },
    )
    if kind == "quota":
        AllowlistEntry.objects.update(write_quota_per_hour=MOST)
    return desk


def batches(desk):
    """For each thread the batches that it sends, each with a record of its own."""
    (judged,) = _judged(desk, 1)
    assert judged.count is not None
    return [
        [json.loads(recorder.as_json([each])) for each in _judged(desk, CALLS)]
        for _ in range(THREADS)
    ]


def _judged(desk, count):
    work = deciding.deciding([desk.ask()] * count, desk.caller)
    look = next(work)
    assert isinstance(look, Look)
    return work.send(look.at())


def start(desk, die_after):
    ours = connection.get_connection_params()
    password = json.loads(Path(os.environ["MUSTER_LOGINS"]).read_text())["muster_web"]
    place = {key: ours[key] for key in ("host", "port", "dbname") if key in ours}
    told = {
        "place": {**place, "user": "muster_web", "password": password},
        "threads": THREADS,
        "die_after": die_after,
        "asked": batches(desk),
    }
    child = subprocess.Popen(
        [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(told))
    child.stdin.close()
    return child


def end(child):
    """The lines that a process wrote, and how it ended."""
    assert child.stdout is not None
    with child.stdout as written:
        lines = written.read().split("\n")
    return lines, child.wait()


@pytest.mark.parametrize(
    ("kind", "refused"), [("rate", "deny"), ("quota", "hold"), ("spend", "deny")]
)
def test_exactly_as_many_as_the_limit_says_go_on(kind, refused, mark, records_after):
    desk, before = desk_of(kind), mark()

    children = [start(desk, die_after) for die_after in (3, 5, 0, 0)]
    said, ends = zip(*map(end, children), strict=True)

    assert ends == (-9, -9, 0, 0)
    effects = [row["effect"] for row in records_after(before)]
    assert effects.count("allow") == MOST
    assert set(effects) == {"allow", refused}
    told = {line for each in said for line in each if line.endswith(" allow")}
    assert len(told) <= MOST
    counter = Counter.objects.get(key=f"agent:{desk.agent.slug}")
    assert Reservation.objects.filter(is_held=False).count() == MOST
    if kind == "spend":
        _settles(desk, [line.split()[0] for line in said[3] if line.endswith(" allow")])
    else:
        counts = {"rate": counter.hour_calls, "quota": MOST}
        assert counts[kind] == MOST


def _settles(desk, told):
    """Those that lived say what their calls cost; the dead say nothing and count in full."""
    for decision in told:
        settle(decision=decision, agent=desk.agent.slug, cost_minor=1)
    assert settle_overdue(timekeeper.now() + timedelta(hours=2)) == MOST - len(told)

    counter = Counter.objects.get(key=f"agent:{desk.agent.slug}")
    assert counter.day_spent == len(told) + (MOST - len(told)) * COST
    free = (MOST * COST - counter.day_spent) // COST
    assert codes(decide([desk.ask()] * (free + 1), desk.caller)) == [""] * free + ["spend.cap"]
