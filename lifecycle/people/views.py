"""The pages of people: who works here, where that is known from, and who goes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from audit import selectors as audit
from audit.selectors import PageRequest, TrailFilters
from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from lifecycle.models import Source
from lifecycle.people.consequences import consequences_of
from lifecycle.people.forms import BackForm, DetailsForm, LeavingForm, LeftForm, PeopleFilter
from lifecycle.people.selectors import today_in
from registry import permissions, selectors, services
from registry.enums import Employment
from registry.models import Agent, Person
from registry.people import signed_in
from registry.permissions import can, check_can_change_people

PAGE = 50
SORTS = {"name": "name", "agents": "agent_count", "department": "department"}
BY_HAND = "by-hand"
# Whoever operates does not read the record: `Person.audit_scope`.
NOT_THE_RECORD = (
    "Security, the data protection officer and auditors read what is recorded of people. "
    "You see what is recorded of agents that you answer for."
)


@login_required
@require_GET
def people(request: HttpRequest) -> HttpResponse:
    """Everyone who works here and, for those who see everything, who has left."""
    by = signed_in(request)
    form = PeopleFilter(request.GET or None)
    rows: QuerySet[Person] = Person.objects.visible_to(by).select_related("manager")
    rows = rows.prefetch_related("groups", "identities")
    rows = rows.annotate(agent_count=Count("owned_agents", distinct=True))
    if form.is_valid():
        rows = _chosen(rows, form.cleaned_data)
    page = Paginator(_sorted(rows, request.GET.get("sort", "")), PAGE)
    context = {
        "form": form,
        "page": page.get_page(request.GET.get("page")),
        "why_not": can(check_can_change_people, by),
    }
    return render(request, "lifecycle/people/people.html", context)


def _chosen(rows: QuerySet[Person], asked: dict[str, str]) -> QuerySet[Person]:
    if text := asked["q"]:
        rows = rows.filter(Q(name__icontains=text) | Q(email__icontains=text))
    if text := asked["department"]:
        rows = rows.filter(department__icontains=text)
    if employment := asked["employment"]:
        rows = rows.filter(employment=employment)
    if group := asked["group"]:
        rows = rows.filter(pk__in=Person.objects.filter(groups__name=group).values("pk"))
    if source := asked["source"]:
        named = Person.objects.filter(identities__isnull=False)
        if source == BY_HAND:
            return rows.exclude(pk__in=named.values("pk"))
        rows = rows.filter(pk__in=named.filter(identities__source=source).values("pk"))
    return rows


def _sorted(rows: QuerySet[Person], asked: str) -> QuerySet[Person]:
    column = SORTS.get(asked.removeprefix("-"), "name")
    return rows.order_by(f"-{column}" if asked.startswith("-") else column, "pk")


@login_required
@require_GET
def person(request: HttpRequest, pid: str) -> HttpResponse:
    """One person: who they are, where that is known from, what they answer for."""
    by = signed_in(request)
    found = _visible(by, pid)
    seen = Agent.objects.visible_to(by).select_related("owner").order_by("slug")
    context = {
        "person": found,
        "identities": _identities(found),
        "given": selectors.given_by(found),
        "owned": seen.filter(owner=found),
        "backed": seen.filter(backup_owner=found),
        "reports": Person.objects.visible_to(by).filter(manager=found)[:PAGE],
        "history": _history(found, by),
        "why_no_history": "" if by.audit_scope().everything else NOT_THE_RECORD,
        "why_not": can(check_can_change_people, by),
    }
    return render(request, "lifecycle/people/person.html", context)


def _visible(by: Person, pid: str) -> Person:
    return get_object_or_404(Person.objects.visible_to(by).select_related("manager"), pid=pid)


def _identities(person: Person) -> list[dict[str, Any]]:
    rows = list(person.identities.order_by("source", "pk"))
    sources = {each.slug: each for each in Source.objects.filter(slug__in=[r.source for r in rows])}
    return [{"row": row, "source": sources.get(row.source)} for row in rows]


def _history(person: Person, by: Person) -> list[dict[str, Any]]:
    """The newest records about them that the reader may see."""
    filters = TrailFilters(resource=f"person:{person.pid}")
    found = audit.search(filters, PageRequest(size=20), scope=by.audit_scope())
    pids = {each.actor for each in found.records}
    names = dict(Person.objects.filter(pid__in=pids).values_list("pid", "name"))
    return [
        {
            "record": each,
            "did": str(audit.parse_body(each).get("asked", {}).get("did", each.kind)),
            "by": names.get(each.actor, each.actor.removeprefix("system:")),
        }
        for each in found.records
    ]


# Joining is the register's; leaving, coming back and moving are here


WORDS = {
    "leaving": (Employment.LEAVING, LeavingForm),
    "left": (Employment.LEFT, LeftForm),
    "back": (Employment.EMPLOYED, BackForm),
}


@login_required
@require_http_methods(["GET", "POST"])
def employment(request: HttpRequest, pid: str, word: str) -> HttpResponse:
    """What follows when someone leaves, has left or is back; then that it is so."""
    by = signed_in(request)
    found = _visible(by, pid)
    if word not in WORDS:
        raise Http404
    check_can_change_people(by)
    wanted, shape = WORDS[word]
    form = shape(request.POST if request.method == "POST" else None, person=found)
    if request.method == "POST" and form.is_valid():
        try:
            return _said(request, found, wanted, form)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    context = {
        "person": found,
        "word": word,
        "form": form,
        "follows": consequences_of(found, wanted, clock.now()),
        "gone": found.identities.filter(said_gone=True),
    }
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "lifecycle/people/employment.html", context, status=status)


def _said(
    request: HttpRequest, person: Person, wanted: Employment, form: forms.Form
) -> HttpResponse:
    day = form.cleaned_data.get("last_day")
    if wanted == Employment.LEFT and day is None and not person.last_day:
        day = today_in(person.zone)
    services.set_employment(
        person_id=person.pk, employment=wanted, last_day=day, by=signed_in(request)
    )
    told = {
        Employment.EMPLOYED: f"{person} is employed.",
        Employment.LEAVING: f"{person} is leaving.",
        Employment.LEFT: f"{person} has left. Their agents are denied.",
    }
    messages.success(request, told[wanted])
    return redirect("person", pid=person.pid)


@login_required
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, pid: str) -> HttpResponse:
    """Another manager, department, time zone or calendar."""
    by = signed_in(request)
    found = _visible(by, pid)
    asked = frozenset({"zone", "calendar"})
    permissions.check_can_change_person(found, by, asked)
    form = _details(request, found)
    if request.method == "POST" and form.is_valid():
        try:
            services.update_person(person_id=found.pk, by=by, **_wanted(form, found))
            messages.success(request, f"{found} is changed.")
            return redirect("person", pid=found.pid)
        except GovernanceError as error:
            form.add_error(None, error.sentences)
    context = {"person": found, "form": form}
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "lifecycle/people/change.html", context, status=status)


def _details(request: HttpRequest, person: Person) -> DetailsForm:
    initial = {
        "manager": person.manager.email if person.manager else "",
        "department": person.department,
        "zone": person.zone,
        "calendar": person.calendar,
    }
    given = selectors.given_by(person)
    return DetailsForm(request.POST or None, initial=initial, given=given)


def _wanted(form: DetailsForm, person: Person) -> Any:
    """What was changed; a field that a source gives is never among it."""
    names = [name for name in form.changed_data if not form.fields[name].disabled]
    return {name: form.cleaned_data[name] for name in names}
