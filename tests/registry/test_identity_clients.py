"""Clients: who may have one, what it is made of, what ends with it."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from audit import services as audit_services
from audit.errors import AuditUnavailable
from audit.models import Record
from audit.selectors import parse_body
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotAllowed, NotSignedIn
from registry.enums import AgentState, Employment
from registry.identity import clients, signatures
from registry.identity.clients import NotActive
from registry.identity.tokens import VerifiedToken
from registry.models import Agent, Client, Gateway, Person, RevokedToken, UsedAssertion
from tests.factories import identity as make

pytestmark = pytest.mark.django_db

STATES = list(AgentState)
EMPLOYMENTS = list(Employment)


def jwks() -> dict[str, Any]:
    key = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
    return {"keys": [dict(key.as_dict(private=False))]}


def acts(client: Client, by: Person) -> dict[str, Callable[[], object]]:
    """Every way to change a client that exists."""
    return {
        "rotate": lambda: clients.rotate_secret(client=client, by=by),
        "keys": lambda: clients.set_jwks(client=client, jwks=jwks(), by=by),
        "no keys": lambda: clients.set_jwks(client=client, jwks={}, by=by),
        "no secret": lambda: clients.remove_secret(client=client, by=by),
        "end": lambda: clients.end_client(client=client, by=by),
    }


def did(record: dict[str, Any]) -> dict[str, Any]:
    return dict(parse_body(Record.objects.get(id=record["id"]))["asked"])


def verified(issued: clients.Issued, **changes: Any) -> VerifiedToken:
    bearer = clients.find_bearer(issued.client_id)
    assert bearer is not None
    facts = {
        "client_id": issued.client_id,
        "kind": bearer.kind,
        "slug": bearer.slug,
        "version": bearer.client.version,
        "jti": "j1",
        "scope": "decide",
        "expires_at": 2**31,
    }
    return VerifiedToken(**(facts | changes))


def test_a_secret_is_shown_once_and_kept_as_a_digest() -> None:
    agent = make.make_agent()

    issued = make.issue_for_agent(agent)

    client = Client.objects.get(agent=agent)
    assert re.fullmatch(r"mst_[A-Za-z0-9_-]{43}", issued.secret)
    assert re.fullmatch(re.escape(agent.slug) + r"-[0-9a-f]{8}", issued.client_id)
    assert client.secret_digest == hashlib.sha256(issued.secret.encode()).hexdigest()
    assert issued.secret not in repr(issued)
    assert issued.secret not in str(client.__dict__)
    assert client.version == 1


def test_issuing_is_recorded_without_the_secret(mark: Any, records_after: Any) -> None:
    agent = make.make_agent()
    marked = mark()

    issued = make.issue_for_agent(agent)

    (record,) = records_after(marked, kind="registry")
    assert (record["agent"], record["actor"]) == (agent.slug, agent.owner.pid)
    assert did(record) == {"did": "client_issued", "client": issued.client_id, "version": 1}
    assert issued.secret.encode() not in bytes(record["body"])


def test_nothing_is_kept_that_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = make.make_agent()

    def fail(_: object) -> None:
        raise AuditUnavailable()

    monkeypatch.setattr(audit_services, "append_rows", fail)

    with pytest.raises(AuditUnavailable):
        make.issue_for_agent(agent)
    assert Client.objects.filter(agent=agent).count() == 0


def test_a_long_name_still_makes_an_id_that_fits() -> None:
    agent = make.make_agent()
    Agent.objects.filter(pk=agent.pk).update(slug="a" * 49 + "-" + "b" * 10)
    agent.refresh_from_db()

    client_id = make.issue_for_agent(agent).client_id

    assert re.fullmatch(r"a{49}-[0-9a-f]{8}", client_id)


@pytest.mark.parametrize("employment", EMPLOYMENTS)
@pytest.mark.parametrize("state", STATES)
def test_no_row_no_key(state: AgentState, employment: Employment) -> None:
    """Issuing, rotating and setting keys, in every state of the row and of its owner."""
    ready = state == AgentState.ACTIVE and employment != Employment.LEFT
    security = make.make_person(groups=("security",))
    fresh, known = make.make_agent(), make.make_agent()
    client = make.issue_for_agent(known).client
    for agent in (fresh, known):
        make.move(agent, state)
        make.employ(agent.owner, employment)

    for act in (
        lambda: clients.issue_client(agent=fresh, by=security),
        acts(client, security)["rotate"],
        acts(client, security)["keys"],
    ):
        if ready:
            act()
        else:
            with pytest.raises(NotActive):
                act()

    for name in ("no keys", "no secret", "end"):
        acts(client, security)[name]()
    assert Client.objects.filter(agent=fresh).exists() is ready
    kept = Client.objects.get(agent=known)
    assert (kept.secret_digest, kept.jwks) == ("", {})


@pytest.mark.parametrize("is_active", [True, False])
def test_a_gateway_needs_to_be_active(is_active: bool) -> None:
    gateway = make.make_gateway()
    Gateway.objects.filter(pk=gateway.pk).update(is_active=is_active)

    if is_active:
        assert make.issue_for_gateway(gateway).client.gateway == gateway
    else:
        with pytest.raises(NotActive, match=r"The gateway gateway-\d+ is switched off\."):
            make.issue_for_gateway(gateway)


def test_the_sentence_says_why_a_row_gets_nothing() -> None:
    agent = make.make_agent(state=AgentState.SUSPENDED)
    gone = make.make_agent()
    make.employ(gone.owner, Employment.LEFT)

    assert clients.why_not_active(agent) == (
        f"The agent {agent.slug} is suspended, and only an active agent acts."
    )
    assert clients.why_not_active(gone) == (
        f"The owner of {gone.slug} has left: the agent needs a new owner."
    )
    assert clients.why_not_active(make.make_agent()) == ""


def test_only_owner_and_operators_touch_a_client() -> None:
    agent = make.make_agent()
    client = make.issue_for_agent(agent).client
    stranger = make.make_person(groups=("auditor", "dpo"))

    for act in acts(client, stranger).values():
        with pytest.raises(NotAllowed):
            act()
    for group in ("security", "platform_admin"):
        for act in acts(client, make.make_person(groups=(group,))).values():
            act()
    for act in acts(client, agent.owner).values():
        act()


def test_only_operators_touch_a_gateway_s_client() -> None:
    gateway = make.make_gateway()
    client = make.issue_for_gateway(gateway).client

    for act in acts(client, make.make_person(groups=("auditor",))).values():
        with pytest.raises(NotAllowed):
            act()


def test_issuing_twice_is_a_conflict() -> None:
    agent = make.make_agent()
    make.issue_for_agent(agent)

    with pytest.raises(Conflict, match="Rotate it"):
        make.issue_for_agent(agent)
    with pytest.raises(Invalid, match="Name an agent or a gateway"):
        clients.issue_client(by=agent.owner)


def test_every_change_raises_the_version_and_is_recorded(mark: Any, records_after: Any) -> None:
    agent = make.make_agent()
    client = make.issue_for_agent(agent).client
    marked = mark()

    for act in acts(client, agent.owner).values():
        act()

    client.refresh_from_db()
    records = [did(record) for record in records_after(marked, kind="registry")]
    assert client.version == 6
    assert [(record["did"], record["version"]) for record in records] == [
        ("secret_rotated", 2),
        ("keys_set", 3),
        ("keys_set", 4),
        ("secret_removed", 5),
        ("client_ended", 6),
    ]


def test_a_client_that_was_ended_goes_on_where_it_stopped() -> None:
    agent = make.make_agent()
    first = make.issue_for_agent(agent)
    clients.end_client(client=first.client, by=agent.owner)

    again = make.issue_for_agent(agent)

    assert again.client_id == first.client_id
    assert again.client.version == 3
    assert again.secret != first.secret


def test_rotating_ends_the_old_secret() -> None:
    agent = make.make_agent()
    old = make.issue_for_agent(agent)

    new = clients.rotate_secret(client=old.client, by=agent.owner)

    assert not clients.matches_secret(new.client, old.secret)
    assert clients.matches_secret(new.client, new.secret)


def test_no_secret_matches_nothing() -> None:
    agent = make.make_agent()
    client = clients.remove_secret(client=make.issue_for_agent(agent).client, by=agent.owner)

    assert not clients.matches_secret(client, "")
    assert not clients.matches_secret(None, "")
    assert not clients.matches_secret(None, "mst_x")


def test_set_jwks_keeps_public_keys_and_refuses_the_rest() -> None:
    agent = make.make_agent()
    client = make.issue_for_agent(agent).client
    private = OKPKey.generate_key("Ed25519", parameters={"kid": "p"}).as_dict(private=True)
    many = [
        dict(OKPKey.generate_key("Ed25519", parameters={"kid": f"k{n}"}).as_dict(private=False))
        for n in range(6)
    ]

    kept = clients.set_jwks(client=client, jwks=jwks() | {"note": "x"}, by=agent.owner)

    assert [sorted(key) for key in kept.jwks["keys"]] == [["crv", "kid", "kty", "x"]]
    with pytest.raises(signatures.BadKey, match="private parts"):
        clients.set_jwks(client=client, jwks={"keys": [private]}, by=agent.owner)
    with pytest.raises(Invalid, match="At most 5 keys"):
        clients.set_jwks(client=client, jwks={"keys": many}, by=agent.owner)


def test_bearer_of_a_current_token() -> None:
    agent, gateway = make.make_agent(), make.make_gateway()

    by_agent = clients.bearer_of(verified(make.issue_for_agent(agent)))
    by_gateway = clients.bearer_of(verified(make.issue_for_gateway(gateway)))

    assert (by_agent.agent, by_agent.gateway, by_agent.kind) == (agent, None, "agent")
    assert (by_gateway.agent, by_gateway.gateway, by_gateway.kind) == (None, gateway, "gateway")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody-00000000"},
        {"kind": "gateway"},
        {"slug": "another"},
        {"version": 2},
        {"version": 0},
        {"jti": "revoked"},
    ],
)
def test_bearer_of_an_ended_token(changes: dict[str, Any]) -> None:
    issued = make.issue_for_agent(make.make_agent())
    expires_at = clock.now() + timedelta(minutes=5)
    RevokedToken.objects.create(client=issued.client, jti="revoked", expires_at=expires_at)

    with pytest.raises(NotSignedIn) as refused:
        clients.bearer_of(verified(issued, **changes))

    assert refused.value.code == "token_ended"


@pytest.mark.parametrize("employment", EMPLOYMENTS)
@pytest.mark.parametrize("state", STATES)
def test_bearer_of_follows_the_row(state: AgentState, employment: Employment) -> None:
    agent = make.make_agent()
    token = verified(make.issue_for_agent(agent))
    make.move(agent, state)
    make.employ(agent.owner, employment)

    if state == AgentState.ACTIVE and employment != Employment.LEFT:
        assert clients.bearer_of(token).agent == agent
    else:
        with pytest.raises(NotSignedIn):
            clients.bearer_of(token)


def test_an_assertion_is_used_once_per_client() -> None:
    mine = make.issue_for_agent(make.make_agent()).client
    other = make.issue_for_agent(make.make_agent()).client
    now = clock.now()
    later = now + timedelta(minutes=5)

    def use(client: Client, at: Any = now) -> bool:
        return clients.use_assertion(client=client, jti="j", expires_at=later, now=at)

    assert [use(mine), use(mine), use(other)] == [True, False, True]
    # Forgotten once it has expired, when nobody could present it any more.
    assert use(mine, later + timedelta(seconds=1)) is True
    assert UsedAssertion.objects.count() == 2


def test_revoking_twice_is_once_and_drops_what_expired() -> None:
    client = make.issue_for_agent(make.make_agent()).client
    now = clock.now()
    later = now + timedelta(minutes=5)
    RevokedToken.objects.create(client=client, jti="old", expires_at=now - timedelta(days=1))

    answers = [
        clients.revoke_token(client=client, jti="j", expires_at=later, now=now) for _ in range(2)
    ]

    assert answers == [True, False]
    assert [token.jti for token in RevokedToken.objects.filter(client=client)] == ["j"]


def test_find_bearer_for_issuing_reads_the_row_as_it_is() -> None:
    agent = make.make_agent()
    issued = make.issue_for_agent(agent)
    gateway = make.make_gateway()

    found = clients.find_bearer_for_issuing(issued.client_id)

    assert found is not None
    assert (found.agent, found.agent and found.agent.owner) == (agent, agent.owner)
    by_gateway = clients.find_bearer_for_issuing(make.issue_for_gateway(gateway).client_id)
    assert by_gateway is not None
    assert by_gateway.row == gateway
    assert clients.find_bearer_for_issuing("nobody") is None
