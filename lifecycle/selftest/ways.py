"""The ways to get something. Each says what it got, or raises why it got nothing."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from authz import leases, recorder
from authz.api.answer import answering
from authz.api.metadata import EVALUATION
from authz.asks import caller_of
from authz.engine.types import Check
from authz.oauth import services as oauth
from authz.oauth.credentials import Credentials
from authz.recorder import Judged, Recorded, Stale
from authz.work import run as run_work
from governance.kernel import clock
from lifecycle.selftest.report import Refused
from lifecycle.selftest.stage import ACTOR, NAME, Stage, Subject
from registry.identity import clients, providers, signatures, tokens
from registry.models import Agent, Client

GRANT = {"grant_type": "client_credentials"}
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
TOOL = "muster.selftest"
Act = Callable[[Stage, Subject], str]


@dataclass(frozen=True, slots=True)
class Way:
    """One way. `needs_row` leaves out those who have none to name; `nobody` those that are not
    offered to anyone yet, so that an active row is refused as well."""

    title: str
    act: Act
    needs_row: bool = False
    nobody: bool = False


# Tokens


def _by_secret(stage: Stage, subject: Subject) -> str:
    return _token(Credentials(subject.client_id, secret=subject.secret))


def _by_wrong_secret(stage: Stage, subject: Subject) -> str:
    wrong = clients.SECRET_PREFIX + secrets.token_urlsafe(32)
    return _token(Credentials(subject.client_id, secret=wrong))


def _by_assertion(stage: Stage, subject: Subject) -> str:
    return _token(Credentials(subject.client_id, assertion=subject.assertion()))


def _by_exchange(stage: Stage, subject: Subject) -> str:
    form = {
        "grant_type": EXCHANGE,
        "subject_token": subject.token,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    return _token(Credentials(subject.client_id, secret=subject.secret), form)


def _token(credentials: Credentials, form: dict[str, str] = GRANT) -> str:
    issued = oauth.grant_token(_caller(credentials), form)
    return f"a token for {issued.expires_in} seconds"


def _caller(credentials: Credentials) -> oauth.Caller:
    # Failures are counted for each source, and none of these is to be counted with another.
    return oauth.Caller(credentials, f"{NAME} {secrets.token_hex(4)}")


def _introspected(stage: Stage, subject: Subject) -> str:
    """What a gateway is told about a token that is still good by its signature and its time."""
    caller = _caller(Credentials(stage.gateway.client_id, secret=stage.gateway.secret))
    if oauth.introspect_token(caller, {"token": subject.token})["active"]:
        return "the word that its token is active"
    raise Refused("Its token is not active, whatever it says itself.", code="active: false")


# Keys


def _new_client(stage: Stage, subject: Subject) -> str:
    if held := Client.objects.filter(agent=subject.agent).first():
        clients.remove_secret(client=held, by=stage.operator)
    clients.issue_client(agent=_row(subject), by=stage.operator)
    return "a client with a secret"


def _new_secret(stage: Stage, subject: Subject) -> str:
    clients.rotate_secret(client=_client(subject), by=stage.operator)
    return "another secret"


def _secret_of_rotation(stage: Stage, subject: Subject) -> str:
    clients.rotate_with_overlap(client=_client(subject), by=ACTOR, until=clock.now())
    return "another secret, for whoever fetches it"


def _new_keys(stage: Stage, subject: Subject) -> str:
    public = signatures.public_jwks(signatures.new_key(NAME))
    clients.set_jwks(client=_client(subject), jwks=public, by=stage.operator)
    return "keys of its own"


def _client_outside(stage: Stage, subject: Subject) -> str:
    providers.open_row(agent_id=_row(subject).pk, provider=NAME)
    return "a client in an identity provider"


def _row(subject: Subject) -> Agent:
    assert subject.agent is not None  # noqa: S101 - such a way says that it needs a row
    return subject.agent


def _client(subject: Subject) -> Client:
    found = Client.objects.filter(agent=subject.agent).first()
    return found or Client(agent=subject.agent, client_id=subject.client_id)


# Decisions


def _own_decision(stage: Stage, subject: Subject) -> str:
    return _judged(_call(EVALUATION, subject.token, _asked(subject)))


def _decision_by_gateway(stage: Stage, subject: Subject) -> str:
    return _judged(_call(EVALUATION, stage.gateway_token, _asked(subject)))


def _asked(subject: Subject) -> dict[str, Any]:
    return {
        "subject": {"type": "agent", "id": subject.slug},
        "action": {"name": TOOL},
        "resource": {"type": "muster", "id": NAME},
    }


def _session(stage: Stage, subject: Subject) -> str:
    _call("/api/v1/sessions", subject.token, {})
    return "a session"


def lease(stage: Stage, subject: Subject) -> str:
    """The credential of the active row, asked for with the token that the subject has."""
    token = tokens.authenticate(f"Bearer {subject.token}")
    caller = caller_of(token)
    given = leases.lease(reference=stage.credential, caller=caller, record=within)
    return f"a lease until {given.lease.expires_at:%H:%M}"


def _call(path: str, token: str, body: Any) -> Any:
    """One request with a token, through the function that answers every one."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    work = answering("POST", path, headers, json.dumps(body).encode(), NAME)
    status, _, raw = run_work(work, within)
    told = json.loads(raw)
    if not 200 <= status < 300:
        raise Refused(str(told.get("detail", "")), code=str(told.get("code", status)))
    return told


def _judged(told: Any) -> str:
    """Whether the row was what it failed by: an active one gets past the first check."""
    if told.get("decision"):
        return "an allow"
    reason = told.get("context", {})
    if reason.get("check") != Check.IDENTITY:
        return "a decision on its merits"
    raise Refused(str(reason.get("message", "")), code=str(reason.get("code", "")))


def within(batch: Sequence[Judged]) -> list[Recorded | Stale]:
    """Record as every decision is, but inside the transaction that is rolled back."""
    with connection.cursor() as cursor:
        cursor.execute(recorder.STATEMENT, [recorder.as_json(batch)])
        (text,) = cursor.fetchone()
    return recorder.read_answers(text, committed=False)


WAYS: tuple[Way, ...] = (
    Way("A token, by its secret", _by_secret),
    Way("A token, by a wrong secret", _by_wrong_secret, nobody=True),
    Way("A token, by its own key (private_key_jwt)", _by_assertion),
    Way("A token, in exchange for the one that it has", _by_exchange, nobody=True),
    Way("A gateway's trust in the token that it has", _introspected),
    Way("A client with a secret", _new_client, needs_row=True),
    Way("Another secret", _new_secret, needs_row=True),
    Way("Another secret, by rotation", _secret_of_rotation, needs_row=True),
    Way("Keys of its own", _new_keys, needs_row=True),
    Way("A client in an identity provider", _client_outside, needs_row=True),
    Way("A decision, asked with its token", _own_decision),
    Way("A decision, asked by a gateway", _decision_by_gateway),
    Way("A lease of a credential", lease),
    Way("A session, opened with its token", _session),
)
