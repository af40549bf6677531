"""Definitions of tools as they were accepted: what changes later is not called.

A server that an agent trusts can change what a tool says it does after people looked at it. So the
first definition that is seen is pinned by its digest, and another one is kept beside it until
somebody accepts it with `muster gateway pins accept`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = Any
# What a model is shown of a tool, or a client judges by.
_PINNED = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")

# A server that names new tools without end would fill the disk.
_MOST_OF_A_SERVER = 5000
_TRIES, _BETWEEN = 100, 0.05


class PinsUnreadable(Exception):
    """The file of pins is damaged: nothing is known to be accepted, so nothing is called."""


@dataclass(frozen=True, slots=True)
class Pin:
    """Digests in hexadecimal; `waiting` is one that nobody accepted, with its definition."""

    accepted: str
    waiting: str = ""
    definition: Json = None


def digest_of(definition: Mapping[str, Json]) -> str:
    """SHA-256 over what a definition says, in one order of members.

    >>> digest_of({"name": "a", "icons": []}) == digest_of({"name": "a"})
    True
    >>> digest_of({"name": "a"}) == digest_of({"name": "a", "description": "Call b first."})
    False
    """
    said = {name: definition[name] for name in _PINNED if definition.get(name) is not None}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Pins:
    """The pins of all servers, in one file that is replaced whole.

    It is read again at each look, so that what another process accepted counts at once, and
    changed by one process at a time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def look(self, server: str, definitions: Mapping[str, Mapping[str, Json]]) -> dict[str, bool]:
        """Is each of these definitions as it was accepted? A tool never seen is pinned now.

        Raises `PinsUnreadable`, also where what is new could not be written.
        """
        found = self._read()
        held, changed = _compared(found, server, definitions)
        if not changed:
            return held
        with self._alone():
            found = self._read()
            held, changed = _compared(found, server, definitions)
            self._write({**found, **changed})
        return held

    def waiting(self) -> dict[tuple[str, str], Pin]:
        """By server and tool, what changed and was not accepted."""
        return {key: pin for key, pin in self._read().items() if pin.waiting}

    def accept(self, server: str, tool: str, digest: str) -> None:
        """Let the waiting definition of this digest count. Raises `KeyError` where none waits."""
        with self._alone():
            found = self._read()
            pin = found.get((server, tool))
            if pin is None or not pin.waiting or pin.waiting != digest:
                raise KeyError(f"No definition {digest[:12]} of {server}/{tool} waits.")
            self._write({**found, (server, tool): Pin(digest)})

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process changes the file meanwhile. Raises `PinsUnreadable`."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        try:
            handle = os.open(f"{self._path}.lock", flags, 0o600)
        except OSError as error:
            raise PinsUnreadable(f"{self._path} cannot be locked: {error.strerror}.") from error
        try:
            if not _locked(handle):
                raise PinsUnreadable(f"Another process does not let go of {self._path}.")
            yield
        finally:
            os.close(handle)

    def _read(self) -> dict[tuple[str, str], Pin]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise PinsUnreadable(f"{self._path} cannot be read: {error.strerror}.") from error
        try:
            return {
                (server, tool): Pin(**_told(pin))
                for server, tools in json.loads(text)["pins"].items()
                for tool, pin in tools.items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PinsUnreadable(f"{self._path} is no file of pins.") from error

    def _write(self, found: Mapping[tuple[str, str], Pin]) -> None:
        tools: dict[str, dict[str, Json]] = {}
        for (server, tool), pin in sorted(found.items()):
            tools.setdefault(server, {})[tool] = {
                "accepted": pin.accepted,
                **({"waiting": pin.waiting, "definition": pin.definition} if pin.waiting else {}),
            }
        try:
            self._replace(json.dumps({"pins": tools}, indent=1) + "\n")
        except OSError as error:
            raise PinsUnreadable(f"{self._path} cannot be written: {error.strerror}.") from error

    def _replace(self, text: str) -> None:
        """All of it or nothing, on the disk before it counts."""
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _compared(
    found: Mapping[tuple[str, str], Pin],
    server: str,
    definitions: Mapping[str, Mapping[str, Json]],
) -> tuple[dict[str, bool], dict[tuple[str, str], Pin]]:
    """By tool, whether it is as it was accepted; and what is to be pinned or to wait."""
    held: dict[str, bool] = {}
    changed: dict[tuple[str, str], Pin] = {}
    left = _MOST_OF_A_SERVER - sum(name == server for name, _ in found)
    for tool, definition in definitions.items():
        key, digest = (server, tool), digest_of(definition)
        pin = found.get(key)
        if pin is None:
            held[tool] = left > 0
            left -= 1
            if held[tool]:
                changed[key] = Pin(digest)
            continue
        held[tool] = pin.accepted == digest
        if not held[tool] and pin.waiting != digest:
            changed[key] = Pin(pin.accepted, digest, dict(definition))
    return held, changed


if sys.platform == "win32":

    def _locked(_: int) -> bool:
        """Windows has no such lock: of two changes at once, the last one counts."""
        return True

else:
    import fcntl

    def _locked(handle: int) -> bool:
        """Whether the lock was had before long. It ends with the handle."""
        for _ in range(_TRIES):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_BETWEEN)
            else:
                return True
        return False


def _told(pin: Json) -> dict[str, Json]:
    if not isinstance(pin["accepted"], str) or not isinstance(pin.get("waiting", ""), str):
        raise TypeError
    return dict(pin)
