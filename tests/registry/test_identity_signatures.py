"""Signatures and keys against vectors that nobody here wrote, and against the attacks on JWT."""

import base64
import hashlib
import hmac
import json
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jws
from joserfc.errors import SecurityWarning, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from registry.identity import signatures
from registry.identity.signatures import BadKey, BadSignature
from tests import public

ED25519 = OKPKey.generate_key("Ed25519", parameters={"kid": "one"})
P256 = ECKey.generate_key("P-256", parameters={"kid": "two"})
RSA = RSAKey.generate_key(2048, parameters={"kid": "three"})


def public_of(key: Any) -> dict[str, Any]:
    return dict(key.as_dict(private=False))


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def made(header: dict[str, Any], claims: bytes = b"{}", signature: bytes = b"x" * 64) -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(claims)}.{b64(signature)}"


def signed(key: Any, alg: str, **header: Any) -> str:
    with warnings.catch_warnings():
        # The library calls EdDSA deprecated in favour of its new name.
        warnings.simplefilter("ignore", SecurityWarning)
        return jws.serialize_compact({"alg": alg, **header}, b'{"a":1}', key, algorithms=[alg])


def vectors(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in public.load(f"corpora/wycheproof/{name}")["testGroups"]:
        for vector in group["tests"]:
            yield group, vector


def outcome(group: dict[str, Any], vector: dict[str, Any]) -> str:
    """What the product's own verification says of a vector."""
    keys = group.get("public", group["private"])
    try:
        accepted = signatures.import_jwks(keys if "keys" in keys else {"keys": [keys]})
        signatures.verify(vector["jws"], accepted)
    except BadKey:
        return "bad key"
    except BadSignature:
        return "bad signature"
    return "valid"


def algorithm(vector: dict[str, Any]) -> str:
    return str(json.loads(base64.urlsafe_b64decode(vector["jws"].split(".")[0] + "=="))["alg"])


def test_wycheproof_signatures() -> None:
    """401 vectors: nothing invalid verifies, and what is refused though valid is named.

    Every refused one names an algorithm that Muster does not accept; of the four that it does
    accept, all 16 valid vectors verify.
    """
    refused: Counter[str] = Counter()
    seen: Counter[str] = Counter()

    for group, vector in vectors("json_web_signature_test.json"):
        verdict = outcome(group, vector)
        seen[vector["result"]] += 1
        if vector["result"] == "invalid":
            assert verdict != "valid", vector
        elif verdict != "valid":
            refused[algorithm(vector)] += 1

    assert seen == {"valid": 46, "invalid": 355}
    assert refused == {
        "HS256": 10,
        "RS384": 4,
        "RS512": 4,
        "PS384": 6,
        "PS512": 4,
        "ES512": 2,
    }


def test_wycheproof_keys() -> None:
    """26 vectors; the symmetric ones are refused whatever they say."""
    verdicts = {
        vector["tcId"]: outcome(group, vector)
        for group, vector in vectors("json_web_key_test.json")
    }

    assert len(verdicts) == 26
    assert [number for number, verdict in verdicts.items() if verdict == "valid"] == [5]


@pytest.mark.parametrize(
    ("key", "alg"),
    [(ED25519, "EdDSA"), (ED25519, "Ed25519"), (P256, "ES256"), (RSA, "RS256"), (RSA, "PS256")],
)
def test_verify_accepts_what_another_library_call_signed(key: Any, alg: str) -> None:
    raw = signed(key, alg, kid=key.kid)

    found = signatures.verify(raw, [signatures.import_public_key(public_of(key))])

    assert (found.header["alg"], found.claims()) == (alg, {"a": 1})


def test_sign_verifies_with_its_own_key() -> None:
    raw = signatures.sign(b'{"b":2}', key=ED25519, kid="one", typ="at+jwt")

    found = signatures.verify(raw, [ED25519])

    assert found.header == {"alg": "EdDSA", "kid": "one", "typ": "at+jwt"}
    assert found.claims() == {"b": 2}


def test_verify_needs_one_key_that_fits() -> None:
    other = OKPKey.generate_key("Ed25519", parameters={"kid": "four"})
    nameless, named = signed(ED25519, "EdDSA"), signed(ED25519, "EdDSA", kid="one")

    assert signatures.verify(nameless, [ED25519, P256]).claims() == {"a": 1}
    assert signatures.verify(named, [ED25519, other]).claims() == {"a": 1}
    for raw, keys in ((nameless, [ED25519, other]), (named, [other]), (named, [])):
        with pytest.raises(BadSignature, match="No single key"):
            signatures.verify(raw, keys)


def test_a_key_made_for_one_algorithm_verifies_no_other() -> None:
    key = signatures.import_public_key(public_of(RSA) | {"alg": "PS256"})

    assert signatures.verify(signed(RSA, "PS256"), [key]).claims() == {"a": 1}
    with pytest.raises(BadSignature):
        signatures.verify(signed(RSA, "RS256"), [key])


def test_a_public_key_is_no_hmac_secret() -> None:
    """Algorithm confusion: the public key, in each form an attacker has it, as HMAC secret."""
    for key in (ED25519, P256, RSA):
        for secret in (key.as_pem(), key.as_der(), json.dumps(public_of(key)).encode()):
            body = made({"alg": "HS256", "kid": key.kid}).rpartition(".")[0]
            tag = hmac.new(secret, body.encode(), hashlib.sha256).digest()
            with pytest.raises(BadSignature, match="algorithm is none of"):
                signatures.verify(f"{body}.{b64(tag)}", [key])


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "HS256"},
        {"alg": "Ed448"},
        {"alg": "RS512"},
        {"alg": ["EdDSA"]},
        {"alg": "EdDSA", "kid": 1},
        {"alg": "EdDSA", "crit": ["exp"]},
        {"alg": "EdDSA", "b64": False},
        {"alg": "EdDSA", "jku": "https://example.org/jwks"},
        {"alg": "EdDSA", "jwk": public_of(ED25519)},
        {"alg": "EdDSA", "x5c": ["MII"]},
        {"alg": "EdDSA", "zip": "DEF"},
    ],
)
def test_read_header_refuses(header: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        signatures.read_header(made(header))


def test_the_library_is_never_asked_for_another_algorithm() -> None:
    for name in ("none", "HS256", "RS512", "Ed448"):
        with pytest.raises(UnsupportedAlgorithmError):
            signatures._registry.get_alg(name)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "ä.b.c",
        "!.e30.AA",
        f"{b64(b'[]')}.e30.AA",
        f"{b64(b'null')}.e30.AA",
        f"{b64(b'{')}.e30.AA",
        f"{b64(b'{}')}=.e30.AA",
        f"{b64(bytes([255]))}.e30.AA",
        b64(b'{"alg":"EdDSA","alg":"none"}') + ".e30.AA",
        f"{b64(b'[' * 40)}.e30.AA",
        made({"alg": "EdDSA"}, b"x" * 9000),
    ],
)
def test_verify_refuses_what_is_no_signed_token(raw: str) -> None:
    with pytest.raises(BadSignature):
        signatures.verify(raw, [ED25519])


