"""Access tokens: what verifies, and everything that must not."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from joserfc.jwk import OKPKey

from governance.kernel.errors import NotSignedIn
from registry.identity import keys, signatures, tokens
from registry.identity.tokens import VerifiedToken
from tests import public


@pytest.fixture(autouse=True)
def key_folder(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """A key folder of the test's own, with one signing key."""
    settings.MUSTER_KEYS = str(tmp_path)
    settings.MUSTER_BASE_URL = "https://muster.example"
    keys.ensure_signing_key(tmp_path)
    tokens.forget()
    yield tmp_path
    tokens.forget()


def issue(kind: str = tokens.AGENT, slug: str = "refund-desk") -> tokens.IssuedToken:
    return tokens.issue_token(
        client_id="refund-desk-3f9c2a1b", kind=kind, slug=slug, version=3, scope="decide"
    )


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    kept = {
        "iss": "https://muster.example",
        "aud": "https://muster.example/access",
        "sub": "refund-desk",
        "client_id": "refund-desk-3f9c2a1b",
        "iat": now,
        "exp": now + 600,
        "jti": "j",
        "scope": "decide",
        "ver": 3,
    } | changes
    return {name: value for name, value in kept.items() if value is not None}


def sign(body: Any, *, typ: str = "at+jwt", kid: str = "", key: OKPKey | None = None) -> str:
    ours = tokens.ring().signing_key()
    return signatures.sign(
        json.dumps(body).encode(), key=key or ours.key, kid=kid or ours.kid, typ=typ
    )


def code_of(raw: str) -> str:
    with pytest.raises(NotSignedIn) as refused:
        tokens.verify_token(raw)
    return refused.value.code


def parts(raw: str) -> list[dict[str, Any]]:
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in raw.split(".")[:2]]


def test_a_token_is_what_rfc_9068_asks_for() -> None:
    issued = issue()

    header, body = parts(issued.token)
    assert header == {"alg": "EdDSA", "typ": "at+jwt", "kid": tokens.ring().signing_key().kid}
    assert body == claims(iat=body["iat"], exp=body["iat"] + 600, jti=issued.jti)
    assert (issued.scope, issued.expires_in) == ("decide", 600)


@pytest.mark.parametrize("kind", [tokens.AGENT, tokens.GATEWAY])
def test_a_verified_token_says_who_it_was_issued_to(kind: str) -> None:
    issued = issue(kind, "crm")

    verified = tokens.verify_token(issued.token)

    assert verified == VerifiedToken(
        client_id="refund-desk-3f9c2a1b",
        kind=kind,
        slug="crm",
        version=3,
        jti=issued.jti,
        scope="decide",
        expires_at=verified.expires_at,
    )
    assert 598 <= verified.expires_at - time.time() <= 600


def test_every_token_has_an_id_of_its_own() -> None:
    assert len({issue().jti for _ in range(50)}) == 50


def test_a_token_of_ours_verifies() -> None:
    assert tokens.verify_token(sign(claims())).jti == "j"
    assert tokens.verify_token(sign(claims(), typ="application/at+jwt")).jti == "j"
    assert tokens.verify_token(sign(claims(nbf=int(time.time()) + 25))).jti == "j"


@pytest.mark.parametrize(
    "name", ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "ver"]
)
@pytest.mark.parametrize("value", [None, "", [], {}, True, 1.5, ["x"], "x", -1])
def test_every_claim_is_required_and_typed(name: str, value: Any) -> None:
    fine = (name in ("sub", "client_id", "jti", "scope") and value == "x") or (
        name == "ver" and value == -1
    )
    if fine or (name == "iat" and value == -1):
        assert tokens.verify_token(sign(claims(**{name: value})))
    else:
        wanted = "token_expired" if name == "exp" and value in (-1, 1.5) else "token_invalid"
        # True is a number to Python, but not to JSON.
        assert code_of(sign(claims(**{name: value}))) == wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": "https://muster.example/"},
        {"aud": "https://muster.example"},
        {"aud": ["https://muster.example/access", "https://other.example"]},
        {"nbf": time.time() + 3600},
        {"iat": 2**40},
    ],
)
def test_a_token_for_or_from_somewhere_else_is_refused(changes: dict[str, Any]) -> None:
    assert code_of(sign(claims(**changes))) == "token_invalid"


@pytest.mark.parametrize("typ", ["JWT", "", "at+JWT", "dpop+jwt"])
def test_only_access_tokens_are_access_tokens(typ: str) -> None:
    assert code_of(sign(claims(), typ=typ)) == "token_invalid"


