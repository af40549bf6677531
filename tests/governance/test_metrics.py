"""What Prometheus reads: decisions as they are counted, gauges, several processes at once."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from django.test import Client

from authz import decide as deciding
from authz import meters as counted
from authz.enums import HoldState
from authz.models import Hold
from governance import metrics, pool, queue
from governance.kernel import meters
from governance.runner.places import PROJECT
from tests.factories.authz import bearer, make_desk

EVALUATION = "/access/v1/evaluation"
WATCHING = PROJECT / "docs/operations"
_TOTAL = "muster_decisions_total{"
NAME = re.compile(r"\bmuster_[a-z_]+")


def told(client: Client) -> dict[str, float]:
    """Each sample of `/metrics` by its name with its labels."""
    text = client.get("/metrics").content.decode()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def ask(client: Client, desk: Any, **changes: Any) -> Any:
    return client.post(
        EVALUATION,
        desk.body(**changes),
        content_type="application/json",
        headers={"authorization": bearer(desk.client)},
    )


@pytest.mark.django_db
def test_decisions_are_counted_by_effect_and_check(client: Client) -> None:
    desk = make_desk()
    before = told(client)

    allowed = ask(client, desk).json()
    body = desk.body()
    body["action"]["name"] = "nothing.known"
    denied = client.post(
        EVALUATION,
        body,
        content_type="application/json",
        headers={"authorization": bearer(desk.client)},
    ).json()
    refused = client.post(EVALUATION, {}, content_type="application/json").status_code
    after = told(client)

    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    assert (allowed["decision"], denied["decision"], refused) == (True, False, 401)
    assert sum(grown(name) for name in after if _TOTAL in name and '"allow"' in name) == 1
    assert grown('muster_decisions_total{check="allowlist",effect="deny"}') == 1
    assert grown('muster_decision_answers_total{status="200"}') == 2
    assert grown('muster_decision_answers_total{status="401"}') == 1
    assert grown("muster_decision_seconds_count") == 3
    assert grown('muster_decision_seconds_bucket{le="+Inf"}') == 3


@pytest.mark.django_db
@pytest.mark.parametrize("name", metrics.FORWARDED)
def test_what_a_proxy_on_this_machine_passes_on_is_not_answered(client: Client, name: str) -> None:
    answers = [client.get("/metrics", headers=headers) for headers in ({}, {name: "proxy"})]

    assert [each.status_code for each in answers] == [200, 404]


@pytest.mark.django_db
def test_what_the_past_is_told_again_by_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Any] = []
    monkeypatch.setattr(deciding, "_tell", lambda answers, began: heard.append(answers))
    work = deciding.deciding([], None, now="then")  # type: ignore[arg-type]
    also = deciding.deciding([], None)  # type: ignore[arg-type]

    for each in (work, also):
        assert list(each) == []

    assert heard == [[]]


@pytest.mark.django_db
def test_gauges_say_what_waits(client: Client) -> None:
    before = told(client)
    desk = make_desk()

    found = told(client)

    assert before["muster_holds_open"] == Hold.objects.filter(state=HoldState.OPEN).count()
    assert found['muster_agents{state="active"}'] == before['muster_agents{state="active"}'] + 1
    assert desk is not None
    assert found["muster_beat_seconds"] == -1
    assert found["muster_sweeps_late"] == 0
    assert (
        sum(
            value
            for name, value in found.items()
            if name.startswith("muster_database_connections{")
        )
        <= found["muster_database_connections_most"]
    )


@pytest.mark.django_db
def test_a_queue_that_is_away_is_said_and_not_counted(client: Client, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "pgmq://"
    settings.MUSTER_QUEUE_DSN = "host=127.0.0.1 port=9 user=nobody dbname=none"

    found = told(client)

    assert (found["muster_queue_up"], "muster_queue_tasks" in found) == (0, False)


def test_a_queue_that_was_never_used_is_empty(settings: Any) -> None:
    settings.CELERY_BROKER_URL = "memory://"
    settings.CELERY_TASK_DEFAULT_QUEUE = "never-used"

    assert queue.depth() == 0


def test_the_pool_is_noted_where_there_is_one() -> None:
    size = pool._SAID["pool_size"]
    stats = {"pool_size": 4, "pool_available": 1, "requests_waiting": 2, "pool_max": 16}

    pool.note(SimpleNamespace(get_stats=lambda: stats))
    with_pool = [gauge._value.get() for gauge in pool._SAID.values()]
    pool.note(None)

    assert with_pool == [4, 1, 2, 16]
    assert size._value.get() == 0


COUNT = """
import sys
from pathlib import Path
from governance.kernel import meters
meters.share(Path(sys.argv[1]))
from prometheus_client import Counter, Gauge
Counter("muster_test", "t", registry=meters.REGISTRY).inc(int(sys.argv[2]))
Gauge("muster_live", "l", registry=meters.REGISTRY, multiprocess_mode="livesum").set(7)
print(meters.told())
"""


def test_processes_are_added_up_and_the_dead_have_no_state(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"

    def count(many: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", COUNT, str(folder), str(many)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    first, second = count(3), count(4)
    meters.clear(folder)

    assert "\nmuster_test_total 3.0\n" in first
    assert "\nmuster_test_total 7.0\n" in second
    assert "\nmuster_live 7.0\n" in second
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_closed_leaves_each_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(meters.FOLDER, raising=False)
    there = tmp_path / "a file"
    there.touch()

    meters.share(there)

    assert meters.FOLDER not in os.environ
    assert "Each web process counts for itself" in caplog.text


# What watches them


def exposed(client: Client) -> set[str]:
    text = client.get("/metrics").content.decode()
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}


def base(name: str, known: set[str]) -> str:
    """The metric that a sample's name belongs to."""
    for ending in ("_bucket", "_sum", "_count"):
        if name.endswith(ending) and name.removesuffix(ending) in known:
            return name.removesuffix(ending)
    return name


@pytest.mark.django_db
@pytest.mark.parametrize("file", ["alerts.yml", "dashboard.json"])
def test_every_metric_that_is_watched_is_there(client: Client, file: str) -> None:
    desk = make_desk()
    ask(client, desk)
    known = exposed(client)

    named = {base(each, known) for each in NAME.findall((WATCHING / file).read_text())}

    assert named - known - {"muster_queue_tasks"} == set()
    assert len(named) > 8


def test_alert_rules_have_the_shape_that_prometheus_reads() -> None:
    found = yaml.safe_load((WATCHING / "alerts.yml").read_text())

    rules = [rule for group in found["groups"] for rule in group["rules"]]
    assert set(found) == {"groups"}
    assert [set(group) for group in found["groups"]] == [{"name", "rules"}] * len(found["groups"])
    for rule in rules:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"[0-9]+[smh]", rule["for"])
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["expr"].count("(") == rule["expr"].count(")")
    assert len({rule["alert"] for rule in rules}) == len(rules) > 8


def test_labels_have_few_values() -> None:
    """The name of an agent, a tool or a person would make a series for each."""
    for meter in (counted.DECISIONS, counted.ANSWERS, counted.SECONDS):
        assert set(meter._labelnames) <= {"effect", "check", "status"}
    assert metrics.GAUGES[-1] is metrics.connected
