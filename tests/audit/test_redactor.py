"""Which texts count as credentials, in which places, and which do not."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit import redactor
from tests import public

# Made up, and joined here, so that no scanner of repositories takes them for lost ones.
LETTERS = "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA3cD6eF9hJ2kL5nP8qR1sT4uV7wX0yZ3bC6"
HEX = "0123456789abcdef" * 4
SECRETS = {
    "muster": "mst_" + LETTERS[:32],
    "muster_command_line": "mcl_" + LETTERS[:43],
    "muster_log": "muster_log_" + LETTERS[:43],
    "muster_directory": "muster_scim_" + LETTERS[:43],
    "jwt": "ey" + "JhbGciOiJFZERTQSJ9.ey" + "JzdWIiOiJhIn0." + LETTERS[:40],
    "bearer": "Bearer " + LETTERS[:24],
    "basic": "Basic " + base64.b64encode(b"admin:hunter2hunter2").decode(),
    "pem": "-----BEGIN EC " + "PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----",
    "openssh": "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_session": "ASIA" + "Y34FZKBOKMUTVV7A",
    "aws_secret": "aws_secret_access_key = " + LETTERS[:40],
    "google": "AIza" + LETTERS[:35],
    "google_oauth": "ya29." + LETTERS[:30],
    "azure": "AccountKey=" + LETTERS[:60],
    "azure_secret": "abc8Q~" + LETTERS[:34],
    "azure_sas": "https://x.blob.example/c?sv=1&sig=" + LETTERS[:44],
    "github": "ghp_" + LETTERS[:36],
    "github_fine": "github_pat_" + LETTERS[:30],
    "gitlab": "glpat-" + LETTERS[:20],
    "slack": "xoxb-" + "123456789012-" + LETTERS[:24],
    "slack_hook": "https://hooks.slack.com/services/T0123ABCD/B0123ABCD/" + LETTERS[:24],
    "stripe": "sk_live_" + LETTERS[:24],
    "stripe_hook": "whsec_" + LETTERS[:32],
    "openai": "sk-proj-" + LETTERS[:40],
    "openai_old": "sk-" + LETTERS[:48],
    "anthropic": "sk-ant-api03-" + LETTERS[:40],
    "npm": "npm_" + LETTERS[:36],
    "pypi": "pypi-AgE" + LETTERS[:40],
    "sendgrid": "SG." + LETTERS[:22] + "." + LETTERS[:43],
    "hugging_face": "hf_" + LETTERS[:34],
    "vault": "hvs." + LETTERS[:24],
    "digitalocean": "dop_v1_" + HEX,
    "shopify": "shpat_" + HEX[:32],
    "docker": "dckr_pat_" + LETTERS[:27],
    "atlassian": "ATATT3" + LETTERS[:40],
    "telegram": "123456789:AA" + LETTERS[:33],
    "twilio": "SK" + HEX[:32],
    "age": "AGE-SECRET-KEY-1" + LETTERS.upper()[:58],
    "url": "postgres://app:s3cr3tpw@db.internal/app",
    "password": "password=hunter2!",
    "token": 'token: "' + LETTERS[:20] + '"',
    "api_key": "X-Api-Key: " + LETTERS[:20],
}
CLEAN = [
    "",
    "passed",
    "The password is required.",
    "password: required",
    "Please reset your password: the old one has expired.",
    "token: expired",
    "token=<your token>",
    "password=${DB_PASSWORD}",
    "api_key: {{ vault.key }}",
    "Bearer certificates were discussed.",
    "basic internationalization",
    "task-force-of-the-ministry-of-agriculture",
    "https://example.com/a?b=c&d=e",
    "mailto:jane@example.com",
    "git@github.com:acme/tools.git",
    "https://example.com:8443/@jane",
    "0190c2f5-7e3a-7cc2-9d55-0a6a3f1d2b3c",
    HEX,
    "DE89370400440532013000",
    "crm.update_status",
    "muster_log_checkpoint_seconds",
    "s1: 14:32, s2: 15:01",
    redactor.SEALED + HEX,
]


@pytest.mark.parametrize("name", SECRETS)
def test_find_secret_knows_the_form(name: str) -> None:
    secret = SECRETS[name]

    found = [
        redactor.find_secret(value)
        for value in (
            secret,
            f"It is {secret} as agreed",
            f"line one\n{secret}\nline three",
            {"a": [0, {"b": secret}]},
            {secret: "value"},
            secret.encode(),
            quote(secret, safe=""),
        )
    ]

    assert found == ["$", "$", "$", "$.a[1].b", "$.*", "$", "$"]


@pytest.mark.parametrize("text", CLEAN)
def test_find_secret_leaves_the_rest(text: str) -> None:
    assert [redactor.find_secret(text), redactor.find_secret({text: [text]})] == [None, None]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"password": "letmein"}, "$.password"),
        ({"db": {"Password2": "letmein"}}, "$.db.Password2"),
        ({"dbPassword": "letmein"}, "$.dbPassword"),
        ({"note": "DB_PASSWORD=letmein"}, "$.note"),
        ({"password": 84123456}, "$.password"),
        ({"passwd": b"letmein"}, "$.passwd"),
        ({"password": ["one", "letmein"]}, "$.password[1]"),
        ({"client_secret": "letmein"}, "$.client_secret"),
        ({"x-api-key": "letmein"}, "$.x-api-key"),
        ({"Authorization": "letmein"}, "$.Authorization"),
        ({"token": LETTERS[:20]}, "$.token"),
        ({"session_cookie": LETTERS[:20]}, "$.session_cookie"),
        ({"credential": "0190c2f5-7e3a-7cc2-9d55-0a6a3f1d2b3c"}, "$.credential"),
        ({"password": True}, None),
        ({"password": None}, None),
        ({"password": ""}, None),
        ({"password": {"type": "string"}}, None),
        ({"password": "***"}, None),
        ({"password": "••••••"}, None),
        ({"password": redactor.SEALED + HEX}, None),
        ({"token": "expired"}, None),
        ({"token_id": LETTERS[:20]}, None),
        ({"secret_version": 3}, None),
        ({"next_key": "customer"}, None),
        ({"monkey": LETTERS[:20]}, None),
        ({"note": LETTERS[:20]}, None),
    ],
)
def test_find_secret_reads_names(value: Any, place: str | None) -> None:
    assert redactor.find_secret(value) == place


def test_redact_removes_what_find_secret_finds() -> None:
    value = {
        "keep": ["crm", 3, None, True],
        "note": SECRETS["github"],
        SECRETS["aws"]: 1,
        "login": {"password": "letmein", "name": "jane"},
    }

    redacted = redactor.redact(value)

    assert redacted == {
        "keep": ["crm", 3, None, True],
        "note": redactor.REMOVED,
        redactor.REMOVED: 1,
        "login": {"password": redactor.REMOVED, "name": "jane"},
    }
    assert redactor.find_secret(redacted) is None


def test_seal_secret_field_is_a_keyed_hash_of_the_canonical_value() -> None:
    salt = bytes(range(32))

    sealed = redactor.seal_secret_field({"b": 1, "a": "ü"}, salt)

    wanted = hmac.new(salt, '{"a":"ü","b":1}'.encode(), hashlib.sha256).hexdigest()
    assert sealed == "hmac-sha256:" + wanted
    assert redactor.seal_secret_field({"b": 1, "a": "ü"}, bytes(32)) != sealed


@given(
    secret=st.sampled_from(sorted(SECRETS.values())),
    before=st.text(max_size=8),
    after=st.text(max_size=8),
    name=st.sampled_from(["note", "password", "x.token", "auth", "Key"]),
)
def test_the_quick_look_misses_nothing_that_the_long_one_finds(
    secret: str, before: str, after: str, name: str
) -> None:
    for value in ({name: before + secret + after}, {before + secret + after: 1}, {name: before}):
        try:
            raw = rfc8785.dumps(value)
        except UnicodeEncodeError:
            continue
        if next(redactor._places(value, "$", b""), None) is not None:
            assert redactor.is_suspect(raw)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 262_144,
        "password=" * 29_000,
        "password = " * 23_000,
        "bearer " * 37_000,
        "://" * 87_000,
        "a://b:" * 43_000,
        "eyJ" * 87_000,
        "eyJaaaaaaaaaa." * 18_000,
        "-----BEGIN " * 23_000,
        "%25" * 87_000,
        "token:'x" * 32_000,
        "key" * 87_000,
    ],
)
def test_find_secret_is_quick_on_256_kib_of_anything(text: str) -> None:
    begun = time.process_time()

    redactor.find_secret({"a": text})

    # Linear time is tens of milliseconds; what backtracks or goes over it again takes minutes.
    assert time.process_time() - begun < 3


def test_naughty_strings_are_not_taken_for_credentials() -> None:
    strings = public.naughty_strings()

    taken = [text for text in strings if redactor.find_secret({"value": text})]

    assert len(strings) == 515
    assert taken == []


def test_of_agentdojos_calls_only_the_new_password_is_a_credential() -> None:
    folder = public.path("agentdojo")
    if not folder.exists():
        pytest.skip(f"{folder} is not here: its calls were not tried.")
    suites = [
        json.loads(Path(folder / name).read_text()) for name in ("banking.json", "slack.json")
    ]

    found = {
        (call["function"], place)
        for suite in suites
        for call in _calls(suite)
        if (place := redactor.find_secret(call["args"]))
    }

    assert found == {("update_password", "$.password")}


def _calls(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        if "function" in value and "args" in value:
            return [value]
        return [call for member in value.values() for call in _calls(member)]
    if isinstance(value, list):
        return [call for member in value for call in _calls(member)]
    return []
