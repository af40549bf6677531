"""AgentDojo's attacks aimed at the rows of its suites: the figures of the HTTP replay."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lifecycle.apply.document import read_inventory
from lifecycle.apply.execute import apply_inventory
from lifecycle.models import ProbeRun
from lifecycle.probes import services
from lifecycle.probes.corpus import load_corpus
from registry.models import Agent
from registry.permissions import Automatic
from tests import public

pytestmark = pytest.mark.django_db

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
OWNER = "owner@dojo.example"
# Attack calls by end and check: what docs/explanation/injected-calls.md publishes, and by which
# check. Of consequence, then reads.
FIGURES: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("banking", "--plans"): (
        {"held": {"taint": 176}},
        {"executed": {"": 4}, "held": {"taint": 12}},
    ),
    ("banking", ""): ({"held": {"taint": 176}}, {"executed": {"": 16}}),
    ("slack", "--plans"): (
        {"held": {"taint": 94}, "refused": {"allowlist": 21, "flow": 32}},
        {"executed": {"": 41}, "held": {"taint": 85}},
    ),
    ("slack", ""): (
        {"held": {"taint": 84}, "refused": {"allowlist": 21, "flow": 42}},
        {"executed": {"": 126}},
    ),
}


def written(name: str, path: Path, *words: object) -> Path:
    """What a script of benchmarks/ prints, as a file."""
    script = [sys.executable, str(BENCHMARKS / name), *map(str, words)]
    path.write_text(subprocess.run(script, check=True, capture_output=True, text=True).stdout)
    return path


@pytest.mark.parametrize(("suite", "plans"), FIGURES)
def test_attacks_end_as_they_do_over_http(suite: str, plans: str, tmp_path: Path) -> None:
    source = public.path(f"agentdojo/{suite}.json")
    rows = written(
        "agentdojo_inventory.py", tmp_path / "rows.yaml", source, "--owner", OWNER, "--new-owner"
    )
    attacks = written("agentdojo_corpus.py", tmp_path / "c.json", source, *plans.split())
    apply_inventory(read_inventory(rows), by_email=OWNER, bootstrap=True)

    run = services.probe_agent(
        agent_id=Agent.objects.get(slug=f"dojo-{suite}").pk,
        by=Automatic("tester"),
        corpus=load_corpus(str(attacks)),
    )

    acting, reads = FIGURES[suite, plans]
    assert run.calls == {"consequential": acting, "reads": reads}
    assert run.blocking == []
    assert len(json.loads(attacks.read_text())["attacks"]) == run.aimed


def test_rows_that_were_loaded_first_are_attacked_with_the_product_s_own(tmp_path: Path) -> None:
    """Nobody is kept from loading; what was found is in the plan and on the page."""
    source = public.path("agentdojo/banking.json")
    rows = written(
        "agentdojo_inventory.py", tmp_path / "rows.yaml", source, "--owner", OWNER, "--new-owner"
    )

    outcome = apply_inventory(read_inventory(rows), by_email=OWNER, bootstrap=True)

    told = [note for step in outcome.steps for note in step.notes if "attack" in note]
    run = ProbeRun.objects.get()
    assert told == ["2 attacks would execute: amount-without-end, amount-below-nought"]
    assert (run.cause, run.agent.state) == ("loaded", "active")
