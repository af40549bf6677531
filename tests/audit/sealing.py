"""A sealer for tests: the real one, over its real login, with a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
from psycopg import IsolationLevel

from audit.sealing import notes
from audit.sealing.folder import Folder
from audit.sealing.notes import Checkpoint, Signer, Verifier
from audit.sealing.passes import Sealer
from audit.sealing.process import Process, Settings, known

ORIGIN = "muster.example/test"
TREE = ("leaf_index", "node", "checkpoint", "sealing_key", "alarm")
RECEIPT_KEY = Signer.of_seed(f"{ORIGIN}/receipts", bytes([7] * 32)).verifier


@dataclass
class Bench:
    """Everything of one sealer; `opened` is its login, `owner` who may do what no login may."""

    folder: Folder
    opened: psycopg.Connection[Any]
    owner: psycopg.Connection[Any]
    url: str
    receipt_keys: tuple[Verifier, ...] = field(default=(RECEIPT_KEY,))

    def settings(self, pause: float = 0.05) -> Settings:
        return Settings(self.url, self.folder, self.receipt_keys, pause)

    def sealer(self, **more: Any) -> Sealer:
        return Sealer(self.opened, **{"origin": ORIGIN, "sign": self.sign, **more})

    def sign(self, checkpoint: Checkpoint) -> str:
        return notes.sign(checkpoint.text, [self.folder.signer()])

    def seal(self) -> None:
        """One whole pass of the process: keys, comparison, checkpoint, and what is kept of it."""
        self.folder.open()
        Process(self.settings())._pass(
            self.opened, self.sealer(known=lambda: known(self.opened, self.folder))
        )

    @contextmanager
    def running(self, pause: float = 0.05) -> Iterator[Process]:
        """The process itself, in a thread."""
        process = Process(self.settings(pause))
        thread = Thread(target=process.run)
        thread.start()
        try:
            yield process
        finally:
            process.stop()
            thread.join(20)

    def rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        return self.opened.execute(query.encode(), params).fetchall()

    def alarms(self) -> list[str]:
        return [cause for (cause,) in self.rows("SELECT cause FROM audit.alarm ORDER BY number")]

    def tamper(self, *statements: str) -> None:
        """As the record's owner, triggers away: what a superuser can do."""
        for table in (*TREE, "record"):
            self.owner.execute(f"ALTER TABLE audit.{table} DISABLE TRIGGER USER")
        for statement in statements:
            self.owner.execute(statement)
        for table in (*TREE, "record"):
            self.owner.execute(f"ALTER TABLE audit.{table} ENABLE ALWAYS TRIGGER no_change")
            self.owner.execute(f"ALTER TABLE audit.{table} ENABLE ALWAYS TRIGGER no_truncate")


def bench(tmp_path: Path, login: Callable[[str], Any]) -> Bench:
    """A sealer over an empty tree."""
    opened, owner = login("muster_sealer"), login("muster_migrator")
    owner.execute("SET ROLE muster_audit")
    opened.isolation_level = IsolationLevel.REPEATABLE_READ
    folder = Folder(tmp_path / "sealer", tmp_path / "anchored", ORIGIN)
    folder.anchored.mkdir()
    url = f"{opened.info.dsn} password={opened.info.password}"
    found = Bench(folder, opened, owner, url)
    found.tamper(*(f"DELETE FROM audit.{table}" for table in TREE))
    return found
