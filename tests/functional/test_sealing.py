"""Promise 5 on a real installation: under load, every receipt has a proof within five seconds."""

import base64
import hashlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from audit.sealing import notes, receipts, tree
from audit.sealing.notes import Verifier
from audit.sealing.receipts import Receipt
from tests.functional.installation import Installation
from tests.functional.test_kill import QUESTION

pytestmark = pytest.mark.kill

AGENT = "refund-desk"
CLIENTS, QUESTIONS = 8, 40


@pytest.fixture
def agent(demo: Installation) -> Iterator[httpx.Client]:
    demo.lift_limits(AGENT)
    known = next(each for each in demo.demo["agents"] if each["id"] == AGENT)
    token = demo.token(known["client_id"], known["client_secret"])
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=demo.base_url, headers=headers, timeout=30) as client:
        yield client


def published(demo: Installation) -> list[Verifier]:
    """The public keys, as somebody outside reads them."""
    lines = httpx.get(f"{demo.base_url}/log/keys").text.splitlines()
    named = (line.partition(" ") for line in lines)
    kinds = ("checkpoint", "receipt")
    return [notes.read_vkey(key) for kind, _, key in named if key and kind in kinds]


def check(told: dict[str, Any], proof: str, keys: list[Verifier]) -> None:
    """The receipt was signed, and what it speaks of stands under the checkpoint."""
    given = dict(told["context"]["receipt"])
    assert given.pop("record") == told["context"]["decision_id"]
    assert receipts.verify(Receipt(**{**given, "path": tuple(given["path"])}), keys)
    head, _, note = proof.partition("\n\n")
    _, extra, index, *path = head.split("\n")
    body = base64.b64decode(extra.removeprefix("extra "))
    leaf, signed = hashlib.sha256(b"\x00" + body).digest(), notes.open_checkpoint(note, keys)
    assert leaf.hex() == given["leaf"]
    assert tree.verify_inclusion(
        index=int(index.removeprefix("index ")),
        size=signed.size,
        leaf=leaf,
        proof=[base64.b64decode(part) for part in path],
        root=signed.root,
    )


def test_every_receipt_of_a_load_is_proved_within_five_seconds(
    demo: Installation, agent: httpx.Client
) -> None:
    def ask(_: int) -> list[dict[str, Any]]:
        return [agent.post("/access/v1/evaluation", json=QUESTION).json() for _ in range(QUESTIONS)]

    with demo.as_web() as long, long.transaction(), ThreadPoolExecutor(CLIENTS) as pool:
        # It has begun to write, and ends when all is proved.
        long.execute("SELECT pg_current_xact_id()")
        told = [each for some in pool.map(ask, range(CLIENTS)) for each in some]
        time.sleep(5)
        proofs = [
            agent.get(f"/api/v1/decisions/{each['context']['decision_id']}/proof") for each in told
        ]

    keys = published(demo)
    assert [proof.status_code for proof in proofs] == [200] * CLIENTS * QUESTIONS
    for each, proof in zip(told, proofs, strict=True):
        check(each, proof.text, keys)


def test_a_killed_sealer_comes_back_and_goes_on(demo: Installation, agent: httpx.Client) -> None:
    os.kill(sealer_of(demo), signal.SIGKILL)
    told = agent.post("/access/v1/evaluation", json=QUESTION).json()
    address = f"/api/v1/decisions/{told['context']['decision_id']}/proof"

    deadline = time.monotonic() + 30
    while (proof := agent.get(address)).status_code != 200 and time.monotonic() < deadline:
        time.sleep(0.5)

    check(told, proof.text, published(demo))


def sealer_of(demo: Installation) -> int:
    """The sealer of this very installation, by what it was told."""
    wanted = f"MUSTER_SEALER={demo.data / 'sealer'}".encode()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                return int(entry.name)
        except OSError:
            continue
    raise AssertionError("no sealer runs")
