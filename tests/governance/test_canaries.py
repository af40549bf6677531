"""Promise 7, whole: credentials through every address that there is, and none found anywhere.

The addresses are walked from the URL conf, and the bodies built from the OpenAPI description and
from the forms on the pages themselves, so that what is added later is tried without anybody
thinking of it.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from itertools import cycle
from typing import Any
from urllib.parse import quote

import pytest
import re2
from django.conf import settings
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from drf_spectacular.generators import SchemaGenerator
from kombu.transport.memory import Channel

from governance.logs import Redacting
from governance.middleware import NoNul
from registry import reserved
from registry.models import Agent, CredentialReference
from tests.audit.test_canaries import forms as written_forms
from tests.audit.test_redactor import SECRETS
from tests.factories.authz import bearer, make_desk, make_person, make_policy
from tests.registry.vault.conftest import vault_key  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)

GROUPS = ("security", "platform_admin", "source_owner", "dpo")
CONVERTED = re.compile(r"<(?:(?P<kind>[a-z_]+):)?(?P<name>\w+)>|\(\?P<(?P<group>\w+)>[^)]*\)")
# Signing out would end the walk; signing keys and schemas take no input.
LEFT_ALONE = ("accounts/logout", "static/", "admin/logout", "admin/jsi18n")
LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"
METHODS = ("post", "put", "patch", "delete")
SECRET_VALUES = list(SECRETS.values())
WORDS = ("rotate", "revoke")
UUID = "0199f0a0-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Address:
    """One pattern of the URL conf, `route` as it is written there."""

    route: str

    @property
    def described(self) -> str:
        """As the OpenAPI description names it."""
        return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", self.route)

    def url(self, values: dict[str, str]) -> str:
        """The address with its parts filled in, each by its name or its kind."""

        def part(found: re.Match[str]) -> str:
            name = found["name"] or found["group"] or ""
            if name in values:
                return quote(values[name], safe="")
            by_kind = {"int": "1", "uuid": UUID, "session": "s-" + "0" * 32}
            return by_kind.get(found["kind"] or "", values["*"])

        plain = CONVERTED.sub(part, self.route)
        return "/" + re.sub(r"[\^$\\]|\(\?:|\)\?", "", plain)


def addresses() -> list[Address]:
    """Every address, of the site, the admin and the API."""
    found = set(_routes(get_resolver().url_patterns, ""))
    return [Address(each) for each in sorted(found) if not each.startswith(LEFT_ALONE)]


def _routes(patterns: list[Any], before: str) -> Iterator[str]:
    for each in patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from _routes(each.url_patterns, route)
        elif isinstance(each, URLPattern):
            yield route


class _Fields(HTMLParser):
    """The forms of a page: where each goes, and its fields as a browser would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((given.get("action", ""), {}))
        elif self.forms and tag in ("input", "textarea", "select") and given.get("name"):
            self._field(tag, given)
        elif self.forms and tag == "option" and self._select and given.get("value"):
            self.forms[-1][1].setdefault(self._select, given["value"])
        if tag == "select":
            self._select = given.get("name", "")

    def _field(self, tag: str, given: dict[str, str]) -> None:
        fields, kind = self.forms[-1][1], given.get("type", "text")
        if tag == "textarea" or kind in ("text", "search", "password", "url", "email"):
            fields[given["name"]] = ""
        elif kind not in ("submit", "file") and tag != "select":
            fields[given["name"]] = given.get("value", "on")


