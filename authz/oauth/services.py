"""What the OAuth endpoints do, each in one transaction: prove the client, read the row, answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db import connection, transaction
from django.urls import reverse

from audit.enums import Kind
from audit.services import record
from authz.oauth import failures
from authz.oauth.credentials import Credentials
from authz.oauth.errors import (
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthError,
    UnauthorizedClient,
    UnsupportedGrantType,
)
from authz.oauth.forms import Form
from governance.kernel import clock
from governance.kernel.errors import NotSignedIn
from registry.identity import assertions, clients, tokens
from registry.identity.clients import Bearer, Issued
from registry.identity.tokens import GATEWAY, IssuedToken, VerifiedToken

GRANT_TYPE = "client_credentials"
LOCK_TIMEOUT = "3s"

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the credentials that came, and the address that they came from."""

    credentials: Credentials
    source: str


def grant_token(caller: Caller, form: Form) -> IssuedToken:
    """An access token for an active row (RFC 6749 section 4.4).

    The row is read FOR SHARE in this transaction: once a suspension has been acknowledged, no
    token is issued. Raises `OAuthError`.
    """
    _check_grant_type(form)

    def issue(bearer: Bearer) -> IssuedToken:
        if sentence := bearer.refusal:
            raise UnauthorizedClient(sentence)
        issued = tokens.issue_token(
            client_id=bearer.client.client_id,
            kind=bearer.kind,
            slug=bearer.slug,
            version=bearer.client.version,
            scope=_scope(form),
        )
        _record_access(bearer, "token_issued", issued.jti)
        return issued

    return _as_client(caller, issue, issuing=True)


def introspect_token(caller: Caller, form: Form) -> dict[str, Any]:
    """What stands behind a token now (RFC 7662), or only that it is not active.

    An agent learns about its own tokens, an active gateway about any.
    """

    def introspect(bearer: Bearer) -> dict[str, Any]:
        if bearer.kind == GATEWAY and bearer.refusal:
            raise UnauthorizedClient(bearer.refusal)
        token = _verified(_token_parameter(form))
        if token is None or not _may_see(bearer, token) or not _is_active(token):
            return {"active": False}
        return _introspection(token)

    return _as_client(caller, introspect)


def revoke_token(caller: Caller, form: Form) -> None:
    """End one of the client's own tokens (RFC 7009); what is no valid token needs no ending."""

    def revoke(bearer: Bearer) -> None:
        token = _verified(_token_parameter(form))
        if token is None:
            return
        if token.client_id != bearer.client.client_id:
            raise UnauthorizedClient("The token was issued to another client.")
        expires_at = datetime.fromtimestamp(token.expires_at + tokens.LEEWAY_SECONDS, UTC)
        if clients.revoke_token(
            client=bearer.client, jti=token.jti, expires_at=expires_at, now=clock.now()
        ):
            _record_access(bearer, "token_revoked", token.jti)

    _as_client(caller, revoke)


def fetch_secret(caller: Caller, form: Form) -> Issued:
    """The new secret of a rotation, to whom the earlier one still proves, this once.

    Raises `OAuthError`; `Conflict` where there is none.
    """

    def fetch(bearer: Bearer) -> Issued:
        if sentence := bearer.refusal:
            raise UnauthorizedClient(sentence)
        return clients.fetch_secret(client=bearer.client, by=None)

    return _as_client(caller, fetch)


def _as_client(caller: Caller, act: Callable[[Bearer], Answer], *, issuing: bool = False) -> Answer:
    """`act` for the client that `caller` proves to be. A refusal is noted, then raised."""
    bearer: Bearer | None = None
    with transaction.atomic():
        try:
            bearer = _find(caller.credentials, issuing=issuing)
            _authenticate(bearer, caller.credentials)
            assert bearer is not None  # noqa: S101 - nobody is not authenticated
            return act(bearer)
        except OAuthError as error:
            # Kept until the transaction has committed: a used assertion stays used.
            refusal = error
    _note(refusal, bearer, caller)
    raise refusal


