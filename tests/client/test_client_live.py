"""The client against a real Muster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from authz.models import Hold, ReportedOutcome
from authz.services import holds
from client.muster_client import (
    AsyncMuster,
    Conflict,
    Denied,
    Held,
    Muster,
    NotSignedIn,
    governed,
)
from registry.enums import AgentState, GroupName
from registry.identity import clients, tokens
from registry.models import Agent, Client
from tests.factories.authz import Desk, bearer, make_desk, make_person

pytestmark = pytest.mark.django_db(transaction=True)

GATES = {"amount": {"above": 400, "currency": "EUR"}}
# Three of these together stay below the gate.
LEAST = {"claim": "CL-1", "amount": 100}
SMALL = {"claim": "CL-1", "amount": 300}
LARGE = {"claim": "CL-1", "amount": 500}


@pytest.fixture(autouse=True)
def _settings(settings: Any, live_server: Any) -> Iterator[None]:
    settings.MUSTER_BASE_URL = live_server.url
    settings.MUSTER_APPROVER_MFA = False
    tokens.forget()
    yield
    tokens.forget()


@pytest.fixture
def desk() -> Desk:
    return make_desk(tool_fields={"gates": GATES, "effect": "financial"})


@pytest.fixture
def signing(desk: Desk) -> dict[str, str]:
    desk.client.delete()
    issued = clients.issue_client(agent=desk.agent, by=desk.owner)
    return {"client_id": issued.client.client_id, "client_secret": issued.secret}


@pytest.fixture
def client(signing: dict[str, str], live_server: Any) -> Iterator[Muster]:
    with Muster(live_server.url, **signing) as made:  # type: ignore[arg-type]
        yield made


def approving(monkeypatch: pytest.MonkeyPatch, act: Callable[[Hold, Any], Any]) -> None:
    """Let a human decide while the client waits for one."""
    by = make_person(groups=[GroupName.SECURITY])
    monkeypatch.setattr(
        "client.muster_client.client.time.sleep", lambda _: act(Hold.objects.get(), by)
    )


def test_an_allow_is_reported_once(desk: Desk, client: Muster) -> None:
    decision = client.check(desk.tool.name, SMALL, resource=(desk.system.slug, "CL-1"))

    assert (decision.allowed, decision.effect, decision.check) == (True, "allow", "")
    assert decision.classification == "internal"
    assert {each["scope"] for each in decision.limits} == {"agent"}
    client.report(decision, "success", output={"paid": True}, records=["CL-1"])
    assert str(ReportedOutcome.objects.get().decision) == decision.decision_id
    with pytest.raises(Conflict) as raised:
        client.report(decision, "success")
    assert raised.value.code == "outcome.already_reported"


def test_a_deny(desk: Desk, client: Muster) -> None:
    decision = client.check("refund.everything", SMALL)

    assert (decision.allowed, decision.effect) == (False, "deny")
    assert (decision.check, decision.code) == ("allowlist", "allowlist.not_listed")
    assert decision.remedies != ()


def test_the_same_key_is_the_same_decision(desk: Desk, client: Muster) -> None:
    told = [client.check(desk.tool.name, SMALL, idempotency_key="k-1") for _ in range(2)]

    assert told[0].decision_id == told[1].decision_id
    with pytest.raises(Conflict) as raised:
        client.check(desk.tool.name, LARGE, idempotency_key="k-1")
    assert raised.value.code == "idempotency_key_taken"


def test_a_hold_that_is_approved_runs_once(
    desk: Desk, client: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    approving(monkeypatch, lambda hold, by: holds.approve_hold(hold_id=hold.pk, by=by))
    ran: list[str] = []

    @governed(desk.tool.name, by=client, wait=60)
    def issue(claim: str, amount: int) -> str:
        ran.append(f"{claim} {amount}")
        return "paid"

    assert issue("CL-1", 500) == "paid"
    assert ran == ["CL-1 500"]
    assert ReportedOutcome.objects.count() == 1


def test_what_was_approved_meanwhile_runs_when_it_is_called_again(
    desk: Desk, client: Muster
) -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    ran: list[int] = []

    @governed(desk.tool.name, by=client)
    def issue(claim: str, amount: int) -> None:
        ran.append(amount)

    with pytest.raises(Held):
        issue("CL-1", 500)
    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)
    issue("CL-1", 500)
    with pytest.raises(Held):
        issue("CL-1", 500)

    assert ran == [500]


def test_of_two_alike_calls_at_once_one_runs_by_one_yes(desk: Desk, client: Muster) -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    client.check(desk.tool.name, LARGE)
    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)

    held = [client.check(desk.tool.name, LARGE) for _ in range(2)]
    told = [client.wait(each, 0) for each in held]

    assert [each.effect for each in told] == ["allow", "hold"]


def test_a_hold_that_is_edited_runs_as_it_was_approved(
    desk: Desk, client: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    approving(
        monkeypatch,
        lambda hold, by: holds.edit_hold(
            hold_id=hold.pk, by=by, parameters={"claim": "CL-1", "amount": 450}
        ),
    )
    ran: list[int] = []

    @governed(desk.tool.name, by=client, wait=60)
    def issue(claim: str, amount: int) -> None:
        ran.append(amount)

    issue("CL-1", 500)

    assert ran == [450]


def test_a_hold_that_is_rejected_says_why(
    desk: Desk, client: Muster, monkeypatch: pytest.MonkeyPatch
) -> None:
    approving(
        monkeypatch, lambda hold, by: holds.reject_hold(hold_id=hold.pk, by=by, reason="Paid.")
    )

    with pytest.raises(Held, match=r"Paid\."):
        client.wait(client.check(desk.tool.name, LARGE), 60)


def test_a_hold_is_raised_with_a_page_that_is_there(
    desk: Desk, client: Muster, live_server: Any, client_of: Any
) -> None:
    ran: list[int] = []

    @governed(desk.tool.name, by=client)
    def issue(claim: str, amount: int) -> None:
        ran.append(amount)

    with pytest.raises(Held) as raised:
        issue("CL-1", 500)

    assert ran == []
    page = client_of(raised.value.link.removeprefix(live_server.url))
    assert str(Hold.objects.get().pk) in page
    assert desk.tool.name in page


@pytest.fixture
def client_of() -> Callable[[str], str]:
    """The page at an address, for somebody of security."""
    from django.test import Client

    def look(path: str) -> str:
        browser = Client()
        browser.force_login(make_person(groups=[GroupName.SECURITY]))
        answer = browser.get(path)
        assert answer.status_code == 200
        return answer.content.decode()

    return look


def test_a_suspended_agent_runs_nothing(desk: Desk, client: Muster) -> None:
    assert client.check(desk.tool.name, SMALL).allowed is True
    Agent.objects.filter(pk=desk.agent.pk).update(state=AgentState.SUSPENDED)
    ran: list[int] = []

    @governed(desk.tool.name, by=client)
    def issue(claim: str, amount: int) -> None:
        ran.append(amount)

    with pytest.raises(Denied) as raised:
        issue("CL-1", 300)

    assert (ran, raised.value.decision.check) == ([], "identity")


def test_a_wrong_secret(signing: dict[str, str], desk: Desk, live_server: Any) -> None:
    wrong = signing | {"client_secret": "mst_wrong"}

    with Muster(live_server.url, **wrong) as client, pytest.raises(NotSignedIn) as raised:  # type: ignore[arg-type]
        client.check(desk.tool.name, SMALL)

    assert raised.value.code == "invalid_client"


def test_a_rotated_secret_ends_the_token(desk: Desk, client: Muster) -> None:
    """The old token is denied, and no other can be had."""
    assert client.check(desk.tool.name, SMALL).allowed is True
    clients.rotate_secret(client=Client.objects.get(agent=desk.agent), by=desk.owner)

    decision = client.check(desk.tool.name, SMALL)

    assert (decision.allowed, decision.code) == (False, "identity.token_outdated")
    with pytest.raises(NotSignedIn):
        client.check(desk.tool.name, SMALL)


def test_an_outdated_token_is_replaced(desk: Desk, client: Muster) -> None:
    client.check(desk.tool.name, LEAST)
    Client.objects.filter(agent=desk.agent).update(version=F("version") + 1)

    told = [client.check(desk.tool.name, LEAST).code for _ in range(2)]

    assert told == ["identity.token_outdated", ""]


def test_a_gateway_names_the_agent(desk: Desk, live_server: Any) -> None:
    token = bearer(desk.gateway_client).removeprefix("Bearer ")

    with Muster(live_server.url, token=token, agent=desk.agent.slug) as client:
        assert client.check(desk.tool.name, SMALL).allowed is True
    with Muster(live_server.url, token=token) as client, pytest.raises(NotSignedIn):
        client.check(desk.tool.name, SMALL)


def test_a_run_with_its_plan(desk: Desk, client: Muster) -> None:
    step = {"tool": desk.tool.name, "parameters": {"claim": "CL-1"}}

    with client.plan(step) as run:
        assert run.told.plan is not None
        assert client.check(desk.tool.name, SMALL).allowed is True
        label = run.read({"system": desk.system.slug}).label
        with pytest.raises(Conflict):
            run.plan({"tool": "another"})

    assert label == "internal"
    assert run.told.ended_at != ""
    late = client.check(desk.tool.name, SMALL, session=run.id)
    assert (late.allowed, late.code) == (False, "flow.session_ended")


def test_the_awaiting_client(signing: dict[str, str], desk: Desk, live_server: Any) -> None:
    ran: list[int] = []

    async def go() -> tuple[str, str]:
        async with AsyncMuster(live_server.url, **signing) as client:  # type: ignore[arg-type]

            @governed(desk.tool.name, by=client)
            async def issue(claim: str, amount: int) -> None:
                ran.append(amount)

            async with client.session():
                await issue("CL-1", 300)
            with pytest.raises(Held) as held:
                await issue("CL-1", 500)
            denied = await client.check("refund.everything", SMALL)
            return held.value.code, denied.code

    assert asyncio.run(go()) == ("gate.amount", "allowlist.not_listed")
    assert ran == [300]
    assert ReportedOutcome.objects.count() == 1
    assert Hold.objects.get().expires_at > timezone.now()
