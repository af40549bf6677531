"""The ninth check: hostile text that a run has read never chooses what it does.

Once something from outside the trust boundary was read, a call of consequence passes only inside
the plan that was declared before. What is outside of it waits for a human, or is refused where
the tool, or the tier of what it writes, says so.
"""

from __future__ import annotations

from authz.engine import plans
from authz.engine.case import Case, held, not_applicable, passed, refused
from authz.engine.extracts import registered
from authz.engine.targets import READ
from authz.engine.types import Check, Step
from authz.engine.world import Facts
from governance.kernel.tiers import RESTRICTED, TIERS

DENY = "deny"
PUBLIC = TIERS[0]


def taint(case: Case) -> Step:
    """Whether hostile text could have chosen this call, or what matters in it."""
    if not case.is_agent or case.tool is None:
        return not_applicable(Check.TAINT)
    if not case.before.untrusted:
        return _marked(case) or passed(Check.TAINT)
    plan = case.session["personal"]["plan"] if case.session else None
    if plan is None:
        return _stopped(case, "taint.untrusted_input") if _acts(case) else passed(Check.TAINT)
    return _compared(case, plan)


def _acts(case: Case) -> bool:
    """More than reading within the walls: it changes something, or reaches out to an address.

    What is public and hostile lies outside; asking for an address there tells it something.
    """
    tool = case.tool or {}
    if tool["effect"] != READ:
        return True
    outside = any(place.tier == PUBLIC and not place.trusted for place in case.reads)
    return outside and bool(tool.get("resource") or tool.get("recipient"))


def _compared(case: Case, plan: Facts) -> Step:
    """A call in a run that has a plan: the plan says what passes, reads included."""
    request = case.request
    fitting = [step for step in plans.steps_of(plan) if step.fits(request.tool, request.parameters)]
    if not fitting:
        return _stopped(case, "taint.outside_plan")
    if not _acts(case):
        return passed(Check.TAINT, plan=True)
    faults = [_fault(case, step, plan) for step in fitting]
    if "" in [parameter for _, parameter in faults]:
        return passed(Check.TAINT, plan=True)
    code, parameter = faults[0]
    return _stopped(case, code, parameter=parameter)


def _fault(case: Case, step: plans.Step, plan: Facts) -> tuple[str, str]:
    """Code and parameter of what the step leaves to whoever wrote the text; "" for nothing."""
    tool, given = case.tool or {}, case.request.parameters
    left_open = plans.open_parameter(step, tool, _narrowing(case), given, _known(case))
    if left_open:
        return "taint.open_plan", left_open
    return "taint.address", plans.unnamed_address(step, plan, given, tool)


def _marked(case: Case) -> Step | None:
    """What the caller itself says that it took from hostile input must be a listed value."""
    marked = {
        name: case.request.parameters[name]
        for name in case.request.untrusted
        if name in case.request.parameters
    }
    if not marked or not _acts(case):
        return None
    left_open = plans.open_parameter(None, case.tool or {}, _narrowing(case), marked, _known(case))
    return _stopped(case, "taint.parameter", parameter=left_open) if left_open else None


def _narrowing(case: Case) -> Facts:
    entry: Facts = case.subject["allowlist"][case.request.tool]
    narrowing: Facts = entry.get("narrowing") or {}
    return narrowing


def _known(case: Case) -> frozenset[str]:
    """What a call of this tool can name that stands on the register."""
    return registered(case.world.systems, str((case.tool or {})["system"]))


def _stopped(case: Case, code: str, parameter: str = "") -> Step:
    """Held for a human; refused where the tool says so, or what it writes is restricted."""
    says = str((case.tool or {}).get("on_taint") or "")
    restricted = any(place.tier == RESTRICTED for place in case.writes)
    if says == DENY or (not says and restricted):
        return refused(case, "taint.denied", cause=code, parameter=parameter)
    return held(case, code, parameter=parameter)
