"""Pages about notices: what I was told, the ways to me, and the mail of a demo."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel.errors import GovernanceError
from lifecycle.notices import addresses, mail, selectors, services
from lifecycle.notices.forms import ChannelForm, WishesForm
from registry.enums import GroupName
from registry.people import signed_in
from registry.permissions import in_group
from registry.selectors import is_demo

PAGE = 50


@login_required
@require_GET
def notices(request: HttpRequest) -> HttpResponse:
    """What was I told?"""
    person = signed_in(request)
    page = Paginator(selectors.notices_of(person), PAGE).get_page(request.GET.get("page"))
    fresh = selectors.unread(person)
    context = {"page": page, "title": _title(fresh), "fresh": fresh, "mail_page": _has_mail_page()}
    return render(request, "lifecycle/notices.html", context)


def _title(fresh: int) -> str:
    if not fresh:
        return "Nothing new"
    return "One new notice" if fresh == 1 else f"{fresh} new notices"


@login_required
@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """I have seen them."""
    services.mark_read(person=signed_in(request))
    return redirect("notices")


@login_required
@require_http_methods(["GET", "POST"])
def channels(request: HttpRequest) -> HttpResponse:
    """How do notices reach me?"""
    person = signed_in(request)
    administers = in_group(person, GroupName.PLATFORM_ADMIN)
    asked = request.POST.get("what")
    channel_form = ChannelForm(
        request.POST if asked == "channel" else None, administers=administers
    )
    wishes_form = WishesForm(
        request.POST if asked == "wishes" else None, instance=services.wishes_of(person)
    )
    if asked == "channel" and channel_form.is_valid() and _add(request, channel_form):
        return redirect("channels")
    if asked == "wishes" and wishes_form.is_valid():
        services.set_wishes(person=person, **wishes_form.cleaned_data)
        messages.success(request, "Kept. Pages come at once all the same.")
        return redirect("channels")
    context = {
        "channels": selectors.channels_of(person),
        "channel_form": channel_form,
        "wishes_form": wishes_form,
        "services": addresses.SERVICES,
        "to_files": mail.to_files(),
    }
    return render(request, "lifecycle/channels.html", context)


def _add(request: HttpRequest, form: ChannelForm) -> bool:
    given: dict[str, Any] = dict(form.cleaned_data)
    by = signed_in(request)
    try:
        channel = services.add_channel(**(given | {"person": given.get("person") or by}), by=by)
    except GovernanceError as error:
        form.add_error("address", error.message)
        return False
    messages.success(request, f"{channel.name} is a way to {channel.person} from now on.")
    return True


@login_required
@require_POST
def remove_channel(request: HttpRequest, channel_id: UUID) -> HttpResponse:
    """Close a way."""
    channel = services.remove_channel(channel_id=channel_id, by=signed_in(request))
    messages.success(request, f"{channel.name} is closed, and its address erased.")
    return redirect("channels")


@login_required
@require_POST
def try_again(request: HttpRequest, delivery_id: int) -> HttpResponse:
    """Send once more what has failed."""
    services.try_again(delivery_id=delivery_id, by=signed_in(request))
    messages.success(request, "It is sent again within half a minute.")
    back = request.POST.get("back", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if safe else "notices")


def _has_mail_page() -> bool:
    return is_demo() and mail.to_files()


@login_required
@require_GET
def mails(request: HttpRequest) -> HttpResponse:
    """The mail of a demo, which goes to nobody's real address."""
    if not _has_mail_page():
        raise Http404
    page = Paginator(selectors.sent_by_mail(), PAGE).get_page(request.GET.get("page"))
    return render(request, "lifecycle/mails.html", {"page": page})
