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

from authz.errors import SecondFactorNeeded
from authz.services import holds as authorization
from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotFound
from governance.words import number_word
from lifecycle.inbox import deciding, entries, holds
from lifecycle.inbox.answers import Reply
from lifecycle.inbox.answers import answer as give
from lifecycle.inbox.editing import PREFIX, compared, edited
from lifecycle.inbox.second_factor import confirm_url, second_factor_at
from lifecycle.inbox.showing import shown
from lifecycle.permissions import check_can_see_habits
from registry.models import Person
from registry.people import signed_in
from registry.permissions import can

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
    context = _context(request, reverse("inbox"))
    fragment = getattr(request, "htmx", False)
    return render(request, f"lifecycle/{'inbox/_inbox' if fragment else 'inbox'}.html", context)


@require_GET
def inbox_in_admin(request: HttpRequest) -> HttpResponse:
    """The same within the admin, where security and the DPO work."""
    place = reverse("admin_inbox")
    context = _context(request, place)
    context |= admin.site.each_context(request) | {"title": context["title"]}
    if getattr(request, "htmx", False):
        return render(request, "lifecycle/inbox/_inbox.html", context)
    return render(request, "admin/inbox.html", context)


@login_required
@require_GET
def how_people_decide(request: HttpRequest) -> HttpResponse:
    """Do people still read what they approve, and what piles up?"""
    check_can_see_habits(signed_in(request))
    return render(request, "lifecycle/deciding.html", deciding.page())


def _context(request: HttpRequest, place: str) -> dict[str, Any]:
    person, key = signed_in(request), request.GET.get("item", "")
    queue = entries.queue_for(request)
    waiting = entries.chosen(queue, key)
    before, after = entries.neighbours(queue, waiting.key if waiting else "")
    count = len(queue.mine)
    return {
        "queue": queue,
        "count": count,
        "habit": deciding.habit_of(person),
        "sees_habits": not can(check_can_see_habits, person),
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
    queue = entries.queue_of(signed_in(request))
    after = entries.neighbours(queue, key)[1]
    try:
        messages.success(request, give(key=key, word=word, reply=_reply(request)))
    except SecondFactorNeeded as error:
        return _ask_again(request, key, error)
    except NotFound as error:
        raise Http404 from error
    except GovernanceError as error:
        messages.error(request, error.message)
        # What someone else has answered meanwhile is not there any more.
        after = after if isinstance(error, Conflict) else key
    return _go_on(request, after)


@login_required
@require_POST
def edit(request: HttpRequest, key: str) -> HttpResponse:
    """Change what is held: first the difference, then, with a second word, approved like that."""
    by = signed_in(request)
    item = shown_hold(key, by)
    try:
        after = _edited(request, item)
        if request.POST.get("confirmed"):
            return _approve_edited(request, key, item, after)
    except SecondFactorNeeded as error:
        return _ask_again(request, key, error)
    except GovernanceError as error:
        messages.error(request, error.message)
        return _go_on(request, key)
    changed = compared(item["held"].parameters, after, item["tool"])
    if not changed:
        messages.info(request, "Nothing is different. Approve it as it is, or change a value.")
        return _go_on(request, key)
    context = {
        "item": item,
        "key": key,
        "changed": changed,
        "fields": [(f"{PREFIX}{name}", request.POST.get(f"{PREFIX}{name}")) for name in after],
        "place": _place(request),
    }
    return render(request, "lifecycle/inbox/edit.html", context)


def shown_hold(key: str, by: Person) -> dict[str, Any]:
    """A hold that this person sees. 404 for what is none."""
    kind, name = entries.split(key)
    if kind != holds.HOLD:
        raise Http404
    try:
        return holds.one(name, by)
    except NotFound as error:
        raise Http404 from error


def _edited(request: HttpRequest, item: dict[str, Any]) -> dict[str, Any]:
    if not item["editable"]:
        raise Invalid("This cannot be edited. Approve or reject it as it is.")
    return edited(item["held"].parameters, _given(request), item["tool"])


def _approve_edited(
    request: HttpRequest, key: str, item: dict[str, Any], after: dict[str, Any]
) -> HttpResponse:
    by = signed_in(request)
    following = entries.neighbours(entries.queue_of(by), key)[1]
    hold = authorization.edit_hold(
        hold_id=item["hold"].pk,
        by=by,
        parameters=after,
        second_factor_at=second_factor_at(request),
    )
    messages.success(request, f"Approved as you changed it. {hold.agent} reads the difference.")
    return _go_on(request, following)


def _ask_again(request: HttpRequest, key: str, error: SecondFactorNeeded) -> HttpResponse:
    """To the second factor, and back to the same thing."""
    messages.warning(request, error.message)
    back = f"{_place(request)}?{urlencode({'item': key})}"
    return redirect(confirm_url(request, back))


def _go_on(request: HttpRequest, key: str) -> HttpResponse:
    place = _place(request)
    return redirect(f"{place}?{urlencode({'item': key})}" if key else place)


def _reply(request: HttpRequest) -> Reply:
    return Reply(
        by=signed_in(request),
        given=_given(request),
        ticked=request.POST.getlist("hold"),
        second_factor_at=second_factor_at(request),
    )


def _given(request: HttpRequest) -> dict[str, str]:
    return {name: str(value).replace("\0", "") for name, value in request.POST.items()}


def _place(request: HttpRequest) -> str:
    """The page that one came from: the inbox of the site, or that of the admin."""
    admins = reverse("admin_inbox")
    return admins if request.POST.get("place") == admins else reverse("inbox")
