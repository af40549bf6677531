"""Functions that run where Muster says so, and report what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from client.muster_client import (
    BadRequest,
    Denied,
    Held,
    Muster,
    MusterError,
    Unavailable,
    Unfulfilled,
    governed,
)
from tests.client.muster_double import (
    APPROVAL,
    BASE,
    DECISION,
    HOLD,
    Double,
    allow,
    async_muster,
    deny,
    hold,
    muster,
    task,
)

Call = Callable[..., Any]


def reported() -> httpx.Response:
    return httpx.Response(201, json={"outcome_id": HOLD, "decision_id": DECISION})


class Tool:
    """A tool that keeps what it was called with."""

    def __init__(self, result: Any = None, error: BaseException | None = None) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.result, self.error = result, error

    def __call__(self, *given: Any) -> Any:
        self.calls.append(given)
        if self.error:
            raise self.error
        return self.result


def plain(double: Double, tool: Tool, **given: Any) -> Call:
    @governed("refund.issue", by=muster(double), **given)
    def issue(claim: str, amount: int = 500, note: str | None = None) -> Any:
        return tool(claim, amount, note)

    return issue


def awaited(double: Double, tool: Tool, **given: Any) -> Call:
    @governed("refund.issue", by=lambda: async_muster(double), **given)
    async def issue(claim: str, amount: int = 500, note: str | None = None) -> Any:
        return tool(claim, amount, note)

    def call(*args: Any, **kwargs: Any) -> Any:
        return asyncio.run(issue(*args, **kwargs))

    return call


BOTH = pytest.mark.parametrize("make", [plain, awaited])


@BOTH
def test_it_asks_runs_and_reports(make: Call) -> None:
    double, tool = Double(allow(), reported()), Tool("paid")

    result = make(double, tool, resource=lambda asked: ("claims", asked["claim"]))("CL-1")

    assert (result, tool.calls) == ("paid", [("CL-1", 500, None)])
    asked, told = double.bodies
    assert asked["action"]["properties"] == {"claim": "CL-1", "amount": 500}
    assert asked["resource"] == {"type": "claims", "id": "CL-1"}
    assert told == {"outcome": "success"}


@BOTH
def test_a_failure_is_reported_and_raised(make: Call) -> None:
    double, tool = Double(allow(), reported()), Tool(error=KeyError("CL-1"))

    with pytest.raises(KeyError):
        make(double, tool)("CL-1")

    assert double.bodies[1] == {"outcome": "failure"}


@BOTH
@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (deny(), Denied),
        (hold(), Held),
        (hold(access_request=None), Held),
        (httpx.Response(503), Unavailable),
        (httpx.ReadTimeout("slow"), Unavailable),
        (httpx.Response(200, content=b"true"), Unavailable),
        (httpx.Response(400, json={"code": "bad_request"}), BadRequest),
    ],
)
def test_nothing_runs_without_an_allow(answer: Any, wanted: type[MusterError], make: Call) -> None:
    double, tool = Double(answer), Tool()

    with pytest.raises(wanted):
        make(double, tool)("CL-1")

    assert (tool.calls, len(double.requests)) == ([], 1)


def test_a_hold_is_raised_with_its_link() -> None:
    with pytest.raises(Held) as raised:
        plain(Double(hold()), Tool())("CL-1")

    assert raised.value.link == f"{BASE}/inbox/?item=hold:{HOLD}"


@BOTH
def test_it_waits_for_a_human_and_runs(make: Call) -> None:
    done = httpx.Response(201, json=task("approved"))
    double, tool = Double(hold(), done, allow(), reported()), Tool()

    make(double, tool, wait=60)("CL-1")

    assert tool.calls == [("CL-1", 500, None)]


def edited(parameters: Any) -> httpx.Response:
    result = {"approval": {"id": APPROVAL}, "edited": {"parameters": parameters}}
    return httpx.Response(201, json=task("approved", result=result))


@BOTH
def test_it_runs_with_what_a_human_changed(make: Call) -> None:
    change = edited({"claim": "CL-1", "amount": 400})
    double, tool = Double(hold(), change, allow(), reported()), Tool()

    make(double, tool, wait=60)("CL-1", 900)

    assert tool.calls == [("CL-1", 400, None)]


@BOTH
@pytest.mark.parametrize("change", [{"claim": "CL-1"}, {"claim": "CL-1", "amount": 1, "x": 2}, {}])
def test_what_it_cannot_run_exactly_it_does_not_run(change: Any, make: Call) -> None:
    double, tool = Double(hold(), edited(change), allow(), reported()), Tool()

    with pytest.raises(Denied):
        make(double, tool, wait=60)("CL-1", 900)

    assert tool.calls == []


def test_one_is_not_true() -> None:
    done = edited({"claim": "CL-1", "amount": 1})
    double, tool = Double(hold(), done, allow(), reported()), Tool()

    plain(double, tool, wait=60)("CL-1", True)

    assert [type(each) for each in tool.calls[0]] == [str, int, type(None)]


@BOTH
def test_a_yes_that_is_a_no_by_now(make: Call) -> None:
    done = httpx.Response(201, json=task("approved"))
    double, tool = Double(hold(), done, deny()), Tool()

    with pytest.raises(Denied):
        make(double, tool, wait=60)("CL-1")

    assert tool.calls == []


@BOTH
def test_what_was_done_stays_done_where_the_report_fails(
    make: Call, caplog: pytest.LogCaptureFixture
) -> None:
    double, tool = Double(allow(), httpx.Response(503)), Tool("paid")

    assert make(double, tool)("CL-1") == "paid"

    assert f"Decision {DECISION} could not be reported" in caplog.text


def test_the_output_is_sent_where_that_is_wanted() -> None:
    double = Double(allow(), reported())

    plain(double, Tool({"paid": 1}), send_output=True)("CL-1")

    assert double.bodies[1] == {"outcome": "success", "output": {"paid": 1}}


# Obligations


@BOTH
def test_an_obligation_that_nobody_fulfils_is_a_refusal(make: Call) -> None:
    double, tool = Double(allow(obligations=[{"kind": "notify", "who": "ann"}])), Tool()

    with pytest.raises(Unfulfilled):
        make(double, tool)("CL-1")

    assert tool.calls == []


def test_an_obligation_that_the_caller_fulfils() -> None:
    asked = {"kind": "notify", "who": "ann"}
    told: list[Any] = []

    def notify(obligation: Any, decision: Any) -> None:
        told.append((obligation, decision.decision_id))

    plain(Double(allow(obligations=[asked]), reported()), Tool(), fulfil={"notify": notify})("CL-1")

    assert told == [(asked, DECISION)]


def test_a_reason_is_logged_before_it_runs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "muster_client")
    asked = [{"kind": "log", "reason": "over 400"}, {"kind": "label", "classification": "internal"}]

    plain(Double(allow(obligations=asked), reported()), Tool())("CL-1")

    assert caplog.messages == [f"Decision {DECISION}: over 400"]


@BOTH
def test_what_is_to_be_taken_out_is(make: Call) -> None:
    asked = [{"kind": "redact", "paths": ["/iban", "/lines/0", "/lines/9", "/claim/0", "/none"]}]
    found = {"claim": "CL-1", "iban": "DK50", "lines": ["a", "b"]}

    told = make(Double(allow(obligations=asked), reported()), Tool(found))("CL-1")

    assert told == {"claim": "CL-1", "lines": [None, "b"]}
    assert found["iban"] == "DK50"


def test_all_of_it_can_be_taken_out() -> None:
    asked = [{"kind": "redact", "paths": ["", "/iban"]}]

    assert plain(Double(allow(obligations=asked), reported()), Tool({"iban": 1}))("CL-1") is None


@pytest.mark.parametrize(
    ("paths", "result"), [(["/iban"], "iban DK50"), ("/iban", {}), ([1], {}), (None, {})]
)
def test_a_result_that_cannot_be_redacted_is_kept_back(paths: Any, result: Any) -> None:
    asked = [{"kind": "redact", "paths": paths}]

    with pytest.raises(Unfulfilled):
        plain(Double(allow(obligations=asked), reported()), Tool(result))("CL-1")


# What can be governed


def test_a_method_is_asked_about_without_its_object() -> None:
    double = Double(allow(), reported())

    class Desk:
        @governed("refund.issue", by=muster(double))
        def issue(self, claim: str, **more: int) -> str:
            return claim

    assert Desk().issue("CL-1", amount=5) == "CL-1"
    assert double.bodies[0]["action"]["properties"] == {"claim": "CL-1", "amount": 5}


def test_what_runs_later_or_has_no_names_cannot_be_governed() -> None:
    def generator() -> Any:
        yield

    async def later() -> Any:
        yield

    def nameless(*claims: str) -> None: ...

    def positional(claim: str, /) -> None: ...

    for function in (generator, later, nameless, positional):
        with pytest.raises(TypeError):
            governed("refund.issue")(function)


def test_the_other_clients_kind_is_refused() -> None:
    tool = Tool()

    @governed("refund.issue", by=async_muster(Double(allow())))
    def issue(claim: str) -> None:
        tool(claim)

    with pytest.raises(TypeError):
        issue("CL-1")

    assert tool.calls == []


def test_without_a_client_or_an_environment_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUSTER_URL", raising=False)
    tool = Tool()

    @governed("refund.issue")
    def issue(claim: str) -> None:
        tool(claim)

    with pytest.raises(ValueError, match="no address"):
        issue("CL-1")

    assert tool.calls == []


def test_the_environments_client_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Muster] = []

    def from_environment() -> Muster:
        made.append(muster(Double(allow(), reported(), allow(), reported())))
        return made[-1]

    monkeypatch.setattr(Muster, "from_environment", from_environment)
    tool = Tool()

    @governed("refund.issue")
    def issue(claim: str) -> None:
        tool(claim)

    issue("CL-1")
    issue("CL-2")

    assert (len(made), tool.calls) == (1, [("CL-1",), ("CL-2",)])
