"""What a proxy is answered: `/ext-authz`, and everything that must not get in there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.db import connection
from django.test import Client as Browser

from authz.api import ext_authz
from authz.asks import Caller
from authz.models import Hold
from authz.services import holds
from registry.enums import AgentState
from registry.models import Agent, Client
from tests.authz.test_lean import ask as lean_ask
from tests.factories.authz import Desk, bearer, make_desk, make_person, make_policy

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/ext-authz"
SCHEMA = {
    "type": "object",
    "properties": {
        "method": {"enum": ["GET", "HEAD"]},
        "host": {"const": "orders.example"},
        "path": {"type": "string", "pattern": "^/v1/orders(/[0-9]+)?$"},
        "query": {
            "type": "object",
            "properties": {"limit": {"type": "string", "pattern": "^[0-9]{1,3}$"}},
            "additionalProperties": False,
        },
    },
    "required": ["method", "host", "path", "query"],
    "additionalProperties": False,
}
GATED = {"effect": "permission_grant", "gates": {"grants": True}}

Json = Any


def proxied(**fields: Any) -> Desk:
    """An agent that may read orders through a proxy."""
    tool = {"schema": SCHEMA, "amount_parameter": "", "resource_parameter": "", "effect": "read"}
    return make_desk(tool_fields=tool | fields)


@pytest.fixture
def desk() -> Desk:
    return proxied()


def said(desk: Desk, **changed: str | None) -> dict[str, str]:
    """The headers that a proxy sends; None leaves one out."""
    headers: dict[str, str | None] = {
        "Muster-Tool": desk.tool.name,
        "Muster-Method": "GET",
        "Muster-Uri": "/v1/orders/17?limit=10",
        "Muster-Host": "orders.example",
    }
    headers |= {f"Muster-{name.title()}": value for name, value in changed.items()}
    return {name: value for name, value in headers.items() if value is not None}


def ask(row: Client | None, headers: dict[str, str], method: str = "GET", path: str = PATH) -> Any:
    if row is not None:
        headers = {"authorization": bearer(row), **headers}
    return Browser().generic(method, path, headers=headers)


@pytest.fixture
def decided(mark: Any, records_after: Any) -> Callable[..., tuple[Any, Json]]:
    """`decided(...)` asks as `ask` does: the answer, and its one record."""

    def asked(*args: Any, **named: Any) -> tuple[Any, Json]:
        before = mark()
        answer = ask(*args, **named)
        (record,) = records_after(before, kind="decision")
        assert answer["Muster-Decision-Id"] == str(record["id"])
        return answer, record

    return asked


def test_allowed_to_an_agents_own_token(desk: Desk, decided: Any) -> None:
    answer, record = decided(desk.client, said(desk))

    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert answer["Muster-Classification"] == "internal"
    assert answer.json() == {"decision": True, "decision_id": answer["Muster-Decision-Id"]}
    assert not answer.has_header("Muster-Code")
    assert record["effect"] == "allow"
    assert record["tool"] == desk.tool.name


def test_allowed_to_a_gateway_for_the_agent_that_it_names(desk: Desk, decided: Any) -> None:
    answer, record = decided(desk.gateway_client, said(desk, agent=desk.agent.slug))

    assert (answer.status_code, record["effect"]) == (200, "allow")


def test_a_gateway_that_names_nobody_is_refused(desk: Desk, decided: Any) -> None:
    answer, _ = decided(desk.gateway_client, said(desk))

    assert (answer.status_code, answer["Muster-Code"]) == (403, "parameters.malformed")
    assert answer.json()["detail"] == "The header Muster-Agent is missing."


def test_an_agent_that_names_another_is_refused(desk: Desk, decided: Any) -> None:
    answer, _ = decided(desk.client, said(desk, agent=proxied().agent.slug))

    assert (answer.status_code, answer["Muster-Code"]) == (403, "identity.mismatch")


@pytest.mark.parametrize(
    "token", [None, "", "Bearer", "Bearer abc", "Basic YTpi", "Bearer a,Bearer b"]
)
def test_without_a_token_nothing_is_decided(
    desk: Desk, mark: Any, records_after: Any, token: str | None
) -> None:
    before = mark()

    answer = ask(None, said(desk) | ({} if token is None else {"Authorization": token}))

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert records_after(before, kind="decision") == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"tool": "orders.everything"}, "allowlist.not_listed"),
        ({"method": "POST"}, "parameters.schema"),
        ({"method": "DELETE"}, "parameters.schema"),
        ({"uri": "/v1/orders/17/refund"}, "parameters.schema"),
        ({"uri": "/v1/orders/17?limit=10000"}, "parameters.schema"),
        ({"uri": "/v1/orders/17?debug=1"}, "parameters.schema"),
        ({"host": "admin.example"}, "parameters.schema"),
    ],
)
def test_denied(desk: Desk, decided: Any, changed: dict[str, str], code: str) -> None:
    answer, record = decided(desk.client, said(desk, **changed))

    assert (answer.status_code, answer["Muster-Code"]) == (403, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.json()["decision"], answer.json()["code"]) == (False, code)
    assert record["effect"] == "deny"


@pytest.mark.parametrize("name", ["tool", "method", "uri", "host"])
@pytest.mark.parametrize("value", [None, "", "x" * 8001, "a b", "naïve", "a\tb", "a\nb", "a\x00b"])
def test_what_is_missing_or_unclear_is_a_recorded_denial(
    desk: Desk, decided: Any, name: str, value: str | None
) -> None:
    answer, record = decided(desk.client, said(desk, **{name: value}))

    assert (answer.status_code, answer["Muster-Code"]) == (403, "parameters.malformed")
    assert record["effect"] == "deny"


@pytest.mark.parametrize(
    "uri",
    [
        "http://orders.example/v1/orders/17",  # absolute
        "//evil.example/v1/orders",
        "*",
        "v1/orders",
        "/v1//orders",
        "/v1/orders%2F17",
        "/v1/orders%5c17",
        "/v1/orders\\17",
        "/v1/./orders",
        "/v1/x/../orders",
        "/v1/x/%2e%2E/orders",
        "/v1/x/..;/orders",
        "/v1/orders;admin=1",
        "/v1/orders%3Badmin",
        "/v1/orders/%252e%252e",
        "/v1/orders%3Flimit=1",
        "/v1/orders#x",
        "/v1/orders%23x",
        "/v1/orders/1%00",
        "/v1/orders/1%0d%0aMuster-Tool:x",
        "/v1/orders/%ff",
        "/v1/orders/%c0%ae",
        "/v1/orders/%zz",
        "/v1/orders/%",
        "/v1/orders?limit=1&limit=999",
        "/v1/orders?limit=1&lim%69t=999",
        "/v1/orders?limit=1;limit=999",
        "/v1/orders?limit=1#x",
        "/v1/orders?limit=%00",
        "/v1/orders?limit=1%0d%0a",
        "/v1/orders?limit=%",
        "/v1/orders?=1",
        "/v1/orders?limit=1&",
        "/v1/orders?__entity=1",
        "/v1/orders?" + "&".join(f"f{n}=1" for n in range(101)),
    ],
)
def test_an_address_that_two_servers_may_read_differently_is_refused(
    desk: Desk, decided: Any, uri: str
) -> None:
    answer, record = decided(desk.client, said(desk, uri=uri))

    assert (answer.status_code, answer["Muster-Code"]) == (403, "parameters.malformed")
    assert record["effect"] == "deny"


@pytest.mark.parametrize(
    ("uri", "path", "query"),
    [
        ("/", "/", {}),
        ("/v1/orders/", "/v1/orders/", {}),
        ("/v1/%6frders", "/v1/orders", {}),
        ("/caf%C3%A9/a%20b", "/café/a b", {}),
        ("/a,/b@c:1", "/a,/b@c:1", {}),
        ("/a?", "/a", {}),
        ("/a?b", "/a", {"b": ""}),
        ("/a?b=c=d&e=f+g%2Bh&i=%252F", "/a", {"b": "c=d", "e": "f g+h", "i": "%2F"}),
        ("/a?u=http://x/?y", "/a", {"u": "http://x/?y"}),
    ],
)
def test_parameters_are_what_the_server_reads(uri: str, path: str, query: dict[str, str]) -> None:
    headers = {
        "muster-tool": "orders.read",
        "muster-method": "GET",
        "muster-uri": uri,
        "muster-host": "Orders.Example:8443",
    }

    read = ext_authz.read(headers, b"", Caller("agent", "desk"))

    assert (read.agent, read.tool, read.resource_id) == ("desk", "orders.read", "")
    assert read.parameters == {
        "method": "GET",
        "host": "orders.example:8443",
        "path": path,
        "query": query,
    }


@pytest.mark.parametrize("host", ["a b", "a/b", "a@b", "a..b", "a:b", "a:1:2", ".a", "[::1", "a,b"])
def test_a_host_that_is_none_is_refused(desk: Desk, decided: Any, host: str) -> None:
    answer, _ = decided(desk.client, said(desk, host=host))

    assert (answer.status_code, answer["Muster-Code"]) == (403, "parameters.malformed")


@pytest.mark.parametrize("name", ["Cookie", "User-Agent", "Accept"])
def test_a_proxy_that_passes_on_its_clients_headers_is_refused(
    desk: Desk, decided: Any, name: str
) -> None:
    answer, _ = decided(desk.client, {**said(desk), name: "x"})

    assert (answer.status_code, answer["Muster-Code"]) == (403, "parameters.malformed")
    assert answer.json()["detail"].startswith("The proxy passes on its client's headers")


def test_a_body_is_refused_since_nobody_judges_it(desk: Desk) -> None:
    answer = Browser().post(
        PATH,
        b"{}",
        content_type="application/json",
        headers={"authorization": bearer(desk.client), **said(desk)},
    )

    assert (answer.status_code, answer["Muster-Code"]) == (403, "parameters.malformed")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("GET", f"{PATH}/"),
        ("GET", f"{PATH}//x"),
        *(
            (method, f"{PATH}/v1/orders/17?limit=10")
            for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
        ),
    ],
)
def test_it_is_asked_by_any_method_under_any_path(
    desk: Desk, decided: Any, method: str, path: str
) -> None:
    allowed, _ = decided(desk.client, said(desk), method=method, path=path)
    denied, _ = decided(desk.client, said(desk, host="other.example"), method=method, path=path)

    assert (allowed.status_code, denied.status_code) == (200, 403)


@pytest.mark.parametrize("path", ["/ext-authz*", "/ext-authzz", "/ext_authz"])
def test_an_address_that_only_looks_like_it_is_none(desk: Desk, path: str) -> None:
    assert ask(desk.client, said(desk), path=path).status_code == 404


def test_held_until_somebody_approves(decided: Any, settings: Any) -> None:
    settings.MUSTER_BASE_URL, settings.MUSTER_APPROVER_MFA = "https://muster.example", False
    approver, desk = make_person(groups=["security"]), proxied(**GATED)

    held, record = decided(desk.client, said(desk))
    assert (held.status_code, held["Muster-Code"]) == (403, "gate.grant")
    assert held["Muster-Access-Request"] == "https://muster.example/access/v1/requests"
    assert held["Muster-Hold"] == str(Hold.objects.get().pk)
    assert held.json()["access_request"]["hold"] == held["Muster-Hold"]
    assert not held.has_header("Muster-Approval")
    assert record["effect"] == "hold"

    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)
    told, _ = decided(desk.client, said(desk))
    assert (told.status_code, told["Muster-Hold"]) == (403, held["Muster-Hold"])

    approval = told["Muster-Approval"]
    other, _ = decided(desk.client, said(desk, uri="/v1/orders/18", approval=approval))
    forged, _ = decided(desk.client, said(desk, approval="x' OR 1=1"))
    allowed, _ = decided(desk.client, said(desk, approval=approval))
    again, _ = decided(desk.client, said(desk, approval=approval))
    assert [each.status_code for each in (other, forged, allowed, again)] == [403, 403, 200, 403]


def test_obligations_that_a_proxy_cannot_fulfil_let_nothing_through(
    desk: Desk, decided: Any
) -> None:
    make_policy('@redact("/iban") permit(principal, action, resource);', slug="orders")

    answer, _ = decided(desk.client, said(desk))

    assert (answer.status_code, answer["Muster-Code"]) == (403, "obligation_unfulfilled")


@pytest.mark.parametrize("state", [AgentState.SUSPENDED, AgentState.DECOMMISSIONED])
def test_an_agent_that_is_not_active_gets_nothing_through(
    desk: Desk, decided: Any, state: AgentState
) -> None:
    Agent.objects.filter(pk=desk.agent.pk).update(state=state)

    answer, _ = decided(desk.gateway_client, said(desk, agent=desk.agent.slug))

    assert (answer.status_code, answer["Muster-Code"]) == (403, "identity.not_active")


def test_an_agent_without_a_row_gets_nothing_through(desk: Desk, decided: Any) -> None:
    answer, _ = decided(desk.gateway_client, said(desk, agent="nobody-knows"))

    assert (answer.status_code, answer["Muster-Code"]) == (403, "identity.unknown_agent")


@pytest.mark.parametrize("changed", [{}, {"host": "admin.example"}, {"uri": "//x"}])
def test_what_cannot_be_recorded_is_no_answer(
    desk: Desk, login: Any, mark: Any, changed: dict[str, str]
) -> None:
    before, auditor = mark(), login("muster_migrator")
    auditor.execute("SET ROLE muster_audit")

    auditor.execute("REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_web")
    try:
        answer = ask(desk.client, said(desk, **changed))
    finally:
        auditor.execute("GRANT EXECUTE ON FUNCTION audit.append(jsonb) TO muster_web")

    assert (answer.status_code, answer.has_header("Muster-Decision-Id")) == (503, False)
    assert mark() == before


# As bytes, where a header can come twice


@pytest.fixture
def as_bytes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[bytes, bytes]]]:
    """`as_bytes(desk, ...)`: status and headers for those that a proxy sends, and more."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)

    def asked(desk: Desk, *more: tuple[bytes, bytes], **scope: Any) -> tuple[int, Any]:
        ours = [(name.lower().encode(), value.encode()) for name, value in said(desk).items()]
        token = (b"authorization", bearer(desk.client).encode())
        scope = {"method": "GET", **scope}
        path = scope.pop("path", PATH)
        told = lean_ask(ASGIHandler(), b"", [token, *ours, *more], path, **scope)
        return told.status, dict(told.headers)

    return asked


