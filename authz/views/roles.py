"""Pages of roles and relationships; what widens is proposed, and the page says so."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from authz import permissions, selectors, services
from authz.engine.names import PERSON_WORDS
from authz.forms.policies import RelationshipFilter, RelationshipForm, RoleFilter, RoleForm
from authz.models import GovernedTool, Relationship, Role
from authz.services.relationships import ADDING_KIND, REMOVAL_KIND
from authz.services.roles import GRANTS_KIND
from governance.kernel.errors import GovernanceError
from registry import changes
from registry.enums import ChangeState
from registry.models import Agent, Person, ProposedChange, Tool
from registry.people import signed_in
from registry.permissions import can

PAGE = 50
SUGGESTED = 200
KINDS = (GRANTS_KIND, ADDING_KIND, REMOVAL_KIND)


@login_required
@require_GET
def roles(request: HttpRequest) -> HttpResponse:
    """Every role, with how much it grants to how many."""
    form = RoleFilter(request.GET or None)
    text = form.cleaned_data["q"] if form.is_valid() else ""
    page = Paginator(selectors.roles_listed(text), PAGE).get_page(request.GET.get("page"))
    context = {
        "form": form,
        "page": page,
        "why_not": can(permissions.check_can_change_roles, signed_in(request)),
    }
    return render(request, "authz/roles.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def new_role(request: HttpRequest) -> HttpResponse:
    """A role that grants nothing to nobody yet."""
    by = signed_in(request)
    permissions.check_can_change_roles(by)
    form = RoleForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            saved = services.save_role(by=by, **form.cleaned_data)
            messages.success(request, f"{saved.row.slug} is there. It grants nothing yet.")
            return redirect("role", slug=saved.row.slug)
        except GovernanceError as error:
            form.add_error("slug" if "slug" in error.fields else None, error.message)
    return render(request, "authz/role_new.html", {"form": form})


@login_required
@require_GET
def role(request: HttpRequest, slug: str) -> HttpResponse:
    """What one role grants, to whom, and what waits for a second person."""
    found, by = get_object_or_404(Role, slug=slug), signed_in(request)
    context = {
        "role": found,
        "tools": found.tools.select_related("system"),
        "agents": found.agents.select_related("owner"),
        "people": found.people.all(),
        "governed": set(GovernedTool.objects.values_list("tool", flat=True)),
        "waiting": _waiting(selectors.open_changes([GRANTS_KIND], slug), by),
        "why_not": can(permissions.check_can_change_roles, by),
        "more_tools": _names(Tool.objects.exclude(roles=found).order_by("name"), "name"),
        "more_agents": _names(Agent.objects.exclude(roles=found).order_by("slug"), "slug"),
    }
    return render(request, "authz/role.html", context)


def _names(rows: QuerySet[Any], field: str) -> QuerySet[Any, Any]:
    return rows.values_list(field, flat=True)[:SUGGESTED]


def _waiting(open_changes: list[ProposedChange], by: Person) -> list[dict[str, Any]]:
    return [
        {
            "change": change,
            "why_not": changes.can_agree(change, by),
            "own": change.proposed_by_id == by.pk,
            "lines": _lines(change),
        }
        for change in open_changes
    ]


def _lines(change: ProposedChange) -> list[tuple[str, str]]:
    """What a role would grant more, and to whom; a relationship's summary says all."""
    if change.kind != GRANTS_KIND:
        return []
    people = dict(
        Person.objects.filter(pid__in=change.after.get("people", ())).values_list("pid", "email")
    )
    return [
        (f"more {name}", ", ".join(people.get(each, each) for each in values))
        for name, values in sorted(change.after.items())
    ]


@login_required
@require_POST
def change_role(request: HttpRequest, slug: str, word: str) -> HttpResponse:
    """Add one tool, agent or person to a role, or take it away."""
    get_object_or_404(Role, slug=slug)
    kind = request.POST.get("kind", "")
    if word not in {"add", "remove"} or kind not in {"tools", "agents", "people"}:
        raise Http404
    given = {kind: [_key(kind, request.POST.get("name", ""))]}
    try:
        saved = services.change_role(slug=slug, by=signed_in(request), **{word: given})
        _tell(request, saved)
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("role", slug=slug)


