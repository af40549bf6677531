"""The eighth check: data goes level or up, never to a lower tier than the run has read.

The run is the flow session that the call names, or, where none was opened, everything that the
agent read in the last hours: its memory is not known to be empty.
"""

from __future__ import annotations

from datetime import datetime

from authz.engine.case import Case, not_applicable, passed, refused
from authz.engine.targets import Touched
from authz.engine.types import Check, Step
from governance.kernel.tiers import rank


def flow(case: Case) -> Step:
    """Whether what this call writes goes where all that was read may go."""
    if not case.is_agent:
        return not_applicable(Check.FLOW)
    refusal = _session_refusal(case) or _input_refusal(case)
    if refusal is not None:
        return refusal
    if not case.writes:
        return not_applicable(Check.FLOW)
    lowest = min(case.writes, key=lambda place: rank(place.tier))
    if rank(lowest.tier) < rank(case.label):
        return _sinks(case, lowest)
    return passed(Check.FLOW, label=case.label, destination=lowest.tier)


def _session_refusal(case: Case) -> Step | None:
    session, named = case.session, case.request.session
    if not named or not case.request.session_opened:
        return None
    if session is None:
        return refused(case, "flow.unknown_session", session=named)
    if session["agent"] != case.request.agent:
        return refused(case, "flow.other_session", session=named)
    if session["ended"] or datetime.fromisoformat(session["expires_at"]) <= case.now:
        return refused(case, "flow.session_ended", session=named)
    return None


def _input_refusal(case: Case) -> Step | None:
    for number, each in enumerate(case.request.inputs):
        if each.system not in case.world.systems:
            return refused(case, "flow.unknown_input", pointer=f"context.inputs/{number}/system")
    return None


def _sinks(case: Case, place: Touched) -> Step:
    return refused(
        case,
        "flow.sinks",
        label=case.label,
        destination=place.tier,
        system=place.system,
        combinations=[str(one["slug"]) for one in case.raising],
    )
