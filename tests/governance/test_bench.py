"""`./muster bench`, and how its figures are judged."""

import json
import os

import pytest

from authz.engine.types import Effect
from authz.engine.walk import judge
from benchmarks import decisions, engine, load, parties
from benchmarks.decisions import Figure
from benchmarks.load import Measured, Question
from governance.runner import bench
from governance.runner.places import CannotStart


def test_unknown_benchmark_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        CannotStart, match=r"There is no benchmark nothing\. There are: .*decisions"
    ):
        bench.run(["nothing"])


@pytest.mark.parametrize("name", ["../manage", "load.py", "os"])
def test_only_benchmarks_are_run(name: str) -> None:
    with pytest.raises(CannotStart):
        bench.run([name])


def _figures(ratio: float, p99: float = 1.0, cpu: float = 100.0) -> list[Figure]:
    cerbos = Measured(rate=1000, p50=1, p99=2, cpu=500, answered=1)
    ours = Measured(rate=1000 * ratio, p50=1, p99=p99, cpu=cpu, answered=1)
    return [Figure(case, ours, cerbos) for case in decisions.CASES]


def test_no_goal_is_missed() -> None:
    assert decisions._missed(_figures(3.0), single=4000.0) == []


@pytest.mark.parametrize(
    ("figures", "single", "wanted"),
    [
        (_figures(2.0), None, ["c64: 2.00 of Cerbos's rate, 2.5 was the goal"]),
        (_figures(3.0, cpu=221), None, ["c64: 221 µs of CPU a decision, 220 was the goal"]),
        (_figures(3.0), 5000.0, ["c64: 0.60 of single-row commits, 0.7 was the goal"]),
        (
            _figures(3.0, p99=2.5),
            None,
            [f"{case.name}: p99 of 2.5 ms is above Cerbos's 2.0 ms" for case in decisions.CASES],
        ),
    ],
)
def test_every_missed_goal_is_named(
    figures: list[Figure], single: float | None, wanted: list[str]
) -> None:
    assert decisions._missed(figures, single) == wanted


def test_ratios_are_lines_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    decisions._print_ratios(_figures(2.0), 4000.0)

    assert capsys.readouterr().out.splitlines() == [
        "ratio c1 2.00",
        "ratio c8 2.00",
        "ratio c64 2.00",
        "ratio batch20 2.00",
        "ratio pgbench64 0.50",
    ]


def test_both_sides_are_asked_about_the_same_facts() -> None:
    single, many = parties.questions({"payer-0": "t0", "payer-1": "t1"})

    for body in single.bodies:
        assert body["action"]["properties"].items() >= body["resource"]["properties"].items()
    assert (single.decisions, many.decisions) == (1, 20)
    assert [len(body["evaluations"]) for body in many.bodies] == [20, 20]


def test_the_scripts_of_wrk_hold_what_is_asked() -> None:
    question = Question("/x", [{"a": 'quo"te\n'}], ["token"])

    script = question.script()

    assert json.dumps(json.dumps(question.bodies[0])) in script
    assert '{"token"}' in script


def test_time_of_this_process_is_counted() -> None:
    before = load.cpu_seconds([os.getppid()])

    assert before > 0


@pytest.mark.parametrize("tool", ["pay.open", "pay.send"])
def test_the_engine_is_measured_on_calls_that_it_allows(tool: str) -> None:
    assert judge(*engine.asked(tool, 20), engine.NOW).effect is Effect.ALLOW
