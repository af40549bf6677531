"""The sealer's process: one at a time, over a login of its own, with a key that nobody else has.

It runs without Django. `python -m audit.sealing` seals until it is told to stop; `rotate` asks the
running one to take a new key, `accept REASON` to go on from a database that was restored.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import IsolationLevel

from audit.sealing import notes
from audit.sealing.certificates import CHECKPOINT, RECEIPT, RECEIPTS, Certificate, certify
from audit.sealing.folder import Folder, Refused, write
from audit.sealing.notes import Checkpoint, Signer, Verifier
from audit.sealing.passes import LOCK, Inconsistent, Opened, Sealer

# What is looked for more seldom is not sealed within five seconds.
PAUSE_SECONDS, SHORTEST_PAUSE = 2.0, 0.1
CONNECT_SECONDS = 5
REFUSED = 78  # EX_CONFIG of sysexits.h; the supervisor takes it for a refusal

ANCHORED_HERE = """
SELECT has_table_privilege(c.oid, 'SELECT') FROM pg_class AS c
WHERE c.oid = to_regclass('audit.anchored')
"""
LAST_ANCHORED = "SELECT size, root FROM audit.anchored ORDER BY size DESC LIMIT 1"

log = logging.getLogger("sealer")


@dataclass(frozen=True)
class Settings:
    """What the process is told by its environment."""

    database: str
    folder: Folder
    receipt_keys: tuple[Verifier, ...]
    pause: float

    @classmethod
    def of_environment(cls) -> Settings:
        path, origin = Path(_required("MUSTER_SEALER")), _required("MUSTER_ORIGIN")
        anchored = Path(os.environ.get("MUSTER_ANCHORED") or path.parent / "anchored")
        told = os.environ.get("MUSTER_RECEIPT_KEYS", "").split()
        return cls(
            database=_required("DATABASE_URL"),
            folder=Folder(path, anchored, origin),
            receipt_keys=tuple(Verifier(origin + RECEIPTS, base64.b64decode(key)) for key in told),
            pause=_pause(os.environ.get("MUSTER_SEAL_SECONDS", "")),
        )


def _required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise Refused(f"{name} is not set. `./muster up` sets it.")
    return value


def _pause(told: str) -> float:
    try:
        pause = float(told or PAUSE_SECONDS)
    except ValueError:
        pause = 0
    if not SHORTEST_PAUSE <= pause <= PAUSE_SECONDS:
        raise Refused(f"MUSTER_SEAL_SECONDS is from {SHORTEST_PAUSE} to {PAUSE_SECONDS}.")
    return pause


class Process:
    """Seals until it is stopped, over one connection after the other."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._folder = settings, settings.folder
        self._stopping = threading.Event()
        self._said = ""
        # Why nothing is signed; None until the first pass has looked.
        self._alarmed: str | None = None

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Seal until `stop`. Raises `Refused` where the folder or the key is not as it must be."""
        self._folder.open()
        while not self._stopping.is_set():
            try:
                with psycopg.connect(
                    self._settings.database,
                    autocommit=True,
                    connect_timeout=CONNECT_SECONDS,
                    application_name="muster sealer",
                ) as opened:
                    opened.isolation_level = IsolationLevel.REPEATABLE_READ
                    self._serve(opened)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self._say(f"The database does not answer ({type(error).__name__}).")
                self._stopping.wait(1.0)

    def _serve(self, opened: Opened) -> None:
        while not self._is_the_one(opened):
            self._say("Another sealer is at work; waiting for it to end.")
            if self._stopping.wait(self._settings.pause):
                return
        self._say(f"Sealing {self._folder.origin}.")
        sealer = Sealer(
            opened,
            origin=self._folder.origin,
            sign=self._sign,
            known=lambda: known(opened, self._folder),
        )
        while True:
            self._pass(opened, sealer)
            if self._stopping.wait(self._settings.pause):
                return

    def _pass(self, opened: Opened, sealer: Sealer) -> None:
        """One pass, or an alarm; a person's word that the database counts ends the alarm."""
        try:
            publish(opened, self._settings)
            sealer.check()
            sealed = sealer.seal()
        except Inconsistent as found:
            self._alarm(opened, found.cause, found.detail)
            self._say(f"NOTHING IS SIGNED: {found}")
            accept(opened, self._folder)
            return
        if sealed:
            self._folder.keep(sealed.note)
        if self._alarmed != "":
            self._alarm(opened, "", {})
        # A word that nobody needed must not wait for the next alarm.
        self._folder.accepting.unlink(missing_ok=True)

    def _alarm(self, opened: Opened, cause: str, detail: Mapping[str, Any]) -> None:
        raise_alarm(opened, cause, detail)
        self._alarmed = cause

    def _sign(self, checkpoint: Checkpoint) -> str:
        return notes.sign(checkpoint.text, [self._folder.signer()])

    def _say(self, text: str) -> None:
        """Into the log, once."""
        if text != self._said:
            log.warning(text)
        self._said = text

    @staticmethod
    def _is_the_one(opened: Opened) -> bool:
        row = opened.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        return bool(row and row[0])


