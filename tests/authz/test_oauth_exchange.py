"""Token exchange: for a person, from agent to agent, and what each token is worth to whom."""

import json
from typing import Any
from uuid import UUID

import pytest
from django.test import Client as Browser

from audit.models import Record
from audit.selectors import parse_body
from authz.models import ActingToken, Delegation, Grant
from authz.services import grants
from registry.enums import AgentState
from registry.identity import clients, tokens
from registry.identity.tokens import Use
from registry.models import Client
from tests.factories import identity
from tests.factories.consent import ACCESS_TOKEN, JWT, World, make_world, refusal, told
from tests.factories.oauth import send, token_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_token_known")]


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def code_of(answer: dict[str, Any]) -> str:
    return "allow" if answer["decision"] else str(answer["context"]["code"])


def taken_up(world: World, hand_over: str) -> str:
    """What the helper acts by, for what was handed to it."""
    answer = world.exchange(world.helper, subject_token=hand_over, subject_token_type=JWT)
    return str(told(answer)["access_token"])


def handed(world: World, subject: str, *tools: Any, **changed: str) -> str:
    return str(told(world.hand_over(subject, *tools, **changed))["access_token"])


# For a person


def test_a_grant_token_and_the_agents_own_act_for_the_person(world: World) -> None:
    grant_token = world.grant_token()

    answer = told(
        world.exchange(
            subject_token=grant_token,
            actor_token=token_of(world.copilot),
            actor_token_type=ACCESS_TOKEN,
            audience="http://127.0.0.1:8000/access",
        )
    )

    token = tokens.verify_token(answer["access_token"])
    assert answer | {"access_token": ""} == {
        "access_token": "",
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "decide",
    }
    assert (token.slug, token.acting.user) == (world.agent.slug, world.person.pid)


def test_it_calls_for_the_person_without_naming_them(world: World) -> None:
    token = world.on_behalf()

    allowed = world.decide(token, world.read)
    named = world.decide(token, world.read, user=world.person.pid)

    record = Record.objects.get(id=UUID(allowed["context"]["decision_id"]))
    caller = parse_body(record)["asked"]["caller"]
    assert (code_of(allowed), code_of(named)) == ("allow", "allow")
    assert (record.user, record.agent) == (world.person.pid, world.agent.slug)
    assert (caller["user"], caller["grant"]) == (
        world.person.pid,
        str(Grant.objects.get(person=world.person).pk),
    )


def test_its_own_token_carries_no_person(world: World) -> None:
    world.grant_token()

    assert code_of(world.decide(token_of(world.copilot), world.read)) == "identity.pattern"


def test_a_token_for_one_person_is_worth_nothing_for_another(world: World) -> None:
    token, other = world.on_behalf(), identity.make_person()

    assert code_of(world.decide(token, world.read, user=other.pid)) == "identity.token_user"
    assert code_of(world.decide(token, world.read, user="p_nobody")) == "identity.token_user"


def test_what_was_not_let_is_refused(world: World) -> None:
    token = world.on_behalf(world.grant_token(world.read))

    assert code_of(world.decide(token, world.read)) == "allow"
    assert code_of(world.decide(token, world.note)) == "consent.tool"


def test_an_ended_grant_ends_its_tokens_at_once(world: World) -> None:
    token = world.on_behalf()
    grant = Grant.objects.get(person=world.person)

    grants.end_grant(grant_id=grant.pk, by=world.person)

    assert code_of(world.decide(token, world.read)) == "consent.none"


def test_a_token_of_a_replaced_grant_is_over(world: World) -> None:
    token = world.on_behalf()

    world.allow(world.read)

    assert code_of(world.decide(token, world.read)) == "identity.token_grant"


@pytest.mark.parametrize("missing", ["subject_token", "actor_token", "subject_token_type"])
def test_each_part_of_an_exchange_is_needed(world: World, missing: str) -> None:
    form = {
        "subject_token": world.grant_token(),
        "subject_token_type": ACCESS_TOKEN,
        "actor_token": token_of(world.copilot),
        "actor_token_type": ACCESS_TOKEN,
    }

    assert refusal(world.exchange(**(form | {missing: ""}))) == (400, "invalid_request")


def test_a_grant_token_is_worth_nothing_to_another_agent(world: World) -> None:
    stolen = world.grant_token()
    own = {"actor_token": token_of(world.helper), "actor_token_type": ACCESS_TOKEN}

    answer = world.exchange(world.helper, subject_token=stolen, **own)

    assert refusal(answer) == (400, "invalid_request")


def test_another_agents_own_token_is_no_actor(world: World) -> None:
    answer = world.exchange(
        subject_token=world.grant_token(),
        actor_token=token_of(world.helper),
        actor_token_type=ACCESS_TOKEN,
    )

    assert refusal(answer) == (400, "invalid_request")


