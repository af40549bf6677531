"""The OAuth clients of agents and gateways: issued, rotated, ended, and read.

No row, no key: a client belongs to a row, and only an active one gets a secret or keys. Taking
away is always possible. Every change raises `version`, so that tokens issued before it end.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.enums import Kind
from audit.services import record
from governance.kernel import clock, egress, keys, sealing
from governance.kernel.errors import Conflict, Invalid, NotSignedIn, Unavailable
from governance.kernel.sealing import SealBroken
from registry import guard, permissions
from registry.enums import AgentState
from registry.identity import signatures
from registry.identity.tokens import AGENT, GATEWAY, VerifiedToken
from registry.models import Agent, Client, Gateway, Person, RevokedToken, UsedAssertion
from registry.permissions import Actor, Automatic

SECRET_PREFIX = "mst_"  # noqa: S105 - the beginning by which a leaked secret is recognised
MAX_KEYS = 5
MAX_SLUG_IN_ID = 50
# What the key of secrets that wait to be fetched is derived for.
ROTATED = "rotated secrets"
SAVED = [
    *("secret_digest", "previous_digest", "previous_until", "sealed_secret"),
    *("jwks", "version", "rotated_at"),
]


class NotActive(Conflict):
    """Only an active row gets a key."""

    code = "not_active"


@dataclass(frozen=True, slots=True)
class Issued:
    """A client and its secret: the only time that the secret exists outside of its holder."""

    client: Client
    secret: str = field(repr=False)

    @property
    def client_id(self) -> str:
        return self.client.client_id


@dataclass(frozen=True, slots=True)
class Bearer:
    """A client together with the row that it stands for: exactly one of agent and gateway."""

    client: Client
    agent: Agent | None
    gateway: Gateway | None

    @property
    def kind(self) -> str:
        return AGENT if self.agent else GATEWAY

    @property
    def row(self) -> Agent | Gateway:
        row = self.agent or self.gateway
        assert row is not None  # noqa: S101 - the constraint client_of_one
        return row

    @property
    def slug(self) -> str:
        return self.row.slug

    @property
    def agent_slug(self) -> str:
        """What the record's column for agents holds."""
        return self.agent.slug if self.agent else ""

    @property
    def gateway_slug(self) -> str:
        """What the record's column for gateways holds."""
        return self.gateway.slug if self.gateway else ""

    @property
    def refusal(self) -> str:
        """Why this row gets nothing at the moment, as a sentence; empty when it is active."""
        return why_not_active(self.row)


def why_not_active(row: Agent | Gateway) -> str:
    """The sentence that says why `row` gets no key and no token; empty when it does."""
    if isinstance(row, Gateway):
        return "" if row.is_active else f"The gateway {row.slug} is switched off."
    if guard.refusal(row) is None:
        return ""
    if row.state == AgentState.ACTIVE:
        return f"The owner of {row.slug} has left: the agent needs a new owner."
    state = row.get_state_display().lower()
    return f"The agent {row.slug} is {state}, and only an active agent acts."


# Changes


def issue_client(
    *, agent: Agent | None = None, gateway: Gateway | None = None, by: Person
) -> Issued:
    """Make the client of an active agent or gateway, with a secret that is shown this once.

    Raises `NotAllowed`, `NotActive`, or `Conflict` where there is a secret already.
    """
    with transaction.atomic():
        row = _lock(agent or gateway)
        _check_who(row, by)
        _check_active(row)
        client = _client_of(row)
        if client.secret_digest:
            raise Conflict(f"{row.slug} has a secret. Rotate it to get a new one.")
        return _give_secret(client, did="client_issued", by=by)


def make_client(*, agent: Agent, by: Actor) -> Client:
    """The client of an active agent, with no secret and no key yet. Made twice, it is made once.

    It is part of going live, which the caller has checked. Raises `NotActive`.
    """
    with transaction.atomic():
        row = _lock(agent)
        _check_active(row)
        if found := Client.objects.filter(agent=agent).first():
            return found
        client = _client_of(row)
        _record(client, did="client_made", by=by)
        return client