def known(opened: Opened, folder: Folder) -> list[Checkpoint]:
    """Every checkpoint that the stored tree must go on from."""
    return folder.known(Checkpoint(folder.origin, *row) for row in _anchored(opened))


def _anchored(opened: Opened) -> list[tuple[int, bytes]]:
    """The last that was anchored, where this database keeps that."""
    here = opened.execute(ANCHORED_HERE).fetchone()
    if not (here and here[0]):
        return []
    return opened.execute(LAST_ANCHORED).fetchall()


def publish(opened: Opened, settings: Settings) -> None:
    """Publish our public keys with their certificates, and take over a new key.

    Raises `Inconsistent` where others have sealed this log and our key is not among theirs.
    """
    folder = settings.folder
    published = {
        vkey for (vkey,) in opened.execute("SELECT vkey FROM audit.sealing_key").fetchall()
    }
    ours, new = folder.signer(), folder.next_signer()
    if published and ours.verifier.vkey not in published:
        raise Inconsistent("key", ours=ours.verifier.vkey)
    if not published:
        _publish(opened, CHECKPOINT, ours.verifier, [ours])
    if new is not None:
        _publish(opened, CHECKPOINT, new.verifier, [ours, new])
        folder.take_over()
        ours = new
    for key in settings.receipt_keys:
        if key.vkey not in published:
            _publish(opened, RECEIPT, key, [ours])


def _publish(opened: Opened, kind: str, key: Verifier, signers: Sequence[Signer]) -> None:
    row = opened.execute("SELECT coalesce(max(size), 0) FROM audit.checkpoint").fetchone()
    since = int(row[0]) if row else 0
    certificate = Certificate(signers[0].name, kind, key.vkey, since)
    opened.execute(
        "SELECT audit.publish_key(%s, %s, %s)", [kind, key.vkey, certify(certificate, signers)]
    )
    log.warning("Published the %s key %s.", kind, key.vkey)


def accept(opened: Opened, folder: Folder) -> bool:
    """Go on from the database as it is, where an operator has said so and why; whether one had.

    What was signed before stays signed: whoever keeps an earlier checkpoint sees the break.
    """
    if not folder.accepting.exists():
        return False
    reason, ours = folder.accepting.read_text().strip(), folder.signer()
    given_up = known(opened, folder)
    folder.give_up(given_up)
    _publish(opened, CHECKPOINT, ours.verifier, [ours])
    gone = [{"size": each.size, "root": each.root.hex()} for each in given_up]
    raise_alarm(opened, "", {"accepted": reason, "given_up": gone})
    folder.accepting.unlink()
    return True


def raise_alarm(opened: Opened, cause: str, detail: Mapping[str, Any]) -> None:
    opened.execute("SELECT audit.raise_alarm(%s, %s::jsonb)", [cause, json.dumps(detail)])


def main(arguments: list[str]) -> int:
    """What `python -m audit.sealing` does; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = Settings.of_environment()
        return _told(settings, *arguments)
    except Refused as refusal:
        print(f"The sealer refuses: {refusal}", file=sys.stderr, flush=True)
        return REFUSED


def _told(settings: Settings, word: str = "run", *rest: str) -> int:
    folder = settings.folder
    if word == "rotate":
        folder.make_next_key()
        print("The sealer takes the new key over at its next pass, and the old one signs it.")
    elif word == "accept" and rest:
        write(folder.accepting, " ".join(rest))
        print("The sealer goes on from the database as it is, if it has raised an alarm.")
    elif word == "run":
        process = Process(settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: process.stop())
        process.run()
    else:
        print("Say rotate, or accept and why.", file=sys.stderr)
        return 2
    return 0
