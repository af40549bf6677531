"""Authorization codes: a person's consent on its way to the agent, and what it is exchanged for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction

from authz import timekeeper
from authz.errors import GrantRefused
from authz.models import AuthorizationCode, Grant
from authz.oauth import acting
from authz.oauth.authorizing import Wanted, Way
from authz.oauth.errors import ConsentRequired, InvalidGrant, InvalidRequest, OAuthError
from authz.oauth.forms import Form
from authz.services.grants import give_grant
from registry import guard
from registry.identity.clients import Bearer
from registry.identity.tokens import IssuedToken, Use
from registry.models import Agent, Person

GRANT_TYPE = "authorization_code"
LASTS = timedelta(seconds=60)
# A code that was used is kept this long, so that its coming again is noticed.
KEPT = timedelta(hours=1)
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@transaction.atomic
def consent(
    *, way: Way, wanted: Wanted, tools: Collection[str], until: datetime | None, by: Person
) -> str:
    """Let the agent do this for `by`, and make the code that tells it so.

    Only what the agent asked for is let. Raises `GrantRefused`, `AgentNotActive`.
    """
    if beyond := sorted(set(tools) - set(wanted.tools)):
        raise GrantRefused(
            f"{way.agent.slug} did not ask for {', '.join(beyond)[:200]}.", code="grant_tools"
        )
    grant = give_grant(
        agent_id=way.agent.pk, tools={name: {} for name in tools}, by=by, until=until
    )
    return _make_code(grant, way, wanted)


@transaction.atomic
def renew_code(*, way: Way, wanted: Wanted, by: Person) -> str:
    """A code on the consent that the person gave before, where it covers what is asked.

    Raises `ConsentRequired` where it does not.
    """
    known = Grant.objects.filter(person=by, agent=way.agent, ended_at__isnull=True).first()
    if known is None or not set(wanted.tools) <= known.tools.keys():
        raise ConsentRequired()
    guard.require_active(guard.held(way.agent.pk))
    try:
        return _make_code(acting.live_grant(str(known.pk)), way, wanted)
    except InvalidGrant as error:
        raise ConsentRequired() from error


def _make_code(grant: Grant, way: Way, wanted: Wanted) -> str:
    """The row is held until the end of this, so that the address is one of it now."""
    if way.redirect_uri not in Agent.objects.get(pk=way.agent.pk).redirect_uris:
        raise GrantRefused(
            f"{way.agent.slug} may not be told there any more. Nothing has changed.",
            code="grant_redirect",
        )
    now, code = timekeeper.now(), secrets.token_urlsafe(32)
    AuthorizationCode.objects.filter(client=way.client, until__lt=now - KEPT).delete()
    AuthorizationCode.objects.create(
        digest=_digest(code),
        client=way.client,
        grant=grant,
        redirect_uri=way.redirect_uri,
        challenge=wanted.challenge,
        made_at=now,
        until=now + LASTS,
    )
    return code


def redeem_code(bearer: Bearer, form: Form) -> IssuedToken:
    """The token that stands for a person's grant, for a code that is good, this once.

    One that comes again ends every token that was issued on the grant: somebody else had it.
    Raises `InvalidGrant`, `InvalidRequest`.
    """
    for name in ("code", "redirect_uri", "code_verifier"):
        if name not in form:
            raise InvalidRequest(f"The parameter {name} is missing.")
    code = _code_of(bearer, form["code"])
    if fault := _fault(code, form):
        raise fault
    grant = acting.live_grant(str(code.grant_id))
    code.used_at = timekeeper.now()
    code.save(update_fields=["used_at"])
    issued = acting.issue(
        use=Use.GRANT,
        client=bearer.client,
        slug=bearer.slug,
        acting=acting.of_grant(grant),
        scope=" ".join(sorted(grant.tools)),
        until=grant.until,
    )
    acting.note(bearer, "token_issued", issued, acting.of_grant(grant))
    return issued


def _code_of(bearer: Bearer, raw: str) -> AuthorizationCode:
    """The code, locked; one that was used ends what came of it."""
    rows = AuthorizationCode.objects.select_for_update(of=("self",), no_key=True)
    code = rows.filter(digest=_digest(raw), client=bearer.client).first()
    if code is None:
        raise InvalidGrant("The code is not one that was made for this client, or it is over.")
    if code.used_at is not None:
        acting.end_tokens_of_grant(str(code.grant_id))
        acting.note_replay(bearer, code.grant)
        raise InvalidGrant("The code was used before. Every token of this consent has ended.")
    return code


def _fault(code: AuthorizationCode, form: Form) -> OAuthError | None:
    if code.until <= timekeeper.now():
        return InvalidGrant(
            "The code is over. Send the person to the authorization endpoint again."
        )
    if form["redirect_uri"] != code.redirect_uri:
        return InvalidGrant("The redirect_uri is not the one that the code was sent to.")
    if not _VERIFIER.fullmatch(form["code_verifier"]):
        return InvalidRequest("The code_verifier has 43 to 128 characters (RFC 7636).")
    if not hmac.compare_digest(challenge_of(form["code_verifier"]), code.challenge):
        return InvalidGrant("The code_verifier is not the one that the code_challenge came from.")
    return None


def challenge_of(verifier: str) -> str:
    """What a verifier hashes to (RFC 7636 section 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _digest(code: str) -> str:
    # 256 random bits need no stretching: there is nothing to guess (docs/adr/0021).
    return hashlib.sha256(code.encode()).hexdigest()
