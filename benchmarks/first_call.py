"""From a file to a first allowed call: `python -m benchmarks.first_call --data FOLDER --as EMAIL`.

FOLDER is the data folder of a running `./muster demo`; EMAIL someone of it who may own agents.
Applies an agent that starts from a template, gets a token with its secret, asks a first question.
Prints the seconds of each part; nothing is judged.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.replay import sign_in

MUSTER = Path(__file__).resolve().parent.parent / "muster"
TEMPLATE = "notifier"
CHOICES = {"reads": ["ticket.search"], "posts": ["chat.post"], "posts_to": "#support"}
READING = ("ticket.search", {"query": "open claims"})


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--as", dest="by", required=True)
    parser.add_argument("--url", default="")
    wanted = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        return _measure(wanted.data, wanted.by, wanted.url, Path(folder))


def _measure(data: Path, by: str, url: str, folder: Path) -> int:
    slug = f"first-call-{secrets.token_hex(3)}"
    inventory, kept = folder / "agent.json", folder / "secrets.json"
    inventory.write_text(json.dumps(_document(slug, by)))
    began = time.perf_counter()
    command = [str(MUSTER), "apply", str(inventory), "--as", by, "--secrets", str(kept)]
    done = subprocess.run(command, env=os.environ | {"MUSTER_DATA": str(data)}, check=False)
    applied = time.perf_counter()
    if done.returncode:
        return done.returncode
    server = sign_in(url or json.loads(kept.read_text())["base_url"], kept, "agents", slug)
    signed_in = time.perf_counter()
    answer = server.evaluate(_question(slug))
    answered = time.perf_counter()
    print(f"apply       {applied - began:6.2f} s")
    print(f"token       {signed_in - applied:6.2f} s")
    print(f"first call  {answered - signed_in:6.2f} s")
    print(f"in all      {answered - began:6.2f} s, {'allowed' if answer['decision'] else answer}")
    return 0


def _document(slug: str, by: str) -> dict[str, Any]:
    agent = {
        "slug": slug,
        "name": "First call",
        "purpose": "Tells the channel what is open.",
        "owner": by,
        "template": TEMPLATE,
        "choices": CHOICES,
        "attest": True,
    }
    return {"muster": 1, "agents": [agent]}


def _question(slug: str) -> dict[str, Any]:
    tool, properties = READING
    return {
        "subject": {"type": "agent", "id": slug},
        "action": {"name": tool, "properties": properties},
        "resource": {"type": "tool", "id": tool},
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
