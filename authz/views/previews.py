"""Pages on which a change is compared with the past before it is made."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from authz import permissions, services
from authz.enums import PolicyState, PreviewState
from authz.forms.previews import (
    AllowlistForm,
    PickForm,
    PolicyTextForm,
    PolicyVersionForm,
    RoleForm,
    SpanForm,
    SystemForm,
    written,
)
from authz.models import Policy, Preview, PreviewDifference, Role
from authz.preview import telling
from authz.tasks import set_off
from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from registry.models import Agent, System
from registry.people import signed_in
from registry.selectors import pids_to_people

PAGE = 25
MOVED_SHOWN = 25
LISTED = 50
PLACES_SHOWN = 50
_FORMS = {
    "role": "preview_role",
    "agent": "preview_allowlist",
    "system": "preview_system",
    "policy": "preview_policy",
}


@login_required
@require_http_methods(["GET"])
def previews(request: HttpRequest) -> HttpResponse:
    """What was asked before, and what to ask about now."""
    permissions.check_can_preview(signed_in(request))
    form = PickForm(request.GET if "kind" in request.GET else None)
    if form.is_valid():
        return redirect(_FORMS[form.cleaned_data["kind"]], slug=form.cleaned_data["slug"])
    rows = Preview.objects.select_related("by")[:LISTED]
    told = [{"preview": row, "title": telling.title(row)} for row in rows]
    return render(request, "authz/previews.html", {"form": form, "rows": told})


@login_required
@require_http_methods(["GET", "POST"])
def policy(request: HttpRequest, slug: str, version: str) -> HttpResponse:
    """A version of a policy that is written down, compared before it comes into force."""
    found = _policy(slug, version)
    form = PolicyVersionForm(request.POST or None, policy=found)
    return _ask(request, form, title=f"{found.uid} in force", subject=found.text)


def _policy(slug: str, version: str) -> Policy:
    """By its version, or by the id of its row."""
    if not version.isdecimal() or int(version) >= 2**31:
        raise Http404
    rows = Policy.objects.filter(slug=slug)
    found = rows.filter(version=int(version)).first() or rows.filter(pk=int(version)).first()
    if found is None:
        raise Http404
    return found


@login_required
@require_http_methods(["GET", "POST"])
def policy_text(request: HttpRequest, slug: str) -> HttpResponse:
    """A policy as it might be written, or out of force."""
    active = Policy.objects.filter(slug=slug, state=PolicyState.ACTIVE).first()
    initial = {"text": active.text, "log_only": active.log_only} if active else {}
    form = PolicyTextForm(request.POST or None, slug=slug, initial=initial)
    return _ask(request, form, title=f"policy {slug}")


@login_required
@require_http_methods(["GET", "POST"])
def role(request: HttpRequest, slug: str) -> HttpResponse:
    """A role with other tools or holders."""
    found = get_object_or_404(Role, slug=slug)
    form = RoleForm(request.POST or None, role=found)
    return _ask(request, form, title=f"role {slug}")


@login_required
@require_http_methods(["GET", "POST"])
def allowlist(request: HttpRequest, slug: str) -> HttpResponse:
    """One tool of an agent."""
    found = get_object_or_404(Agent, slug=slug)
    tool = request.GET.get("tool", "")
    entry = found.allowlist.filter(tool__name=tool).first() if "\0" not in tool else None
    initial = {"tool": tool, "narrowing": written(entry.narrowing) if entry else ""}
    form = AllowlistForm(request.POST or None, agent=found, initial=initial)
    return _ask(request, form, title=f"the allowlist of {slug}")


@login_required
@require_http_methods(["GET", "POST"])
def system(request: HttpRequest, slug: str) -> HttpResponse:
    """A system, or a resource in it, with another tier or other categories."""
    found = get_object_or_404(System, slug=slug)
    initial = {"tier": found.tier, "categories": ", ".join(found.categories)}
    form = SystemForm(request.POST or None, system=found, initial=initial)
    return _ask(request, form, title=f"system {slug}")


def _ask(request: HttpRequest, form: SpanForm, *, title: str, subject: str = "") -> HttpResponse:
    person = signed_in(request)
    permissions.check_can_preview(person)
    if request.method == "POST" and form.is_valid():
        try:
            asked = services.ask_preview(
                change=form.asked(), by=person, days=form.cleaned_data["days"]
            )
        except GovernanceError as error:
            form.show(error)
        else:
            set_off(asked)
            return redirect("preview", pk=asked.pk)
    context = {"form": form, "title": title, "subject": subject}
    return render(request, "authz/preview_form.html", context)


@login_required
@require_GET
def preview(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How far it is, and then what it found: the title is the answer."""
    found = services.preview_seen_by(signed_in(request), pk)
    return render(request, "authz/preview.html", _shown(request, found))


