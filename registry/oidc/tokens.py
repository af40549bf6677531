"""What an ID token says, once everything about it was checked. No queries, no writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from registry.identity import signatures
from registry.oidc.errors import SignInRefused
from registry.oidc.listed import Provider

# What clocks may differ by, in seconds.
LEEWAY = 60
MAX_SUBJECT = 255
MAX_GROUPS = 1000


@dataclass(frozen=True, slots=True)
class Claims:
    """What the provider said: in the ID token, and besides it at its user-info endpoint."""

    provider: Provider
    token: Mapping[str, Any]
    more: Mapping[str, Any] = field(default_factory=dict)
    raw: str = field(default="", repr=False)

    def get(self, name: str) -> Any:
        """A claim; what the signed token says wins."""
        return self.token.get(name, self.more.get(name))

    @property
    def subject(self) -> str:
        return str(self.token.get(self.provider.subject_claim, ""))

    @property
    def _address(self) -> Mapping[str, Any]:
        """Where the address stands: whether it is verified is only believed of that very one."""
        return self.token if "email" in self.token else self.more

    @property
    def email(self) -> str:
        said = self._address.get("email")
        return said.strip().lower() if isinstance(said, str) else ""

    @property
    def email_is_verified(self) -> bool:
        """True itself, or the text of it, which some providers send."""
        said = self._address.get("email_verified")
        return self.provider.trust_email or said is True or said == "true"

    @property
    def name(self) -> str:
        said = self.get("name")
        return said.strip()[:150] if isinstance(said, str) else ""

    @property
    def groups(self) -> tuple[str, ...] | None:
        """The names in the group claim, none where it is left out; None where they are unknown.

        Entra ID leaves out the groups of someone who is in very many, and says so.
        """
        wanted = self.provider.groups_claim
        elsewhere = self.get("_claim_names")
        if not wanted or (isinstance(elsewhere, dict) and wanted in elsewhere):
            return None
        said = self.get(wanted)
        listed = said if isinstance(said, list) else [said]
        return tuple(each for each in listed if isinstance(each, str))[:MAX_GROUPS]

    @property
    def amr(self) -> tuple[str, ...]:
        said = self.token.get("amr")
        listed = said if isinstance(said, list) else []
        return tuple(each[:40] for each in listed if isinstance(each, str))[:10]

    @property
    def acr(self) -> str:
        said = self.token.get("acr")
        return said[:200] if isinstance(said, str) else ""

    @property
    def authenticated_at(self) -> datetime | None:
        """When the person last proved who they are; None where the provider does not say."""
        said = self.token.get("auth_time")
        if isinstance(said, bool) or not isinstance(said, int | float):
            return None
        try:
            return min(datetime.fromtimestamp(said, UTC), clock.now())
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def is_strong(self) -> bool:
        """Whether the provider says that a second factor was used."""
        strong = set(self.provider.second_factor_amr)
        return bool(strong & set(self.amr)) or self.acr in self.provider.second_factor_acr


def verified(
    raw: str, jwks: Mapping[str, Any], provider: Provider, nonce: str
) -> Mapping[str, Any]:
    """The claims of an ID token made for this sign-in. Raises `SignInRefused` (Core, 3.1.3.7)."""
    try:
        claims = signatures.verify(raw, _keys(jwks)).claims()
    except GovernanceError as error:
        raise _refused(provider, f"its token does not verify: {error.message}") from error
    for fault in _faults(claims, provider, nonce):
        raise _refused(provider, fault)
    return claims


def _refused(provider: Provider, fault: str) -> SignInRefused:
    return SignInRefused(f"What {provider.name} answered cannot be used: {fault}")


def _keys(jwks: Mapping[str, Any]) -> list[signatures.Key]:
    """The keys that may have signed; what is for something else, or unknown, is left out."""
    found = jwks.get("keys")
    keys = []
    for each in found if isinstance(found, list) else ():
        try:
            keys.append(signatures.import_public_key(each))
        except GovernanceError:
            continue
    return keys


def _faults(claims: Mapping[str, Any], provider: Provider, nonce: str) -> list[str]:
    wrong = {
        "it is of another issuer.": claims.get("iss") != provider.issuer,
        "it is for another application.": not _is_for(claims, provider.client_id),
        "it has ended, or is not good yet.": not _is_now(claims),
        "it belongs to another sign-in.": not nonce or claims.get("nonce") != nonce,
        "it names nobody.": not _names_someone(claims, provider),
        "the account is none of those that may come in.": not _has(claims, provider.require),
    }
    return [sentence for sentence, fault in wrong.items() if fault]


def _is_for(claims: Mapping[str, Any], client_id: str) -> bool:
    """The audience is this client; where there are several, this one was authorised."""
    audience = claims.get("aud")
    listed = audience if isinstance(audience, list) else [audience]
    azp = claims.get("azp", client_id if len(listed) == 1 else None)
    return client_id in listed and azp == client_id


def _is_now(claims: Mapping[str, Any]) -> bool:
    now = clock.now().timestamp()
    ends: Any = claims.get("exp")
    begins: Any = claims.get("nbf", 0)
    made: Any = claims.get("iat")
    if not all(type(each) in (int, float) for each in (ends, begins, made)):
        return False
    return bool(max(begins, made) - LEEWAY <= now < ends + LEEWAY)


def _names_someone(claims: Mapping[str, Any], provider: Provider) -> bool:
    named = claims.get(provider.subject_claim)
    return all(
        isinstance(each, str) and 0 < len(each) <= MAX_SUBJECT and each.isprintable()
        for each in (named, claims.get("sub"))
    )


def _has(claims: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return all(claims.get(name) == value for name, value in wanted.items())
