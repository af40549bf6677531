"""Promise 7, the record's part: forty credentials, every way in, and none in any table."""

import base64
import contextlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.db import transaction

from audit import payloads, services
from audit.enums import Kind
from audit.errors import SecretFound
from audit.redactor import find_secret, redact, seal_secret_field
from tests.audit.test_redactor import SECRETS

pytestmark = pytest.mark.django_db

PARTS = ("asked", "judged", "settled", "payload")
COLUMNS = ("agent", "user", "tool", "resource", "session", "gateway", "code")
SHAPES: dict[str, Callable[[str], Any]] = {
    "string": lambda secret: {"note": secret},
    "within a sentence": lambda secret: {"note": f"Use {secret} for now"},
    "nested list": lambda secret: {"note": [[1, [secret]]]},
    "key name": lambda secret: {"note": {secret: 1}},
    "URL": lambda secret: {"note": f"https://example.com/?q={quote(secret, safe='')}"},
    "header": lambda secret: {"headers": {"Authorization": secret}},
    "multipart": lambda secret: {
        "body": f'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n{secret}\r\n--b--'
    },
    "exception": lambda secret: {"error": f"ValueError('cannot use {secret}') at line 3"},
}


def forms(secret: str) -> set[bytes]:
    """The secret as it could lie in a table: clear, hex, URL-encoded, base64 at any offset."""
    raw = secret.encode()
    shifted = {base64.b64encode(b"x" * shift + raw)[4 if shift else 0 :][:-4] for shift in range(3)}
    return {
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        quote(secret, safe="").encode(),
        quote_plus(secret).encode(),
        *shifted,
    }


def attempt(**entry: Any) -> bool:
    """Whether it was recorded."""
    with contextlib.suppress(SecretFound), transaction.atomic():
        services.record(**{"kind": Kind.OUTCOME, "actor": "desk", **entry})
        return True
    return False


def test_there_are_enough_canaries() -> None:
    assert len(SECRETS) == 43
    assert all(len(secret) >= 14 for secret in SECRETS.values())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_canary_in_the_open_is_refused_by_every_part(shape: str) -> None:
    recorded = {
        (name, part)
        for name, secret in SECRETS.items()
        for part in PARTS
        if attempt(**{part: SHAPES[shape](secret)})
    }

    assert recorded == set()


def test_a_canary_in_a_column_is_refused() -> None:
    recorded = {
        (name, column)
        for name, secret in SECRETS.items()
        for column in COLUMNS
        if attempt(**{column: secret})
    }

    assert recorded == set()


@pytest.mark.parametrize("value", ["8412345678", 8412345678, b"8412345678", ["8412345678"]])
def test_a_canary_of_no_known_shape_is_refused_beside_its_name(value: Any) -> None:
    assert find_secret({"login": {"password": value}}) is not None


def test_no_canary_reaches_any_table(dump: Callable[[], bytes]) -> None:
    for secret in SECRETS.values():
        for shape in SHAPES.values():
            # A refused call is still recorded: with the credential taken out,
            assert attempt(payload={"parameters": redact(shape(secret))}, resource="redacted")
            for part in PARTS:
                attempt(**{part: shape(secret)})
        # a field that is declared secret is kept as a keyed hash,
        salt = payloads.new_salt()
        sealed = {"password": seal_secret_field(secret, salt)}
        assert attempt(payload={"parameters": sealed}, salts={"parameters": salt})
        # and a personal resource id as well.
        assert attempt(resource=services.index_resource(secret))

    everything = dump()

    leaked = {
        name
        for name, secret in SECRETS.items()
        for form in forms(secret)
        if form in everything or form.lower() in everything.lower()
    }
    assert leaked == set()


def test_what_is_personal_lies_in_payloads_encrypted_only(dump: Callable[[], bytes]) -> None:
    canary = "Jane Roe, born 1984-02-29, account 55-1234"

    assert attempt(
        agent="desk",
        payload={"parameters": {canary: [canary]}, "output": canary, "reasoning": canary},
    )

    everything = dump()
    assert [form for form in forms(canary) if form in everything] == []


def test_the_search_would_find_a_leak(dump: Callable[[], bytes]) -> None:
    """The mutant: the same value in line 1, which is in clear."""
    canary = "Jane Roe, born 1984-02-29"

    assert attempt(asked={"note": canary})

    assert canary.encode() in dump()