def _key(kind: str, name: str) -> str:
    """What the service knows it by: people are typed by e-mail address."""
    name = name.strip().replace("\0", "")[:254]
    if kind != "people":
        return name
    return _pid(name)


def _pid(name: str) -> str:
    pid = Person.objects.filter(email__iexact=name).values_list("pid", flat=True).first()
    return pid or name


def _tell(request: HttpRequest, saved: Any) -> None:
    for change in saved.proposed:
        messages.warning(
            request, f"{change.summary}: waits for a second person. Nothing has changed yet."
        )
    if saved.changed or saved.created:
        messages.success(request, "Done, and in effect from now on.")
    elif not saved.proposed:
        messages.info(request, "It was so already.")


@login_required
@require_POST
def decide(request: HttpRequest, pk: int, word: str) -> HttpResponse:
    """Answer what waits about a role or a relationship, or take one's own back."""
    change = get_object_or_404(
        ProposedChange.objects.visible_to(signed_in(request)),
        pk=pk,
        kind__in=KINDS,
        state=ChangeState.PROPOSED,
    )
    try:
        messages.success(request, _decided(change, word, request))
    except GovernanceError as error:
        messages.error(request, error.message)
    if change.kind == GRANTS_KIND:
        return redirect("role", slug=change.target)
    return redirect("relationships")


def _decided(change: ProposedChange, word: str, request: HttpRequest) -> str:
    by, answer = signed_in(request), request.POST.get("answer", "").replace("\0", "")[:500]
    if word == "agree":
        changes.agree(change_id=change.pk, by=by, answer=answer)
        return "Agreed. It is in effect from now on."
    if word == "reject":
        changes.reject(change_id=change.pk, by=by, answer=answer)
        return "Rejected. Nothing has changed."
    if word == "withdraw":
        changes.withdraw(change_id=change.pk, by=by)
        return "Taken back. Nothing has changed."
    raise Http404


# Relationships


@login_required
@require_GET
def relationships(request: HttpRequest) -> HttpResponse:
    """Who is what of which thing, and what waits."""
    by = signed_in(request)
    form = RelationshipFilter(request.GET or None)
    asked = form.cleaned_data if form.is_valid() else {}
    rows = selectors.relationships_listed(asked.get("q", ""), asked.get("relation", ""))
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    waiting = ProposedChange.objects.visible_to(by).filter(
        kind__in=[ADDING_KIND, REMOVAL_KIND], state=ChangeState.PROPOSED
    )
    _name_people(page.object_list)
    context = {
        "form": form,
        "page": page,
        "waiting": _waiting(list(waiting.select_related("proposed_by")[:PAGE]), by),
        "why_not": can(permissions.check_can_change_relationships, by),
    }
    return render(request, "authz/relationships.html", context)


def _name_people(rows: Any) -> None:
    """Set `subject_shown`: people by their names, everything else by its id."""
    pids = {row.subject_id for row in rows if row.subject_type in PERSON_WORDS}
    known = {person.pid: str(person) for person in Person.objects.filter(pid__in=pids)}
    for row in rows:
        row.subject_shown = known.get(row.subject_id, row.subject_id)


@login_required
@require_http_methods(["GET", "POST"])
def new_relationship(request: HttpRequest) -> HttpResponse:
    """Say how two things are related."""
    by = signed_in(request)
    permissions.check_can_change_relationships(by)
    form = RelationshipForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = dict(form.cleaned_data)
        if given["subject_type"] in PERSON_WORDS:
            given["subject_id"] = _pid(given["subject_id"])
        try:
            _tell(request, services.save_relationship(by=by, **given))
            return redirect("relationships")
        except GovernanceError as error:
            form.add_error(None, error.message)
    return render(request, "authz/relationship_new.html", {"form": form})


@login_required
@require_POST
def remove_relationship(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a relationship back."""
    row = get_object_or_404(Relationship, pk=pk)
    given = {
        name: getattr(row, name)
        for name in ("resource_type", "resource_id", "relation", "subject_type", "subject_id")
    }
    try:
        _tell(request, services.remove_relationship(by=signed_in(request), **given))
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("relationships")
