"""`judge`: one request, one snapshot, one instant → one decision with its whole walk.

The walk is pure: it reads nothing but its arguments, changes nothing, and does not raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from authz.engine import acting, checks, codes, obligations
from authz.engine.case import Case, is_future
from authz.engine.flow import flow
from authz.engine.gate import gate
from authz.engine.identity import identity
from authz.engine.policy import policy
from authz.engine.quota import quota
from authz.engine.rate import rate
from authz.engine.reading import NOTHING, Reading
from authz.engine.spend import spend
from authz.engine.taint import taint
from authz.engine.types import (
    REFUSALS,
    Check,
    Decision,
    Effect,
    Json,
    Mode,
    Observed,
    Request,
    Snapshot,
    Status,
    Step,
)
from governance.kernel.tiers import RESTRICTED, rank

CheckFunction = Callable[[Case], Step]

# None stands for a check that is not built yet: the walk says so and goes on.
CHECKS: Mapping[Check, CheckFunction | None] = {
    Check.IDENTITY: identity,
    Check.DELEGATION: acting.delegation,
    Check.CONSENT: acting.consent,
    Check.ALLOWLIST: checks.allowlist,
    Check.PARAMETERS: checks.parameters,
    Check.ROLE: checks.role,
    Check.POLICY: policy,
    Check.FLOW: flow,
    Check.TAINT: taint,
    Check.RATE: rate,
    Check.SPEND: spend,
    Check.QUOTA: quota,
    Check.GATE: gate,
}

# Steps say nothing of their call, so that one of each is enough.
NOT_BUILT = {check: Step(check, Status.NOT_BUILT) for check in Check}
NOT_REACHED = {check: Step(check, Status.NOT_REACHED) for check in Check}
_INTERRUPTIONS = (KeyboardInterrupt, SystemExit, GeneratorExit)


def judge(
    request: Request, snapshot: Snapshot, now: datetime, mode: Mode = Mode.ENFORCE
) -> Decision:
    """Decide. Whatever fails is a refusal that says so."""
    case = Case(request, snapshot, now, mode)
    return conclude(case, take_walk(case, CHECKS))


def take_walk(case: Case, functions: Mapping[Check, CheckFunction | None]) -> tuple[Step, ...]:
    """All thirteen steps in order. A refusal ends the walk, a hold does not."""
    steps: list[Step] = []
    ended = False
    for check in Check:
        step = NOT_REACHED[check] if ended else _step(case, check, functions[check])
        steps.append(step)
        ended = ended or step.status in REFUSALS
    return tuple(steps)


def _step(case: Case, check: Check, function: CheckFunction | None) -> Step:
    if function is None:
        return NOT_BUILT[check]
    try:
        return function(case)
    except _INTERRUPTIONS:
        raise
    except BaseException as error:  # a panic of a native library is no Exception
        return Step(check, Status.ERROR, f"{check}.error", {"error": type(error).__name__})


def deciding_step(steps: Sequence[Step]) -> Step | None:
    """The refusal, else the first hold; None allows."""
    hold: Step | None = None
    for step in steps:
        if step.status in REFUSALS:
            return step
        if hold is None and step.status is Status.HELD:
            hold = step
    return hold


def conclude(case: Case, steps: tuple[Step, ...]) -> Decision:
    """The decision that a walk comes to."""
    step = deciding_step(steps)
    effect = _effect(step)
    code, detail = (step.code, step.detail) if step else ("", {})
    resource_type, resource_id, tier = _place(case)
    observe = _observed(case, effect, code, tier)
    run = _run(case, steps, observe)
    goes_on = may_go_on(effect, case.request) or observe is not None
    return Decision(
        effect=Effect.ALLOW if observe else effect,
        check=step.check.value if step else "",
        code=code,
        walk=steps,
        detail=detail,
        policies=_gathered(steps, "policies"),
        log_only=_gathered(steps, "log_only"),
        remedies=codes.remedies(code, detail),
        obligations=_obligations(case, steps, tier, run.label) if goes_on else (),
        flags=_gathered(steps, "flags"),
        would_ask=_gathered(steps, "would_ask"),
        resource_type=resource_type,
        resource_id=resource_id,
        classification=tier,
        label=run.label,
        tainted=run.tainted,
        reads=run.reads,
        writes=run.writes,
        reported=run.reported,
        read=run.read,
        combinations=run.combinations,
        observe=observe,
    )


def may_go_on(effect: Effect, request: Request) -> bool:
    """Whether it is allowed, or held and a release may let it go on when it is recorded."""
    return effect is Effect.ALLOW or (effect is Effect.HOLD and bool(request.approval))


def _effect(step: Step | None) -> Effect:
    if step is None:
        return Effect.ALLOW
    return Effect.HOLD if step.status is Status.HELD else Effect.DENY


def _gathered(steps: Sequence[Step], name: str) -> tuple[str, ...]:
    return tuple(str(one) for step in steps if step.detail for one in step.detail.get(name, ()))


def _obligations(
    case: Case, steps: Sequence[Step], tier: str, label: str
) -> tuple[Mapping[str, Json], ...]:
    """What a call that goes on must do: label what it reads, and what its policies ask for."""
    asked = (each for step in steps for each in step.detail.get("obligations", ()))
    labels = obligations.label(tier, label) if _reads(case) else ()
    return (*labels, *asked)


def _reads(case: Case) -> bool:
    try:
        return bool(case.reads)
    except _INTERRUPTIONS:
        raise
    except BaseException:  # the walk has said what failed
        return False


def _place(case: Case) -> tuple[str, str, str]:
    """Resource and tier for the record; as the request says where they cannot be computed."""
    try:
        return case.target.type, case.target.id, case.tier
    except _INTERRUPTIONS:
        raise
    except BaseException:  # the walk has said what failed
        return case.request.resource_type, case.request.resource_id, ""


@dataclass(frozen=True, slots=True)
class _Run:
    """What a decision says of the run that its call belongs to; see `Decision`."""

    label: str = ""
    tainted: bool = False
    reads: str = ""
    writes: str = ""
    reported: Reading = NOTHING
    read: Reading = NOTHING
    combinations: tuple[str, ...] = ()


def _run(case: Case, steps: Sequence[Step], observe: Observed | None) -> _Run:
    """Only an agent that is who it says has a run; where the facts cannot be read there is none."""
    known = steps[0].status is Status.PASSED or observe is not None
    if not case.is_agent or case.agent is None or not known:
        return _Run()
    try:
        return _Run(
            label=case.label,
            tainted=case.after.untrusted,
            reads=max((place.tier for place in case.reads), key=rank, default=""),
            writes=min((place.tier for place in case.writes), key=rank, default=""),
            reported=case.reported_raised,
            read=case.read_raised,
            combinations=tuple(dict.fromkeys(str(one["slug"]) for one in case.raising)),
        )
    except _INTERRUPTIONS:
        raise
    except BaseException:  # the walk has said what failed
        return _Run()


def _observed(case: Case, effect: Effect, code: str, tier: str) -> Observed | None:
    """What would have been decided, where the row is in observe mode and that may be lifted.

    Only an active row of a caller who is who they say is ever told to go on, never on restricted
    data, and never with what others handed on, whose rows may say otherwise.
    """
    if code.startswith(f"{Check.IDENTITY}.") and code != "identity.pattern":
        return None
    if case.request.delegation:
        return None
    agent = case.agent if case.is_agent else None
    if agent is None or not is_future(agent.get("observe_until"), case.now):
        return None
    if RESTRICTED in (tier, agent.get("tier")):
        return None
    return Observed(would=effect, check=code.partition(".")[0], code=code)