def rotate_secret(*, client: Client, by: Person) -> Issued:
    """Replace the secret; the old one and every token issued before end at once."""
    with transaction.atomic():
        row = _lock(client.agent or client.gateway)
        _check_who(row, by)
        _check_active(row)
        return _give_secret(_client_of(row), did="secret_rotated", by=by)


def new_secret(*, agent: Agent, by: Person) -> Issued:
    """A secret for an active agent: its first, or one that ends what the last one opened."""
    with transaction.atomic():
        row = _lock(agent)
        _check_who(row, by)
        _check_active(row)
        client = _client_of(row)
        did = "secret_rotated" if client.secret_digest else "client_issued"
        return _give_secret(client, did=did, by=by)


def set_jwks(*, client: Client, jwks: dict[str, Any], by: Person) -> Client:
    """Set the public keys for private_key_jwt, all at once; `{}` removes them.

    Raises `BadKey`, which says what is wrong with the keys.
    """
    keys = signatures.import_jwks(jwks) if jwks else []
    if len(keys) > MAX_KEYS:
        raise Invalid(f"At most {MAX_KEYS} keys.")
    with transaction.atomic():
        row = _lock(client.agent or client.gateway)
        _check_who(row, by)
        if keys:
            _check_active(row)
        locked = _client_of(row)
        locked.jwks = {"keys": [key.as_dict(private=False) for key in keys]} if keys else {}
        thumbprints = [key.thumbprint() for key in keys]
        return _save(locked, did="keys_set", by=by, thumbprints=thumbprints)


def remove_secret(*, client: Client, by: Person) -> Client:
    """Take the secret away; keys for private_key_jwt stay."""
    with transaction.atomic():
        row = _lock(client.agent or client.gateway)
        _check_who(row, by)
        locked = _client_of(row)
        locked.secret_digest = ""
        _end_earlier(locked)
        return _save(locked, did="secret_removed", by=by)


def rotate_with_overlap(*, client: Client, by: Automatic, until: datetime) -> Client:
    """Make a new secret while the one in use works on until `until`.

    The new one lies sealed until the agent or its owner fetches it, once. Tokens are left alone:
    nothing was lost. Raises `NotActive`, or `Conflict` where there is no secret, or the last
    rotation is not over.
    """
    with transaction.atomic():
        row = _lock(client.agent or client.gateway)
        _check_active(row)
        locked, now = _client_of(row), clock.now()
        if not locked.secret_digest:
            raise Conflict(f"{row.slug} has no secret that could be rotated.")
        if locked.previous_until and locked.previous_until > now:
            raise Conflict(f"The last rotation of {row.slug} is not over yet.")
        secret = _new_secret()
        locked.previous_digest, locked.previous_until = locked.secret_digest, until
        locked.secret_digest, locked.rotated_at = _digest(secret), now
        locked.sealed_secret = _seal(locked, secret)
        return _save(
            locked, did="secret_rotated_with_overlap", by=by, ends=False, until=until.isoformat()
        )


def fetch_secret(*, client: Client, by: Person | None) -> Issued:
    """The new secret of a rotation, this once. `by` is None for the client itself."""
    with transaction.atomic():
        row = _lock(client.agent or client.gateway)
        if by is not None:
            _check_who(row, by)
        _check_active(row)
        locked = _client_of(row)
        if not locked.sealed_secret:
            raise Conflict(f"There is no new secret of {row.slug} to fetch.")
        secret = _unseal(locked)
        locked.sealed_secret = b""
        who = by or _Itself(row.slug)
        return Issued(_save(locked, did="secret_fetched", by=who, ends=False), secret)


def end_overlap(*, client: Client, by: Automatic) -> bool:
    """Forget the earlier secret once its time is over; whether there was one to forget."""
    with transaction.atomic():
        locked = _client_of(_lock(client.agent or client.gateway))
        if not locked.previous_until or locked.previous_until > clock.now():
            return False
        locked.previous_digest, locked.previous_until = "", None
        _save(locked, did="earlier_secret_ended", by=by, ends=False)
        return True


