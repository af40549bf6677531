"""What an allow asks for besides: fulfilled here, by the caller, or the allow counts as none."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from typing import Any

from .answers import Decision, Json, Object
from .errors import Unfulfilled

logger = logging.getLogger("muster_client")

Fulfil = Callable[[Object, Decision], object]
LABEL, REDACT, LOG = "label", "redact", "log"
# The label is on the decision, for whoever passes the result on.
_HERE = (LABEL, REDACT, LOG)


def before(decision: Decision, fulfil: Mapping[str, Fulfil]) -> None:
    """Fulfil what can be fulfilled before the call. Raises `Unfulfilled` where something cannot."""
    for each in decision.obligations:
        kind = each["kind"]
        if kind not in _HERE and kind not in fulfil:
            raise Unfulfilled(decision, f"Nothing here fulfils the obligation {kind}.")
    for each in decision.obligations:
        kind = each["kind"]
        if kind in fulfil and kind != REDACT:
            fulfil[kind](each, decision)
        elif kind == LOG:
            logger.info("Decision %s: %s", decision.decision_id, each.get("reason", ""))


def after(decision: Decision, result: Any) -> Any:
    """The result without what is to be taken out of it. Raises `Unfulfilled`."""
    asked = [each.get("paths") for each in decision.obligations if each["kind"] == REDACT]
    if not asked:
        return result
    if not isinstance(result, (dict, list)):
        raise Unfulfilled(decision, "The result is no JSON, so nothing can be taken out of it.")
    kept = copy.deepcopy(result)
    for paths in asked:
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise Unfulfilled(decision, "What is to be taken out of the result cannot be read.")
        for path in paths:
            kept = without(kept, path)
    return kept


def without(value: Json, pointer: str) -> Json:
    """`value` without the place that a JSON Pointer (RFC 6901) names; it is changed in place.

    An item of a list becomes None, so that the others keep their places.

    >>> without({"claim": "CL-1", "iban": "DK50"}, "/iban")
    {'claim': 'CL-1'}
    >>> without([{"a/b": 1}, 2], "/0/a~1b")
    [{}, 2]
    >>> without({"claim": "CL-1"}, "/nowhere/at/all")
    {'claim': 'CL-1'}
    """
    if not pointer:
        return None
    *way, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    place = value
    for part in way:
        place = _in(place, part)
    if isinstance(place, dict):
        place.pop(last, None)
    elif isinstance(place, list) and _in(place, last) is not None:
        place[int(last)] = None
    return value


def _in(place: Json, part: str) -> Json:
    if isinstance(place, dict):
        return place.get(part)
    if isinstance(place, list) and part.isdecimal() and int(part) < len(place):
        return place[int(part)]
    return None