def _shown(request: HttpRequest, found: Preview) -> dict[str, Any]:
    done = found.state == PreviewState.DONE
    changed = found.differences.filter(moved=False)
    page = Paginator(changed, PAGE).get_page(request.GET.get("page"))
    moved = list(found.differences.filter(moved=True)[:MOVED_SHOWN]) if done else []
    people = pids_to_people(row.user for row in (*page.object_list, *moved) if row.user)
    return {
        "preview": found,
        "title": telling.title(found),
        "left_out": telling.left_out(found) if done else [],
        "watched": telling.watched(found),
        "moved_told": telling.moved(found),
        "page": page,
        "places": _places(changed) if done else [],
        "rows": [_row(row, people) for row in page.object_list] if done else [],
        "moved": [_row(row, people) for row in moved],
        "silent": services.is_silent(found, clock.now()),
    }


def _places(changed: QuerySet[PreviewDifference]) -> list[dict[str, Any]]:
    """How many calls of which agent with which tool turn how: the most first."""
    grouped = changed.order_by().values("agent", "tool", "turn").annotate(calls=Count("pk"))
    rows = grouped.order_by("-calls", "agent", "tool", "turn")[:PLACES_SHOWN]
    return [
        {**row, "before": row["turn"].partition(">")[0], "after": row["turn"].partition(">")[2]}
        for row in rows
    ]


def _row(difference: Any, people: Any) -> dict[str, Any]:
    return {
        "difference": difference,
        "who": difference.agent or people.get(difference.user) or "not on the register",
        "why": telling.why(difference),
    }


@login_required
@require_GET
def progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """How far it is: a fragment that has the page loaded again at its end."""
    found = services.preview_seen_by(signed_in(request), pk)
    context = {
        "preview": found,
        "title": telling.title(found),
        "silent": services.is_silent(found, clock.now()),
    }
    response = render(request, "authz/_preview_progress.html", context)
    if found.state in (PreviewState.DONE, PreviewState.FAILED):
        response["HX-Refresh"] = "true"
    return response


@login_required
@require_GET
def difference(request: HttpRequest, pk: UUID, kind: str, position: int) -> HttpResponse:
    """One call with both walks, opened."""
    found = services.preview_seen_by(signed_in(request), pk)
    row = get_object_or_404(found.differences, moved=kind == "moved", position=position)
    people = pids_to_people([row.user]) if row.user else {}
    context = {
        "preview": found,
        "title": telling.explained(row, row.after).title,
        "row": _row(row, people),
        "difference": row,
        "sides": [
            (word, side, telling.explained(row, side))
            for word, side in zip(_SIDES[kind], (row.before, row.after), strict=True)
        ],
    }
    return render(request, "authz/preview_difference.html", context)


_SIDES = {
    "changed": ("Without the change", "With the change"),
    "moved": ("As it was decided", "As the register is today"),
}


@login_required
@require_POST
def again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Run it again after it failed or fell silent."""
    found = services.restart_preview(preview_id=pk, by=signed_in(request))
    set_off(found)
    return redirect("preview", pk=pk)
