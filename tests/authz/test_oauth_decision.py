"""The last path of a token: the decision that it asks for, in every state of the row."""

import json
from collections.abc import Callable, Iterator

import pytest
from django.test import Client as Browser

from authz.oauth import failures
from registry.enums import AgentState, Employment
from registry.identity import clients, tokens
from registry.models import Client
from tests.factories import identity as make
from tests.factories.oauth import Holder, holder_of, send, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    tokens.forget()
    failures.forget()
    yield
    tokens.forget()
    failures.forget()


@pytest.fixture
def agent() -> Holder:
    return holder_of(make.make_agent())


def code_of_decision(holder: Holder, token: str) -> str:
    """The code with which a call of a tool that nobody declared is denied."""
    answer = Browser().post(
        "/access/v1/evaluation",
        json.dumps(
            {
                "subject": {"type": "agent", "id": holder.row.slug},
                "action": {"name": "crm.read"},
                "resource": {"type": "crm", "id": "1"},
            }
        ),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["decision"] is False
    return str(body["context"]["code"])


@pytest.mark.parametrize("employment", list(Employment))
@pytest.mark.parametrize("state", list(AgentState))
def test_a_decision_follows_the_row(
    state: AgentState, employment: Employment, agent: Holder
) -> None:
    token = token_of(agent)
    make.move(agent.row, state)
    make.employ(agent.row.owner, employment)

    code = code_of_decision(agent, token)

    if state != AgentState.ACTIVE:
        assert code == "identity.not_active"
    elif employment == Employment.LEFT:
        assert code == "identity.owner_left"
    else:
        assert code.startswith("allowlist.")


def rotate(holder: Holder, token: str) -> None:
    client = Client.objects.get(client_id=holder.client_id)
    clients.rotate_secret(client=client, by=holder.row.owner)


def revoke(holder: Holder, token: str) -> None:
    send("/oauth/revoke", {"token": token}, headers=holder.basic())


@pytest.mark.parametrize(
    ("end", "code"), [(rotate, "identity.token_outdated"), (revoke, "identity.token_revoked")]
)
def test_a_token_that_ended_decides_nothing(
    end: Callable[[Holder, str], None], code: str, agent: Holder
) -> None:
    token = token_of(agent)
    assert code_of_decision(agent, token).startswith("allowlist.")

    end(agent, token)

    assert code_of_decision(agent, token) == code
