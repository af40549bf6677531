"""What is kept between two commands: which Muster, and the token. A file that only you read."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ..errors import BadRequest

OWNER_ONLY = 0o600
OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Kept:
    """Where Muster is, and what it gave us."""

    url: str = ""
    token: str = field(default="", repr=False)
    until: str = ""


def path() -> Path:
    """`MUSTER_CONFIG`, else `muster/config.json` in the folder for such files."""
    if named := os.environ.get("MUSTER_CONFIG"):
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "muster" / "config.json"


def read() -> Kept:
    """What was kept; nothing where nothing was. Raises `BadRequest` where others may read it."""
    file = path()
    try:
        with file.open(encoding="utf-8") as opened:
            # Of what is read, whatever is put in its place meanwhile.
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read()
    except FileNotFoundError:
        return Kept()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} cannot be read.") from error
    if os.name == "posix" and mode & OTHERS:
        raise BadRequest(f"Others may read {file}, which holds a token. Run: chmod 600 {file}")
    return _parsed(text, file)


def _parsed(text: str, file: Path) -> Kept:
    try:
        told = json.loads(text)
        return Kept(**{each.name: str(told.get(each.name, "")) for each in fields(Kept)})
    except (ValueError, AttributeError) as error:
        raise BadRequest(f"{file} is not what this command wrote. Remove it.") from error


def write(kept: Kept) -> Path:
    """Keep it. The file is whole or as it was, and never readable by others in between."""
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".muster-")
        with os.fdopen(handle, "w", encoding="utf-8") as waiting:
            json.dump(asdict(kept), waiting)
        Path(name).chmod(OWNER_ONLY)
        Path(name).replace(file)
    except OSError as error:
        raise BadRequest(f"{file} cannot be written: {error.strerror}.") from error
    return file


def forget() -> None:
    """Keep the address, and no token."""
    known = read()
    if known.token:
        write(Kept(known.url))