def set_callback(*, client: Client, url: str, by: Person) -> Issued:
    """Say where this client is told what became of its access requests; "" for nowhere.

    Answers with the key by which it knows that Muster tells it. Raises `AddressRefused`.
    """
    if url:
        egress.check(url)
    with transaction.atomic():
        row = _lock(client.agent or client.gateway)
        _check_who(row, by)
        locked = _client_of(row)
        locked.callback_url = url
        locked.save(update_fields=["callback_url"])
        _record(locked, did="callback_set", by=by, host=egress.place_of(url).name if url else "")
    return Issued(locked, callback_key(locked) if url else "")


def callback_key(client: Client) -> str:
    """The key that signs what this client is told; made of its id, so it lies nowhere."""
    return keys.derived(f"callback {client.client_id}").hex()


def end_client(*, client: Client, by: Actor) -> Client:
    """Take secret and keys away. The client stays, so that its version never starts again."""
    with transaction.atomic():
        row = _lock(client.agent or client.gateway)
        if isinstance(by, Person):
            _check_who(row, by)
        locked = _client_of(row)
        locked.secret_digest, locked.jwks = "", {}
        _end_earlier(locked)
        return _save(locked, did="client_ended", by=by)


def has_keys(client: Client) -> bool:
    """Whether a client has anything that it could prove itself with."""
    return bool(
        client.secret_digest or client.previous_digest or client.sealed_secret or client.jwks
    )


def _lock(row: Agent | Gateway | None) -> Agent | Gateway:
    if isinstance(row, Agent):
        return (
            Agent.objects.select_for_update(of=("self",), no_key=True)
            .select_related("owner")
            .get(pk=row.pk)
        )
    if isinstance(row, Gateway):
        return Gateway.objects.select_for_update(no_key=True).get(pk=row.pk)
    raise Invalid("Name an agent or a gateway.")


def _check_who(row: Agent | Gateway, by: Person) -> None:
    if isinstance(row, Agent):
        permissions.check_can_change_agent(row, by)
    else:
        permissions.check_can_change_gateways(by)


def _check_active(row: Agent | Gateway) -> None:
    if sentence := why_not_active(row):
        raise NotActive(sentence)


def _client_of(row: Agent | Gateway) -> Client:
    """The row's client, made if there is none. The row is locked, so there is no race."""
    client_id = f"{row.slug[:MAX_SLUG_IN_ID].rstrip('-_.')}-{secrets.token_hex(4)}"
    owner = {"agent": row} if isinstance(row, Agent) else {"gateway": row}
    client, _ = Client.objects.select_for_update(of=("self",), no_key=True).get_or_create(
        **owner, defaults={"client_id": client_id, "version": 0}
    )
    return client


def _give_secret(client: Client, *, did: str, by: Person) -> Issued:
    secret = _new_secret()
    client.secret_digest = _digest(secret)
    client.rotated_at = clock.now()
    _end_earlier(client)
    return Issued(_save(client, did=did, by=by), secret)


def _new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def _end_earlier(client: Client) -> None:
    """Whatever a rotation left open ends with what is changed by hand."""
    client.previous_digest, client.previous_until, client.sealed_secret = "", None, b""


def _seal(client: Client, secret: str) -> bytes:
    """Bound to the client, under a key that lies outside the database."""
    return sealing.seal(keys.derived(ROTATED), secret.encode(), client.client_id.encode())


def _unseal(client: Client) -> str:
    bound = client.client_id.encode()
    try:
        opened = sealing.unseal(keys.derived(ROTATED), bytes(client.sealed_secret), bound)
    except SealBroken as error:
        raise Unavailable("The new secret does not open. Make another one.") from error
    return opened.decode()


@dataclass(frozen=True, slots=True)
class _Itself:
    """A client that did something about itself, as the record names it."""

    pid: str


