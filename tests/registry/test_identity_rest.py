"""REST with an access token."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from registry.enums import AgentState, Employment
from registry.identity import keys, tokens
from registry.identity.clients import Issued, find_bearer
from registry.identity.rest import AgentToken
from tests.factories import identity as make

pytestmark = pytest.mark.django_db


class Whoami(APIView):
    authentication_classes = [AgentToken]
    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        user: Any = request.user
        row = user.agent or user.gateway
        return Response({"who": str(user), "row": row.slug, "client": request.auth.client_id})


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, settings: Any) -> Iterator[None]:
    settings.MUSTER_KEYS = str(tmp_path)
    keys.ensure_signing_key(tmp_path)
    tokens.forget()
    yield
    tokens.forget()


def token_of(issued: Issued) -> str:
    bearer = find_bearer(issued.client_id)
    assert bearer is not None
    return tokens.issue_token(
        client_id=issued.client_id,
        kind=bearer.kind,
        slug=bearer.slug,
        version=bearer.client.version,
        scope="decide",
    ).token


def call(authorization: str | None) -> Any:
    headers = {} if authorization is None else {"Authorization": authorization}
    return Whoami.as_view()(APIRequestFactory().get("/", headers=headers))


def test_an_agent_is_known_by_its_token() -> None:
    agent = make.make_agent()
    issued = make.issue_for_agent(agent)

    answer = call(f"Bearer {token_of(issued)}")

    assert answer.data == {
        "who": f"agent:{agent.slug}",
        "row": agent.slug,
        "client": issued.client_id,
    }


def test_a_gateway_is_known_by_its_token() -> None:
    gateway = make.make_gateway()
    issued = make.issue_for_gateway(gateway)

    answer = call(f"Bearer {token_of(issued)}")

    assert answer.data == {
        "who": f"gateway:{gateway.slug}",
        "row": gateway.slug,
        "client": issued.client_id,
    }


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer x", "Bearer \xff"])
def test_anything_else_is_nobody(header: str | None) -> None:
    answer = call(header)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="muster"'


@pytest.mark.parametrize("employment", list(Employment))
@pytest.mark.parametrize("state", list(AgentState))
def test_the_row_is_read_at_every_call(state: AgentState, employment: Employment) -> None:
    agent = make.make_agent()
    token = token_of(make.issue_for_agent(agent))
    make.move(agent, state)
    make.employ(agent.owner, employment)

    alive = state == AgentState.ACTIVE and employment != Employment.LEFT
    assert call(f"Bearer {token}").status_code == (200 if alive else 401)