def _note(refusal: OAuthError, bearer: Bearer | None, caller: Caller) -> None:
    now = clock.now()
    if isinstance(refusal, InvalidClient):
        failures.note_failure(
            claimed=caller.credentials.client_id, bearer=bearer, source=caller.source, now=now
        )
    elif isinstance(refusal, UnauthorizedClient) and bearer and bearer.refusal:
        failures.record_hourly(bearer, code=failures.NOT_ACTIVE, source=caller.source, now=now)


def _find(credentials: Credentials, *, issuing: bool) -> Bearer | None:
    if not issuing:
        return clients.find_bearer(credentials.client_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
    return clients.find_bearer_for_issuing(credentials.client_id)


def _authenticate(bearer: Bearer | None, credentials: Credentials) -> None:
    """Raises `InvalidClient`, with the same words whether the client exists or not."""
    if credentials.assertion:
        _check_assertion(bearer, credentials)
    elif not clients.matches_secret(bearer.client if bearer else None, credentials.secret):
        raise InvalidClient("The client is unknown or its secret is wrong.")


def _check_assertion(bearer: Bearer | None, credentials: Credentials) -> None:
    now = clock.now()
    audiences = (tokens.issuer(), tokens.issuer() + reverse("oauth_token"))
    try:
        assertion = assertions.verify_assertion(
            credentials.assertion,
            client_id=credentials.client_id,
            jwks=bearer.client.jwks if bearer else {},
            audiences=audiences,
            now=now,
        )
    except assertions.BadAssertion as error:
        raise InvalidClient(error.message) from error
    assert bearer is not None  # noqa: S101 - without a client there is no key that verifies
    if not clients.use_assertion(
        client=bearer.client, jti=assertion.jti, expires_at=assertion.expires_at, now=now
    ):
        raise InvalidClient("The client assertion was used before. Make a new one for each call.")


def _check_grant_type(form: Form) -> None:
    if "grant_type" not in form:
        raise InvalidRequest("The parameter grant_type is missing.")
    if form["grant_type"] != GRANT_TYPE:
        raise UnsupportedGrantType()
    if form.get("resource", tokens.audience()) != tokens.audience():
        raise InvalidTarget()


def _scope(form: Form) -> str:
    wanted = form.get("scope", " ".join(tokens.SCOPES)).split(" ")
    if not set(wanted) <= set(tokens.SCOPES):
        raise InvalidScope()
    return " ".join(scope for scope in tokens.SCOPES if scope in wanted)


def _token_parameter(form: Form) -> str:
    if "token" not in form:
        raise InvalidRequest("The parameter token is missing.")
    return form["token"]


def _verified(raw: str) -> VerifiedToken | None:
    try:
        return tokens.verify_token(raw)
    except NotSignedIn:
        return None


def _may_see(bearer: Bearer, token: VerifiedToken) -> bool:
    return bearer.kind == GATEWAY or bearer.client.client_id == token.client_id


def _is_active(token: VerifiedToken) -> bool:
    try:
        clients.bearer_of(token)
    except NotSignedIn:
        return False
    return True


def _introspection(token: VerifiedToken) -> dict[str, Any]:
    return {
        "active": True,
        "iss": tokens.issuer(),
        "aud": tokens.audience(),
        "sub": tokens.subject(kind=token.kind, slug=token.slug),
        "client_id": token.client_id,
        "token_type": "Bearer",
        "scope": token.scope,
        "exp": token.expires_at,
        "jti": token.jti,
    }


def _record_access(bearer: Bearer, did: str, jti: str) -> None:
    record(
        kind=Kind.ACCESS,
        actor=bearer.slug,
        agent=bearer.agent_slug,
        gateway=bearer.gateway_slug,
        asked={"did": did, "client": bearer.client.client_id, "jti": jti},
    )
