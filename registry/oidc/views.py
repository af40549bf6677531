"""To the provider, and back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account.adapter import get_adapter as accounts
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.socialaccount.internal import statekit
from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, NotFound
from governance.kernel.recent import Recent
from registry import services
from registry.models import Person
from registry.oidc import factors, listed
from registry.oidc.adapter import Client
from registry.oidc.errors import SignInRefused
from registry.oidc.listed import Provider
from registry.oidc.tokens import Claims

View = Callable[[HttpRequest, str], HttpResponse]
# How old what the provider calls "just now" may be, in seconds.
JUST_NOW = 120
# How many refusals of one address are recorded in a minute, by one process.
MAX_A_MINUTE = 20

_refused = Recent()


def _way_in(view: Callable[[HttpRequest, Provider], HttpResponse]) -> View:
    """A page of one provider: whatever goes wrong is a sentence, and stands in the record."""

    @never_cache
    @require_GET
    @wraps(view)
    def page(request: HttpRequest, name: str) -> HttpResponse:
        try:
            provider = listed.find(name)
        except NotFound as error:
            raise Http404 from error
        try:
            return view(request, provider)
        except GovernanceError as error:
            _record_refusal(request, provider, error.code)
            context = {"refusal": error, "provider": provider}
            return render(request, "registry/oidc_refused.html", context, status=error.status)

    return page


def forget() -> None:
    """Forget the refusals that this process counted."""
    _refused.clear()


def _record_refusal(request: HttpRequest, provider: Provider, code: str) -> None:
    """Record it, as long as one address does not fill the record with it."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    if _refused.count((address,), timedelta(minutes=1), clock.now()) > MAX_A_MINUTE:
        return
    audit.record(
        kind=Kind.ACCESS,
        actor="system:sign_in",
        asked={"did": "sign_in_failed", "way": "oidc", "provider": provider.id, "code": code},
    )


@_way_in
def go(request: HttpRequest, provider: Provider) -> HttpResponse:
    """To the provider's own page, with state, nonce and PKCE.

    `fresh` has it ask the person again, whatever session they have there.
    """
    if request.headers.get("Sec-Fetch-Site") == "cross-site":
        return redirect("account_login")
    nonce, fresh = secrets.token_urlsafe(24), bool(request.GET.get("fresh"))
    asked = {"prompt": "login", "max_age": "0"} if fresh else {}
    client = Client(request, provider)
    there = client.openid_config["authorization_endpoint"]
    at_allauth = client.get_provider()
    pkce = at_allauth.get_pkce_params()
    state = at_allauth.stash_redirect_state(
        request,
        "login",
        _ours(request.GET.get("next", ""), request),
        {"nonce": nonce, "fresh": fresh},
        pkce_code_verifier=pkce.pop("code_verifier"),
    )
    question = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": client.get_callback_url(request, None),
        "scope": provider.scope,
        "state": state,
        "nonce": nonce,
        **pkce,
        **asked,
    }
    return redirect(f"{there}{'&' if urlsplit(there).query else '?'}{urlencode(question)}")


def _ours(wanted: str, request: HttpRequest) -> str:
    """Where to go on to: a page of this installation, or home."""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts=None, require_https=request.is_secure()
    )
    return wanted if safe else reverse("home")


@_way_in
def back(request: HttpRequest, provider: Provider) -> HttpResponse:
    """From the provider: who it is, whether they may come in, and in."""
    state = _state(request, provider)
    _check_answer(request, provider)
    client = Client(request, provider)
    claims = client.exchange(state["pkce_code_verifier"], state["data"]["nonce"])
    if state["data"]["fresh"]:
        return _confirmed(request, claims, client, state)
    return _open(request, claims, client, state)


def _state(request: HttpRequest, provider: Provider) -> dict[str, Any]:
    """What this browser was sent with; it is good for one return. Raises `SignInRefused`."""
    found: dict[str, Any] | None = statekit.unstash_state(
        request, provider_id=provider.id, state_id=request.GET.get("state", "")
    )
    if found is None:
        raise SignInRefused("This sign-in has ended, or began in another browser. Begin again.")
    return found


def _check_answer(request: HttpRequest, provider: Provider) -> None:
    """The provider says yes, and it is this provider that says so (RFC 9207)."""
    if request.GET.get("iss", provider.issuer) != provider.issuer:
        raise SignInRefused("Another provider answered than was asked. Begin again.")
    if "error" in request.GET or not request.GET.get("code"):
        raise SignInRefused(
            f"{provider.name} did not let you in. Where you are switched off there, ask its "
            "administrators; otherwise try again."
        )


def _open(
    request: HttpRequest, claims: Claims, client: Client, state: dict[str, Any]
) -> HttpResponse:
    """A session of the person, after Muster's own second factor where they have one here alone."""
    with transaction.atomic():
        person = services.let_in(claims)
        if isinstance(request.user, Person) and request.user.pk != person.pk:
            accounts(request).logout(request)
        _remember(request, person, claims, client)
        # The wrapper that allauth gives the session in between is the one that counts.
        answer: HttpResponse = perform_login(
            request, Login(user=person, redirect_url=state["next"], email_verification="none")
        )
    return answer


def _confirmed(
    request: HttpRequest, claims: Claims, client: Client, state: dict[str, Any]
) -> HttpResponse:
    """The same person once more, just now. Raises `SignInRefused` for anyone else."""
    person, at = services.known_by(claims), claims.authenticated_at
    if not isinstance(request.user, Person) or person is None or person.pk != request.user.pk:
        raise SignInRefused("Someone else confirmed than is signed in. Sign in again.")
    if at is None or factors.seconds_since(at) > JUST_NOW:
        raise SignInRefused(
            f"{claims.provider.name} does not say that you signed in just now (auth_time), so it "
            "cannot confirm this. Ask whoever runs it, or set up a second factor here."
        )
    with transaction.atomic():
        services.let_in(claims)
        _remember(request, person, claims, client)
        told = factors.told(request, person)
        audit.record(
            kind=Kind.ACCESS,
            actor=person.pid,
            user=person.pid,
            asked={"did": "signed_in_again", **told},
        )
    return redirect(state["next"])


def _remember(request: HttpRequest, person: Person, claims: Claims, client: Client) -> None:
    end_session = str(client.openid_config.get("end_session_endpoint", ""))
    factors.remember(request, person, claims, end_session)
    record_authentication(request, person, "socialaccount", provider=claims.provider.id)


# And out


@never_cache
@require_GET
def ended(request: HttpRequest) -> HttpResponseBase:
    """Signed out here; the way to sign out at the provider too, which ends everything there."""
    found = request.session.pop(factors.LEFT, None)
    if not isinstance(found, dict):
        return redirect("account_login")
    return render(request, "registry/oidc_ended.html", found)


def leaving(request: HttpRequest) -> dict[str, str]:
    """What the page after signing out shows: the provider's name, and where one signs out there."""
    found = factors.of(request, request.user)
    try:
        provider = listed.find(str(found.get("provider", "")))
    except NotFound:
        return {}
    there = found["end_session"]
    if not there.startswith("https://"):
        return {}
    question = urlencode(
        {
            "client_id": provider.client_id,
            "id_token_hint": found["id_token"],
            "post_logout_redirect_uri": f"{settings.MUSTER_BASE_URL}{reverse('account_login')}",
        }
    )
    mark = "&" if urlsplit(there).query else "?"
    return {"name": provider.name, "url": f"{there}{mark}{question}"}
