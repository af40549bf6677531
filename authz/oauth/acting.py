"""Tokens that act for somebody: issued on a live grant or link, known, and ended together."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from audit.enums import Kind
from audit.services import record
from authz import timekeeper
from authz.models import ActingToken, Delegation, Grant
from authz.oauth.errors import InvalidGrant
from governance.kernel import clock
from governance.kernel.errors import NotSignedIn
from registry import guard
from registry.identity import clients, tokens
from registry.identity.clients import Bearer
from registry.identity.tokens import Acting, IssuedToken, Use, VerifiedToken
from registry.models import Client


def live_grant(grant_id: str) -> Grant:
    """The grant, which stays as it is until the transaction ends. Raises `InvalidGrant`."""
    known = Grant.objects.filter(pk=grant_id).exists()
    found = guard.share(Grant, grant_id) if known else None
    if found is None or found.ended_at is not None or found.until <= timekeeper.now():
        raise InvalidGrant("The person's consent is over. Ask for it again.")
    return found


def live_delegation(delegation_id: str) -> Delegation:
    """The link, which stays as it is until the transaction ends. Raises `InvalidGrant`.

    What it rests on is live as well: an end reaches everything below it.
    """
    known = Delegation.objects.filter(pk=delegation_id).exists()
    found = guard.share(Delegation, delegation_id) if known else None
    if found is None or found.ended_at is not None or found.until <= timekeeper.now():
        raise InvalidGrant("What was handed over is over. Ask whoever handed it over.")
    return found


def is_live(acting: Acting) -> bool:
    """Whether what a token stands for is still there; so for one that stands for nobody else."""
    now = timekeeper.now()
    for model, name in ((Grant, acting.grant), (Delegation, acting.delegation)):
        rows = model._default_manager.filter(ended_at__isnull=True, until__gt=now)
        if name and not rows.filter(pk=name).exists():
            return False
    return True


def of_grant(grant: Grant) -> Acting:
    """For whom the agent of a grant acts."""
    return Acting(user=grant.person.pid, grant=str(grant.pk))


def of_delegation(link: Delegation) -> Acting:
    """For whom the receiver of a link acts, and through whom it came, nearest first."""
    givers: list[str] = []
    above: Delegation | None = link
    while above is not None:
        givers.append(above.giver.slug)
        above = above.parent
    grant = link.grant
    return Acting(
        user=grant.person.pid if grant else "",
        grant=str(grant.pk) if grant else "",
        delegation=str(link.pk),
        givers=tuple(givers),
    )


def issue(
    *, use: Use, client: Client, slug: str, acting: Acting, scope: str, until: datetime
) -> IssuedToken:
    """A token of the agent `slug` that acts so, until then at the latest."""
    issued = tokens.issue_acting_token(
        use=use,
        client_id=client.client_id,
        slug=slug,
        version=client.version,
        scope=scope,
        acting=acting,
        until=until,
    )
    now = clock.now()
    ActingToken.objects.filter(client=client, expires_at__lt=now).delete()
    ActingToken.objects.create(
        client=client,
        jti=issued.jti,
        grant_id=_uuid(acting.grant),
        delegation_id=_uuid(acting.delegation),
        expires_at=_gone_at(int(now.timestamp()) + issued.expires_in),
    )
    return issued


def end_tokens_of_grant(grant_id: str) -> int:
    """End every token that was issued on a grant, to whomever; how many there were."""
    now = clock.now()
    rows = ActingToken.objects.select_related("client").filter(grant_id=grant_id)
    return sum(
        clients.revoke_token(client=row.client, jti=row.jti, expires_at=row.expires_at, now=now)
        for row in rows.filter(expires_at__gt=now).order_by("pk")
    )


def verified(raw: str) -> VerifiedToken | None:
    """What a token of any use says, None for what is no valid token."""
    for use in Use:
        try:
            return tokens.verify_token(raw, use)
        except NotSignedIn:
            continue
    return None


def expires_at(token: VerifiedToken) -> datetime:
    """When nobody takes a token any more."""
    return _gone_at(token.expires_at)


def note(bearer: Bearer, did: str, token: IssuedToken | VerifiedToken, acting: Acting) -> None:
    """Record what became of a token, with whom it acts for."""
    told = {"jti": token.jti}
    if token.use is not Use.ACCESS:
        told["use"] = str(token.use)
    _record(bearer, did, acting, told)


def note_replay(bearer: Bearer, grant: Grant) -> None:
    """Record that a used code came again, and that the tokens of its grant have ended."""
    _record(bearer, "code_replayed", of_grant(grant), {})


def _record(bearer: Bearer, did: str, acting: Acting, told: dict[str, str]) -> None:
    ids = {"grant": acting.grant, "delegation": acting.delegation}
    record(
        kind=Kind.ACCESS,
        actor=bearer.slug,
        agent=bearer.agent_slug,
        gateway=bearer.gateway_slug,
        user=acting.user,
        asked={"did": did, "client": bearer.client.client_id, **told}
        | {name: value for name, value in ids.items() if value},
    )


def _gone_at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds + tokens.LEEWAY_SECONDS, UTC)


def _uuid(text: str) -> UUID | None:
    return UUID(text) if text else None
