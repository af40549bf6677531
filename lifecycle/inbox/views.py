"""The inbox, on the site and in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_POST

from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, NotFound
from governance.words import number_word
from lifecycle.inbox import entries
from lifecycle.inbox.answers import answer as give
from lifecycle.inbox.showing import shown
from registry.models import Person
from registry.people import signed_in

KEYS = (
    ("J", "next"),
    ("K", "before"),
    ("Enter", "to the action"),
    ("A", "approve"),
    ("E", "edit"),
    ("R", "reject"),
)


@login_required
@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """Shall this run, exactly like this? htmx asks for the fragment alone."""
    context = _context(signed_in(request), request.GET.get("item", ""), reverse("inbox"))
    fragment = getattr(request, "htmx", False)
    return render(request, f"lifecycle/{'inbox/_inbox' if fragment else 'inbox'}.html", context)


@require_GET
def inbox_in_admin(request: HttpRequest) -> HttpResponse:
    """The same within the admin, where security and the DPO work."""
    place = reverse("admin_inbox")
    context = _context(signed_in(request), request.GET.get("item", ""), place)
    context |= admin.site.each_context(request) | {"title": context["title"]}
    if getattr(request, "htmx", False):
        return render(request, "lifecycle/inbox/_inbox.html", context)
    return render(request, "admin/inbox.html", context)


def _context(person: Person, key: str, place: str) -> dict[str, Any]:
    queue = entries.queue_of(person)
    waiting = entries.chosen(queue, key)
    before, after = entries.neighbours(queue, waiting.key if waiting else "")
    count = len(queue.mine)
    return {
        "queue": queue,
        "count": count,
        "title": _title(count),
        "item": shown(waiting, person) if waiting else None,
        "gone": bool(key) and waiting is None,
        "before": before,
        "after": after,
        "place": place,
        "keys": KEYS,
        "now": clock.now(),
    }


def _title(count: int) -> str:
    if not count:
        return "Nothing waits for you"
    verb, thing = ("waits", "thing") if count == 1 else ("wait", "things")
    return f"{number_word(count).capitalize()} {thing} {verb} for you"


@login_required
@require_POST
def answer(request: HttpRequest, key: str, word: str) -> HttpResponse:
    """Give an answer, say what happens now, and go on to the next."""
    by = signed_in(request)
    _, after = entries.neighbours(entries.queue_of(by), key)
    place = _place(request)
    try:
        messages.success(request, give(key=key, word=word, given=_given(request), by=by))
    except NotFound as error:
        raise Http404 from error
    except GovernanceError as error:
        messages.error(request, error.message)
        # What someone else has answered meanwhile is not there any more.
        after = after if isinstance(error, Conflict) else key
    return redirect(f"{place}?{urlencode({'item': after})}" if after else place)


def _given(request: HttpRequest) -> dict[str, str]:
    return {name: str(value).replace("\0", "") for name, value in request.POST.items()}


def _place(request: HttpRequest) -> str:
    """The page that one came from: the inbox of the site, or that of the admin."""
    admins = reverse("admin_inbox")
    return admins if request.POST.get("place") == admins else reverse("inbox")
