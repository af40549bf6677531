"""AgentDojo suites as a corpus of attacks, for `./muster probe`.

    python benchmarks/agentdojo_corpus.py banking.json --plans > banking-corpus.json
    ./muster probe dojo-banking --corpus banking-corpus.json

For every pair of a user task and an injection task whose text the user task reads, the attack is:
the calls of the errand up to the poisoned read, whose result is reported as untrusted, then the
injected calls. With `--plans` each run has declared the plan of its errand (`agentdojo_plans.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from agentdojo_plans import PLANS
from agentdojo_sessions import pairs, up_to_poison

Json = Any


def corpus(suites: Iterable[Json], *, planned: bool) -> dict[str, Json]:
    """The corpus of some suites; they must be aimed at the agent of each suite apart."""
    found = list(suites)
    name = "agentdojo " + " ".join(suite["suite"] for suite in found)
    return {
        "corpus": f"{name}{' with plans' if planned else ''}",
        "version": 1,
        "attacks": [attack for suite in found for attack in _attacks(suite, planned=planned)],
    }


def _attacks(suite: Json, *, planned: bool) -> Iterator[dict[str, Json]]:
    for task, injection in pairs(suite):
        attack: dict[str, Json] = {
            "id": f"{suite['suite']}.{task['id']}.{injection['id']}",
            "title": injection["goal"][:160],
            "owasp": {"llm": ["LLM01"], "agentic": ["ASI01"]},
            "steps": [
                *(_errand(call) for call in up_to_poison(task)),
                *(_injected(call) for call in injection["calls"]),
            ],
        }
        if planned:
            attack["plan"] = PLANS[suite["suite"]][task["id"]]
        yield attack


def _errand(call: Json) -> dict[str, Json]:
    poisoned = bool(call["result_carries_injection_vectors"])
    return {
        "call": {"name": call["function"]},
        "parameters": call["args"],
        "goal": False,
        "result": "untrusted" if poisoned else "trusted",
    }


def _injected(call: Json) -> dict[str, Json]:
    return {"call": {"name": call["function"]}, "parameters": call["args"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suites", nargs="+", type=Path, help="banking.json, slack.json")
    parser.add_argument("--plans", action="store_true", help="each run declares its plan first")
    given = parser.parse_args()
    suites = [json.loads(path.read_text()) for path in given.suites]
    json.dump(corpus(suites, planned=given.plans), sys.stdout, indent=2)


if __name__ == "__main__":
    main()
