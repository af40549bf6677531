"""Introspection and revocation: what a token is worth now, and its end before its time."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse

from audit.models import Record
from audit.selectors import parse_body
from authz.oauth import failures
from registry.enums import AgentState, Employment
from registry.identity import clients, keys, tokens
from registry.models import Client, Gateway, RevokedToken
from tests.factories import identity as make
from tests.factories.oauth import Holder, holder_of, send, token_of

pytestmark = pytest.mark.django_db

INACTIVE = {"active": False}


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, settings: Any) -> Iterator[Path]:
    settings.MUSTER_KEYS = str(tmp_path)
    for name in ("kek", "index_key"):
        (tmp_path / name).write_text(base64.urlsafe_b64encode(b"k" * 32).decode())
    keys.ensure_signing_key(tmp_path)
    tokens.forget()
    failures.forget()
    yield tmp_path
    tokens.forget()
    failures.forget()


@pytest.fixture
def agent() -> Holder:
    return holder_of(make.make_agent())


@pytest.fixture
def gateway() -> Holder:
    return holder_of(make.make_gateway())


def introspect(holder: Holder, token: str) -> HttpResponse:
    return send("/oauth/introspect", {"token": token}, headers=holder.basic())


def revoke(holder: Holder, token: str) -> HttpResponse:
    return send("/oauth/revoke", {"token": token}, headers=holder.basic())


def told(answer: HttpResponse) -> dict[str, Any]:
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    return dict(json.loads(answer.content))


def test_a_live_token_is_described(agent: Holder, gateway: Holder) -> None:
    raw = token_of(agent)
    token = tokens.verify_token(raw)

    for asker in (agent, gateway):
        assert told(introspect(asker, raw)) == {
            "active": True,
            "iss": "http://127.0.0.1:8000",
            "aud": "http://127.0.0.1:8000/access",
            "sub": agent.row.slug,
            "client_id": agent.client_id,
            "token_type": "Bearer",
            "scope": "decide",
            "exp": token.expires_at,
            "jti": token.jti,
        }


def test_a_gateway_s_own_token(gateway: Holder) -> None:
    answer = told(introspect(gateway, token_of(gateway)))

    assert (answer["active"], answer["sub"]) == (True, f"gateway:{gateway.row.slug}")


def test_an_agent_learns_nothing_about_others(agent: Holder, gateway: Holder) -> None:
    other = holder_of(make.make_agent())

    assert told(introspect(agent, token_of(other))) == INACTIVE
    assert told(introspect(agent, token_of(gateway))) == INACTIVE


@pytest.mark.parametrize("raw", ["x", "a.b.c", "ä" * 100, "." * 8000])
def test_what_is_no_token_is_not_active(agent: Holder, raw: str) -> None:
    assert told(introspect(agent, raw)) == INACTIVE


@pytest.mark.parametrize("employment", list(Employment))
@pytest.mark.parametrize("state", list(AgentState))
def test_a_token_is_worth_what_its_row_is_worth(
    state: AgentState, employment: Employment, agent: Holder, gateway: Holder
) -> None:
    """Introspection by the agent and by a gateway, in every state of the row and its owner."""
    raw = token_of(agent)
    make.move(agent.row, state)
    make.employ(agent.row.owner, employment)

    alive = state == AgentState.ACTIVE and employment != Employment.LEFT
    for asker in (agent, gateway):
        assert told(introspect(asker, raw))["active"] is alive


def test_a_gateway_that_is_switched_off_learns_nothing(agent: Holder, gateway: Holder) -> None:
    raw = token_of(agent)
    Gateway.objects.update(is_active=False)

    answer = introspect(gateway, raw)

    assert (answer.status_code, json.loads(answer.content)["error"]) == (
        400,
        "unauthorized_client",
    )


def test_new_credentials_end_older_tokens(agent: Holder, gateway: Holder) -> None:
    raw = token_of(agent)
    client = Client.objects.get(client_id=agent.client_id)

    clients.rotate_secret(client=client, by=agent.row.owner)

    assert told(introspect(gateway, raw)) == INACTIVE


def test_a_revoked_token_is_over(
    agent: Holder, gateway: Holder, mark: Any, records_after: Any
) -> None:
    raw, other = token_of(agent), token_of(agent)
    marked = mark()

    assert [told(revoke(agent, raw)), told(revoke(agent, raw))] == [{}, {}]

    assert told(introspect(gateway, raw)) == INACTIVE
    assert told(introspect(gateway, other))["active"] is True
    (record,) = records_after(marked, kind="access")
    asked = parse_body(Record.objects.get(id=record["id"]))["asked"]
    assert asked["did"] == "token_revoked"
    assert asked["jti"] == tokens.verify_token(raw).jti


def test_revoking_what_is_no_token_is_fine(agent: Holder) -> None:
    assert told(revoke(agent, "x")) == {}
    assert RevokedToken.objects.count() == 0


def test_nobody_revokes_for_others(agent: Holder, gateway: Holder) -> None:
    raw = token_of(agent)

    answer = revoke(gateway, raw)

    assert (answer.status_code, json.loads(answer.content)["error"]) == (
        400,
        "unauthorized_client",
    )
    assert told(introspect(gateway, raw))["active"] is True


def test_a_suspended_agent_may_still_revoke(agent: Holder) -> None:
    raw = token_of(agent)
    make.move(agent.row, AgentState.SUSPENDED)

    assert told(revoke(agent, raw)) == {}
    assert RevokedToken.objects.get().jti == tokens.verify_token(raw).jti


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
def test_both_ask_who_is_asking(path: str, agent: Holder) -> None:
    raw = token_of(agent)
    wrong = Holder(agent.row, agent.client_id, "mst_x", agent.key)

    for answer in (
        send(path, {"token": raw}),
        send(path, {"token": raw}, headers=wrong.basic()),
        send(path, {"token": raw}, headers={"Authorization": f"Bearer {raw}"}),
    ):
        assert (answer.status_code, json.loads(answer.content)["error"]) == (401, "invalid_client")
    missing = send(path, {"token": ""}, headers=agent.basic())
    assert (missing.status_code, json.loads(missing.content)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
def test_both_take_every_proof(path: str, agent: Holder) -> None:
    raw = token_of(agent)

    for proof in (agent.post(), agent.assertion()):
        assert send(path, {"token": raw} | proof).status_code == 200
