"""Hostile text in every parameter and header: always a refusal, never a failure."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest

from audit.models import Record
from authz.oauth import failures
from registry.identity import keys, tokens
from tests import public
from tests.factories import identity as make
from tests.factories.consent import REDIRECT, make_world
from tests.factories.oauth import ASSERTION_TYPE, FORM, Holder, holder_of, send, token_of

pytestmark = pytest.mark.django_db

NAUGHTY: list[str] = public.naughty_strings()
PATHS = ["/oauth/token", "/oauth/introspect", "/oauth/revoke"]
PARAMETERS = [
    "grant_type",
    "scope",
    "resource",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "token",
    "token_type_hint",
]
# Under --all, all 515 strings here and in the Authorization header; else 40, as elsewhere.
REPRESENTATIVE = {
    ("/oauth/token", "client_id"),
    ("/oauth/token", "client_secret"),
    ("/oauth/token", "client_assertion"),
    ("/oauth/introspect", "token"),
}


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.MUSTER_KEYS = str(tmp_path)
    for name in ("kek", "index_key"):
        (tmp_path / name).write_text(base64.urlsafe_b64encode(b"k" * 32).decode())
    keys.ensure_signing_key(tmp_path)
    monkeypatch.setattr(failures, "MAX_A_MINUTE", 10**9)
    failures.forget()
    yield
    tokens.forget()
    failures.forget()


@pytest.fixture
def agent() -> Holder:
    return holder_of(make.make_agent())


def quoted(form: dict[str, str]) -> bytes:
    """A form, also of text that is no Unicode."""
    pairs = (
        f"{name}={quote_from_bytes(value.encode('utf-8', 'surrogatepass'))}"
        for name, value in form.items()
    )
    return "&".join(pairs).encode()


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("path", PATHS)
def test_naughty_strings_in_a_parameter(path: str, name: str, agent: Holder) -> None:
    """In each parameter of each endpoint, beside what would otherwise be right."""
    check_parameter(path, name, agent, NAUGHTY[::13])


@pytest.mark.fuzz
@pytest.mark.parametrize(("path", "name"), sorted(REPRESENTATIVE))
def test_every_naughty_string_in_a_parameter(path: str, name: str, agent: Holder) -> None:
    check_parameter(path, name, agent, NAUGHTY)


def check_parameter(path: str, name: str, agent: Holder, texts: list[str]) -> None:
    """Each of these in a parameter is refused, or read as what it is."""
    right = {"grant_type": "client_credentials", "token": "x"}
    headers = {} if name.startswith("client_") else agent.basic()
    if name == "client_secret":
        right["client_id"] = agent.client_id
    if name == "client_assertion":
        right["client_assertion_type"] = ASSERTION_TYPE
    if name == "client_assertion_type":
        right |= agent.assertion()

    for text in texts:
        answer = send(path, quoted(right | {name: text}), headers=headers)
        # Empty, a parameter counts as absent; a token that is none is not active.
        fine = not name.startswith("client_") and (
            not text or name in ("token", "token_type_hint") or path != "/oauth/token"
        )
        assert answer.status_code in ((200, 400) if fine else (400, 401)), (name, text)
        assert isinstance(json.loads(answer.content), dict)


EXCHANGED = [
    *("subject_token", "subject_token_type", "actor_token", "actor_token_type", "audience"),
    *("resource", "scope", "authorization_details", "session", "expires_in"),
    "requested_token_type",
]


@pytest.mark.parametrize("name", EXCHANGED)
def test_naughty_strings_in_an_exchange(name: str, agent: Holder) -> None:
    """What hands over, with one parameter that is none: always a refusal, since nobody is there."""
    right = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": token_of(agent),
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "nobody-there",
        "scope": "crm.read",
    }

    for text in NAUGHTY[::13]:
        answer = send("/oauth/token", quoted(right | {name: text}), headers=agent.basic())
        assert (answer.status_code, type(json.loads(answer.content))) == (400, dict), (name, text)


@pytest.mark.parametrize("name", ["code", "redirect_uri", "code_verifier"])
def test_naughty_strings_beside_a_code(name: str, agent: Holder) -> None:
    right = {"grant_type": "authorization_code", "code": "c", "code_verifier": "v" * 43}

    for text in NAUGHTY[::13]:
        form = quoted(right | {"redirect_uri": "https://a.example/"} | {name: text})
        answer = send("/oauth/token", form, headers=agent.basic())
        assert (answer.status_code, type(json.loads(answer.content))) == (400, dict), (name, text)


ASKED = [
    *("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge"),
    *("code_challenge_method", "resource", "prompt", "other"),
]


@pytest.mark.parametrize("name", ASKED)
def test_naughty_strings_on_the_way_to_the_consent_page(name: str) -> None:
    """The page, an answer to the agent's own address, or a refusal; nobody is sent elsewhere."""
    world = make_world()
    browser, own = world.browser(), REDIRECT.partition("?")[0]

    for text in NAUGHTY[::13]:
        path, _, query = world.query(**{name: None}).partition("?")
        raw = quote_from_bytes(text.encode("utf-8", "surrogatepass"))
        answer = browser.get(f"{path}?{query}&{name}={raw}")
        assert answer.status_code in (200, 303, 400), (name, text)
        assert answer.get("Location", own).startswith(own), (name, text)


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.fuzz)])
def test_naughty_strings_in_the_authorization_header(every: int, agent: Holder) -> None:
    form = {"grant_type": "client_credentials"}
    for number, text in enumerate(NAUGHTY[::every]):
        raw = text.encode("utf-8", "surrogatepass")
        pair = base64.b64encode(raw + b":" + raw).decode()
        known = base64.b64encode(agent.client_id.encode() + b":" + raw).decode()
        headers = (f"Basic {pair}", f"Basic {known}", raw.decode("latin-1"))
        answer = send("/oauth/token", form, headers={"Authorization": headers[number % 3]})
        assert answer.status_code == 401, text


@pytest.mark.parametrize("path", PATHS)
def test_every_byte_in_a_body(path: str, agent: Holder) -> None:
    for byte in range(256) if path == "/oauth/token" else range(0, 256, 5):
        body = b"grant_type=client_credentials&token=x&x=" + bytes([byte])
        answer = send(path, body, headers=agent.basic())
        assert answer.status_code in (200, 400), byte


@pytest.mark.parametrize("body", [b"\x00" * 100, b"&" * 10_000, b"=" * 10_000, b"%" * 9_999])
def test_bodies_of_noise(body: bytes, agent: Holder) -> None:
    for kind in (FORM, "\x00", "application/x-www-form-urlencoded\x00", "x" * 5000):
        answer = send("/oauth/token", body, headers=agent.basic(), content_type=kind)
        assert answer.status_code == 400


def test_no_secret_reaches_the_record(agent: Holder, mark: Any, records_after: Any) -> None:
    """A secret in every place where one could be sent by mistake."""
    marked = mark()
    secret = agent.secret
    right = {"grant_type": "client_credentials", "token": "x"}

    for path in PATHS:
        for name in PARAMETERS:
            send(path, right | {name: secret}, headers=agent.basic())
            send(path, right | {name: secret})
        send(path, right | {secret: secret}, headers=agent.basic())
        pair = base64.b64encode(f"{secret}:{secret}".encode()).decode()
        send(path, right, headers={"Authorization": f"Basic {pair}"}, source=secret)

    bodies = [bytes(record["body"]) for record in records_after(marked)]
    assert bodies
    assert not [body for body in bodies if secret.encode() in body]
    assert Record.objects.filter(actor=secret).count() == 0