def test_verify_refuses_a_changed_part() -> None:
    raw = signed(ED25519, "EdDSA", kid="one")
    header, body, signature = raw.split(".")

    for other in (
        f"{header}.{b64(b'{}')}.{signature}",
        f"{header}.{body}.",
        f"{header}.{body}.{signature[:-2]}",
        f"{header}.{body}.{signature}=",
        f"{header}.{body}.{signature}\n",
        f"{header}.{body}.****",
    ):
        with pytest.raises(BadSignature):
            signatures.verify(other, [ED25519])


def test_claims_are_one_json_object() -> None:
    for payload in (b"[]", b"1", b"", b'{"a":1,"a":2}', b"\xff"):
        raw = signatures.sign(payload, key=ED25519, kid="one", typ="JWT")
        with pytest.raises(BadSignature):
            signatures.verify(raw, [ED25519]).claims()


def test_read_unverified_reads_claims() -> None:
    assert signatures.read_unverified(made({"alg": "EdDSA"}, b'{"sub":"x"}')) == {"sub": "x"}
    with pytest.raises(BadSignature):
        signatures.read_unverified("e30.%%.AA")


@pytest.mark.parametrize(
    ("jwk", "sentence"),
    [
        (None, "A key is a JSON object."),
        ({}, "The key's type (kty) must be one of OKP, EC, RSA."),
        ({"kty": "oct", "k": "AA"}, "The key's type (kty) must be one of OKP, EC, RSA."),
        ({"kty": ["EC"]}, "The key's type (kty) must be one of OKP, EC, RSA."),
        (
            ED25519.as_dict(private=True),
            "The key holds private parts (d). Send the public key alone.",
        ),
        (public_of(ED25519) | {"crv": "Ed448"}, "The curve (crv) of an OKP key must be Ed25519."),
        (public_of(P256) | {"crv": "P-384"}, "The curve (crv) of an EC key must be P-256."),
        (
            public_of(P256) | {"use": "enc"},
            "The key is not meant for signatures (use, key_ops).",
        ),
        (
            public_of(P256) | {"key_ops": ["sign"]},
            "The key is not meant for signatures (use, key_ops).",
        ),
        (public_of(P256) | {"key_ops": 5}, "The key is not meant for signatures (use, key_ops)."),
        (public_of(RSA) | {"alg": "RS512"}, "The algorithm (alg) of an RSA key must be RS256."),
        (public_of(RSA) | {"kid": ""}, "The key's id (kid) must be 1 to 200 printable characters."),
        (public_of(RSA) | {"kid": 7}, "The key's id (kid) must be 1 to 200 printable characters."),
        (
            public_of(RSA) | {"kid": "a\n"},
            "The key's id (kid) must be 1 to 200 printable characters.",
        ),
        (public_of(RSA) | {"e": "Aw"}, "The exponent (e) of an RSA key must be 65537 or more."),
        (public_of(RSA) | {"n": b64(b"\xff" * 128)}, "An RSA key needs 2048 to 8192 bits."),
        (public_of(RSA) | {"n": b64(b"\xff" * 2000)}, "An RSA key needs 2048 to 8192 bits."),
        (public_of(RSA) | {"n": "***"}, "The key's numbers do not make a key."),
        ({"kty": "RSA"}, "The key's numbers do not make a key."),
        (public_of(P256) | {"x": "AA"}, "The key's numbers do not make a key."),
        (public_of(P256) | {"x": 5}, "The key's numbers do not make a key."),
        (public_of(ED25519) | {"x": "AA"}, "The key's numbers do not make a key."),
    ],
)
def test_import_public_key_says_what_is_wrong(jwk: Any, sentence: str) -> None:
    with pytest.raises(BadKey) as refused:
        signatures.import_public_key(jwk)

    assert refused.value.message == sentence


def test_import_jwks_wants_a_list_of_keys_with_ids_of_their_own() -> None:
    keys = signatures.import_jwks({"keys": [public_of(ED25519), public_of(RSA)]})

    assert [key.kid for key in keys] == ["one", "three"]
    assert signatures.import_jwks({"keys": []}) == []
    for jwks in ([], {}, {"keys": {}}, {"keys": [public_of(RSA), public_of(RSA)]}):
        with pytest.raises(BadKey):
            signatures.import_jwks(jwks)