def test_a_token_that_acts_is_no_actor(world: World) -> None:
    grant_token = world.grant_token()

    answer = world.exchange(
        subject_token=grant_token,
        actor_token=world.on_behalf(grant_token),
        actor_token_type=ACCESS_TOKEN,
    )

    assert refusal(answer) == (400, "invalid_request")


def test_a_grant_token_asks_for_no_decision(world: World) -> None:
    answer = world.decide(world.grant_token(), world.read)

    assert answer["code"] == "token_invalid"


def test_its_own_token_is_exchanged_for_nothing(world: World) -> None:
    assert refusal(world.exchange(subject_token=token_of(world.copilot))) == (400, "invalid_target")


def test_a_suspended_agent_exchanges_nothing(world: World) -> None:
    grant_token, own = world.grant_token(), token_of(world.copilot)
    identity.move(world.agent, AgentState.SUSPENDED)

    answer = world.exchange(
        subject_token=grant_token, actor_token=own, actor_token_type=ACCESS_TOKEN
    )

    assert refusal(answer) == (400, "unauthorized_client")


def test_a_gateway_exchanges_nothing(world: World) -> None:
    from tests.factories.oauth import holder_of

    gateway = holder_of(identity.make_gateway())

    answer = world.exchange(gateway, subject_token=token_of(gateway))

    assert refusal(answer) == (400, "unauthorized_client")


def test_a_token_that_acts_is_good_for_calls_alone(world: World) -> None:
    """What an agent asks about itself, it asks by its own token."""
    address = f"/api/v1/agents/{world.agent.slug}/check"

    acting, own = (
        Browser().get(address, headers={"Authorization": f"Bearer {raw}"})
        for raw in (world.on_behalf(), token_of(world.copilot))
    )

    assert (acting.status_code, acting.json()["detail"]) == (
        401,
        "This token acts for somebody. Use the agent's own.",
    )
    assert own.status_code == 200


# From agent to agent


def test_what_is_handed_over_is_the_receivers_alone(world: World) -> None:
    hand_over = told(world.hand_over(world.on_behalf(), world.read))
    link = Delegation.objects.get()

    token = tokens.verify_token(hand_over["access_token"], Use.HAND_OVER)
    mine = world.exchange(subject_token=hand_over["access_token"], subject_token_type=JWT)
    acting = taken_up(world, hand_over["access_token"])

    assert (hand_over["token_type"], hand_over["issued_token_type"]) == ("N_A", JWT)
    assert hand_over["scope"] == world.read.name
    assert token.acting == tokens.Acting(
        world.person.pid, str(link.grant_id), str(link.pk), (world.agent.slug,)
    )
    assert refusal(mine) == (400, "invalid_request")
    assert code_of(world.decide(acting, world.read, world.helper)) == "allow"
    assert code_of(world.decide(acting, world.note, world.helper)) == "delegation.tool"


def test_the_record_of_such_a_call_names_both_and_the_link(world: World) -> None:
    acting = taken_up(world, handed(world, world.on_behalf(), world.read))

    answer = world.decide(acting, world.read, world.helper)

    record = Record.objects.get(id=UUID(answer["context"]["decision_id"]))
    link = str(Delegation.objects.get().pk)
    assert (record.agent, record.user) == (world.receiver.slug, world.person.pid)
    assert parse_body(record)["asked"]["delegation"] == link
    assert parse_body(record)["asked"]["caller"]["delegation"] == link


def test_a_token_of_one_link_is_worth_nothing_for_another(world: World) -> None:
    first, second = (
        taken_up(world, handed(world, world.on_behalf(), tool)) for tool in (world.read, world.note)
    )
    links = {one.pk: one for one in Delegation.objects.all()}
    other = next(str(pk) for pk, one in links.items() if world.note.name in one.tools)

    crossed = world.decide(first, world.note, world.helper, delegation=other)
    right = world.decide(second, world.note, world.helper, delegation=other)

    assert (code_of(crossed), code_of(right)) == ("identity.token_delegation", "allow")


def test_a_token_for_a_person_names_no_link(world: World) -> None:
    token = world.on_behalf()
    handed(world, token, world.read)
    link = str(Delegation.objects.get().pk)

    answer = world.decide(token, world.read, delegation=link)

    assert code_of(answer) == "identity.token_delegation"


def test_a_grant_token_hands_over_as_well(world: World) -> None:
    acting = taken_up(world, handed(world, world.grant_token(), world.read))

    assert code_of(world.decide(acting, world.read, world.helper)) == "allow"


def test_details_narrow_what_is_handed_over(world: World) -> None:
    rule = {"properties": {"account": {"const": "A-2"}}}
    details = json.dumps([{"type": "muster_tool", "tool": world.read.name, "parameters": rule}])

    acting = taken_up(
        world, handed(world, world.on_behalf(), world.read, authorization_details=details)
    )

    assert Delegation.objects.get().tools == {world.read.name: rule}
    answer = world.decide(acting, world.read, world.helper)
    assert code_of(answer) == "delegation.parameters"


