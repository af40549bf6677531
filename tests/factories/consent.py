"""A person, an agent that may ask to act for them, and what both of them have."""

import base64
import hashlib
import json
import time
from dataclasses import dataclass
from itertools import permutations
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.http import HttpResponse
from django.test import Client as Browser

from authz.models import Role
from registry.enums import IdentityPattern
from registry.identity import signatures, tokens
from registry.identity.tokens import Use
from registry.models import Agent, AllowlistEntry, Client, Person, Tool
from tests.factories.authz import declare, make_agent, make_person, make_system, make_tool
from tests.factories.oauth import Holder, holder_of, send, token_of

REDIRECT = "https://copilot.example/callback?from=muster"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"account": {"type": "string"}}}


@dataclass(frozen=True)
class World:
    """A person who may read, note and delete; agents that may read and note, and one more tool."""

    person: Person
    role: Role
    copilot: Holder
    helper: Holder
    read: Tool
    note: Tool
    delete: Tool
    other: Tool

    @property
    def agent(self) -> Agent:
        assert isinstance(self.copilot.row, Agent)
        return self.copilot.row

    @property
    def receiver(self) -> Agent:
        assert isinstance(self.helper.row, Agent)
        return self.helper.row

    def browser(self, person: Person | None = None) -> Browser:
        """A browser in which the person is signed in."""
        browser = Browser()
        browser.force_login(person or self.person)
        return browser

    def query(self, **changed: str | None) -> str:
        """The address of an authorization request; None leaves a parameter out."""
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.copilot.client_id,
            "redirect_uri": REDIRECT,
            "scope": f"{self.read.name} {self.note.name}",
            "state": "s-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        given = {name: value for name, value in (asked | changed).items() if value is not None}
        return f"/oauth/authorize?{urlencode(given)}"

    def allow(self, *tools: Tool, days: str = "90", **changed: str | None) -> HttpResponse:
        """The person's answer on the page: these tools."""
        form = {"answer": "allow", "tools": [tool.name for tool in tools], "days": days}
        return self.browser().post(self.query(**changed), form)  # type: ignore[return-value]

    def code(self, *tools: Tool, **changed: Any) -> str:
        """A code, as the person's consent sends it to the agent."""
        return answered(self.allow(*(tools or (self.read, self.note)), **changed))["code"]

    def redeem(self, code: str, holder: Holder | None = None, **changed: str) -> HttpResponse:
        """The exchange of a code at the token endpoint."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        } | changed
        return send("/oauth/token", form, headers=(holder or self.copilot).basic())

    def grant_token(self, *tools: Tool) -> str:
        """The token that stands for the person's grant to the copilot."""
        return str(told(self.redeem(self.code(*tools)))["access_token"])

    def on_behalf(self, grant_token: str = "") -> str:
        """A token by which the copilot acts for the person."""
        answer = self.exchange(
            subject_token=grant_token or self.grant_token(),
            actor_token=token_of(self.copilot),
            actor_token_type=ACCESS_TOKEN,
        )
        return str(told(answer)["access_token"])

    def hand_over(self, subject: str, *tools: Tool, **changed: str) -> HttpResponse:
        """The copilot hands these tools to the helper."""
        asked = {
            "subject_token": subject,
            "audience": self.receiver.slug,
            "scope": " ".join(tool.name for tool in tools),
        }
        return self.exchange(**(asked | changed))

    def exchange(self, holder: Holder | None = None, /, **form: str) -> HttpResponse:
        """An exchange by the copilot, or whoever it is."""
        asked = {"grant_type": EXCHANGE, "subject_token_type": ACCESS_TOKEN} | form
        kept = {name: value for name, value in asked.items() if value}
        return send("/oauth/token", kept, headers=(holder or self.copilot).basic())

    def decide(self, token: str, tool: Tool, holder: Holder | None = None, **context: Any) -> Any:
        """The answer to a call of the tool, asked with this token."""
        body = {
            "subject": {"type": "agent", "id": (holder or self.copilot).row.slug},
            "action": {"name": tool.name, "properties": {"account": "A-1"}},
            "resource": {"type": tool.system.slug, "id": "A-1"},
            "context": context,
        }
        answer = Browser().post(
            "/access/v1/evaluation",
            json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {token}"},
        )
        return answer.json()


def told(answer: HttpResponse) -> dict[str, Any]:
    """What was answered, which was no refusal."""
    body = dict(json.loads(answer.content))
    assert answer.status_code == 200, body
    return body


def refusal(answer: HttpResponse) -> tuple[int, str]:
    return answer.status_code, str(json.loads(answer.content)["error"])


def answered(answer: HttpResponse) -> dict[str, str]:
    """What the agent is told at its own address."""
    assert answer.status_code == 303, answer.content
    parts = urlsplit(answer["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == REDIRECT.partition("?")[0]
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def make_world() -> World:
    """Both agents may read and note; the person may read, note and delete; one tool is for none."""
    person, owner, system = make_person(name="Pat Roe"), make_person(), make_system(name="CRM")
    read, note, delete, other = (
        make_tool(
            system,
            effect=effect,
            schema=SCHEMA,
            amount_parameter="",
            resource_parameter="account",
            title=title,
        )
        for effect, title in (
            ("read", "Read a contact"),
            ("write", "Write a note"),
            ("destructive", "Delete an account"),
            ("write", "Send a mail"),
        )
    )
    role = Role.objects.create(slug=f"crm-{system.slug}")
    role.tools.add(read, note, delete)
    role.people.add(person)
    agents = [
        make_agent(
            owner,
            pattern=IdentityPattern.IMPERSONATION,
            redirect_uris=[REDIRECT],
            purpose="Keeps the notes of an account.",
        )
        for _ in range(2)
    ]
    for agent in agents:
        role.agents.add(agent)
        for tool in (read, note):
            AllowlistEntry.objects.create(agent=agent, tool=tool)
    for giver, receiver in permutations(agents):
        declare(giver, receiver)
    copilot, helper = map(holder_of, agents)
    return World(person, role, copilot, helper, read, note, delete, other)


def forged(use: Use = Use.ACCESS, **changed: Any) -> str:
    """A token signed with Muster's own key, with these claims changed; None leaves one out."""
    now = int(time.time())
    key = tokens.ring().signing_key()
    header_typ = str(changed.pop("typ", use))
    claims = {
        "iss": tokens.issuer(),
        "aud": tokens.audience(),
        "iat": now,
        "exp": now + 60,
        "jti": f"j-{time.time_ns()}",
        "scope": "decide",
    } | changed
    kept = {name: value for name, value in claims.items() if value is not None}
    return signatures.sign(json.dumps(kept).encode(), key=key.key, kid=key.kid, typ=header_typ)


def version_of(holder: Holder) -> int:
    return int(Client.objects.get(client_id=holder.client_id).version)
