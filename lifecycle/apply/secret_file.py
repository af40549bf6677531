"""New client secrets, written once to one file that only its owner reads."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from governance.kernel.errors import Conflict, Invalid
from lifecycle.apply.writing import write_yaml

OWNER_ONLY = 0o600


class SecretsFileExists(Conflict):
    """The secrets file exists already. Name another one, or add to it with --append."""

    code = "secrets_file_exists"


class SecretsFileBroken(Invalid):
    """The secrets file cannot be added to: it holds something else."""

    code = "secrets_file_broken"


class SecretFile:
    """Holds secrets until the database has committed, then puts them in place.

    Use it as a context around the transaction: `add` inside, `write` as the last thing before the
    commit. The text goes into a file beside the wanted one, which takes its place only when the
    context ends without an error; otherwise nothing is left behind.
    """

    def __init__(self, path: str, *, base_url: str, append: bool = False) -> None:
        self.path = Path(path)
        self.append = append
        self.base_url = base_url
        self.added: list[tuple[str, Mapping[str, str]]] = []
        self._waiting: Path | None = None

    def add(self, kind: str, slug: str, *, client_id: str, client_secret: str) -> None:
        """Keep one secret; `kind` is `agents` or `gateways`."""
        entry = {"id": slug, "client_id": client_id, "client_secret": client_secret}
        self.added.append((kind, entry))

    def check(self) -> None:
        """Refuse a path that would overwrite something or cannot be written."""
        if self.path.exists() and not self.append:
            raise SecretsFileExists(f"{self.path} exists already. Name another file, or --append.")
        if not self.path.absolute().parent.is_dir():
            raise Invalid(f"The folder of {self.path} does not exist.")

    def write(self) -> None:
        """Write what was added to a file beside the wanted one, and see that it is on disk."""
        if not self.added:
            return
        self.check()
        document = self._before()
        for kind, entry in self.added:
            document.setdefault(kind, []).append(dict(entry))
        handle, name = tempfile.mkstemp(dir=self.path.absolute().parent, prefix=".muster-")
        self._waiting = Path(name)
        with os.fdopen(handle, "w") as file:
            os.fchmod(file.fileno(), OWNER_ONLY)
            file.write(self._text(document))
            file.flush()
            os.fsync(file.fileno())

    def _before(self) -> dict[str, Any]:
        if not self.path.exists():
            return {"base_url": self.base_url}
        try:
            found = yaml.safe_load(self.path.read_text())
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise SecretsFileBroken() from error
        if not isinstance(found, dict):
            raise SecretsFileBroken()
        return found

    def _text(self, document: Mapping[str, Any]) -> str:
        if self.path.suffix in {".yaml", ".yml"}:
            return write_yaml(document)
        return json.dumps(document, indent=2) + "\n"

    def __enter__(self) -> SecretFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._waiting is None:
            return
        if error is not None:
            self._waiting.unlink(missing_ok=True)
        elif self.append:
            self._waiting.replace(self.path)
        else:
            self._put_in_place(self._waiting)

    def _put_in_place(self, waiting: Path) -> None:
        """A link fails where a file has appeared meanwhile: nothing is ever overwritten."""
        try:
            os.link(waiting, self.path)
        except OSError as error:
            sentence = (
                f"{self.path} cannot be written. All was applied; the secrets are in {waiting}."
            )
            raise SecretsFileExists(sentence) from error
        waiting.unlink()
