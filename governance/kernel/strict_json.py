"""JSON as RFC 8259 meant it and I-JSON (RFC 7493) narrowed it: one text, one reading.

Refused: duplicate keys, NUL, lone surrogates, NaN and infinities, integers beyond ±(2⁵³−1),
more than 32 levels, bodies over 256 KiB, a byte order mark, anything that is not UTF-8, and the
keys by which a caller could smuggle entities into the policy engine.
"""

from __future__ import annotations

import json
import re
from typing import Any

from governance.kernel.errors import Invalid

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
FORBIDDEN_KEYS = frozenset({"__entity", "__extn", "__expr"})

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")

JsonValue = Any


class BadJson(Invalid):
    """The body is not JSON that Muster reads."""

    code = "bad_json"


def loads(raw: bytes, *, max_bytes: int = MAX_BYTES) -> JsonValue:
    """The value that `raw` (UTF-8 JSON text) stands for.

    Raises `BadJson`, whose sentence says what is wrong, for everything else.
    """
    if len(raw) > max_bytes:
        raise BadJson(f"The body is larger than {max_bytes} bytes.", code="too_large")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson(f"The body is not UTF-8 (byte {error.start}).") from error
    _refuse_depth(text)
    try:
        value = _decoder.decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadJson(f"The body is not JSON: {error}.") from error
    # Only an escape can bring in what a UTF-8 text of JSON cannot hold.
    if "\\u" in text:
        _refuse_text(value)
    return value


def _refuse_depth(text: str) -> None:
    """Count brackets outside strings before the recursive parser sees them."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise BadJson(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for key, value in pairs:
        if key in found:
            raise BadJson(f"The key {key[:80]!r} stands twice in one object.")
        if key in FORBIDDEN_KEYS:
            raise BadJson(f"The key {key!r} is not allowed.")
        found[key] = value
    return found


def _constant(name: str) -> JsonValue:
    raise BadJson(f"{name} is not a JSON number.")


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
        raise BadJson("An integer lies beyond ±(2^53 - 1). Send it as a string.")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise BadJson("A number is too large. Send it as a string.")
    if abs(value) > MAX_INTEGER and value.is_integer():
        raise BadJson("A number lies beyond ±(2^53 - 1). Send it as a string.")
    return value


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer, parse_float=_float
)


def _refuse_text(value: JsonValue) -> None:
    """Refuse NUL and lone surrogates, which the database or UTF-8 cannot hold."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            _refuse_string(item)
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())


def _refuse_string(text: str) -> None:
    if "\0" in text:
        raise BadJson("A string holds the character NUL.")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise BadJson("A string holds half of a surrogate pair.") from error