class Planter:
    """Sends credentials in every shape, in turn, and keeps what came back as an error."""

    def __init__(self, client: Client, token: str, values: dict[str, str]) -> None:
        self.client, self.token, self.values = client, token, values
        self.secrets = cycle(SECRET_VALUES)
        self.errors: list[tuple[str, bytes]] = []
        self.messages: list[str] = []
        self.sent: set[str] = set()
        self.tried = 0
        schema = SchemaGenerator().get_schema(request=None, public=True)
        self.parts = schema["components"]["schemas"]
        self.bodies = {path.strip("/"): methods for path, methods in schema["paths"].items()}

    def secret(self) -> str:
        chosen = next(self.secrets)
        self.sent.add(chosen)
        return chosen

    def in_a_line(self) -> str:
        """One for a header, which has no second line."""
        return self.secret().replace("\n", " ")

    def plant(self, address: Address) -> None:
        url = address.url(self.values)
        self._send("get", f"{url}?q={quote(self.secret())}&next={quote(self.secret())}")
        self._plant_forms(url)
        self._send("post", url, {"name": self.secret(), "file": self._file()})
        for method in self._methods(address):
            body = self._described(address, method)
            self._send(method, url, body, content_type="application/json")
            self._send(method, url, body, content_type="application/json", token=self.token)
        self._send("post", url, self._shapes(), content_type="application/json", stolen=True)
        hidden = {**self.values, **dict.fromkeys(("slug", "tool", "key", "pk", "reference"), "")}
        hidden = {name: value or self.secret() for name, value in hidden.items()}
        self._send("get", address.url(hidden))
        self._send("post", address.url(hidden), {"reason": self.secret()})

    def _methods(self, address: Address) -> list[str]:
        described = self.bodies.get(address.described, {})
        return [each for each in METHODS if each in described] or ["post"]

    def _send(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        token: str = "",
        stolen: bool = False,
        **more: Any,
    ) -> None:
        headers = {
            "x-request-id": self.in_a_line().encode("ascii", "ignore").decode(),
            "idempotency-key": self.in_a_line(),
            "user-agent": self.in_a_line(),
            "referer": f"http://testserver/?{quote(self.in_a_line())}",
            "x-anything": self.in_a_line(),
            "cookie-like": self.in_a_line(),
        }
        if token:
            headers["authorization"] = token
        if stolen:
            # Never one that holds: as somebody would who sends the wrong one.
            headers["authorization"] = f"Bearer {self.in_a_line()}"
        given = {} if body is None else {"data": body}
        answer = getattr(self.client, method)(url, **given, headers=headers, **more)
        self.tried += 1
        self._take_messages(answer.wsgi_request)
        if answer.status_code >= 400:
            content = b"" if answer.streaming else answer.content
            self.errors.append((f"{answer.status_code} {method} {url[:80]}", content))

    def _take_messages(self, request: Any) -> None:
        """What waits to be shown; it is sent along with all that is asked until it is."""
        self.messages += [str(each) for each in get_messages(request)]
        self.client.cookies.pop("messages", None)

    def _plant_forms(self, url: str) -> None:
        answer = self.client.get(url)
        kind = answer.headers.get("Content-Type", "")
        if answer.status_code != 200 or not kind.startswith("text/html"):
            return
        page = _Fields()
        page.feed(answer.content.decode())
        for action, fields in page.forms:
            if any(action.lstrip("/").startswith(each) for each in LEFT_ALONE):
                continue
            place = action.partition("?")[0] or url
            self._send("post", place, {n: value or self.secret() for n, value in fields.items()})

    def _file(self) -> SimpleUploadedFile:
        return SimpleUploadedFile("upload.txt", self.secret().encode(), "text/plain")

    def _shapes(self) -> dict[str, Any]:
        """One credential each: text, number beside its name, nested list, name of a key."""
        return {
            "note": self.secret(),
            "password": 8412345678,
            "nested": [[1, [self.secret()]]],
            self.secret(): {"value": base64.b64encode(self.secret().encode()).decode()},
            "error": f"ValueError('cannot use {self.secret()}') at line 3",
        }

    def _described(self, address: Address, method: str) -> dict[str, Any]:
        """A body as the description wants it, with a credential in every free text."""
        operation = self.bodies.get(address.described, {}).get(method, {})
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        made = self._made(schema, 0) if schema else self._shapes()
        return made if isinstance(made, dict) else {"items": made}

    def _made(self, schema: dict[str, Any], depth: int) -> Any:
        if "$ref" in schema:
            return self._made(self.parts[schema["$ref"].rpartition("/")[2]], depth)
        for word in ("oneOf", "anyOf", "allOf"):
            if schema.get(word):
                return self._made(schema[word][0], depth)
        if schema.get("enum"):
            return schema["enum"][0]
        return self._of_kind(schema, depth + 1) if depth < 6 else None

    def _of_kind(self, schema: dict[str, Any], depth: int) -> Any:
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            known = schema.get("properties") or {}
            made = {name: self._made(each, depth) for name, each in known.items()}
            return made or {self.secret(): self.secret()}
        if kind == "array":
            return [self._made(schema.get("items", {}), depth)]
        if kind in ("integer", "number", "boolean"):
            return True if kind == "boolean" else 8412
        return self.secret() if schema.get("format") is None else "2026-11-27"


