"""How people come in: password or passkey, a one-time link, in a demo by choosing who to be.

Through an identity provider: `registry.oidc`.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login as open_session
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import Invalid
from registry import selectors, services
from registry.models import Person, SignInLink
from registry.oidc import factors, listed
from registry.oidc import views as oidc
from registry.people import signed_in

LINK_LASTS = timedelta(minutes=15)
LOCAL_IS_OFF = (
    "Here people sign in with the identity provider of the house alone. "
    "Where it is away, have emergency access opened."
)
SECOND_FACTOR_STAGE = "registry.oidc.factors.SecondFactorStage"
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Nobody signs up by themself, and every sign-in stands in the record."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def pre_login(self, request: HttpRequest, user: AbstractBaseUser, **given: Any) -> Any:
        """Where only a provider's word counts, a password or passkey opens nothing."""
        if not listed.local_is_on() and not factors.of(request, user):
            messages.error(request, LOCAL_IS_OFF)
            return redirect("account_login")
        return super().pre_login(request, user, **given)

    def get_login_stages(self) -> list[str]:
        """A second factor that was used at the provider counts, so it is not asked for twice."""
        ours = {"allauth.mfa.stages.AuthenticateStage": SECOND_FACTOR_STAGE}
        return [ours.get(path, path) for path in super().get_login_stages()]

    @transaction.atomic
    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        super().login(request, user)
        _record("signed_in", user, **factors.told(request, user))

    @transaction.atomic
    def logout(self, request: HttpRequest) -> None:
        leaving = oidc.leaving(request)
        if isinstance(request.user, Person):
            _record("signed_out", request.user)
        super().logout(request)
        if leaving:
            request.session[factors.LEFT] = leaving

    def get_logout_redirect_url(self, request: HttpRequest) -> str:
        return reverse("oidc_ended") if oidc.leaving(request) else "/"

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Record that someone failed; who they said they were only as a keyed hash."""
        claimed = str(credentials.get("email") or credentials.get("username") or "")
        audit.record(
            kind=Kind.ACCESS,
            actor="system:sign_in",
            asked={
                "did": "sign_in_failed",
                "claimed": audit.index_resource(claimed.strip().lower()) if claimed else "",
            },
        )


def _record(did: str, person: AbstractBaseUser, way: str = "account", **more: Any) -> None:
    if isinstance(person, Person):
        audit.record(
            kind=Kind.ACCESS,
            actor=person.pid,
            user=person.pid,
            asked={"did": did, "way": way, **more},
        )


# One-time links


@transaction.atomic
def make_link(person: Person) -> str:
    """The URL of a way in for `person`: once, for 15 minutes. Earlier ones end."""
    token = secrets.token_urlsafe(32)
    SignInLink.objects.filter(person=person, used_at__isnull=True).delete()
    SignInLink.objects.create(
        digest=_digest(token), person=person, expires_at=clock.now() + LINK_LASTS
    )
    audit.record(
        kind=Kind.ACCESS,
        actor="system:sign_in",
        user=person.pid,
        asked={"did": "sign_in_link_made"},
    )
    return f"{settings.MUSTER_BASE_URL}/sign-in/{token}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_with_link(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button; only pressing it uses the link, so that link previews do not."""
    if request.method != "POST":
        return render(request, "registry/sign_in_link.html", {"valid": _find(token) is not None})
    person = _use(request, token)
    if person is None:
        return render(request, "registry/sign_in_link.html", {"valid": False}, status=410)
    return redirect("choose_password")


def _find(token: str) -> SignInLink | None:
    links = SignInLink.objects.select_related("person")
    return links.filter(
        digest=_digest(token), used_at__isnull=True, expires_at__gt=clock.now()
    ).first()


@transaction.atomic
def _use(request: HttpRequest, token: str) -> Person | None:
    link = _find(token)
    if link is None or not link.person.may_act:
        return None
    # Of two that press at once, one signs in.
    unused = SignInLink.objects.filter(pk=link.pk, used_at__isnull=True)
    if not unused.update(used_at=clock.now()):
        return None
    open_session(request, link.person, backend=BACKEND)
    _record("signed_in", link.person, "link")
    return link.person


class WelcomeForm(forms.Form):
    """Who the first administrator is, and how they come in from now on."""

    name = forms.CharField(max_length=150, label="Your name")
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        label="Password",
        help_text="At least 12 characters.",
    )


@never_cache
@login_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def choose_password(request: HttpRequest) -> HttpResponse:
    """Ask for a name and a password after the first sign-in by link."""
    person = signed_in(request)
    if person.has_usable_password():
        return redirect("home")
    form = WelcomeForm(request.POST or None, initial={"name": person.name})
    if request.method == "POST" and form.is_valid() and _welcome(request, person, form):
        return redirect("home")
    return render(request, "registry/choose_password.html", {"form": form})


def _welcome(request: HttpRequest, person: Person, form: WelcomeForm) -> bool:
    try:
        with transaction.atomic():
            services.update_person(person_id=person.pk, by=person, name=form.cleaned_data["name"])
            changed = services.set_own_password(
                person_id=person.pk, password=form.cleaned_data["password"], by=person
            )
    except Invalid as error:
        for field, sentences in error.fields.items():
            form.add_error(field if field in form.fields else None, sentences)
        return False
    # The session is bound to the password: this one goes on.
    open_session(request, changed, backend=BACKEND)
    return True


# Demo


@require_POST
def demo_sign_in(request: HttpRequest) -> HttpResponse:
    """In a database marked as a demo, sign in as one of its made-up people."""
    if not selectors.is_demo():
        raise Http404
    # PostgreSQL cannot look for NUL.
    pid = request.POST.get("person", "").replace("\0", "")
    person = Person.objects.filter(pid=pid).first()
    if person is None or not person.may_act:
        raise Http404
    with transaction.atomic():
        open_session(request, person, backend=BACKEND)
        _record("signed_in", person, "demo")
    wanted = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()})
    return redirect(wanted if ours else "home")
