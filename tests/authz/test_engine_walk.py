"""The walk itself: order, refusals, holds, errors, and that it never raises."""

from typing import Any

import pytest

from authz.engine.case import Case, not_applicable, passed
from authz.engine.policies import PolicyIndex
from authz.engine.types import Check, Decision, Effect, Mode, Slice, Snapshot, Status, Step
from authz.engine.walk import CHECKS, CheckFunction, conclude, judge, take_walk
from tests.authz.desk import NOW, a_request, documents, snapshot


def held(check: Check) -> CheckFunction:
    return lambda case: Step(check, Status.HELD, f"{check}.held", {"for": "a human"})


def refusing(check: Check) -> CheckFunction:
    return lambda case: Step(check, Status.REFUSED, f"{check}.refused")


def raising(error: BaseException) -> CheckFunction:
    def function(case: Case) -> Step:
        raise error

    return function


def walked(changed: dict[Check, CheckFunction | None], **request: Any) -> Decision:
    asked = a_request(parameters={"table": "leads"}, **request)
    case = Case(asked, snapshot(documents(), asked), NOW, Mode.ENFORCE)
    return conclude(case, take_walk(case, {**CHECKS, **changed}))


def statuses(decision: Decision) -> list[Status]:
    return [step.status for step in decision.walk]


def test_walk_names_all_thirteen_checks_in_order() -> None:
    decision = walked({})

    assert [step.check for step in decision.walk] == list(Check)
    assert list(CHECKS) == list(Check)


def test_hold_lets_the_walk_go_on_and_decides() -> None:
    decision = walked({Check.TAINT: held(Check.TAINT)})

    assert (decision.effect, decision.check, decision.code) == (Effect.HOLD, "taint", "taint.held")
    assert statuses(decision)[-5:] == [
        Status.HELD,
        Status.PASSED,
        Status.PASSED,
        Status.NOT_APPLICABLE,
        Status.PASSED,
    ]
    assert decision.detail == {"for": "a human"}


def test_first_of_two_holds_decides() -> None:
    decision = walked({Check.QUOTA: held(Check.QUOTA), Check.GATE: held(Check.GATE)})

    assert (decision.effect, decision.code) == (Effect.HOLD, "quota.held")


def test_later_refusal_makes_a_hold_a_deny() -> None:
    decision = walked({Check.TAINT: held(Check.TAINT), Check.RATE: refusing(Check.RATE)})

    assert (decision.effect, decision.code) == (Effect.DENY, "rate.refused")
    assert statuses(decision)[8:] == [Status.HELD, Status.REFUSED, *[Status.NOT_REACHED] * 3]


def test_later_error_makes_a_hold_a_deny() -> None:
    decision = walked({Check.TAINT: held(Check.TAINT), Check.SPEND: raising(OSError("no"))})

    assert (decision.effect, decision.code) == (Effect.DENY, "spend.error")


def test_check_that_raises_is_a_refusal_and_keeps_no_text() -> None:
    decision = walked({Check.ALLOWLIST: raising(ValueError("hunter2"))})

    assert (decision.effect, decision.code) == (Effect.DENY, "allowlist.error")
    assert decision.detail == {"error": "ValueError"}
    assert statuses(decision)[3:5] == [Status.ERROR, Status.NOT_REACHED]


def test_panic_of_a_native_library_is_a_refusal() -> None:
    class Panic(BaseException):
        """Like the panics of native libraries, no Exception."""

    assert walked({Check.POLICY: raising(Panic())}).code == "policy.error"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_interruption_passes_through(interruption: type[BaseException]) -> None:
    with pytest.raises(interruption):
        walked({Check.ROLE: raising(interruption())})


def test_hold_of_an_observed_row_is_observed() -> None:
    docs = documents()
    docs["agents"]["desk"] |= {"observe_until": "2027-01-01T00:00:00+00:00", "tier": "internal"}
    asked = a_request(tool="web.search")
    case = Case(asked, snapshot(docs, asked), NOW, Mode.ENFORCE)

    decision = conclude(case, take_walk(case, {**CHECKS, Check.GATE: held(Check.GATE)}))

    assert decision.effect is Effect.ALLOW
    assert decision.observe is not None
    assert (decision.observe.would, decision.observe.code) == (Effect.HOLD, "gate.held")


@pytest.mark.parametrize(
    "world",
    [
        {"tools": 3},
        {"roles": ["x"]},
        {"policies": [{}]},
        {"relationships": [[]]},
        {"types": {"a": 1}},
    ],
)
def test_malformed_world_refuses(world: dict[str, Any]) -> None:
    asked = a_request(tool="web.search")
    whole = snapshot(documents(), asked)
    broken = Snapshot(world=Slice("global", 1, repr(world), world), agent=whole.agent)

    decision = judge(asked, broken, NOW)

    assert decision.effect is Effect.DENY
    assert decision.code == "parameters.error"
    assert (decision.resource_type, decision.classification) == ("", "")


@pytest.mark.parametrize("agent", [{}, {"slug": "desk"}, {"slug": "desk", "state": "active"}])
def test_malformed_agent_refuses(agent: dict[str, Any]) -> None:
    asked = a_request()
    whole = snapshot(documents(), asked)
    part = Slice("agent:desk", 1, "", agent)

    decision = judge(asked, Snapshot(world=whole.world, agent=part), NOW)

    assert decision.effect is Effect.DENY
    assert decision.check == "identity"


def test_interruption_while_the_place_is_computed_passes_through() -> None:
    class Stopping(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise KeyboardInterrupt

    asked = a_request()
    whole = snapshot(documents(), asked)
    case = Case(asked, Snapshot(world=Slice("global", 1, "stop", Stopping())), NOW, Mode.ENFORCE)

    assert whole.agent is not None
    with pytest.raises(KeyboardInterrupt):
        conclude(case, (Step(Check.IDENTITY, Status.REFUSED, "identity.unknown_agent"),))


def test_subject_of_nobody_is_an_error() -> None:
    asked = a_request(agent="ghost")
    case = Case(asked, snapshot(documents(), asked), NOW, Mode.ENFORCE)

    with pytest.raises(LookupError):
        assert case.subject


def test_steps_without_detail() -> None:
    assert not_applicable(Check.FLOW) == Step(Check.FLOW, Status.NOT_APPLICABLE)
    assert passed(Check.FLOW) == Step(Check.FLOW, Status.PASSED)


def test_snapshot_lists_the_slices_that_there_are() -> None:
    asked = a_request(gateway="edge", user="p_ann")

    used = snapshot(documents(), asked).used()

    assert [part.key for part in used] == ["global", "agent:desk", "user:p_ann", "gateway:edge"]


def test_policy_index_starts_empty() -> None:
    index = PolicyIndex((), (), frozenset(), frozenset())

    part = index.slice_for("x", frozenset(["x"]), "Muster::Agent", frozenset())

    assert (part.enforced, part.watched, part.governed) == (None, (), False)
