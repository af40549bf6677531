"""The token endpoint: who gets a token, by which proof, and what everyone else is told."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client as Browser
from joserfc.jwk import OKPKey

from audit.models import Record
from audit.selectors import parse_body
from authz.oauth import failures, services
from governance.kernel import clock, recent
from registry.enums import AgentState, Employment
from registry.identity import clients, keys, tokens
from registry.models import Client, Gateway, UnregisteredCaller, UsedAssertion
from tests.factories import identity as make
from tests.factories import oauth
from tests.factories.oauth import Holder, ask_token, basic, holder_of, send

pytestmark = pytest.mark.django_db

METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, settings: Any) -> Iterator[Path]:
    settings.MUSTER_KEYS = str(tmp_path)
    for name in ("kek", "index_key"):
        (tmp_path / name).write_text(base64.urlsafe_b64encode(b"k" * 32).decode())
    keys.ensure_signing_key(tmp_path)
    tokens.forget()
    failures.forget()
    yield tmp_path
    tokens.forget()
    failures.forget()


@pytest.fixture
def agent() -> Holder:
    return holder_of(make.make_agent())


@pytest.fixture
def gateway() -> Holder:
    return holder_of(make.make_gateway())


def body(answer: HttpResponse) -> dict[str, Any]:
    return dict(json.loads(answer.content))


def refusal(answer: HttpResponse) -> tuple[int, str]:
    return answer.status_code, body(answer)["error"]


def asked(record: dict[str, Any]) -> dict[str, Any]:
    return dict(parse_body(Record.objects.get(id=record["id"]))["asked"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["agent", "gateway"])
def test_an_active_row_gets_a_token(kind: str, method: str, agent: Holder, gateway: Holder) -> None:
    holder = {"agent": agent, "gateway": gateway}[kind]

    answer = ask_token(holder, method)

    found = tokens.verify_token(body(answer)["access_token"])
    assert answer.status_code == 200
    assert body(answer) | {"access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "decide",
    }
    assert (answer["Cache-Control"], answer["Pragma"]) == ("no-store", "no-cache")
    assert (found.client_id, found.kind, found.slug) == (
        holder.client_id,
        kind,
        holder.row.slug,
    )
    assert found.version == Client.objects.get(client_id=holder.client_id).version
    assert clients.bearer_of(found).row == holder.row


@pytest.mark.parametrize("employment", list(Employment))
@pytest.mark.parametrize("state", list(AgentState))
@pytest.mark.parametrize("method", METHODS)
def test_no_row_no_token(
    method: str, state: AgentState, employment: Employment, agent: Holder
) -> None:
    """Each method, in every state of the row and of its owner."""
    make.move(agent.row, state)
    make.employ(agent.row.owner, employment)

    answer = ask_token(agent, method)

    if state == AgentState.ACTIVE and employment != Employment.LEFT:
        assert answer.status_code == 200
    else:
        assert refusal(answer) == (400, "unauthorized_client")
        assert body(answer)["error_description"] == clients.why_not_active(agent.row)


def test_a_gateway_that_is_switched_off_gets_no_token(gateway: Holder) -> None:
    Gateway.objects.update(is_active=False)

    answer = ask_token(gateway)

    assert refusal(answer) == (400, "unauthorized_client")
    assert body(answer)["error_description"] == f"The gateway {gateway.row.slug} is switched off."


def test_issuing_is_recorded(agent: Holder, mark: Any, records_after: Any) -> None:
    marked = mark()

    token = tokens.verify_token(body(ask_token(agent))["access_token"])

    (record,) = records_after(marked, kind="access")
    assert (record["agent"], record["actor"]) == (agent.row.slug, agent.row.slug)
    assert asked(record) == {"did": "token_issued", "client": agent.client_id, "jti": token.jti}


def test_refusing_a_suspended_agent_is_recorded_once_an_hour(
    agent: Holder, mark: Any, records_after: Any
) -> None:
    make.move(agent.row, AgentState.SUSPENDED)
    marked = mark()

    for _ in range(3):
        ask_token(agent)
    failures.forget()
    ask_token(agent)

    (record,) = records_after(marked, kind="access")
    assert (record["agent"], record["code"]) == (agent.row.slug, "client.not_active")


@pytest.mark.parametrize("secret", ["", "mst_wrong", "mst_" + "A" * 43, "ä", "x" * 5000])
def test_a_wrong_secret_is_refused(agent: Holder, secret: str) -> None:
    by_header = send(
        "/oauth/token", GRANT, headers={"Authorization": basic(agent.client_id, secret)}
    )
    by_form = send(
        "/oauth/token", GRANT | {"client_id": agent.client_id, "client_secret": secret or "-"}
    )

    for answer in (by_header, by_form):
        assert refusal(answer) == (401, "invalid_client")
        assert answer["WWW-Authenticate"] == 'Basic realm="muster"'
        assert body(answer)["error_description"] == (
            "The client is unknown or its secret is wrong."
        )


def test_an_unknown_client_is_told_the_same_and_noted(
    agent: Holder, mark: Any, records_after: Any
) -> None:
    marked = mark()

    wrong = ask_token(Holder(agent.row, agent.client_id, "mst_x", agent.key))
    unknown = ask_token(Holder(agent.row, "nobody-00000000", "mst_x", agent.key))

    assert wrong.content == unknown.content
    caller = UnregisteredCaller.objects.get(claimed="nobody-00000000")
    assert (caller.source, caller.count) == ("192.0.2.1", 1)
    codes = [record["code"] for record in records_after(marked, kind="access")]
    assert codes == ["client.authentication_failed", "client.unknown"]


def test_a_secret_in_the_place_of_the_name_is_not_kept(agent: Holder, mark: Any) -> None:
    answer = ask_token(Holder(agent.row, agent.secret, "x", agent.key))

    assert refusal(answer) == (401, "invalid_client")
    assert [caller.claimed for caller in UnregisteredCaller.objects.all()] == [""]


def test_failures_are_recorded_once_an_hour_and_client(
    agent: Holder, mark: Any, records_after: Any
) -> None:
    wrong = Holder(agent.row, agent.client_id, "mst_x", agent.key)
    marked = mark()

    for number in range(4):
        form = GRANT | wrong.post()
        assert send("/oauth/token", form, source=f"192.0.2.{number}").status_code == 401
    failures.forget()
    ask_token(wrong)

    (record,) = records_after(marked, kind="access")
    assert asked(record) == {
        "did": "token_refused",
        "client": agent.client_id,
        "source": "192.0.2.0",
    }


def test_too_many_failures_wait_but_the_real_client_does_not(agent: Holder) -> None:
    wrong = Holder(agent.row, agent.client_id, "mst_x", agent.key)
    nobody = Holder(agent.row, "nobody-00000000", "mst_x", agent.key)

    answers = [ask_token(wrong) for _ in range(failures.MAX_A_MINUTE + 1)]
    strangers = [ask_token(nobody) for _ in range(failures.MAX_A_MINUTE + 1)]

    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert [answer.status_code for answer in strangers] == [401] * 20 + [429]
    assert answers[-1]["Retry-After"] == "60"
    assert UnregisteredCaller.objects.get().count == 20
    assert ask_token(agent).status_code == 200
    assert send("/oauth/token", GRANT | wrong.post(), source="198.51.100.7").status_code == 401
    with time_machine.travel(clock.now() + timedelta(minutes=2)):
        assert ask_token(wrong).status_code == 401


def test_what_is_counted_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MAX_KEYS", 2)

    for number in range(5):
        failures._recent.count((str(number),), timedelta(minutes=1), clock.now())

    assert len(failures._recent._counts) == 2


# Assertions


def test_an_assertion_is_taken_once(agent: Holder) -> None:
    proof = GRANT | agent.assertion()

    first, second = send("/oauth/token", proof), send("/oauth/token", proof)

    assert first.status_code == 200
    assert refusal(second) == (401, "invalid_client")
    assert body(second)["error_description"] == (
        "The client assertion was used before. Make a new one for each call."
    )


def test_an_assertion_stays_used_when_the_row_was_refused(agent: Holder) -> None:
    proof = GRANT | agent.assertion()
    make.move(agent.row, AgentState.SUSPENDED)
    assert refusal(send("/oauth/token", proof)) == (400, "unauthorized_client")
    make.move(agent.row, AgentState.ACTIVE)

    assert refusal(send("/oauth/token", proof)) == (401, "invalid_client")
    assert UsedAssertion.objects.count() == 1


@pytest.mark.parametrize(
    "aud",
    [
        "http://127.0.0.1:8000",
        "http://127.0.0.1:8000/oauth/token",
        ["https://other.example", "http://127.0.0.1:8000"],
    ],
)
def test_an_assertion_is_for_the_issuer_or_the_endpoint(agent: Holder, aud: Any) -> None:
    assert send("/oauth/token", GRANT | agent.assertion(aud=aud)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example"},
        {"aud": None},
        {"aud": []},
        {"aud": 5},
        {"iss": "another"},
        {"iss": None},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"jti": "x" * 256},
        {"jti": "line\nbreak"},
        {"exp": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": 2**52},
        {"exp": int(clock.now().timestamp()) + 3600},
        {"nbf": int(clock.now().timestamp()) + 3600},
        {"iat": int(clock.now().timestamp()) + 3600},
        {"sub": None},
        {"sub": 5},
        {"sub": ""},
        {"sub": "nobody-00000000", "iss": "nobody-00000000"},
        {"sub": "x" * 100, "iss": "x" * 100},
    ],
)
def test_an_assertion_that_does_not_hold_is_refused(agent: Holder, changes: dict[str, Any]) -> None:
    answer = send("/oauth/token", GRANT | agent.assertion(**changes))

    assert refusal(answer) == (401, "invalid_client")
    assert UsedAssertion.objects.count() == 0


def test_an_assertion_by_another_key_is_refused(agent: Holder, gateway: Holder) -> None:
    stranger = OKPKey.generate_key("Ed25519", parameters={"kid": "k1"})
    forged = Holder(agent.row, agent.client_id, "", stranger)
    borrowed = Holder(agent.row, agent.client_id, "", gateway.key)

    for holder in (forged, borrowed):
        assert refusal(ask_token(holder, "private_key_jwt")) == (401, "invalid_client")


@pytest.mark.parametrize("raw", ["x", "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30.", "ä"])
def test_an_assertion_that_is_no_jwt_is_refused(raw: str) -> None:
    form = GRANT | {"client_assertion_type": oauth.ASSERTION_TYPE, "client_assertion": raw}

    assert refusal(send("/oauth/token", form)) == (401, "invalid_client")


def test_keys_that_the_client_lost_prove_nothing(agent: Holder) -> None:
    client = Client.objects.get(client_id=agent.client_id)
    clients.end_client(client=client, by=agent.row.owner)

    for method in METHODS:
        assert refusal(ask_token(agent, method)) == (401, "invalid_client")


# The request


def test_authenticating_in_two_ways_is_refused(agent: Holder) -> None:
    for form in (agent.post(), agent.assertion()):
        answer = send("/oauth/token", GRANT | form, headers=agent.basic())
        assert refusal(answer) == (400, "invalid_request")
    answer = send("/oauth/token", GRANT | agent.post() | agent.assertion())
    assert refusal(answer) == (400, "invalid_request")


def test_a_client_id_beside_the_proof_must_be_the_same(agent: Holder) -> None:
    same = send("/oauth/token", GRANT | {"client_id": agent.client_id}, headers=agent.basic())
    other = send("/oauth/token", GRANT | {"client_id": "other"}, headers=agent.basic())
    beside = send("/oauth/token", GRANT | agent.assertion() | {"client_id": "other"})

    assert same.status_code == 200
    assert refusal(other) == (400, "invalid_request")
    assert refusal(beside) == (400, "invalid_request")


def test_no_proof_at_all(agent: Holder) -> None:
    assert refusal(send("/oauth/token", GRANT)) == (401, "invalid_client")
    answer = send("/oauth/token", GRANT | {"client_id": agent.client_id})
    assert refusal(answer) == (401, "invalid_client")
    answer = send("/oauth/token", GRANT | {"client_assertion": "x.y.z"})
    assert refusal(answer) == (400, "invalid_request")
    answer = send("/oauth/token", GRANT | {"client_secret": agent.secret})
    assert refusal(answer) == (401, "invalid_client")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer abc",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YWJj",
        "Basic OnNlY3JldA==",
        "Basic //8=",
        "Basic " + base64.b64encode(b"%ff:%ff").decode(),
        "Basic " + base64.b64encode(b"a%0a:b").decode(),
        "Basic YWJjOmRl=Zg",
        "Basic \xe4",
        "Digest x",
        "\x00",
        "Basic " + "A" * 20_000,
    ],
)
def test_a_malformed_header_is_refused(header: str) -> None:
    answer = send("/oauth/token", GRANT, headers={"Authorization": header})

    assert refusal(answer) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "CLIENT_CREDENTIALS"}, "unsupported_grant_type"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"scope": "decide admin"}, "invalid_scope"),
        ({"scope": " "}, "invalid_scope"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"resource": "http://127.0.0.1:8000"}, "invalid_target"),
    ],
)
def test_a_parameter_that_asks_for_something_else(
    agent: Holder, more: dict[str, str], error: str
) -> None:
    assert refusal(ask_token(agent, **more)) == (400, error)


@pytest.mark.parametrize(
    "more",
    [
        {"scope": "decide"},
        {"scope": ""},
        {"resource": "http://127.0.0.1:8000/access"},
        {"unknown": "ignored"},
    ],
)
def test_a_parameter_that_says_what_holds_anyway(agent: Holder, more: dict[str, str]) -> None:
    assert body(ask_token(agent, **more))["scope"] == "decide"


@pytest.mark.parametrize(
    "raw",
    [
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"grant_type=client_credentials&scope=&scope=decide",
        b"grant_type=client_credentials&x=%zz",
        b"grant_type=client_credentials&x=%",
        b"grant_type=client_credentials&x=%ff",
        b"grant_type=client_credentials&x=\xff",
        b"grant_type=client_credentials&x=%00",
        b"grant_type=client_credentials&x=%0a",
        b"grant_type=client_credentials&x=%7f",
        b"grant_type=client_credentials&&",
        b"grant_type",
        b"&".join(b"p%d=1" % number for number in range(30)),
        b"x=" + b"a" * 17_000,
        b"",
        b"{}",
    ],
)
def test_a_body_that_is_no_clean_form_is_refused(agent: Holder, raw: bytes) -> None:
    answer = send("/oauth/token", raw, headers=agent.basic())

    assert refusal(answer) == (400, "invalid_request")


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""]
)
def test_only_forms_are_read(agent: Holder, content_type: str) -> None:
    answer = send("/oauth/token", GRANT, headers=agent.basic(), content_type=content_type)

    assert refusal(answer) == (400, "invalid_request")


def test_a_charset_beside_the_type_is_fine(agent: Holder) -> None:
    kind = "Application/X-WWW-Form-URLEncoded; charset=utf-8"

    answer = send("/oauth/token", GRANT, headers=agent.basic(), content_type=kind)

    assert answer.status_code == 200


def test_parameters_in_the_address_are_refused(agent: Holder) -> None:
    answer = send("/oauth/token?scope=decide", GRANT, headers=agent.basic())

    assert refusal(answer) == (400, "invalid_request")


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
@pytest.mark.parametrize("method", ["get", "put", "delete", "head"])
def test_only_post(path: str, method: str) -> None:
    answer = getattr(Browser(), method)(path)

    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_descriptions_hold_only_what_rfc_6749_allows(agent: Holder) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "EdDSA", '"\\ä': 1}).encode())
    raw = f"{header.rstrip(b'=').decode()}.e30.AA"
    form = GRANT | {"client_assertion_type": oauth.ASSERTION_TYPE, "client_assertion": raw}

    description = body(send("/oauth/token", form))["error_description"]

    assert description.isascii()
    assert not set('"\\') & set(description)


# What the server lacks


def test_without_a_signing_key_nothing_is_issued(agent: Holder, fresh: Path) -> None:
    for path in (fresh / "tokens").iterdir():
        path.unlink()

    answer = ask_token(agent)

    assert refusal(answer) == (503, "temporarily_unavailable")
    assert Browser().get("/.well-known/jwks.json").json() == {"keys": []}


def test_a_broken_key_file_is_the_server_s_fault(agent: Holder, fresh: Path) -> None:
    (fresh / "tokens" / "broken.json").write_text("{")

    assert refusal(ask_token(agent)) == (503, "temporarily_unavailable")
    answer = Browser().get("/.well-known/jwks.json")
    assert refusal(answer) == (503, "temporarily_unavailable")
    assert str(fresh) not in answer.content.decode()


def test_a_database_that_is_not_there_is_503(
    agent: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(services.clients, "find_bearer_for_issuing", fail)

    assert refusal(ask_token(agent)) == (503, "temporarily_unavailable")


def test_nothing_is_issued_that_cannot_be_recorded(
    agent: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audit import services as audit_services
    from audit.errors import AuditUnavailable

    def fail(_: object) -> None:
        raise AuditUnavailable()

    monkeypatch.setattr(audit_services, "append_rows", fail)

    answer = ask_token(agent)

    assert refusal(answer) == (503, "temporarily_unavailable")
    assert "access_token" not in body(answer)


# Metadata


def test_metadata_is_rfc_8414() -> None:
    answer = Browser().get("/.well-known/oauth-authorization-server")

    base = "http://127.0.0.1:8000"
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    algorithms = ["EdDSA", "Ed25519", "ES256", "RS256", "PS256"]
    assert answer.json() == {
        "issuer": base,
        "authorization_endpoint": f"{base}/oauth/authorize",
        "device_authorization_endpoint": f"{base}/oauth/device_authorization",
        "token_endpoint": f"{base}/oauth/token",
        "introspection_endpoint": f"{base}/oauth/introspect",
        "revocation_endpoint": f"{base}/oauth/revoke",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "scopes_supported": ["decide"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            "client_credentials",
            "authorization_code",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "authorization_details_types_supported": ["muster_tool"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    }
    assert answer["Cache-Control"] == "public, max-age=60"
    assert Browser().post("/.well-known/oauth-authorization-server").status_code == 405


def test_jwks_lists_every_key_that_verifies(fresh: Path) -> None:
    keys.make_signing_key(fresh)

    shown = Browser().get("/.well-known/jwks.json").json()["keys"]

    assert [key["kid"] for key in shown] == [
        key.kid for key in reversed(tokens.ring().current()[1])
    ]
    assert all(set(key) == {"kty", "crv", "x", "kid", "use", "alg"} for key in shown)
