"""Forged tokens: wrong algorithm, key, type, audience, actor or subject. None is worth anything."""

import base64
import json
import time
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

from authz.models import Delegation, Grant
from governance.kernel.errors import NotSignedIn
from registry.identity import tokens
from registry.identity.tokens import Use
from tests.factories.consent import World, forged, make_world, refusal, told, version_of
from tests.factories.oauth import send, token_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_token_known")]


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def claims_of(raw: str) -> dict[str, Any]:
    body = raw.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))


def unsigned(claims: dict[str, Any], header: dict[str, Any], signature: str = "") -> str:
    parts = (json.dumps(header), json.dumps(claims))
    encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
    return ".".join((*encoded, signature))


def test_a_token_that_muster_did_not_sign_is_none(world: World) -> None:
    right = world.on_behalf()
    claims, kid = claims_of(right), tokens.ring().signing_key().kid
    stranger = OKPKey.generate_key("Ed25519", parameters={"kid": kid})
    signature = right.rsplit(".", 1)[1]
    forgeries = [
        unsigned(claims, {"alg": "none", "typ": "at+jwt"}),
        unsigned(claims, {"alg": "None", "typ": "at+jwt", "kid": kid}),
        unsigned(claims, {"alg": "HS256", "typ": "at+jwt", "kid": kid}, signature),
        unsigned(claims, {"alg": "EdDSA", "typ": "at+jwt", "kid": "another"}, signature),
        unsigned(claims, {"alg": "EdDSA", "typ": "at+jwt", "kid": kid}, signature[:-4] + "AAAA"),
        unsigned(
            claims | {"sub": "p_other"}, {"alg": "EdDSA", "typ": "at+jwt", "kid": kid}, signature
        ),
        unsigned(claims, {"alg": "EdDSA", "typ": "at+jwt", "kid": kid, "jwk": {}}, signature),
        jws.serialize_compact(
            {"alg": "Ed25519", "kid": kid, "typ": "at+jwt"},
            json.dumps(claims),
            stranger,
            algorithms=["Ed25519"],
        ),
    ]

    assert [world.decide(raw, world.read)["code"] for raw in forgeries] == ["token_invalid"] * len(
        forgeries
    )
    for raw in forgeries:
        assert refusal(world.hand_over(raw, world.read)) == (400, "invalid_request")


@pytest.mark.parametrize("typ", ["JWT", "grant+jwt", "hand-over+jwt", "", "AT+JWT"])
def test_a_token_of_another_type_asks_for_no_decision(world: World, typ: str) -> None:
    raw = forged(typ=typ, **acting_claims(world))

    assert world.decide(raw, world.read)["code"] == "token_invalid"


def acting_claims(world: World) -> dict[str, Any]:
    """The claims of a good token by which the copilot acts for the person."""
    if not Grant.objects.filter(person=world.person).exists():
        world.allow(world.read)
    return {
        "sub": world.person.pid,
        "client_id": world.copilot.client_id,
        "ver": version_of(world.copilot),
        "grant": str(Grant.objects.get(person=world.person).pk),
        "act": {"sub": world.agent.slug},
    }


def test_the_right_claims_are_good(world: World) -> None:
    """Else what follows would show nothing."""
    assert world.decide(forged(**acting_claims(world)), world.read)["decision"] is True


NESTED: dict[str, Any] = {"sub": "x"}
for _ in range(4):
    NESTED = {"sub": "x", "act": NESTED}


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://elsewhere.example/access"},
        {"aud": "http://127.0.0.1:8000/oauth/token"},
        {"aud": ["http://127.0.0.1:8000/access"]},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
        {"ver": "1"},
        {"act": None},
        {"act": {}},
        {"act": "copilot"},
        {"act": ["copilot"]},
        {"act": {"sub": ""}},
        {"act": {"sub": 1}},
        {"act": {"sub": "copilot", "iss": "x"}},
        {"act": {"sub": "copilot", "act": "x"}},
        {"act": NESTED},
        {"act": {"sub": "copilot", "act": {"sub": "helper"}}},
        {"delegation": "d"},
        {"grant": 7},
        {"grant": None},
        {"scope": ""},
    ],
)
def test_claims_that_do_not_fit_together_are_no_token(
    world: World, changed: dict[str, Any]
) -> None:
    """Even over Muster's own signature: an actor without a grant, a chain without a link."""
    raw = forged(**(acting_claims(world) | changed))

    assert world.decide(raw, world.read)["code"] in {"token_invalid", "token_expired"}


def test_another_subject_is_not_the_one_that_the_grant_is_of(world: World) -> None:
    """Were a signature forged, the facts would still be asked."""
    from tests.factories.authz import make_person

    other = make_person()
    world.role.people.add(other)

    raw = forged(**(acting_claims(world) | {"sub": other.pid}))

    assert world.decide(raw, world.read)["context"]["code"] == "consent.none"


def test_another_actor_is_not_the_one_that_the_client_is_of(world: World) -> None:
    claims = acting_claims(world) | {"act": {"sub": world.receiver.slug}}

    with pytest.raises(AssertionError):
        told(world.hand_over(forged(**claims), world.read))
    introspected = send(
        "/oauth/introspect", {"token": forged(**claims)}, headers=world.copilot.basic()
    )
    assert told(introspected) == {"active": False}


def test_no_use_is_taken_for_another(world: World) -> None:
    grant_token, own = world.grant_token(), token_of(world.copilot)
    acting = world.on_behalf(grant_token)
    hand_over = told(world.hand_over(acting, world.read))["access_token"]
    of = {
        Use.GRANT: [grant_token],
        Use.ACCESS: [own, acting],
        Use.HAND_OVER: [hand_over],
    }

    for use in Use:
        for other in Use:
            for raw in of[other]:
                if use is other:
                    assert tokens.verify_token(raw, use).use is use
                else:
                    with pytest.raises(NotSignedIn):
                        tokens.verify_token(raw, use)


def test_a_hand_over_to_another_receiver_is_no_token(world: World) -> None:
    hand_over = told(world.hand_over(world.on_behalf(), world.read))["access_token"]
    link = Delegation.objects.get()
    claims = {
        "sub": world.person.pid,
        "client_id": world.copilot.client_id,
        "ver": version_of(world.copilot),
        "grant": str(link.grant_id),
        "delegation": str(link.pk),
    }
    diverted = [
        forged(Use.HAND_OVER, aud=world.receiver.slug, act={"sub": world.agent.slug}, **claims),
        forged(
            Use.HAND_OVER,
            aud=world.agent.slug,
            act={"sub": world.agent.slug, "act": {"sub": world.receiver.slug}},
            **claims,
        ),
    ]

    answers = [refusal(world.exchange(subject_token=raw)) for raw in diverted]

    assert answers == [(400, "invalid_request"), (400, "invalid_grant")]
    assert tokens.verify_token(hand_over, Use.HAND_OVER).slug == world.receiver.slug


def test_a_token_expires_with_the_clock(world: World) -> None:
    past = int(time.time()) - 120

    raw = forged(**acting_claims(world), iat=past - 60, exp=past)

    assert world.decide(raw, world.read)["code"] == "token_expired"
