"""The person behind a request, and what they may see of what it names."""

from __future__ import annotations

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from governance.kernel.errors import NotSignedIn
from registry.models import Agent, Person


def signed_in(request: HttpRequest) -> Person:
    """Who is signed in; raises `NotSignedIn` for nobody."""
    if isinstance(request.user, Person):
        return request.user
    raise NotSignedIn()


def visible_agent(request: HttpRequest, slug: str, *related: str) -> Agent:
    """The agent of this name, with what is `related`, if the person who asks sees it; else 404."""
    visible = Agent.objects.visible_to(signed_in(request))
    related = ("owner", "backup_owner", "model_provider", *related)
    return get_object_or_404(visible.select_related(*related), slug=slug)