class Heard(logging.Handler):
    """What log files would hold at the most talkative level.

    Django writes addresses down as they were asked for, and the log's own formatter is what
    takes credentials out of them. What our code and its libraries say is looked at as it is said.
    """

    def __init__(self, formatter: logging.Formatter | None = None) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(formatter or logging.Formatter(LINE))
        self._written = Redacting(LINE)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        by_django = record.name == "django.request"
        self.lines.append(self._written.format(record) if by_django else self.format(record))

    @property
    def text(self) -> bytes:
        return "\n".join(self.lines).encode()


@contextmanager
def listening(handler: Heard) -> Iterator[Heard]:
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


@pytest.fixture
def heard() -> Iterator[Heard]:
    with listening(Heard()) as handler:
        yield handler


def database() -> bytes:
    """Every value of every table of every schema of ours, as a dump would have it."""
    parts: list[bytes] = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            " AND has_table_privilege(quote_ident(schemaname) || '.' || quote_ident(tablename),"
            " 'SELECT') ORDER BY 1"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT * FROM {table}")
            parts += [table.encode(), *(_raw(each) for row in cursor.fetchall() for each in row)]
    return b"\n".join(parts)


def _raw(value: object) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    return str(value).encode(errors="surrogatepass")


def queued() -> bytes:
    """What waits in the broker."""
    return repr([list(each.queue) for each in Channel.queues.values()]).encode()


def found_in(haystack: bytes, secrets: list[str]) -> list[str]:
    """Which of them stand there, in clear or in any way of writing them, in any case."""
    lower = haystack.lower()
    if _any_of(tuple(secrets)).search(lower) is None:
        return []
    return [each for each in sorted(secrets) if _any_of((each,)).search(lower)]


@cache
def _any_of(secrets: tuple[str, ...]) -> Any:
    """All their forms as one pattern, so that a text is gone through once and not 400 times."""
    forms = {form.lower() for secret in secrets for form in written_forms(secret)}
    options = re2.Options()
    options.encoding, options.max_mem = re2.Options.Encoding.LATIN1, 1 << 28
    return re2.compile(b"|".join(sorted(map(re2.escape, forms))), options)


@pytest.fixture
def planter(vault_key, client: Client) -> Planter:  # noqa: F811
    desk = make_desk()
    person = make_person(groups=GROUPS, is_staff=True, chat_handle="@security")
    policy = make_policy("forbid (principal, action, resource) when { false };")
    client.force_login(person)
    client.raise_request_exception = False
    values = {
        "*": desk.agent.slug,
        "slug": desk.agent.slug,
        "tool": desk.tool.name,
        "pid": person.pid,
        "number": "1",
        "policy": policy.slug,
        "agent": desk.agent.slug,
        "owner": person.pid,
        "reference": "vault://care/refund-desk/helpdesk",
    }
    return Planter(client, bearer(desk.client), values)


def test_every_address_of_the_url_conf_is_walked() -> None:
    routes = {each.route for each in addresses()}

    assert len(routes) > 150
    assert "api/v1/credentials/<path:reference>/lease" in routes
    assert "agents/<str:slug>/credentials/store/" in routes
    assert "access/v1/evaluation" in routes
    assert any(each.startswith("admin/registry/agent/") for each in routes)


def test_no_credential_sent_to_any_address_is_found_anywhere(
    planter: Planter, heard: Heard
) -> None:
    for address in addresses():
        planter.plant(address)

    assert planter.tried > 1000
    assert len(planter.sent) == len(SECRET_VALUES) == 43
    assert found_in(database(), SECRET_VALUES) == []
    assert found_in(heard.text, SECRET_VALUES) == []
    assert found_in(queued(), SECRET_VALUES) == []
    assert planter.messages != []
    assert found_in("\n".join(planter.messages).encode(), SECRET_VALUES) == []
    told = {where: found_in(content, SECRET_VALUES) for where, content in planter.errors}
    assert {where: found for where, found in told.items() if found} == {}