@pytest.mark.parametrize(
    "details",
    [
        "{",
        "{}",
        "[1]",
        '[{"type": "other", "tool": "a.b"}]',
        '[{"type": "muster_tool"}]',
        '[{"type": "muster_tool", "tool": 1}]',
        '[{"type": "muster_tool", "tool": "a.b", "parameters": []}]',
        '[{"type": "muster_tool", "tool": "a.b", "more": 1}]',
        '[{"type": "muster_tool", "tool": "a.b"}, {"type": "muster_tool", "tool": "a.b"}]',
    ],
)
def test_details_that_cannot_be_read_are_refused(world: World, details: str) -> None:
    answer = world.hand_over(token_of(world.copilot), world.read, authorization_details=details)

    assert refusal(answer) == (400, "invalid_authorization_details")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"audience": "nobody-there"}, "invalid_target"),
        ({"audience": "a", "resource": "b"}, "invalid_target"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "other.tool"}, "invalid_scope"),
        ({"expires_in": "soon"}, "invalid_request"),
        ({"expires_in": "999999"}, "invalid_grant"),
        ({"expires_in": "0"}, "invalid_grant"),
        ({"session": "s" * 201}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
    ],
)
def test_what_cannot_be_handed_over_is_refused(
    world: World, changed: dict[str, str], error: str
) -> None:
    answer = world.hand_over(world.on_behalf(), world.read, **changed)

    assert refusal(answer) == (400, error)
    assert Delegation.objects.count() == 0


def test_more_than_was_let_is_not_handed_over(world: World) -> None:
    token = world.on_behalf(world.grant_token(world.read))

    assert refusal(world.hand_over(token, world.note)) == (400, "invalid_scope")


def test_it_ends_when_it_is_said_to(world: World) -> None:
    hand_over = told(world.hand_over(world.on_behalf(), world.read, expires_in="120"))

    link = Delegation.objects.get()
    assert 110 <= (link.until - link.given_at).total_seconds() <= 120
    assert hand_over["expires_in"] <= 120


def test_for_nobody_a_chain_begins_with_the_giver(world: World) -> None:
    hand_over = handed(world, token_of(world.copilot), world.read)

    found = told(send("/oauth/introspect", {"token": hand_over}, headers=world.helper.basic()))

    assert found["sub"] == world.agent.slug
    assert found["act"] == {"sub": world.receiver.slug}


def test_a_chain_is_handed_on_three_times_and_no_more(world: World) -> None:
    token, holders = world.on_behalf(), [world.copilot, world.helper]
    for depth in range(3):
        giver, receiver = holders[depth % 2], holders[(depth + 1) % 2]
        form = {"subject_token": token, "audience": receiver.row.slug, "scope": world.read.name}
        hand_over = told(world.exchange(giver, **form))["access_token"]
        taken = world.exchange(receiver, subject_token=hand_over, subject_token_type=JWT)
        token = str(told(taken)["access_token"])

    found = told(send("/oauth/introspect", {"token": token}, headers=world.helper.basic()))
    further = world.exchange(
        world.helper,
        subject_token=token,
        audience=world.agent.slug,
        scope=world.read.name,
    )

    first, second = world.agent.slug, world.receiver.slug
    assert found["act"] == {
        "sub": second,
        "act": {"sub": first, "act": {"sub": second, "act": {"sub": first}}},
    }
    assert found["sub"] == world.person.pid
    assert code_of(world.decide(token, world.read, world.helper)) == "allow"
    assert refusal(further) == (400, "invalid_grant")
    assert [link.depth for link in Delegation.objects.order_by("depth")] == [1, 2, 3]


def test_ending_the_first_link_ends_all_below(world: World) -> None:
    first = handed(world, world.on_behalf(), world.read)
    below = handed_back(world, taken_up(world, first))

    send("/oauth/revoke", {"token": first}, headers=world.copilot.basic())

    answer = world.exchange(subject_token=below, subject_token_type=JWT)
    assert refusal(answer) == (400, "invalid_grant")
    assert sorted(link.end_cause for link in Delegation.objects.all()) == ["above", "giver"]


def handed_back(world: World, token: str) -> str:
    """What the helper hands on to the copilot again."""
    form = {"subject_token": token, "audience": world.agent.slug, "scope": world.read.name}
    return str(told(world.exchange(world.helper, **form))["access_token"])


