"""Sign-in through a provider: what of its word counts. Without a database, without a provider."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from joserfc import jws
from joserfc.jwk import OctKey, RSAKey

from registry.oidc import listed, tokens
from registry.oidc.errors import SignInRefused
from registry.oidc.listed import Provider

KEY = RSAKey.generate_key(2048, parameters={"kid": "one"})
OTHER = RSAKey.generate_key(2048, parameters={"kid": "one"})
HOUSE = Provider("house", "House", "https://idp.example", "muster", secret="x" * 20, source="house")
ENTRY = {
    "id": "house",
    "name": "House",
    "issuer": "https://idp.example",
    "client_id": "muster",
    "secret": "of-the-house-4711-and-nobody-else",
}


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": HOUSE.issuer, "aud": "muster", "sub": "u1", "nonce": "n1"}
    return said | {"iat": now, "exp": now + 60} | more


def signed(said: dict[str, Any], key: Any = KEY, **header: str) -> str:
    head = {"alg": "RS256", "kid": "one"} | header
    return jws.serialize_compact(head, json.dumps(said).encode(), key, algorithms=[head["alg"]])


def read(raw: str, provider: Provider = HOUSE, nonce: str = "n1") -> tokens.Claims:
    keys = {"keys": [KEY.as_dict(private=False), {"kty": "oct"}]}
    return tokens.Claims(provider, tokens.verified(raw, keys, provider, nonce))


def test_a_token_made_for_this_sign_in_is_read() -> None:
    assert read(signed(claims())).subject == "u1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://idp.example/"},
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["muster", "another"]},
        {"aud": ["muster", "another"], "azp": "another"},
        {"azp": "another"},
        {"nonce": "n2"},
        {"nonce": None},
        {"exp": int(time.time()) - 3600},
        {"iat": int(time.time()) + 3600},
        {"exp": "never"},
        {"exp": True},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 256},
        {"sub": "a\nb"},
    ],
)
def test_a_token_that_is_not_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SignInRefused):
        read(signed(claims(**wrong)))


def test_without_a_nonce_of_our_own_nothing_fits() -> None:
    with pytest.raises(SignInRefused):
        read(signed(claims(nonce="")), nonce="")


def test_only_the_providers_key_signs() -> None:
    shared = OctKey.import_key("of-the-house-4711-and-nobody-else-at-all")
    unsigned = ".".join([*signed(claims(), alg="RS256").split(".")[:2], ""])

    for raw in (signed(claims(), OTHER), signed(claims(), shared, alg="HS256"), unsigned, ""):
        with pytest.raises(SignInRefused):
            read(raw)


def test_required_claims_must_be_so() -> None:
    house = Provider("house", "House", HOUSE.issuer, "muster", require={"hd": "example.com"})

    assert read(signed(claims(hd="example.com")), house).subject == "u1"
    for hd in ({}, {"hd": "evil.example"}, {"hd": ["example.com"]}):
        with pytest.raises(SignInRefused):
            read(signed(claims(**hd)), house)


@pytest.mark.parametrize(
    ("said", "strong"),
    [
        ({}, False),
        ({"amr": ["pwd"]}, False),
        ({"amr": ["pwd", "sms"]}, False),
        ({"amr": "mfa"}, False),
        ({"amr": ["pwd", "otp"]}, True),
        ({"amr": ["mfa"]}, True),
        ({"amr": ["hwk"]}, True),
        ({"acr": "gold"}, True),
        ({"acr": "silver"}, False),
    ],
)
def test_which_words_are_a_second_factor(said: dict[str, Any], strong: bool) -> None:
    house = Provider("house", "House", HOUSE.issuer, "muster", second_factor_acr=("gold",))

    assert tokens.Claims(house, said).is_strong is strong


@pytest.mark.parametrize(
    ("said", "groups"),
    [
        ({}, ()),
        ({"groups": ["a", 7, "b"]}, ("a", "b")),
        ({"groups": "a"}, ("a",)),
        ({"_claim_names": {"groups": "src1"}}, None),
    ],
)
def test_groups_are_told_or_unknown(said: dict[str, Any], groups: Any) -> None:
    house = Provider("house", "House", HOUSE.issuer, "muster", groups_claim="groups")

    assert tokens.Claims(house, said).groups == groups
    assert tokens.Claims(HOUSE, said).groups is None


@pytest.mark.parametrize(
    ("said", "verified"),
    [
        ({}, False),
        ({"email_verified": False}, False),
        ({"email_verified": "yes"}, False),
        ({"email_verified": True}, True),
        ({"email_verified": "true"}, True),
    ],
)
def test_an_address_is_verified_where_the_provider_says_so(said: Any, verified: bool) -> None:
    trusted = Provider("house", "House", HOUSE.issuer, "muster", trust_email=True)

    whole = {"email": "ada@example.org"} | said
    assert tokens.Claims(HOUSE, whole).email_is_verified is verified
    assert tokens.Claims(trusted, whole).email_is_verified is True


def test_what_is_verified_is_the_address_beside_it_and_no_other() -> None:
    token, more = {"email": "victim@example.org"}, {"email": "own@example.org"}
    mixed = tokens.Claims(HOUSE, token, more | {"email_verified": True})
    apart = tokens.Claims(HOUSE, {"email_verified": True}, more)

    assert (mixed.email, mixed.email_is_verified) == ("victim@example.org", False)
    assert (apart.email, apart.email_is_verified) == ("own@example.org", False)


@pytest.mark.parametrize("said", [None, True, "yesterday", -1e30, 1e30, float("nan")])
def test_a_time_that_is_none_is_none(said: Any) -> None:
    assert tokens.Claims(HOUSE, {"auth_time": said}).authenticated_at is None


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"id": "A b"}, "lower-case"),
        ({"issuer": "http://idp.example"}, "Only https"),
        ({"issuer": "https://idp.example?x=1"}, "no query"),
        ({"issuer": "https://me@idp.example"}, "neither a user"),
        ({"secret": "changeme"}, "nobody can guess"),
        ({"secret": "a" * 40}, "nobody can guess"),
        ({"secret": ""}, "nobody can guess"),
        ({"secret_file": "/nowhere/at/all"}, "cannot be read"),
        ({"scope": "email"}, "openid"),
        ({"session_minutes": 0}, "5 to 720"),
        ({"session_minutes": True}, "must be a int"),
        ({"trust_email": "yes"}, "must be a bool"),
        ({"trustemail": True}, "does not know"),
        ({"client_id": ""}, "lacks client_id"),
    ],
)
def test_settings_that_cannot_be_used_say_so(
    settings: Any, entry: dict[str, Any], sentence: str
) -> None:
    settings.MUSTER_SIGN_IN_PROVIDERS = [ENTRY | entry]

    with pytest.raises(ImproperlyConfigured, match=sentence):
        listed.check_configured()


def test_two_of_one_name_and_nobody_at_all_are_refused(settings: Any) -> None:
    settings.MUSTER_SIGN_IN_PROVIDERS = [ENTRY, ENTRY]
    with pytest.raises(ImproperlyConfigured, match="twice"):
        listed.check_configured()

    settings.MUSTER_SIGN_IN_PROVIDERS, settings.MUSTER_LOCAL_SIGN_IN = [], "off"
    with pytest.raises(ImproperlyConfigured, match="nobody could come in"):
        listed.check_configured()


def test_a_secret_never_shows(settings: Any) -> None:
    settings.MUSTER_SIGN_IN_PROVIDERS = [ENTRY]

    assert ENTRY["secret"] not in repr(listed.configured())