def test_a_token_expires_with_half_a_minute_of_grace() -> None:
    raw = issue().token

    with time_machine.travel(time.time() + 625, tick=False):
        assert tokens.verify_token(raw).slug == "refund-desk"
    with time_machine.travel(time.time() + 631, tick=False):
        assert code_of(raw) == "token_expired"
    tokens.forget()
    with time_machine.travel(time.time() + 631, tick=False):
        assert code_of(raw) == "token_expired"


def test_a_key_that_is_not_ours_verifies_nothing() -> None:
    stranger = OKPKey.generate_key("Ed25519")

    assert code_of(sign(claims(), key=stranger)) == "token_invalid"
    assert code_of(sign(claims(), key=stranger, kid="unknown")) == "token_invalid"
    assert code_of(sign(claims(), kid="unknown")) == "token_invalid"


def test_tokens_outlive_a_rotation_by_a_day(key_folder: Path) -> None:
    raw = issue().token

    keys.make_signing_key(key_folder)

    assert tokens.verify_token(raw).slug == "refund-desk"
    assert parts(issue().token)[0]["kid"] != parts(raw)[0]["kid"]
    late = sign(claims(exp=int(time.time()) + 3 * 86400), kid=parts(raw)[0]["kid"])
    assert code_of(late) == "token_invalid"


def test_a_key_that_is_taken_away_ends_its_tokens_at_once(key_folder: Path) -> None:
    raw = issue().token
    assert tokens.verify_token(raw).slug == "refund-desk"
    keys.make_signing_key(key_folder)

    (key_folder / "tokens" / f"{parts(raw)[0]['kid']}.json").unlink()

    assert code_of(raw) == "token_invalid"


def test_without_any_key_nothing_is_issued_or_verified(key_folder: Path) -> None:
    raw = issue().token
    for path in (key_folder / "tokens").iterdir():
        path.unlink()

    with pytest.raises(keys.NoSigningKey):
        issue()
    assert code_of(raw) == "token_invalid"


def test_a_repeated_token_is_not_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = issue().token
    first = tokens.verify_token(raw)
    monkeypatch.setattr(signatures, "verify", lambda *_: pytest.fail("verified again"))

    assert tokens.verify_token(raw) == first


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MAX_REMEMBERED", 3)
    issued = [issue().token for _ in range(5)]

    for raw in issued:
        tokens.verify_token(raw)

    assert len(tokens._remembered._tokens) == 3


@pytest.mark.parametrize("raw", ["", "x", "ä.ö.ü", "a" * 5000, "a.b.c", "\x00", "\ud800"])
def test_noise_is_no_token(raw: str) -> None:
    assert code_of(raw) == "token_invalid"


def hs256(body: dict[str, Any], secret: bytes, kid: str) -> str:
    def segment(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    header = json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": kid}).encode()
    head = f"{segment(header)}.{segment(json.dumps(body).encode())}"
    return f"{head}.{segment(hmac.new(secret, head.encode(), hashlib.sha256).digest())}"


def test_no_well_known_secret_signs_a_token() -> None:
    """All 20,000 lines of the list of secrets that others were found to use."""
    body, kid = claims(), tokens.ring().signing_key().kid
    lines = public.path("corpora/jwt/jwt.secrets.list").read_bytes().split(b"\n")[:20_000]

    refused = sum(code_of(hs256(body, line, kid)) == "token_invalid" for line in lines)

    assert refused == 20_000


def test_no_token_without_a_signature() -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=").decode()

    assert code_of(f"{head}.{body}.") == "token_invalid"


def test_authenticate_reads_the_header() -> None:
    raw = issue().token

    assert tokens.authenticate(f"Bearer {raw}").slug == "refund-desk"
    assert tokens.authenticate(f"bearer  {raw} ").slug == "refund-desk"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "no_token"),
        ("Basic abc", "no_token"),
        ("Bearer", "token_invalid"),
        ("Bearer ", "token_invalid"),
        ("Bearer a b", "token_invalid"),
        ("Bearer \xff", "token_invalid"),
    ],
)
def test_authenticate_says_what_is_missing(header: str, code: str) -> None:
    with pytest.raises(NotSignedIn) as refused:
        tokens.authenticate(header)

    assert refused.value.code == code


def test_authenticate_wants_the_scope_to_decide() -> None:
    with pytest.raises(NotSignedIn) as refused:
        tokens.authenticate(f"Bearer {sign(claims(scope='other'))}")

    assert refused.value.code == "token_invalid"


def test_challenge_follows_rfc_6750() -> None:
    missing = NotSignedIn(code="no_token")
    expired = NotSignedIn("The token has expired. Get a new one.", code="token_expired")

    assert tokens.challenge(missing) == 'Bearer realm="muster"'
    assert tokens.challenge(expired) == (
        'Bearer realm="muster", error="invalid_token", '
        'error_description="The token has expired. Get a new one."'
    )