def test_a_hand_over_ends_with_the_grant(world: World) -> None:
    hand_over = handed(world, world.on_behalf(), world.read)
    acting = taken_up(world, hand_over)

    grants.end_own_grants(by=world.person)

    again = world.exchange(world.helper, subject_token=hand_over, subject_token_type=JWT)
    assert refusal(again) == (400, "invalid_grant")
    assert code_of(world.decide(acting, world.read, world.helper)) == "delegation.ended"


def test_a_receiver_without_a_client_receives_nothing(world: World) -> None:
    from tests.factories.authz import make_agent

    bare = make_agent(world.agent.owner)

    answer = world.hand_over(world.on_behalf(), world.read, audience=bare.slug)

    assert refusal(answer) == (400, "invalid_target")


# What stands behind a token, and its end


def test_introspection_shows_who_acts_for_whom(world: World) -> None:
    acting = taken_up(world, handed(world, world.on_behalf(), world.read))

    found = told(send("/oauth/introspect", {"token": acting}, headers=world.helper.basic()))

    link = Delegation.objects.get()
    assert (found["active"], found["sub"], found["client_id"]) == (
        True,
        world.person.pid,
        world.helper.client_id,
    )
    assert found["act"] == {"sub": world.receiver.slug, "act": {"sub": world.agent.slug}}
    assert (found["grant"], found["delegation"]) == (str(link.grant_id), str(link.pk))


def test_introspection_of_a_grant_token_names_who_may_act(world: World) -> None:
    found = told(
        send("/oauth/introspect", {"token": world.grant_token()}, headers=world.copilot.basic())
    )

    assert (found["sub"], found["may_act"]) == (world.person.pid, {"sub": world.agent.slug})
    assert found["aud"] == "http://127.0.0.1:8000/oauth/token"
    assert "act" not in found


def test_others_learn_nothing_and_a_giver_sees_what_it_gave(world: World) -> None:
    token = world.on_behalf()
    hand_over = handed(world, token, world.read)

    def active(raw: str, holder: Any) -> bool:
        answer = send("/oauth/introspect", {"token": raw}, headers=holder.basic())
        return bool(told(answer)["active"])

    assert active(token, world.copilot)
    assert not active(token, world.helper)
    assert active(hand_over, world.helper)
    assert active(hand_over, world.copilot)


def test_an_ended_grant_makes_its_tokens_inactive(world: World) -> None:
    grant_token = world.grant_token()
    acting = world.on_behalf(grant_token)
    grants.end_own_grants(by=world.person)

    for raw in (grant_token, acting):
        answer = send("/oauth/introspect", {"token": raw}, headers=world.copilot.basic())
        assert told(answer) == {"active": False}


def test_revoking_a_grant_token_ends_what_came_of_it_and_not_the_consent(world: World) -> None:
    grant_token = world.grant_token()
    acting = world.on_behalf(grant_token)

    revoked = send("/oauth/revoke", {"token": grant_token}, headers=world.copilot.basic())

    assert revoked.status_code == 200
    assert code_of(world.decide(acting, world.read)) == "identity.token_revoked"
    assert Grant.objects.get(person=world.person).ended_at is None


def test_revoking_what_acts_leaves_the_grant_token(world: World) -> None:
    grant_token = world.grant_token()
    acting = world.on_behalf(grant_token)

    send("/oauth/revoke", {"token": acting}, headers=world.copilot.basic())

    assert code_of(world.decide(acting, world.read)) == "identity.token_revoked"
    assert code_of(world.decide(world.on_behalf(grant_token), world.read)) == "allow"


@pytest.mark.parametrize(("who", "cause"), [("copilot", "giver"), ("helper", "receiver")])
def test_revoking_a_hand_over_ends_the_link(world: World, who: str, cause: str) -> None:
    hand_over = handed(world, world.on_behalf(), world.read)
    acting = taken_up(world, hand_over)

    revoked = send("/oauth/revoke", {"token": hand_over}, headers=getattr(world, who).basic())

    assert revoked.status_code == 200, revoked.content
    assert Delegation.objects.get().end_cause == cause
    assert code_of(world.decide(acting, world.read, world.helper)) == "delegation.ended"


def test_nobody_revokes_what_is_anothers(world: World) -> None:
    grant_token = world.grant_token()

    answer = send("/oauth/revoke", {"token": grant_token}, headers=world.helper.basic())

    assert refusal(answer) == (400, "unauthorized_client")


def test_a_rotation_ends_every_token_that_acts(world: World) -> None:
    acting = world.on_behalf()

    client = Client.objects.get(client_id=world.copilot.client_id)
    clients.rotate_secret(client=client, by=world.agent.owner)

    assert code_of(world.decide(acting, world.read)) == "identity.token_outdated"


def test_what_has_expired_is_forgotten(world: World) -> None:
    world.grant_token()
    ActingToken.objects.update(expires_at="2020-01-01T00:00Z")

    world.on_behalf()

    assert not ActingToken.objects.filter(expires_at__year=2020).exists()