def _save(
    client: Client, *, did: str, by: Actor | _Itself, ends: bool = True, **more: Any
) -> Client:
    """Save and record. `ends` says that the tokens which were issued before end with it."""
    client.version += ends
    client.save(update_fields=SAVED)
    _record(client, did=did, by=by, **more)
    return client


def _record(client: Client, *, did: str, by: Actor | _Itself, **more: Any) -> None:
    bearer = Bearer(client, client.agent, client.gateway)
    record(
        kind=Kind.REGISTRY,
        actor=by.pid,
        agent=bearer.agent_slug,
        gateway=bearer.gateway_slug,
        asked={"did": did, "client": client.client_id, "version": client.version, **more},
    )


# Reading, for whoever must know whether a client may have something now


def matches_secret(client: Client | None, secret: str) -> bool:
    """Whether `secret` is this client's, in constant time, also where there is no client.

    While a rotation overlaps, the earlier one is as good.
    """
    given, kept = _digest(secret), client.secret_digest if client else ""
    same = hmac.compare_digest(kept or _digest(""), given) and bool(kept)
    earlier = client.previous_digest if client and kept else ""
    before = hmac.compare_digest(earlier or _digest(""), given) and bool(earlier)
    until = client.previous_until if client else None
    return same or (before and until is not None and clock.now() < until)


def find_bearer(client_id: str) -> Bearer | None:
    """The client of that id with its row, as they are now."""
    client = (
        Client.objects.select_related("agent__owner", "gateway").filter(client_id=client_id).first()
    )
    return Bearer(client, client.agent, client.gateway) if client else None


def find_bearer_for_issuing(client_id: str) -> Bearer | None:
    """The client of that id with its row, all read FOR SHARE.

    A suspension, a leaver or a rotation that has committed is seen; one that is under way waits
    until the caller's transaction has ended. Order: person, agent, client, as everywhere.
    """
    found = find_bearer(client_id)
    if found is None:
        return None
    agent = gateway = None
    if found.agent:
        agent = guard.held(found.agent.pk)
    else:
        gateway = guard.share(Gateway, found.row.pk)
    return Bearer(guard.share(Client, found.client.pk), agent, gateway)


def bearer_of(token: VerifiedToken) -> Bearer:
    """Who stands behind a verified token now. Raises `NotSignedIn`, code `token_ended`.

    It ends with its client's version, by revocation, and with the row.
    """
    bearer = find_bearer(token.client_id)
    if bearer is None or (bearer.kind, bearer.slug) != (token.kind, token.slug):
        raise _ended("The token's client is not on the register.")
    if bearer.client.version != token.version:
        raise _ended("The client's secret or keys were changed. Get a new token.")
    if RevokedToken.objects.filter(client=bearer.client, jti=token.jti).exists():
        raise _ended("The token was revoked.")
    if bearer.refusal:
        raise _ended(bearer.refusal)
    return bearer


def use_assertion(*, client: Client, jti: str, expires_at: datetime, now: datetime) -> bool:
    """Note that an assertion was presented; False when it was before. What expired is dropped."""
    UsedAssertion.objects.filter(client=client, expires_at__lt=now).delete()
    _, first = UsedAssertion.objects.get_or_create(
        client=client, jti=jti, defaults={"expires_at": expires_at}
    )
    return first


def revoke_token(*, client: Client, jti: str, expires_at: datetime, now: datetime) -> bool:
    """End one token before its time; False when it had ended. What expired is dropped."""
    RevokedToken.objects.filter(client=client, expires_at__lt=now).delete()
    _, first = RevokedToken.objects.get_or_create(
        client=client, jti=jti, defaults={"expires_at": expires_at}
    )
    return first


def _ended(sentence: str) -> NotSignedIn:
    return NotSignedIn(sentence, code="token_ended")


def _digest(secret: str) -> str:
    # 256 random bits need no stretching: there is nothing to guess (docs/adr/0021).
    return hashlib.sha256(secret.encode()).hexdigest()
