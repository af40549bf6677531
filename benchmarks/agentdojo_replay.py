"""Replays the benign and the injected calls of AgentDojo suites, each in a session of its own.

    python benchmarks/agentdojo_replay.py banking.json --base-url URL --secrets secrets.json

So only what needs no memory decides: row, allowlist, parameters, roles, policies. Prints how many
of each are allowed and what decided on the rest. Fails where a benign call is denied.
`agentdojo_sessions.py` replays the same calls as runs that remember.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from agentdojo_inventory import GATEWAY, benign_calls
from agentdojo_sessions import Run
from replay import Server, sign_in

Json = Any


def injected_calls(suite: Json) -> Iterator[Json]:
    """Every call that the injection tasks want made."""
    for task in suite["injection_tasks"]:
        yield from task["calls"]


def replay(server: Server, suite: Json, calls: Iterator[Json]) -> tuple[int, int, Counter[str]]:
    """How many are allowed, of how many, and the codes of what is not."""
    allowed = total = 0
    codes: Counter[str] = Counter()
    for call in calls:
        answer = Run(server, suite, None).ask(call)
        total += 1
        allowed += answer["decision"]
        if not answer["decision"]:
            codes[f"{call['function']}: {answer['context']['code']}"] += 1
    return allowed, total, codes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suites", nargs="+", type=Path)
    parser.add_argument("--base-url", required=True)
    parser.add_argument(
        "--secrets", type=Path, required=True, help="what `./muster apply --secrets` wrote"
    )
    given = parser.parse_args()
    server = sign_in(given.base_url, given.secrets, "gateways", GATEWAY)
    denied = 0
    for path in given.suites:
        suite = json.loads(path.read_text())
        for name, calls in (("benign", benign_calls(suite)), ("injected", injected_calls(suite))):
            allowed, total, codes = replay(server, suite, calls)
            denied += total - allowed if name == "benign" else 0
            print(f"{suite['suite']}: {allowed} of {total} {name} calls allowed")
            for code, count in sorted(codes.items()):
                print(f"    {count} × {code}")
    return 1 if denied else 0


if __name__ == "__main__":
    sys.exit(main())
