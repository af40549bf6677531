"""What an operator lists in a setting: named things of a kind, and the file of their secrets.

The setting holds no secret. The file is told to the worker alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from governance.kernel.errors import Unavailable

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True)
class Listing:
    """One such setting. `one` is the word for an entry, with its article; `must` and `may` name
    what each kind is told, `always` what every entry may say."""

    setting: str
    secrets: str
    one: str
    must: Mapping[str, frozenset[str]]
    may: Mapping[str, frozenset[str]]
    always: frozenset[str]

    @property
    def given(self) -> Any:
        """The setting as it is."""
        return getattr(settings, self.setting)

    def check(self, names: Iterable[str]) -> None:
        """Refuse two of a name, and what is no list. Raises `ImproperlyConfigured`."""
        word = self.one.partition(" ")[2]
        if not isinstance(self.given, list):
            raise ImproperlyConfigured(f"{self.setting} must be a JSON list of {word}s.")
        every = list(names)
        if len(set(every)) < len(every):
            raise self.wrong(f"each {word} has a name of its own")

    def read(self, given: Any) -> tuple[str, str, dict[str, Any]]:
        """Name, kind and options of one entry. Raises `ImproperlyConfigured`, naming it."""
        if not isinstance(given, dict) or not _NAME.fullmatch(str(given.get("name"))):
            raise self.wrong(f"{self.one} is a mapping with a name of a-z, 0-9 and hyphens")
        name, kind = str(given["name"]), str(given.get("kind"))
        self.one_of(name, "kind", kind, self.must)
        options = {key: value for key, value in given.items() if key not in self.always}
        if missing := self.must[kind] - options.keys():
            raise self.wrong(f"{name} lacks {_of(missing)}")
        if strange := options.keys() - self.must[kind] - self.may[kind]:
            raise self.wrong(f"{name} does not take {_of(strange)}")
        return name, kind, options

    def one_of(self, name: str, what: str, given: str, known: Iterable[str]) -> str:
        """`given`, where it is one of those that are known."""
        if given not in known:
            raise self.wrong(f"the {what} of {name} is one of {_of(known)}")
        return given

    def whole(self, name: str, what: str, given: Any, most: int) -> int:
        """`given`, where it is a whole number from 1 to `most`."""
        if type(given) is not int or not 1 <= given <= most:
            verb = "are" if what.endswith("s") else "is"
            raise self.wrong(f"the {what} of {name} {verb} from 1 to {most}")
        return given

    def wrong(self, said: str) -> ImproperlyConfigured:
        """The error that says so."""
        return ImproperlyConfigured(f"{self.setting}: {said.rstrip('.')}.")

    def secrets_of(self, name: str, failed: type[Unavailable]) -> dict[str, Any]:
        """What an entry signs in with; nothing where the file does not name it. Raises `failed`."""
        path = getattr(settings, self.secrets)
        if not path:
            return {}
        try:
            return dict(json.loads(Path(path).read_text()).get(name, {}))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise failed(f"{self.secrets} cannot be read ({type(error).__name__}).") from error


def _of(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
