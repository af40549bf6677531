"""The cryptography of the embedded vault: known vectors, and what each seal is bound to."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from registry.vault import envelope
from registry.vault.errors import SecretDamaged
from registry.vault.types import Secret
from tests import public

KEY = envelope.vault_key(bytes(range(32)))
BOUND = ("refund-desk", "vault://care/refund-desk", 3)

# RFC 5869, appendix A: SHA-256 with and without salt and info.
RFC_5869 = [
    (
        "0b" * 22,
        bytes(range(13)).hex(),
        "f0f1f2f3f4f5f6f7f8f9",
        42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        "0b" * 22,
        "",
        "",
        42,
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


@pytest.mark.parametrize(("ikm", "salt", "info", "length", "okm"), RFC_5869)
def test_hkdf_is_that_of_rfc_5869(ikm, salt, info, length, okm) -> None:
    made = HKDF(SHA256(), length, bytes.fromhex(salt), bytes.fromhex(info))

    assert made.derive(bytes.fromhex(ikm)).hex() == okm


def test_a_purpose_is_derived_as_rfc_5869_says() -> None:
    expected = HKDF(SHA256(), 32, None, b"muster vault seal v1").derive(bytes(32))

    assert envelope.derived(bytes(32), "seal") == expected
    assert envelope.derived(bytes(32), "wrap") != expected


def _gcm_cases():
    for group in public.load("corpora/wycheproof/aes_gcm_test.json")["testGroups"]:
        fits = (group["keySize"], group["ivSize"], group["tagSize"]) == (256, 96, 128)
        yield from group["tests"] if fits else ()


def test_aes_256_gcm_answers_every_vector_of_wycheproof() -> None:
    judged = {"valid": 0, "invalid": 0}
    for case in _gcm_cases():
        key, iv, aad, message, sealed, tag = (
            bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        try:
            opened = AESGCM(key).decrypt(iv, sealed + tag, aad)
        except InvalidTag:
            opened = None
        assert opened == (message if case["result"] == "valid" else None), case["tcId"]
        if case["result"] == "valid":
            assert AESGCM(key).encrypt(iv, message, aad) == sealed + tag
        judged[case["result"]] += 1

    assert judged["valid"] >= 30
    assert judged["invalid"] >= 20


def test_envelopes_open_what_wycheproof_sealed_and_refuse_what_it_broke() -> None:
    """The same vectors through the function that opens our own seals."""
    for case in _gcm_cases():
        key, iv, aad, sealed, tag = (
            bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "ct", "tag")
        )
        if case["result"] == "valid":
            assert envelope._open(key, iv + sealed + tag, aad).hex() == case["msg"]
        else:
            with pytest.raises(SecretDamaged):
                envelope._open(key, iv + sealed + tag, aad)


@given(st.binary(max_size=200))
def test_what_is_sealed_opens_again(value: bytes) -> None:
    data_key = envelope.new_data_key()

    sealed = envelope.seal(data_key, value, *BOUND)

    assert envelope.unseal(data_key, sealed, *BOUND) == value


@pytest.mark.parametrize(
    "other",
    [
        ("refund-desl", BOUND[1], 3),
        ("refund-desk", "vault://care/refund-desl", 3),
        ("refund-desk", BOUND[1], 2),
        # The border between two parts moved by one.
        ("refund-deskv", "ault://care/refund-desk", 3),
        ("", "refund-deskvault://care/refund-desk", 3),
    ],
)
def test_a_value_is_bound_to_its_agent_reference_and_version(other) -> None:
    data_key = envelope.new_data_key()
    sealed = envelope.seal(data_key, b"value", *BOUND)

    with pytest.raises(SecretDamaged):
        envelope.unseal(data_key, sealed, *other)


def test_a_data_key_is_bound_to_its_secret_and_to_the_key_that_wraps_it() -> None:
    wrapped = envelope.wrap(KEY, bytes(32), *BOUND[:2])

    assert envelope.unwrap(KEY, wrapped, *BOUND[:2]) == bytes(32)
    for key, agent, reference in (
        (KEY, "other", BOUND[1]),
        (KEY, BOUND[0], "vault://other"),
        (envelope.vault_key(bytes(32)), *BOUND[:2]),
    ):
        with pytest.raises(SecretDamaged):
            envelope.unwrap(key, wrapped, agent, reference)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_one_changed_byte_is_seen(place: int, change: int) -> None:
    data_key = bytes(range(32))
    sealed = bytearray(envelope.seal(data_key, b"value", *BOUND))
    sealed[place % len(sealed)] ^= change

    with pytest.raises(SecretDamaged):
        envelope.unseal(data_key, bytes(sealed), *BOUND)


@pytest.mark.parametrize("length", range(28))
def test_what_is_cut_short_is_damaged_and_no_crash(length: int) -> None:
    sealed = envelope.seal(bytes(32), b"", *BOUND)

    with pytest.raises(SecretDamaged):
        envelope.unseal(bytes(32), sealed[:length], *BOUND)


def test_equal_values_are_sealed_differently() -> None:
    assert len({envelope.seal(bytes(32), b"same", *BOUND) for _ in range(100)}) == 100


def test_a_secret_shows_itself_nowhere() -> None:
    import copy
    import json
    import pickle

    secret = Secret("s3cret-value")

    shown = f"{secret} {secret!r} {[secret]} {{'a': {secret}}} {secret!s}"
    assert "s3cret" not in shown
    assert not hasattr(secret, "__dict__")
    for writing in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as refused:
            writing(secret)
        assert "s3cret" not in str(refused.value)
