"""The proxy before a real Muster: the cap holds to the cent, whoever asks at once."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import openai
import pytest

from authz.models import Counter, Hold, Reservation
from authz.oauth import failures
from authz.services import holds
from client.muster_client.spend.app import make_app
from client.muster_client.spend.prices import read_prices
from registry.enums import AgentState, GroupName
from registry.identity import clients, tokens
from registry.models import Agent
from tests.client.spend.stand_ins import TABLE, Standing, a_chat, config_of, served
from tests.factories.authz import Desk, bearer, make_desk, make_person

pytestmark = pytest.mark.django_db(transaction=True)

CAP = 100
SCHEMA = {
    "type": "object",
    "properties": {
        "provider": {"const": "openai"},
        "model": {"type": "string"},
        "operation": {"enum": ["chat.completions", "responses"]},
        "input_tokens": {"type": "integer"},
        "output_tokens": {"type": "integer"},
        "amount": {"type": "number"},
        "request": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    },
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def _settings(settings: Any, live_server: Any) -> Iterator[None]:
    settings.MUSTER_BASE_URL = live_server.url
    settings.MUSTER_APPROVER_MFA = False
    tokens.forget()
    failures.forget()
    yield
    tokens.forget()
    failures.forget()


@pytest.fixture
def desk() -> Desk:
    return make_desk(
        tool_fields={
            "name": "llm.openai.dear",
            "schema": SCHEMA,
            "amount_parameter": "amount",
            "resource_parameter": "",
        },
        agent_fields={"spend_cap_minor": CAP, "rate_per_minute": 1000, "rate_per_hour": 10_000},
    )


@pytest.fixture
def provider() -> Standing:
    return Standing()


@pytest.fixture
def proxy(desk: Desk, provider: Standing, live_server: Any) -> Iterator[str]:
    """The proxy's address; it is a gateway of this Muster."""
    desk.gateway_client.delete()
    issued = clients.issue_client(gateway=desk.gateway, by=make_person(groups=[GroupName.SECURITY]))
    with served(provider.app) as upstream:
        config = replace(
            config_of(upstream, prices=read_prices(TABLE)),
            muster_url=live_server.url,
            client_id=issued.client.client_id,
            client_secret=issued.secret,
        )
        with served(make_app(config)) as url:
            yield url


@pytest.fixture
def client(desk: Desk, proxy: str) -> Iterator[openai.OpenAI]:
    token = bearer(desk.client).removeprefix("Bearer ")
    with openai.OpenAI(
        base_url=f"{proxy}/openai/v1", api_key=token, max_retries=0, http_client=httpx.Client()
    ) as made:
        yield made


def spent(desk: Desk) -> int:
    return Counter.objects.get(key=f"agent:{desk.agent.slug}").day_spent


def test_calls_go_on_until_the_cap_and_come_to_what_was_billed(
    desk: Desk, provider: Standing, client: openai.OpenAI
) -> None:
    """One euro a day, seven cents and a bit for a call; then the agent stands still."""
    provider.output = 70
    streamed = itertools.cycle([False, True])

    def ask() -> None:
        told = client.chat.completions.create(
            **a_chat(model="dear", max_tokens=80), stream=next(streamed)
        )
        assert list(told) != []

    for _ in range(13):
        ask()
    with pytest.raises(openai.RateLimitError) as raised:
        ask()

    assert raised.value.response.headers["muster-code"] == "spend.cap"
    assert len(provider.got) == 13
    assert spent(desk) == -(-provider.billed // 10_000) == 92
    assert set(Reservation.objects.values_list("ended", flat=True)) == {"reported"}
    assert sum(Reservation.objects.values_list("cost_minor", flat=True)) == 92
    assert Agent.objects.get(pk=desk.agent.pk).state == AgentState.SUSPENDED
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(**a_chat(model="dear"))


def test_at_the_edge_of_the_cap_exactly_one_goes_on(
    desk: Desk, provider: Standing, client: openai.OpenAI
) -> None:
    """Eight ask at once, and each may cost more than half of what there is."""
    start = threading.Barrier(8)

    def ask(_: int) -> str:
        start.wait(30)
        try:
            client.chat.completions.create(**a_chat(model="dear", max_tokens=60))
        except openai.APIStatusError as error:
            return str(error.response.headers.get("muster-code"))
        return "ran"

    provider.output = 60
    Agent.objects.filter(pk=desk.agent.pk).update(spend_cap_minor=10)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(ask, range(8)))

    assert told.count("ran") == len(provider.got) == 1
    assert set(told) <= {"ran", "spend.cap", "not_signed_in", "identity.not_active"}
    assert spent(desk) == -(-provider.billed // 10_000) <= 10


def test_a_held_call_runs_once_it_is_approved(
    desk: Desk, provider: Standing, client: openai.OpenAI
) -> None:
    desk.tool.gates = {"amount": {"above": 2, "currency": "EUR"}}
    desk.tool.effect = "financial"
    desk.tool.save()
    approver = make_person(groups=[GroupName.SECURITY])

    def ask(text: str) -> str:
        try:
            client.chat.completions.create(**a_chat(text, model="dear", max_tokens=100))
        except openai.PermissionDeniedError as error:
            return str(error.body["message"])  # type: ignore[index]
        return "ran"

    held = ask("Hello")
    assert str(Hold.objects.get().pk) in held
    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)

    assert "ran" not in ask("Something else")
    assert ask("Hello") == "ran"
    assert ask("Hello") != "ran"
    assert len(provider.got) == 1


def test_an_agent_cannot_settle_for_itself(
    desk: Desk, provider: Standing, client: openai.OpenAI, live_server: Any
) -> None:
    """The proxy asked, so only the proxy may report, whatever the agent knows."""
    client.chat.completions.create(**a_chat(model="dear"))
    decision = Reservation.objects.get().decision

    told = httpx.post(
        f"{live_server.url}/api/v1/decisions/{decision}/outcome",
        headers={"Authorization": bearer(desk.client)},
        json={"outcome": "success", "cost_minor": 0, "currency": "EUR"},
    )

    assert (told.status_code, told.json()["code"]) == (404, "unknown_decision")


def test_without_a_row_nothing_goes_on(
    desk: Desk, provider: Standing, client: openai.OpenAI
) -> None:
    desk.role.tools.clear()
    with pytest.raises(openai.PermissionDeniedError) as raised:
        client.chat.completions.create(**a_chat(model="dear"))
    Agent.objects.filter(pk=desk.agent.pk).update(state=AgentState.SUSPENDED)
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(**a_chat(model="dear"))

    assert raised.value.response.headers["muster-code"].startswith("role.")
    assert provider.got == []
