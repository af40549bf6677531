"""What a client sends, what it makes of the answers, and when it asks again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import httpx
import pytest

from client.muster_client import (
    AccessRequest,
    AsyncMuster,
    BadRequest,
    Conflict,
    Held,
    Muster,
    NotSignedIn,
    Observed,
    Unavailable,
)
from tests.client.muster_double import (
    APPROVAL,
    BASE,
    DECISION,
    HOLD,
    TASK,
    Double,
    a_token,
    allow,
    async_muster,
    deny,
    hold,
    muster,
    task,
)

CLAIM = {"claim": "CL-1", "amount": 500}
RUN = {
    "session_id": "s-01a1",
    "agent": "refund-desk",
    "clean": True,
    "label": "public",
    "tainted": False,
    "categories": [],
    "plan": None,
    "opened_at": "2026-11-27T00:00:00+00:00",
    "expires_at": "2026-11-28T00:00:00+00:00",
    "ended_at": None,
}


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were slept, which take none here."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr("client.muster_client.client.time.sleep", found.append)
    monkeypatch.setattr("client.muster_client.aio.asyncio.sleep", sleep)
    return found


# The question


def test_the_least_question() -> None:
    double = Double(allow())

    muster(double).check("refund.issue", CLAIM)

    (request,) = double.requests
    assert str(request.url) == f"{BASE}/access/v1/evaluation"
    assert request.headers["authorization"] == f"Bearer {a_token(jti=1)}"
    assert "idempotency-key" not in request.headers
    assert double.bodies == [
        {
            "subject": {"type": "agent", "id": "refund-desk"},
            "action": {"name": "refund.issue", "properties": CLAIM},
            "resource": {"type": "tool", "id": "refund.issue"},
        }
    ]


def test_all_that_a_question_may_say() -> None:
    double = Double(allow())

    muster(double, agent="other").check(
        "refund.issue",
        CLAIM,
        user="p-1",
        session="s-1",
        delegation="d-1",
        resource=("claims", "CL-1"),
        reasoning="Paid twice.",
        inputs=["ticket 1"],
        approval=APPROVAL,
        estimate={"cost_minor": 0, "currency": "EUR"},
        provenance={"claim": "untrusted"},
        idempotency_key="k-1",
    )

    (body,) = double.bodies
    assert double.requests[0].headers["idempotency-key"] == "k-1"
    assert (body["subject"]["id"], body["resource"]) == ("other", {"type": "claims", "id": "CL-1"})
    assert body["context"] == {
        "user": "p-1",
        "session": "s-1",
        "delegation": "d-1",
        "reasoning": "Paid twice.",
        "inputs": ["ticket 1"],
        "approval": {"id": APPROVAL},
        "estimate": {"cost_minor": 0, "currency": "EUR"},
        "provenance": {"claim": "untrusted"},
    }


def test_a_misspelt_member_is_refused_and_nothing_is_asked() -> None:
    double = Double(allow())

    with pytest.raises(TypeError, match="usr"):
        muster(double).check("refund.issue", CLAIM, usr="p-1")  # type: ignore[call-arg]

    assert (double.requests, double.asked_tokens) == ([], 0)


@pytest.mark.parametrize("value", [float("nan"), object(), b"x", {1, 2}, "\ud800"])
def test_parameters_that_are_no_json_are_refused(value: Any) -> None:
    with pytest.raises(BadRequest):
        muster(Double(allow())).check("refund.issue", {"claim": value})


def test_an_agent_that_acts_for_someone_is_the_actor_of_its_token() -> None:
    double = Double(allow())

    muster(double, token=a_token("p-1", act={"sub": "copilot"})).check("note.write", {})

    assert double.bodies[0]["subject"]["id"] == "copilot"


@pytest.mark.parametrize("token", ["opaque", "a.b.c", a_token("gateway:edge"), a_token("")])
def test_a_token_that_names_no_agent(token: str) -> None:
    with pytest.raises(NotSignedIn):
        muster(Double(allow()), token=token).check("refund.issue", CLAIM)


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("http://muster.example", {"token": "t"}),
        ("ftp://muster.example", {"token": "t"}),
        ("https://user:pass@muster.example", {"token": "t"}),
        ("", {"token": "t"}),
        (BASE, {}),
        (BASE, {"client_id": "desk"}),
        (BASE, {"token": "t", "client_id": "desk", "client_secret": "x"}),
    ],
)
def test_what_cannot_be_a_client(url: str, given: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Muster(url, **given)


def test_a_client_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_URL", "http://127.0.0.1:8000/")
    monkeypatch.setenv("MUSTER_TOKEN", a_token())

    assert Muster.from_environment()._flows.base_url == "http://127.0.0.1:8000"


def test_secrets_stand_in_no_repr() -> None:
    client = muster(Double(allow()), client_secret="mst_secret")
    client.check("refund.issue", CLAIM)

    assert "mst_secret" not in repr(client._flows)
    assert a_token(jti=1) not in repr(client._flows)


# The answer


def test_a_denial_is_an_answer_and_false() -> None:
    decision = muster(Double(deny(remedies=[{"kind": "role"}]))).check("refund.issue", CLAIM)

    assert (decision.allowed, bool(decision), decision.code) == (False, False, "role.none")
    assert (decision.check, decision.decision_id) == ("role", DECISION)
    assert decision.remedies == ({"kind": "role"},)
    with pytest.raises(FrozenInstanceError):
        decision.allowed = True  # type: ignore[misc]


def test_a_hold_has_its_link() -> None:
    decision = muster(Double(hold())).check("refund.issue", CLAIM)

    link = f"{BASE}/inbox/?item=hold:{HOLD}"
    assert decision.effect == "hold"
    assert decision.access_request == AccessRequest(HOLD, "2026-11-28T00:00:00Z", link)


def test_an_observed_agent_goes_on() -> None:
    seen = {"would": "deny", "check": "role", "code": "role.none"}

    decision = muster(Double(allow(observe=seen))).check("refund.issue", CLAIM)

    assert (decision.allowed, decision.observe) == (True, Observed("deny", "role", "role.none"))


def test_no_decision_is_kept() -> None:
    double = Double(allow(), deny())
    client = muster(double)

    told = [client.check("refund.issue", CLAIM).allowed for _ in range(2)]

    assert told == [True, False]


# Tokens


def test_a_token_is_fetched_once_and_renewed_before_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    double = Double(*[allow()] * 3)
    client, now = muster(double), [1000.0]
    monkeypatch.setattr(client._flows.signing, "clock", lambda: now[0])

    for seconds in (0, 569, 2):
        now[0] += seconds
        client.check("refund.issue", CLAIM)

    assert double.asked_tokens == 2


def test_a_refused_token_is_renewed_once() -> None:
    refused = httpx.Response(401, json={"code": "token_ended", "detail": "It ended."})
    double = Double(refused, allow(), refused, refused)
    client = muster(double)

    assert client.check("refund.issue", CLAIM).allowed is True
    assert double.asked_tokens == 2
    with pytest.raises(NotSignedIn, match="It ended"):
        client.check("refund.issue", CLAIM)


def test_a_token_that_was_given_is_not_renewed() -> None:
    double = Double(httpx.Response(401, json={"code": "token_ended", "detail": "It ended."}))

    with pytest.raises(NotSignedIn) as raised:
        muster(double, token=a_token()).check("refund.issue", CLAIM)

    assert (raised.value.code, raised.value.status) == ("token_ended", 401)
    assert double.asked_tokens == 0


# Asking again


@pytest.mark.parametrize("gone", [httpx.ReadTimeout("slow"), httpx.Response(503), None])
def test_with_a_key_it_is_asked_again(gone: Any, slept: list[float]) -> None:
    gone = httpx.ConnectError("refused") if gone is None else gone
    double = Double(gone, gone, allow())

    decision = muster(double).check("refund.issue", CLAIM, idempotency_key="k-1")

    assert decision.allowed is True
    assert [each.headers["idempotency-key"] for each in double.requests] == ["k-1"] * 3
    assert double.requests[0].content == double.requests[2].content
    assert slept == [0.2, 0.4]


def test_without_a_key_it_is_asked_once() -> None:
    double = Double(httpx.ReadTimeout("slow"), allow())

    with pytest.raises(Unavailable):
        muster(double).check("refund.issue", CLAIM)

    assert len(double.requests) == 1


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, content=b"{"), httpx.Response(409, json={"code": "conflict"})]
)
def test_what_will_not_change_is_not_asked_again(answer: httpx.Response) -> None:
    double = Double(answer, allow())

    with pytest.raises((Unavailable, Conflict)):
        muster(double).check("refund.issue", CLAIM, idempotency_key="k-1")

    assert len(double.requests) == 1


def test_it_gives_up_after_the_last_retry() -> None:
    double = Double(*[httpx.Response(503)] * 3, allow())

    with pytest.raises(Unavailable):
        muster(double).check("refund.issue", CLAIM, idempotency_key="k-1")

    assert len(double.requests) == 3


@pytest.mark.parametrize("key", ["a\nb", "é", "x" * 129])
def test_a_key_that_is_none(key: str) -> None:
    with pytest.raises(BadRequest):
        muster(Double(allow())).check("refund.issue", CLAIM, idempotency_key=key)


def test_a_proxy_of_the_environment_gets_no_token_that_goes_without_tls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)

    for made in (Muster, AsyncMuster):
        http: Any = made("http://127.0.0.1:8000", token="t")._http
        ways = {
            scheme: http._transport_for_url(httpx.URL(f"{scheme}://127.0.0.1")) is http._transport
            for scheme in ("http", "https")
        }
        assert ways == {"http": True, "https": False}


# Holds


def test_waiting_for_a_human(slept: list[float]) -> None:
    approved = task("approved")
    double = Double(hold(), httpx.Response(202, json=task()), task(), approved, allow())
    client = muster(double)

    decision = client.wait(client.check("refund.issue", CLAIM), 60, why="Paid twice.")

    assert decision.allowed is True
    assert double.paths == [
        "/access/v1/evaluation",
        "/access/v1/requests",
        f"/access/v1/requests/{TASK}",
        f"/access/v1/requests/{TASK}",
        "/access/v1/evaluation",
    ]
    asked = double.bodies[1]
    assert asked["denial"]["evaluation_id"] == DECISION
    assert asked["context"] == {"business_justification": "Paid twice."}
    assert double.bodies[4]["context"] == {"approval": {"id": APPROVAL}}
    assert slept == [15, 15]


def test_one_yes_is_told_to_one_of_two_alike_calls() -> None:
    yes = httpx.Response(201, json=task("approved"))
    double = Double(hold(), hold(), yes, allow(), yes, allow(), yes, allow())
    client = muster(double)
    held = [client.check("refund.issue", CLAIM) for _ in range(2)]

    for each in held:
        client.wait(each, 0)
    client.wait(held[0], 0, idempotency_key="call-1")

    one, other, named = [double.requests[place].headers["idempotency-key"] for place in (3, 5, 7)]
    assert one != other
    assert named == "call-1"


def test_what_a_human_changed_is_asked() -> None:
    edited = {"claim": "CL-1", "amount": 400}
    result = {"approval": {"id": APPROVAL}, "edited": {"parameters": edited}}
    done = httpx.Response(201, json=task("approved", result=result))
    client = muster(Double(hold(), done, allow()))

    decision = client.wait(client.check("refund.issue", CLAIM), 60)

    assert decision.question.parameters == edited


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (task("pending"), "Nobody has decided"),
        (task("denied", task={"id": TASK, "status": "denied", "display": {}}), "denied"),
        (task("expired"), "expired"),
    ],
)
def test_without_a_yes_it_stays_held(told: Any, words: str) -> None:
    client = muster(Double(hold(), httpx.Response(202, json=told)))

    with pytest.raises(Held, match=words) as raised:
        client.wait(client.check("refund.issue", CLAIM), 0)

    assert raised.value.link == f"{BASE}/inbox/?item=hold:{HOLD}"


@pytest.mark.parametrize(
    "told",
    [
        {"task": {"id": TASK, "status": "approved"}},
        {"task": {"id": TASK, "status": "approved"}, "result": {"approval": {"id": "../x"}}},
        {"task": {"id": TASK, "status": "yes"}},
        {"task": {"id": "../../x", "status": "pending"}},
        {"task": []},
    ],
)
def test_a_task_that_cannot_be_read(told: Any) -> None:
    client = muster(Double(hold(), httpx.Response(202, json=told), allow()))

    with pytest.raises(Unavailable):
        client.wait(client.check("refund.issue", CLAIM), 60)


def test_nobody_can_be_asked_about_a_denial() -> None:
    client = muster(Double(deny()))

    with pytest.raises(BadRequest):
        client.ask_a_human(client.check("refund.issue", CLAIM))


# Reports and runs


def test_a_report() -> None:
    outcome = httpx.Response(201, json={"outcome_id": HOLD, "decision_id": DECISION})
    double = Double(allow(), outcome)
    client = muster(double)

    reported = client.report(
        client.check("refund.issue", CLAIM), "success", cost_minor=0, records=["CL-1"]
    )

    assert reported == HOLD
    assert double.paths[1] == f"/api/v1/decisions/{DECISION}/outcome"
    assert double.bodies[1] == {"outcome": "success", "cost_minor": 0, "records": ["CL-1"]}


def test_calls_inside_a_run_belong_to_it() -> None:
    opened = httpx.Response(201, json=RUN)
    double = Double(opened, allow(), RUN, RUN, allow())
    client = muster(double)

    with client.plan({"tool": "refund.issue", "parameters": {"claim": "CL-1"}}) as run:
        client.check("refund.issue", CLAIM)
        run.read({"system": "crm"})
    client.check("refund.issue", CLAIM)

    steps = [{"tool": "refund.issue", "parameters": {"claim": "CL-1"}}]
    assert double.bodies[0] == {"plan": {"steps": steps, "extracts": {}}}
    assert double.bodies[1]["context"] == {"session": "s-01a1"}
    assert double.bodies[2] == {"inputs": [{"system": "crm"}]}
    assert double.paths[2:4] == ["/api/v1/sessions/s-01a1/inputs", "/api/v1/sessions/s-01a1/end"]
    assert "context" not in double.bodies[4]


def test_a_run_that_fails_is_ended_and_fails_as_it_did() -> None:
    double = Double(httpx.Response(201, json=RUN), httpx.Response(503))

    with pytest.raises(ZeroDivisionError), muster(double).session():
        raise ZeroDivisionError

    assert double.paths[-1] == "/api/v1/sessions/s-01a1/end"


def test_a_run_awaited() -> None:
    planned = {**RUN, "plan": {"steps": [], "extracts": {}}}
    handed = {"value": "keep", "to": RUN}
    double = Double(httpx.Response(201, json=RUN), planned, RUN, handed, allow(), RUN)

    async def go() -> Any:
        async with async_muster(double) as client, client.session(clean=True) as run:
            told = await run.plan({"tool": "refund.issue"})
            assert (await run.look()).tainted is False
            value = await run.hand("order", "keep", to="s-02")
            await client.check("refund.issue", CLAIM)
            return told.plan, value

    assert asyncio.run(go()) == ({"steps": [], "extracts": {}}, "keep")
    assert double.bodies[0] == {"clean": True}
    assert double.bodies[4]["context"] == {"session": "s-01a1"}
    assert double.paths[5] == "/api/v1/sessions/s-01a1/end"


def test_all_of_it_awaited(slept: list[float]) -> None:
    outcome = httpx.Response(201, json={"outcome_id": HOLD, "decision_id": DECISION})
    busy, wanted = httpx.Response(503), httpx.Response(202, json=task())
    double = Double(
        hold(), wanted, task(), busy, task("approved"), allow(), wanted, task(), outcome
    )

    async def go() -> Any:
        client = async_muster(double)
        held = await client.check("refund.issue", CLAIM)
        decision = await client.wait(held, 60)
        asked = await client.ask_a_human(held)
        looked = await client.task(asked.task_id)
        told = await client.report(decision, "failure", trust="untrusted")
        await client.aclose()
        return decision.allowed, looked.pending, told

    assert asyncio.run(go()) == (True, True, HOLD)
    assert slept == [15, 15, 0.2]
    assert double.bodies[-1] == {"outcome": "failure", "trust": "untrusted"}


@pytest.mark.parametrize("awaited", [False, True])
def test_a_run_whose_end_fails_says_so_unless_it_failed_itself(awaited: bool) -> None:
    def double() -> Double:
        return Double(httpx.Response(201, json=RUN), RUN, httpx.Response(503))

    def blocking(error: Exception | None) -> None:
        with muster(double()).session() as run:
            run.look()
            if error:
                raise error

    async def awaiting(error: Exception | None) -> None:
        async with async_muster(double()).plan() as run:
            await run.read({"system": "crm"})
            if error:
                raise error

    def go(error: Exception | None) -> None:
        asyncio.run(awaiting(error)) if awaited else blocking(error)

    with pytest.raises(Unavailable):
        go(None)
    with pytest.raises(ZeroDivisionError):
        go(ZeroDivisionError())


def test_a_run_is_known_inside_its_with_alone() -> None:
    for run in (muster(Double()).session(), async_muster(Double()).session()):
        with pytest.raises(RuntimeError):
            _ = run.id


def test_an_extract_is_handed_on_once_planned() -> None:
    double = Double(httpx.Response(201, json=RUN), RUN, {"value": 3, "to": RUN}, {"to": RUN}, RUN)

    with muster(double).session(agent="refund-desk") as run:
        run.plan(extracts={"count": {"type": "integer"}})
        assert run.hand("count", 3, to="s-02") == 3
        with pytest.raises(Unavailable):
            run.hand("count", 3, to="s-02")

    assert double.bodies[0] == {"agent": "refund-desk"}
    assert double.bodies[2] == {"to": "s-02", "extract": "count", "value": 3}


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a?b", "é"])
def test_no_id_leads_elsewhere(name: str) -> None:
    double = Double()

    with pytest.raises(BadRequest):
        muster(double).task(name)

    assert (double.requests, double.asked_tokens) == ([], 0)


def test_a_setting_that_is_none() -> None:
    with pytest.raises(TypeError, match="time_out"):
        Muster(BASE, token="t", time_out=3)  # type: ignore[call-arg]


def test_a_run_that_cannot_be_opened_runs_nothing() -> None:
    double = Double(httpx.Response(201, json={**RUN, "session_id": 1}))

    with pytest.raises(Unavailable), muster(double).session():
        pytest.fail("It ran.")


# The package


def test_it_needs_httpx_alone() -> None:
    """Nothing of the server is imported, and of what others made only what httpx brings."""
    place = Path(__file__).parents[2] / "client"
    code = (
        "import sys; before = set(sys.modules); import httpx; theirs = set(sys.modules);"
        "import muster_client, json;"
        "ours = {m.partition('.')[0] for m in set(sys.modules) - theirs};"
        "print(json.dumps(sorted(ours - set(sys.stdlib_module_names))))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True
    )

    assert json.loads(told.stdout) == ["muster_client"]


def test_what_the_docstrings_show() -> None:
    place = Path(__file__).parents[2] / "client"
    modules = ("answers", "questions", "obligations")
    code = (
        "import doctest\nfrom importlib import import_module\n"
        f"found = [doctest.testmod(import_module('muster_client.' + m)) for m in {modules}]\n"
        "print([each.failed for each in found], all(each.attempted for each in found))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True
    )

    assert told.stdout == "[0, 0, 0] True\n"
