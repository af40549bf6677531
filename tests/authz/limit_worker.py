"""A process of callers that ask at the same time: see test_limits_kill.py.

Reads from its input where the database is and what is asked; writes a line for each answer. With
`die_after` it kills itself after so many allowed calls, as a worker does between what it reserved
and what it would have settled.
"""

import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg

STATEMENT = "SELECT authz.decide_batch(%s::jsonb)::text"


def main() -> None:
    told = json.loads(sys.stdin.read())
    start, allowed = threading.Barrier(told["threads"]), []

    def ask(batches: list[Any]) -> None:
        with psycopg.connect(**told["place"], autocommit=True) as opened:
            start.wait()
            for batch in batches:
                batch["requests"][0]["now"] = datetime.now(UTC).isoformat()
                row = opened.execute(STATEMENT, [json.dumps(batch)]).fetchone()
                (answer,) = json.loads(row[0] if row else "")["answers"]
                print(batch["requests"][0]["row"]["id"], answer["effect"], flush=True)
                allowed.extend([1] * (answer["effect"] == "allow"))
                if told["die_after"] and len(allowed) >= told["die_after"]:
                    os.kill(os.getpid(), signal.SIGKILL)

    with ThreadPoolExecutor(told["threads"]) as pool:
        list(pool.map(ask, told["asked"]))


if __name__ == "__main__":
    main()
