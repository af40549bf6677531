"""The pages of leavers: who leaves, and everything about the agents of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.kernel.errors import GovernanceError, Invalid
from lifecycle.decommissioning.answers import what_follows
from lifecycle.leavers import page, permissions, selectors, services
from lifecycle.models import Case
from registry.models import Person
from registry.people import signed_in
from registry.selectors import pids_to_people

PAGE = 25
_SAID = {
    "accept": "{many} yours from now on.",
    "refuse": "{many} not yours: the next one is asked.",
}


class NameForm(forms.Form):
    """Who is to be asked instead."""

    to = forms.EmailField(max_length=254, label="Address of the new owner")
    reason = forms.CharField(max_length=500, required=False)


@login_required
@require_GET
def leavers(request: HttpRequest) -> HttpResponse:
    """Whose agents wait for another owner, and what became of those of earlier leavers?"""
    by = signed_in(request)
    cases: dict[int, list[Case]] = defaultdict(list)
    for case in _open_for(by):
        cases[case.agent.owner_id].append(case)
    people = selectors.flagged_for(by)
    settled = Paginator(selectors.settled_for(by), PAGE).get_page(request.GET.get("page"))
    names = pids_to_people(each["whose"] for each in settled)
    context = {
        "rows": [(person, cases[person.pk]) for person in people],
        "agents": sum(map(len, cases.values())),
        "page": settled,
        "settled": [(names.get(each["whose"]), each) for each in settled],
    }
    return render(request, "lifecycle/leavers/leavers.html", context)


def _open_for(by: Person) -> QuerySet[Case]:
    rows = selectors.open_cases()
    if not by.reads_everything:
        rows = rows.filter(pk__in=selectors.concerning(by).values("pk"))
    return rows.order_by("due_at", "agent__slug")


@login_required
@require_GET
def leaver(request: HttpRequest, pid: str) -> HttpResponse:
    """What becomes of the agents of one leaver, and what became of them?"""
    by = signed_in(request)
    person = _seen(pid, by)
    return render(request, "lifecycle/leavers/leaver.html", page.page_of(person, by))


def _seen(pid: str, by: Person) -> Person:
    person = get_object_or_404(Person.objects.select_related("manager"), pid=pid)
    permissions.check_can_see_leaver(person, by)
    return person


@login_required
@require_POST
def answer(request: HttpRequest, pid: str) -> HttpResponse:
    """The same answer for everything that was ticked."""
    person = _seen(pid, signed_in(request))
    word = request.POST.get("word", "")
    try:
        _answer(request, person, word)
    except GovernanceError as error:
        messages.error(request, error.sentences)
    # Whoever has no part in it any more sees what is theirs.
    return redirect("leaver", pid=pid) if _may_see(person, request) else redirect("home")


def _may_see(person: Person, request: HttpRequest) -> bool:
    try:
        permissions.check_can_see_leaver(person, signed_in(request))
    except GovernanceError:
        return False
    return True


def _answer(request: HttpRequest, person: Person, word: str) -> None:
    ids = [
        int(each) for each in request.POST.getlist("case") if each.isdecimal() and len(each) < 18
    ]
    ours = selectors.cases_about(person).filter(pk__in=ids).values_list("pk", flat=True)
    if not ours:
        raise Invalid("Tick at least one agent.")
    reason = request.POST.get("reason", "").replace("\0", "")[:500]
    done, left = services.answer_many(
        case_ids=list(ours), word=word, by=signed_in(request), reason=reason
    )
    for sentence in _said(word, done):
        messages.success(request, sentence)
    for sentence in dict.fromkeys(left.values()):
        messages.error(request, sentence)


def _said(word: str, done: Sequence[Case]) -> list[str]:
    """What came of an answer; of each agent that ends, what happens next."""
    if word == "end":
        return [what_follows(case.agent) for case in done]
    many = f"{done[0].agent.slug} is" if len(done) == 1 else f"{len(done)} agents are"
    return [_SAID[word].format(many=many)] if done else []


@login_required
@require_POST
def name(request: HttpRequest, pk: int) -> HttpResponse:
    """Have somebody else be asked."""
    by = signed_in(request)
    case = get_object_or_404(selectors.visible_to(by), pk=pk)
    form = NameForm(request.POST)
    try:
        to = _named(form, by)
        reason = form.cleaned_data["reason"]
        services.name_owner(case_id=case.pk, to=to, by=by, reason=reason)
        messages.success(request, f"{to} is asked whether they take {case.agent.slug} over.")
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect(services.place_of(case))


def _named(form: NameForm, by: Person) -> Person:
    if not form.is_valid():
        raise Invalid("Enter the address of who is to be asked.")
    found = Person.objects.visible_to(by).filter(email__iexact=form.cleaned_data["to"]).first()
    if found is None:
        raise Invalid("Nobody on the register has this address.")
    return found