ONE = Address("api/v1/systems")


def test_the_walk_would_find_a_header_that_is_logged_once(
    planter: Planter, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant."""
    call = NoNul.__call__

    def talkative(self: NoNul, request: Any) -> Any:
        if not heard.lines or "asked by" not in heard.lines[-1]:
            logging.getLogger("muster").info("asked by %s", request.headers["user-agent"])
        return call(self, request)

    monkeypatch.setattr(NoNul, "__call__", talkative)

    planter.plant(ONE)

    assert found_in(heard.text, SECRET_VALUES) != []


def test_the_walk_would_find_a_row_that_is_written(planter: Planter) -> None:
    """The mutant: a column that nobody looked through."""
    secret = planter.secret()
    Agent.objects.filter(slug=planter.values["slug"]).update(purpose=f"Uses {secret} for now")

    assert found_in(database(), SECRET_VALUES) == [secret]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=list(SECRETS))
def test_what_an_exception_says_is_written_without_the_credential(
    client: Client, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """A bug that puts what was sent into its error: neither the log nor the page repeats it."""

    def broken(self: NoNul, request: Any) -> Any:
        raise ValueError(f"cannot use {secret} here")

    monkeypatch.setattr(NoNul, "__call__", broken)
    client.raise_request_exception = False
    written = settings.LOGGING["formatters"]["line"]
    assert written["()"] == "governance.logs.Redacting"

    with listening(Heard(Redacting(written["format"]))) as heard:
        answer = client.get("/healthz")

    assert answer.status_code == 500
    assert found_in(answer.content + heard.text, [secret]) == []
    assert b"ERROR django.request" in heard.text


# The vault's own values: they have no shape by which anybody could recognise them.

VALUES = [f"plain words number {n} of nobody" for n in range(40)]


def test_what_the_vault_keeps_is_found_nowhere_else(
    planter: Planter, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, agent = planter.client, Agent.objects.get(slug=planter.values["slug"])
    client.force_login(agent.owner)
    Agent.objects.update(rate_per_minute=10_000, rate_per_hour=10_000)
    told: list[bytes] = []

    def post(url: str, data: Any, **more: Any) -> Any:
        answer = client.post(url, data, **more)
        told.append(answer.content)
        return answer

    for n, value in enumerate(VALUES):
        reference = f"vault://care/desk/{n}"
        fields = {"reference": reference, "value": value, "holder": "own"}
        post(reverse("agent_credential_store", args=[agent.slug]), fields | {"reference": "x y"})
        post(reverse("agent_credential_store", args=[agent.slug]), fields)
        post(reverse("agent_credential_store", args=[agent.slug]), fields)
        lease = f"/api/v1/credentials/{quote(reference, safe='')}/lease"
        json_type = {"content_type": "application/json"}
        given = client.post(lease, "", headers={"authorization": planter.token}, **json_type)
        assert given.json().get("value") == value, given.json()
        client.post(lease, "", headers={"authorization": f"Bearer {value}"}, **json_type)
        post(lease, {"session": value}, content_type="application/json")
        one = CredentialReference.objects.get(reference=reference)
        pages = [reverse(f"agent_credential_{word}", args=[agent.slug, one.pk]) for word in WORDS]
        post(pages[0], {"value": VALUES[-1 - n], "overlap": "x"})
        post(pages[0], {"value": f"{value}!", "overlap": 1})
        if n % 2:
            post(pages[1], {"reason": "leaked"})
        told.append(client.get(reverse("agent_credential_page", args=[agent.slug, one.pk])).content)
    for form in ("csv", "json", "jsonl"):
        export = client.get(reverse("trail_export", args=[form]))
        told.append(b"".join(export.streaming_content) if export.streaming else export.content)

    assert reserved.TOOL.encode() in b"".join(told)
    assert found_in(database(), VALUES) == []
    assert found_in(heard.text, VALUES) == []
    assert found_in(queued(), VALUES) == []
    assert found_in(b"\n".join(told), VALUES) == []
