"""What the OAuth endpoints do, each in one transaction: prove the client, read the row, answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, transaction
from django.urls import reverse

from authz import asks
from authz.engine.types import Token
from authz.errors import TokenEnded
from authz.oauth import acting, codes, exchange, failures
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
from authz.services import delegations
from governance.kernel import clock
from governance.kernel.errors import NotSignedIn
from registry.identity import assertions, clients, tokens
from registry.identity.clients import Bearer, Issued
from registry.identity.tokens import (
    AGENT,
    FOR_ITSELF,
    GATEWAY,
    IssuedToken,
    Use,
    VerifiedToken,
)
from registry.models import Client

GRANT_TYPE = "client_credentials"
LOCK_TIMEOUT = "3s"

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the credentials that came, and the address that they came from."""

    credentials: Credentials
    source: str


def grant_token(caller: Caller, form: Form) -> IssuedToken:
    """A token for an active row: its own, or by a code or an exchange one that acts for others.

    The row is read FOR SHARE in this transaction: once a suspension has been acknowledged, no
    token is issued. Raises `OAuthError`.
    """
    give = _giver(form)

    def issue(bearer: Bearer) -> IssuedToken:
        if sentence := bearer.refusal:
            raise UnauthorizedClient(sentence)
        return give(bearer, form)

    return _as_client(caller, issue, issuing=True)


def _own_token(bearer: Bearer, form: Form) -> IssuedToken:
    """An access token of the client itself (RFC 6749 section 4.4)."""
    if form.get("resource", tokens.audience()) != tokens.audience():
        raise InvalidTarget()
    issued = tokens.issue_token(
        client_id=bearer.client.client_id,
        kind=bearer.kind,
        slug=bearer.slug,
        version=bearer.client.version,
        scope=_scope(form),
    )
    acting.note(bearer, "token_issued", issued, FOR_ITSELF)
    return issued


_GIVERS: Mapping[str, Callable[[Bearer, Form], IssuedToken]] = {
    GRANT_TYPE: _own_token,
    codes.GRANT_TYPE: codes.redeem_code,
    exchange.GRANT_TYPE: exchange.exchange,
}
GRANT_TYPES = tuple(_GIVERS)


def _giver(form: Form) -> Callable[[Bearer, Form], IssuedToken]:
    if "grant_type" not in form:
        raise InvalidRequest("The parameter grant_type is missing.")
    if form["grant_type"] not in _GIVERS:
        raise UnsupportedGrantType()
    return _GIVERS[form["grant_type"]]


def introspect_token(caller: Caller, form: Form) -> dict[str, Any]:
    """What stands behind a token now (RFC 7662), or only that it is not active.

    An agent learns about its own tokens and about what it handed over, an active gateway about
    any.
    """

    def introspect(bearer: Bearer) -> dict[str, Any]:
        if bearer.kind == GATEWAY and bearer.refusal:
            raise UnauthorizedClient(bearer.refusal)
        token = acting.verified(_token_parameter(form))
        if token is None or not _may_see(bearer, token) or not _is_active(token):
            return {"active": False}
        return _introspection(token)

    return _as_client(caller, introspect)


def revoke_token(caller: Caller, form: Form) -> None:
    """End one of the client's own tokens (RFC 7009); what is no valid token needs no ending.

    With a grant token every token that came of it ends; the consent is the person's and stays.
    With a hand-over, which its giver may end as well, what was handed over ends, and all below.
    """

    def revoke(bearer: Bearer) -> None:
        token = acting.verified(_token_parameter(form))
        if token is None:
            return
        if not _is_its(bearer, token):
            raise UnauthorizedClient("The token was issued to another client.")
        if token.use is Use.HAND_OVER:
            _end_link(bearer, token)
        if token.use is Use.GRANT:
            acting.end_tokens_of_grant(token.acting.grant)
        held = Client.objects.get(client_id=token.client_id)
        if clients.revoke_token(
            client=held, jti=token.jti, expires_at=acting.expires_at(token), now=clock.now()
        ):
            acting.note(bearer, "token_revoked", token, token.acting)

    _as_client(caller, revoke)


def _end_link(bearer: Bearer, token: VerifiedToken) -> None:
    """Whoever proved itself here needs no token to end what it gave or received."""
    proved = Token(client_version=bearer.client.version, jti="")
    asker = asks.Caller(bearer.kind, bearer.slug, proved)
    try:
        delegations.end_delegation(delegation_id=UUID(token.acting.delegation), caller=asker)
    except TokenEnded as error:
        raise UnauthorizedClient(bearer.refusal) from error


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


def _scope(form: Form) -> str:
    wanted = form.get("scope", " ".join(tokens.SCOPES)).split(" ")
    if not set(wanted) <= set(tokens.SCOPES):
        raise InvalidScope()
    return " ".join(scope for scope in tokens.SCOPES if scope in wanted)


def _token_parameter(form: Form) -> str:
    if "token" not in form:
        raise InvalidRequest("The parameter token is missing.")
    return form["token"]


def _may_see(bearer: Bearer, token: VerifiedToken) -> bool:
    return bearer.kind == GATEWAY or _is_its(bearer, token)


def _is_its(bearer: Bearer, token: VerifiedToken) -> bool:
    """Issued to this client, or a hand-over that came from or through it."""
    if bearer.client.client_id == token.client_id:
        return True
    handed = token.use is Use.HAND_OVER and bearer.kind == AGENT
    return handed and bearer.slug in token.acting.givers


def _is_active(token: VerifiedToken) -> bool:
    try:
        clients.bearer_of(token)
    except NotSignedIn:
        return False
    return acting.is_live(token.acting)


def _introspection(token: VerifiedToken) -> dict[str, Any]:
    whom = token.acting
    told = {
        "active": True,
        "iss": tokens.issuer(),
        "aud": tokens.audience_of(token.use, token.slug),
        "sub": tokens.subject(kind=token.kind, slug=token.slug),
        "client_id": token.client_id,
        "token_type": "Bearer",
        "scope": token.scope,
        "exp": token.expires_at,
        "jti": token.jti,
    }
    if whom == FOR_ITSELF:
        return told
    ids = {"grant": whom.grant, "delegation": whom.delegation}
    told |= {"sub": whom.user or whom.givers[-1]} | tokens.acts_of(token.slug, whom, token.use)
    return told | {name: value for name, value in ids.items() if value}
