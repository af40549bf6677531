"""The pages of an agent's credentials. No answer of theirs holds a secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django import forms as django_forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel.errors import GovernanceError, Invalid
from lifecycle.credentials import forms, pages
from registry import permissions, vault
from registry.models import CredentialReference
from registry.people import signed_in, visible_agent


@sensitive_variables()
@sensitive_post_parameters("value")
@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def store(request: HttpRequest, slug: str) -> HttpResponse:
    """Store a new secret, which no page shows again."""
    agent, person = visible_agent(request, slug), signed_in(request)
    permissions.check_can_change_agent(agent, person)
    form = forms.StoreForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            stored = vault.create(
                form.cleaned_data["reference"],
                form.secret(),
                agent=agent,
                by=person,
                system=form.cleaned_data["system"],
                scope=form.cleaned_data["scope"],
                holder=form.cleaned_data["holder"],
            )
            messages.success(request, f"{stored.reference} is stored. The agent may ask for it.")
            return redirect("agent_credential_page", slug=slug, pk=stored.pk)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    return render(request, "lifecycle/credentials/store.html", {"agent": agent, "form": form})


@never_cache
@login_required
@require_GET
def credential(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Where a credential lies, its versions, who read it last; and how to end it."""
    found = _credential(request, slug, pk)
    context = pages.credential_page(found, signed_in(request)) | {
        "rotate_form": forms.RotateForm(),
        "revoke_form": forms.WhyForm(),
        "confirm_form": forms.ConfirmForm(),
    }
    return render(request, "lifecycle/credentials/credential.html", context)


@sensitive_variables()
@sensitive_post_parameters("value")
@login_required
@require_POST
def rotate(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Make another value the current one."""
    found, form = _credential(request, slug, pk), forms.RotateForm(request.POST)

    def act() -> None:
        vault.rotate(
            found.reference,
            by=signed_in(request),
            value=form.cleaned_data["value"] or None,
            overlap=timedelta(hours=form.cleaned_data["overlap"]),
        )

    return _act(request, found, form, act, "The new secret is the current one.")


@login_required
@require_POST
def revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """End it at once."""
    found, form = _credential(request, slug, pk), forms.WhyForm(request.POST)

    def act() -> None:
        vault.revoke(found.reference, by=signed_in(request), reason=form.cleaned_data["reason"])

    return _act(request, found, form, act, "It is revoked. Nobody is given it from now on.")


@login_required
@require_POST
def confirm(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Someone's word that it opens nothing any more."""
    found, form = _credential(request, slug, pk), forms.ConfirmForm(request.POST)

    def act() -> None:
        vault.confirm_ended(
            found.reference, by=signed_in(request), reason=form.cleaned_data["reason"]
        )

    return _act(request, found, form, act, "It no longer counts as live at its source.")


def _credential(request: HttpRequest, slug: str, pk: int) -> CredentialReference:
    agent = visible_agent(request, slug)
    found = get_object_or_404(agent.credentials.select_related("system", "ended_by"), pk=pk)
    found.agent = agent
    return found


def _act(
    request: HttpRequest,
    found: CredentialReference,
    form: django_forms.Form,
    act: Callable[[], None],
    said: str,
) -> HttpResponse:
    """Do it, say what happened, and go back to the credential."""
    try:
        if not form.is_valid():
            raise Invalid(" ".join(str(each[0]) for each in form.errors.values()))
        act()
        messages.success(request, said)
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("agent_credential_page", slug=found.agent.slug, pk=found.pk)
