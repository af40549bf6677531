"""Denied signatures: text that no parameter may hold, such as orders that are meant for a model.

A call's texts are brought into one plain form first, so that a signature is written once and
holds for every spelling: NFKC, what cannot be seen taken out, case folded, white space collapsed.
What a run of base64 or hex, or a URL's escapes, says is read as well, one level deep. All texts
are searched at once, a line for each, in linear time.
"""

from __future__ import annotations

import re
import unicodedata
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import re2

from authz.engine.types import Json
from governance.kernel.errors import Invalid

MAX_PATTERN = 1000
MAX_MEMORY = 64 << 20
# Shorter runs are words and numbers; what they would say is too short for a signature.
MIN_RUN = 16

Path = tuple[str | int, ...]
Facts = Mapping[str, Json]

_TAGS = range(0xE0000, 0xE0080)
# Soft hyphen, joiners, fillers, bidi controls, variation selectors, control characters: nothing
# that is seen. Tags spell ASCII, and become it.
_UNSEEN = {
    **dict.fromkeys((*range(9), *range(14, 28), *range(127, 133), *range(134, 160))),
    **dict.fromkeys((0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0)),
    **dict.fromkeys((*range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F))),
    **dict.fromkeys((*range(0x2060, 0x2070), *range(0xFE00, 0xFE10), *range(0xFFF0, 0xFFFC))),
    **dict.fromkeys(range(0xE0100, 0xE01F0)),
    **{tag: chr(tag - 0xE0000) if 0x20 <= tag - 0xE0000 < 0x7F else None for tag in _TAGS},
}
# What tags spell is a text of its own, wherever it is put.
_TAGGED = re.compile("[\U000e0020-\U000e007e]+")
_HIDDEN = re2.compile("[" + "".join(f"\\x{{{point:x}}}" for point in _UNSEEN) + "]")
# These two have no alternatives to come back to, so that they take linear time.
_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
# NFKC writes each of these as 8 to 18 letters, which would be a way to make little into much.
_SWELLING = ("\ufdfa", "\ufdfb")
_URL_SAFE = str.maketrans("-_", "+/")
# The texts lie a line each, so a pattern speaks of lines and of nothing but its own.
_OF_THE_WHOLE = re.compile(r"\\[AzC]|\(\?(?!:)")


class SignatureError(Invalid):
    """This pattern cannot be searched for."""

    code = "bad_signature"


@dataclass(frozen=True, slots=True)
class Found:
    """A signature that was found: its name and where. Never the text."""

    slug: str
    path: Path


@dataclass(frozen=True, slots=True)
class Search:
    """Signatures, ready: one pattern that says whether any of them is there, then each alone."""

    any_of: Any
    each: tuple[tuple[str, Any], ...]

    def find(self, parameters: Facts) -> Found | None:
        """The first signature by name that a text of `parameters` holds, names of members too."""
        if not self.each or not parameters:
            return None
        paths, lines = _lines(parameters)
        raw = "\n".join(lines).encode("utf-8", "replace")
        if self.any_of.search(raw) is None:
            return None
        for slug, pattern in self.each:
            if found := pattern.search(raw):
                return Found(slug, paths[raw.count(b"\n", 0, found.start())])
        raise SignatureError("A signature was found and not by its name.")


@dataclass(frozen=True, slots=True)
class SignatureIndex:
    """All active signatures, as they stand in the world."""

    signatures: tuple[Facts, ...]
    _searches: dict[tuple[str, ...], Search] = field(default_factory=dict)
    _of_tools: dict[tuple[str, str], Search] = field(default_factory=dict)

    def search_for(self, tool: str, effect: str) -> Search:
        """What is searched for in calls of a tool; raises `SignatureError` where one is broken."""
        found = self._of_tools.get((tool, effect))
        if found is None:
            found = self._of_tools[tool, effect] = self._search_for(tool, effect)
        return found

    def _search_for(self, tool: str, effect: str) -> Search:
        concerned = [one for one in self.signatures if concerns(one, tool, effect)]
        key = tuple(str(one["slug"]) for one in concerned)
        if key not in self._searches:
            self._searches[key] = search(concerned)
        return self._searches[key]


