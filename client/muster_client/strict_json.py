"""JSON, read so that two readers cannot disagree about it (I-JSON, RFC 7493 section 2)."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def read(text: str | bytes) -> Any:
    """The value. Raises `ValueError` for what is no JSON, a name twice in one object, or NaN.

    >>> read(b'{"decision": false}')
    {'decision': False}
    >>> read('{"decision": false, "decision": true}')
    Traceback (most recent call last):
    ...
    ValueError: a name stands there twice
    """
    whole = text.decode() if isinstance(text, bytes) else text
    try:
        return json.loads(whole, object_pairs_hook=_once, parse_constant=_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) != len(pairs):
        raise ValueError("a name stands there twice")
    return whole


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
