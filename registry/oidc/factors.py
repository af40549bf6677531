"""What a session knows of the sign-in at a provider that opened it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from allauth.mfa.stages import AuthenticateStage
from django.http import HttpRequest

from governance.kernel import clock
from registry.models import Person
from registry.oidc.tokens import Claims

KEY = "signed_in_at_provider"
# After signing out: where one signs out at the provider.
LEFT = "signed_out_of_provider"


def remember(request: HttpRequest, person: Person, claims: Claims, end_session: str) -> None:
    """Keep in the session what later pages ask: who, when, how, and where one signs out."""
    at = claims.authenticated_at
    request.session[KEY] = {
        "person": person.pk,
        "provider": claims.provider.id,
        "at": clock.now().timestamp(),
        "amr": list(claims.amr),
        "acr": claims.acr,
        "auth_time": at.timestamp() if at else None,
        "strong": claims.is_strong,
        "end_session": end_session,
        "id_token": claims.raw,
    }


def of(request: HttpRequest, person: Any) -> dict[str, Any]:
    """What was remembered of this person's sign-in; empty for any other way in."""
    found: Any = request.session.get(KEY)
    ours = isinstance(found, dict) and isinstance(person, Person) and found["person"] == person.pk
    return dict(found) if ours else {}


def provider_of(request: HttpRequest) -> str:
    """The id of the provider that this session came from; empty where it came otherwise."""
    return str(of(request, request.user).get("provider", ""))


def is_strong(request: HttpRequest, person: Any) -> bool:
    """Whether the provider said that a second factor was used for this session."""
    return bool(of(request, person).get("strong"))


def strong_at(request: HttpRequest) -> datetime | None:
    """When the second factor was used at the provider; None where it does not say."""
    found = of(request, request.user)
    at = found.get("auth_time")
    return datetime.fromtimestamp(at, UTC) if found.get("strong") and at else None


def opened_at(request: HttpRequest) -> datetime | None:
    """When the provider last let this person in; None for any other way in."""
    at = of(request, request.user).get("at")
    return datetime.fromtimestamp(at, UTC) if at else None


def is_over(request: HttpRequest, minutes: int, more: int = 0) -> bool:
    """Whether the provider is to be asked again: `minutes`, and so many more, have passed."""
    at = opened_at(request)
    return at is not None and clock.now() >= at + timedelta(minutes=minutes + more)


def told(request: HttpRequest, person: Any) -> dict[str, Any]:
    """What the record says of the way in."""
    found = of(request, person)
    if not found:
        return {"way": "account"}
    return {"way": "oidc"} | {
        name: found[name] for name in ("provider", "amr", "acr", "auth_time", "strong")
    }


def seconds_since(at: datetime) -> float:
    return (clock.now() - at).total_seconds()


class SecondFactorStage(AuthenticateStage):  # type: ignore[misc]
    """allauth's own question for a second factor, which the provider's answers as well."""

    def _should_handle(self, request: HttpRequest) -> bool:
        return not is_strong(request, self.login.user) and super()._should_handle(request)
