"""What `plan` and `apply` have in common: which files are sent, and how the outcome is said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..errors import BadRequest
from . import shown

MAX_BYTES = 2 * 1024 * 1024
MAX_FILES = 200
MOST_BELOW = 10_000
# What an inventory is made of: itself, and the policies that it names.
SUFFIXES = {".yaml", ".yml", ".cedar", ".txt"}
YAML = {".yaml", ".yml"}


def read_files(place: str) -> dict[str, str]:
    """Relative names and texts of an inventory: a file or a folder, and the policies it names.

    Hidden files are left out, and so is what only lies beside it; links are not followed out of
    the folder. Raises `BadRequest`.
    """
    path = Path(place)
    folder = path if path.is_dir() else path.parent
    below = _below(folder)
    found = {each for each in below if each.suffix in YAML} if path.is_dir() else {path}
    files = _texts(found, folder)
    if not any(Path(name).suffix in YAML for name in files):
        raise BadRequest(f"{place} holds no *.yaml file.")
    said = "\n".join(files.values())
    files |= _texts(
        {each for each in below if each.suffix not in YAML and each.name in said}, folder
    )
    if len(files) > MAX_FILES:
        raise BadRequest(f"These are more than {MAX_FILES} files. Apply them on the machine.")
    if sum(map(len, files.values())) > MAX_BYTES:
        raise BadRequest("The inventory is larger than 2 MiB. Apply it on the machine.")
    return files


def _below(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".")]
        kept = (Path(place) / name for name in names if not name.startswith("."))
        found += [each for each in kept if each.suffix in SUFFIXES and each.is_file()]
        if len(found) > MOST_BELOW:
            raise BadRequest(f"Too many files lie below {folder}. Give it a folder of its own.")
    return found


def _texts(found: set[Path], folder: Path) -> dict[str, str]:
    if len(found) > MAX_FILES:
        raise BadRequest(f"These are more than {MAX_FILES} files. Apply them on the machine.")
    return {each.relative_to(folder).as_posix(): _text(each, folder) for each in sorted(found)}


def _text(path: Path, folder: Path) -> str:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadRequest(f"{path} leads out of the folder.")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} cannot be read.") from error


def say(told: dict[str, Any], *, as_json: bool) -> None:
    """The outcome as Muster tells it; new secrets are never printed here."""
    if as_json:
        shown.as_json(
            {name: value for name, value in told.items() if name not in ("text", "secrets")}
        )
    else:
        click.echo(shown.printable(str(told.get("text", "")), lines=True))