def test_headers_as_bytes_are_allowed(desk: Desk, as_bytes: Any) -> None:
    query = b"limit=10&x=%2F"
    status, headers = as_bytes(desk, (b"x-forwarded-for", b"10.0.0.1"), query_string=query)

    assert (status, headers[b"muster-classification"]) == (200, b"internal")


@pytest.mark.parametrize("name", ["tool", "method", "uri", "host"])
@pytest.mark.parametrize("spelled", ["muster-{}", "muster_{}", "MUSTER_{}"])
def test_what_is_said_twice_is_refused(desk: Desk, as_bytes: Any, name: str, spelled: str) -> None:
    value = said(desk)[f"Muster-{name.title()}"].encode()
    twice = (spelled.format(name).encode(), value)

    status, headers = as_bytes(desk, twice)

    assert (status, headers[b"muster-code"]) == (403, b"parameters.malformed")


def test_a_name_with_an_underscore_says_nothing_even_alone(desk: Desk) -> None:
    found = ext_authz.headers_of([(b"Muster_Tool", b"orders.read"), (b"x_y", b"1"), (b"X-Y", b"2")])

    assert found == {"muster-tool": "\n", "x-y": "2"}


def test_two_tokens_are_none(desk: Desk, as_bytes: Any) -> None:
    token = (b"authorization", bearer(proxied().client).encode())

    assert as_bytes(desk, token)[0] == 401


def test_an_address_with_a_line_feed_in_it_is_still_asked(desk: Desk, as_bytes: Any) -> None:
    told = as_bytes(desk, path=PATH + "/v1\n/x")

    assert told[0] == 200
