"""Telling Muster what was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..answers import Object
from ..client import Muster
from ..errors import Unavailable
from ..flows import Flow, Flows
from .findings import Found

PLACE = "/api/v1/discoveries"
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Told:
    """How many findings Muster had not heard of, and how many it had."""

    new: int
    known: int


def report(muster: Muster, found: Found) -> Told:
    """Send every finding, in parts; the same finding twice is one. Raises `MusterError`."""
    new = known = 0
    for part in _parts(found):
        answer = muster._run(_sent(muster._flows, part))
        new, known = new + _count(answer, "new"), known + _count(answer, "known")
    return Told(new, known)


def _parts(found: Found) -> Iterator[Object]:
    findings = [each.as_object(found.source) for each in found.findings]
    for start in range(0, len(findings), AT_ONCE):
        yield {"source": found.source, "findings": findings[start : start + AT_ONCE]}


def _sent(flows: Flows, body: Object) -> Flow[Object]:
    answer = yield from flows.post(PLACE, body)
    return answer if isinstance(answer, dict) else {}


def _count(answer: Object, name: str) -> int:
    value = answer.get(name)
    if type(value) is not int:
        raise Unavailable("Muster's answer does not say what became of the findings.")
    return value
