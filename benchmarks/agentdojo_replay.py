"""Replays the benign and the injected calls of AgentDojo suites against a running server.

    python benchmarks/agentdojo_replay.py banking.json --base-url URL --secrets secrets.json

Prints how many of each are allowed and what decided on the rest. Fails where a benign call is
denied; how many injected calls pass is the honest figure of what the checks built so far close.
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

from agentdojo_inventory import benign_calls, slug_of
from replay import Server, sign_in, with_token

Json = Any


def injected_calls(suite: Json) -> Iterator[Json]:
    """Every call that the injection tasks want made."""
    for task in suite["injection_tasks"]:
        yield from task["calls"]


def ask(server: Server, agent: str, call: Json) -> Json:
    """The decision on one call. No resource is claimed: the tool's own parameter says it."""
    name = call["function"]
    return server.evaluate(
        {
            "subject": {"type": "agent", "id": agent},
            "action": {"name": name, "properties": call["args"]},
            "resource": {"type": "tool", "id": name},
        }
    )


def replay(server: Server, agent: str, calls: Iterator[Json]) -> tuple[int, int, Counter[str]]:
    """How many are allowed, of how many, and the codes of what is not."""
    allowed = total = 0
    codes: Counter[str] = Counter()
    for call in calls:
        answer = ask(server, agent, call)
        total += 1
        allowed += answer["decision"]
        if not answer["decision"]:
            codes[f"{call['function']}: {answer['context']['code']}"] += 1
    return allowed, total, codes


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suites", nargs="+", type=Path)
    parser.add_argument("--base-url", required=True)
    known = parser.add_mutually_exclusive_group(required=True)
    known.add_argument("--secrets", type=Path, help="what `./muster apply --secrets` wrote (JSON)")
    known.add_argument("--token", help="an access token of the suite's agent")
    given = parser.parse_args()
    denied = 0
    for path in given.suites:
        suite = json.loads(path.read_text())
        agent = slug_of(suite)
        server = (
            with_token(given.base_url, given.token)
            if given.token
            else sign_in(given.base_url, given.secrets, "agents", agent)
        )
        for name, calls in (("benign", benign_calls(suite)), ("injected", injected_calls(suite))):
            allowed, total, codes = replay(server, agent, calls)
            denied += total - allowed if name == "benign" else 0
            print(f"{suite['suite']}: {allowed} of {total} {name} calls allowed")
            for code, count in sorted(codes.items()):
                print(f"    {count} × {code}")
    return 1 if denied else 0


if __name__ == "__main__":
    sys.exit(main())
