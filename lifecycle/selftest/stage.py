"""The rows that a self-test tries with. All of it is rolled back."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import transaction

from governance.kernel import clock
from registry import services as register
from registry.enums import Employment
from registry.identity import clients, signatures, tokens
from registry.identity.clients import Issued
from registry.identity.signatures import SigningKey
from registry.identity.tokens import AGENT, GATEWAY
from registry.models import Agent, Client, Person
from registry.permissions import OPERATORS, Automatic, in_group

ACTOR = Automatic("selftest")
NAME = "muster-selftest"
WHY = "Part of a self-test, which is rolled back."
NEVER = "never registered"


@dataclass(frozen=True, slots=True)
class Subject:
    """A row, or none, with everything by which its holder could prove itself."""

    state: str
    slug: str
    agent: Agent | None
    client_id: str
    secret: str = field(repr=False)
    key: SigningKey = field(repr=False)
    token: str = field(repr=False)

    def assertion(self) -> str:
        """A client assertion, signed with the subject's own key (RFC 7523)."""
        now = int(time.time())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": tokens.issuer()}
        body = json.dumps({**claims, "exp": now + 60, "jti": secrets.token_urlsafe(16)}).encode()
        return signatures.sign(body, key=self.key, kid=NAME, typ="JWT")


@dataclass(frozen=True, slots=True)
class Stage:
    """An active agent with all keys, one that is a draft, and a gateway that asks for them."""

    operator: Person
    owner: Person
    gateway: Issued = field(repr=False)
    gateway_token: str = field(repr=False)
    active: Subject
    draft: Subject


@contextmanager
def undone() -> Iterator[None]:
    """What happens in here has not happened."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def build() -> Stage:
    """Make it, by the services that make every row. Call it within `undone`."""
    operator = _operator()
    owner = register.create_person(
        email=f"{NAME}-{secrets.token_hex(8)}@selftest.invalid",
        name="Self-test",
        by=operator,
        chat_handle="@selftest",
    )
    point = register.save_gateway(slug=_slug(), name="Self-test", by=operator).row
    gateway = clients.issue_client(gateway=point, by=operator)
    token = _token(gateway.client_id, point.slug, gateway.client.version, kind=GATEWAY)
    return Stage(operator, owner, gateway, token, _active(owner), _strange(_draft(owner), "draft"))


def unknown() -> Subject:
    """Somebody who never stood on the register, with a token that our own key signed."""
    return _strange(None, NEVER)


def states(stage: Stage) -> Iterator[Subject]:
    """Each state that gets nothing, with its row in it while the caller looks."""
    yield unknown()
    yield stage.draft
    draft, active = stage.draft.agent, stage.active.agent
    assert draft is not None  # noqa: S101 - as it was built
    assert active is not None  # noqa: S101 - as it was built
    with undone():
        register.submit_for_review(agent_id=draft.pk, by=stage.owner)
        yield _moved(stage.draft, "in review")
    with undone():
        register.suspend_agent(agent_id=active.pk, by=ACTOR, reason=WHY)
        yield _moved(stage.active, "suspended")
    with undone():
        register.begin_decommissioning(agent_id=active.pk, by=ACTOR, reason=WHY)
        yield _moved(stage.active, "decommissioning")
    with undone():
        register.begin_decommissioning(agent_id=active.pk, by=ACTOR, reason=WHY)
        register.finish_decommissioning(agent_id=active.pk, by=ACTOR)
        yield _moved(stage.active, "decommissioned")
    with undone():
        today = clock.now().date()
        register.set_employment(
            person_id=stage.owner.pk, employment=Employment.LEFT, last_day=today, by=ACTOR
        )
        yield _moved(stage.active, "active, its owner has left")


def _operator() -> Person:
    people = Person.objects.filter(groups__name__in=OPERATORS, is_active=True).order_by("pk")
    found = next((each for each in people if in_group(each, *OPERATORS)), None)
    return found or register.create_first_administrator(email="selftest@selftest.invalid")


def _draft(owner: Person) -> Agent:
    return register.draft_agent(
        slug=_slug(),
        name="Self-test",
        owner=owner,
        by=owner,
        purpose="Shows that no row means no key.",
        rate_per_minute=60,
        rate_per_hour=600,
        spend_cap_minor=0,
    )


def _active(owner: Person) -> Subject:
    agent = register.attest_agent(agent_id=_draft(owner).pk, by=owner)
    client = Client.objects.filter(agent=agent).first()
    issued = (
        clients.rotate_secret(client=client, by=owner)
        if client
        else clients.issue_client(agent=agent, by=owner)
    )
    key = signatures.new_key(NAME)
    jwks = signatures.public_jwks(key)
    held = clients.set_jwks(client=issued.client, jwks=jwks, by=owner)
    token = _token(held.client_id, agent.slug, held.version)
    return Subject("active", agent.slug, agent, held.client_id, issued.secret, key, token)


def _strange(agent: Agent | None, state: str) -> Subject:
    """Nobody ever gave these anything: all that they show is made up, but well made."""
    slug = agent.slug if agent else NAME
    secret, key = clients.SECRET_PREFIX + secrets.token_urlsafe(32), signatures.new_key(NAME)
    return Subject(state, slug, agent, slug, secret, key, _token(slug, slug, 1))


def _moved(subject: Subject, state: str) -> Subject:
    agent = Agent.objects.select_related("owner").get(slug=subject.slug)
    return Subject(
        *(state, subject.slug, agent, subject.client_id, subject.secret, subject.key),
        subject.token,
    )


def _token(client_id: str, slug: str, version: int, kind: str = AGENT) -> str:
    scope = " ".join(tokens.SCOPES)
    return tokens.issue_token(
        client_id=client_id, kind=kind, slug=slug, version=version, scope=scope
    ).token


def _slug() -> str:
    return f"{NAME}-{secrets.token_hex(6)}"
