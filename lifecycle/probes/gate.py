"""Which findings keep a row from going live, by its tier; and the sentence that says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.conf import settings

from lifecycle.models.probes import ProbeGate, ProbeResult
from lifecycle.probes.running import End, Result

MOST_NAMED = 3


def gate_of(tier: str) -> ProbeGate:
    """What the installation asks of rows of this tier."""
    gates: Mapping[str, str] = settings.MUSTER_PROBE_GATES
    return ProbeGate(gates[tier])


def blocking(results: Iterable[Result], gate: ProbeGate) -> list[str]:
    """The attacks for which a row may not go live under this gate."""
    return [each.attack.id for each in results if _blocks(each, gate)]


def _blocks(result: Result, gate: ProbeGate) -> bool:
    if gate == ProbeGate.OFF or result.end is not End.EXECUTED:
        return False
    return gate == ProbeGate.ANY or result.acts


def refusal(slug: str, found: Sequence[ProbeResult], what: str) -> str:
    """Which attacks would execute, by which tool, and what to do."""
    many = len(found)
    attacks = "an attack" if many == 1 else f"{many} attacks"
    told = [f"{each.title} ({each.tool}). {each.remedy}" for each in found[:MOST_NAMED]]
    more = f" And {many - MOST_NAMED} more." if many > MOST_NAMED else ""
    return (
        f"{slug} {what}: {attacks} would execute. {' '.join(told)}{more} "
        "Its page of adversarial tests shows every call. Then try again."
    )
