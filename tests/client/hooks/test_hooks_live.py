"""The real command and the real address against a real Muster: allow, deny, hold, and failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client as Browser

from authz.api import hooks
from authz.models import Hold, ReportedOutcome
from authz.services import holds
from registry.enums import AgentState, GroupName
from registry.identity import clients, tokens
from registry.models import Agent, Client
from tests.client.hooks.sent import run, sent
from tests.factories.authz import Desk, bearer, make_desk, make_person

pytestmark = pytest.mark.django_db(transaction=True)

TOOL = "crm.pay"
SMALL = {"claim": "CL-1", "amount": 300}
LARGE = {"claim": "CL-1", "amount": 500}
AFTER = {"hook_event_name": "PostToolUse", "tool_response": {"ok": True}}

Json = Any
Ask = Callable[..., tuple[str, str]]


@pytest.fixture(autouse=True)
def _settings(settings: Any, live_server: Any) -> Iterator[None]:
    settings.MUSTER_BASE_URL = live_server.url
    settings.MUSTER_APPROVER_MFA = False
    tokens.forget()
    yield
    tokens.forget()


@pytest.fixture
def desk() -> Desk:
    gates = {"amount": {"above": 400, "currency": "EUR"}}
    tool = {"name": TOOL, "gates": gates, "effect": "financial", "resource_parameter": ""}
    return make_desk(tool_fields=tool)


def event(call: str = "toolu_1", given: Json = SMALL, **changed: Any) -> bytes:
    asked = {"tool_name": "mcp__crm__pay", "tool_input": given, "tool_use_id": call}
    return sent(**(asked | changed))


@pytest.fixture
def environment(desk: Desk, live_server: Any) -> dict[str, str]:
    desk.client.delete()
    issued = clients.issue_client(agent=desk.agent, by=desk.owner)
    return {
        "MUSTER_URL": live_server.url,
        "MUSTER_CLIENT_ID": issued.client.client_id,
        "MUSTER_CLIENT_SECRET": issued.secret,
    }


@pytest.fixture(params=["command", "http"])
def ask(request: Any, desk: Desk) -> Ask:
    """The decision and the reason that a form answers to an event, "" where it says none."""
    if request.param == "http":
        header = bearer(desk.client)

        def by_http(raw: bytes) -> tuple[str, str]:
            answer = Browser().post(
                "/hooks/claude-code", raw, "application/json", headers={"authorization": header}
            )
            assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
            return read(answer.json())

        return by_http
    environment = request.getfixturevalue("environment")

    def by_command(raw: bytes) -> tuple[str, str]:
        done = run(raw, environment)
        for _ in range(4):  # a busy machine may have no answer now, which blocks
            if "did not decide" in done.stderr:
                done = run(raw, environment)
        if done.returncode:
            assert (done.returncode, done.stdout) == (2, "")
            return "block", done.stderr
        return read(json.loads(done.stdout))

    return by_command


def read(told: Json) -> tuple[str, str]:
    if "decision" in told:
        return told["decision"], told["reason"]
    output = told.get("hookSpecificOutput", {})
    return output.get("permissionDecision", ""), output.get("permissionDecisionReason", "")


def test_an_allow_and_what_came_of_it(desk: Desk, ask: Ask, mark: Any, records_after: Any) -> None:
    before = mark()

    word, _ = ask(event())
    assert ask(event(**AFTER)) == ("", "")
    assert ask(event(**AFTER)) == ("", "")

    (decision,) = records_after(before, kind="decision")
    assert (word, decision["effect"], decision["tool"]) == ("allow", "allow", TOOL)
    assert decision["session"] == "claude-code:00893aaf-19fa-41d2-8238-13269b9b3ca0"
    assert ReportedOutcome.objects.get().decision == decision["id"]


def test_a_deny(desk: Desk, ask: Ask) -> None:
    word, why = ask(sent())

    assert (word, "allowlist.not_listed" in why) == ("deny", True)


def test_a_call_that_was_made_against_a_deny_is_said(desk: Desk, ask: Ask) -> None:
    assert ask(sent())[0] == "deny"

    word, why = ask(sent(**AFTER))

    assert (word, "allowlist.not_listed" in why or "not allow" in why) == ("block", True)
    assert ReportedOutcome.objects.count() == 0


def test_a_hold_that_is_released_runs_when_it_is_tried_again(
    desk: Desk, ask: Ask, live_server: Any, mark: Any, records_after: Any
) -> None:
    before = mark()
    approver = make_person(groups=[GroupName.SECURITY])

    word, why = ask(event(given=LARGE))
    held = Hold.objects.get()
    assert word == "deny"
    assert f"{live_server.url}/inbox/?item=hold:{held.pk}. Once they have" in why
    holds.approve_hold(hold_id=held.pk, by=approver)
    again, _ = ask(event("toolu_2", LARGE))
    assert ask(event("toolu_2", LARGE, **AFTER)) == ("", "")
    used_up, _ = ask(event("toolu_3", LARGE))

    assert (again, used_up) == ("allow", "deny")
    reported = ReportedOutcome.objects.get().decision
    released = [r["id"] for r in records_after(before, kind="decision") if r["effect"] == "allow"]
    assert released == [reported]


def test_a_release_is_asked_for_anew_by_each_of_two_alike_calls() -> None:
    caller: Any = SimpleNamespace(key="c", slug="desk", token=None, is_gateway=False)
    given: Any = SimpleNamespace(allowed=False, settled={"hold": {"release": "r-1"}})

    def retry(call: str) -> Any:
        asked = hooks.question(hooks.read(event(call)), caller)
        again = hooks.released(asked, given, caller)
        assert again is not None
        return again.retry

    assert retry("toolu_2") == retry("toolu_2")
    assert retry("toolu_2")[0] != retry("toolu_3")[0]


def test_a_hold_that_was_edited_does_not_run_as_it_was_asked(desk: Desk, ask: Ask) -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    assert ask(event(given=LARGE))[0] == "deny"
    edited = {"claim": "CL-1", "amount": 450}
    holds.edit_hold(hold_id=Hold.objects.get().pk, by=approver, parameters=edited)

    assert ask(event("toolu_2", LARGE))[0] == "deny"


def test_a_call_that_was_made_otherwise_than_asked_is_said(desk: Desk, ask: Ask) -> None:
    assert ask(event())[0] == "allow"

    word, _ = ask(event(given=SMALL | {"amount": 301}, **AFTER))

    assert word == "block"
    assert ReportedOutcome.objects.count() == 0


def test_a_suspended_agent_uses_nothing(desk: Desk, ask: Ask) -> None:
    assert ask(event())[0] == "allow"
    Agent.objects.filter(pk=desk.agent.pk).update(state=AgentState.SUSPENDED)

    assert ask(event("toolu_2"))[0] in {"deny", "block"}


# Failures, each of which must block


@pytest.mark.parametrize(
    "change", [{"MUSTER_CLIENT_SECRET": "mst_wrong"}, {"MUSTER_AGENT": "somebody-else"}]
)
def test_who_is_not_the_agent_uses_nothing(
    desk: Desk, environment: dict[str, str], change: dict[str, str]
) -> None:
    done = run(event(), environment | change)

    if done.returncode == 0:
        assert read(json.loads(done.stdout))[0] == "deny"
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("Muster blocks this: ")


def test_without_a_token_the_address_denies(desk: Desk) -> None:
    for header in (None, "Bearer", "Bearer abc", "Basic YTpi"):
        headers = {"authorization": header} if header else {}

        answer = Browser().post("/hooks/claude-code", event(), "application/json", headers=headers)

        assert (answer.status_code, read(answer.json())[0]) == (200, "deny")


def test_what_is_no_event_the_address_denies(desk: Desk) -> None:
    header = bearer(desk.client)
    impostor = event(tool_name="mcp__claude-code__bash")

    for raw in (b"", b"{", b"\xff", b"[]", b" " * 300_000, impostor):
        answer = Browser().post(
            "/hooks/claude-code", raw, "application/json", headers={"authorization": header}
        )

        assert (answer.status_code, read(answer.json())[0]) == (200, "deny")


def test_what_cannot_be_recorded_the_address_denies(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = bearer(desk.client)
    monkeypatch.setattr("authz.recorder.STATEMENT", "SELECT no_such_function(%s)")

    answer = Browser().post(
        "/hooks/claude-code", event(), "application/json", headers={"authorization": header}
    )

    word, why = read(answer.json())
    assert (answer.status_code, word) == (200, "deny")
    assert why.startswith("Muster did not decide: ")
    assert not ReportedOutcome.objects.exists()


def test_a_gateways_token_the_address_denies(desk: Desk) -> None:
    header = bearer(Client.objects.get(gateway=desk.gateway))

    answer = Browser().post(
        "/hooks/claude-code", event(), "application/json", headers={"authorization": header}
    )

    assert (answer.status_code, read(answer.json())[0]) == (200, "deny")


def test_the_address_is_posted_to_alone(desk: Desk) -> None:
    answer = Browser().get("/hooks/claude-code", headers={"authorization": bearer(desk.client)})

    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("authz.api.answer._caller", OperationalError("the database is away")),
        ("authz.api.hooks.question", RuntimeError("nobody foresaw this")),
        ("authz.api.answer.deciding", RuntimeError("nobody foresaw this")),
    ],
)
def test_what_nobody_foresaw_the_address_denies(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, broken: str, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    header = bearer(desk.client)
    monkeypatch.setattr(broken, fail)

    answer = Browser().post(
        "/hooks/claude-code", event(), "application/json", headers={"authorization": header}
    )

    word, why = read(answer.json())
    assert (answer.status_code, word) == (200, "deny")
    assert why.startswith("Muster did not decide: ")
    assert str(error) not in why