def concerns(signature: Facts, tool: str, effect: str) -> bool:
    """A signature that names no tool and no effect is for all of them."""
    tools, effects = signature.get("tools") or (), signature.get("effects") or ()
    return tool in tools or effect in effects or not (tools or effects)


def search(signatures: Iterable[Facts]) -> Search:
    """The signatures, compiled."""
    patterns = {str(one["slug"]): str(one["pattern"]) for one in signatures}
    each = tuple((slug, compiled(pattern)) for slug, pattern in sorted(patterns.items()))
    return Search(_compile(_either(patterns.values())) if patterns else None, each)


def compiled(pattern: str) -> Any:
    """The pattern as it is searched for; raises `SignatureError`, which says what is wrong."""
    if not 0 < len(pattern) <= MAX_PATTERN:
        raise SignatureError(f"A pattern is 1 to {MAX_PATTERN} characters long.")
    if _OF_THE_WHOLE.search(pattern):
        raise SignatureError("Use ^ and $ for the ends of a text; of (?…) only (?:…) is known.")
    _compile(pattern)  # a bracket that closes another pattern's would pass inside the next one
    found = _compile(_either([pattern]))
    if found.search(b"") is not None:
        raise SignatureError("This pattern fits an empty text, so it would refuse every call.")
    return found


def _either(patterns: Iterable[str]) -> str:
    return "|".join(f"(?m:{pattern})" for pattern in patterns)


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.case_sensitive = False
    options.never_nl = True
    options.log_errors = False
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        raise SignatureError(f"The pattern cannot be read: {_words(error)}.") from error


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _lines(parameters: Facts) -> tuple[list[Path], list[str]]:
    """The texts in plain form, a line each, then what runs in them say; and where each stands."""
    pairs = [(path, text.replace("\n", " ")) for path, text in _texts(parameters, ())]
    paths = [path for path, _ in pairs]
    seen = _seen([text for _, text in pairs])
    said = [(paths[at], text) for at, line in enumerate(seen) for text in _said(line)]
    said += [(path, text) for path, given in pairs for text in _tagged(given)]
    decoded = _seen([text for _, text in said])
    return [*paths, *(path for path, _ in said)], [_folded(line) for line in (*seen, *decoded)]


def _texts(value: Json, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text with its place, in reading order; a member's name stands where the member does."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield (*path, name), name
            yield from _texts(member, (*path, name))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, (*path, number))


def _seen(lines: Sequence[str]) -> list[str]:
    """NFKC, without what cannot be seen. All lines at once: neither step joins two of them."""
    whole = "\n".join(lines)
    if not whole.isascii():
        for each in _SWELLING:
            whole = whole.replace(each, " ")
        whole = unicodedata.normalize("NFKC", whole)
    if _HIDDEN.search(whole):
        whole = whole.translate(_UNSEEN)
    return whole.split("\n") if lines else []


def _tagged(text: str) -> list[str]:
    return [] if text.isascii() else _TAGGED.findall(text)


def _folded(line: str) -> str:
    return " ".join(line.casefold().split())


def _said(line: str) -> Iterator[str]:
    """What a URL's escapes, and runs of hex and base64, say."""
    if "%" in line or "+" in line:
        yield unquote(line.replace("+", " ")).replace("\n", " ")
    if len(line) >= MIN_RUN:
        for run in _RUN.findall(line):
            if text := _decoded(run):
                yield text


def _decoded(run: str) -> str:
    """What a run stands for, as far as it is text; "" where it stands for nothing."""
    try:
        raw = bytes.fromhex(run) if _HEX.fullmatch(run) else _base64(run)
    except NotBase64:
        return ""
    return raw.decode("utf-8", "ignore").replace("\n", " ")


def _base64(run: str) -> bytes:
    return a2b_base64(run.translate(_URL_SAFE) + "=" * (-len(run) % 4))
