"""Pages about toxic combinations: the catalogue, what was found, and what was answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from authz import permissions as authorization_rights
from authz import services as authorization
from authz.models import ToxicCombination
from governance.kernel.errors import GovernanceError, Invalid, NotFound
from governance.pictures import combined_picture
from governance.words import number_word
from lifecycle.models import ToxicFinding
from lifecycle.models.toxic import FindingAnswer, FindingScope, FindingState
from lifecycle.toxic import answering, permissions, selectors
from lifecycle.toxic.forms import AnswerForm, CombinationForm, FindingFilter
from registry import changes
from registry.enums import ChangeState
from registry.models import Person, ProposedChange
from registry.people import signed_in
from registry.permissions import can, check_can_suspend_agent

PAGE = 50
NEWEST = 5


@login_required
@require_GET
def findings(request: HttpRequest) -> HttpResponse:
    """What comes together that should not?"""
    person = signed_in(request)
    form = FindingFilter(request.GET)
    rows = selectors.findings(person)
    filtered = form.is_valid() and any(form.cleaned_data.values())
    if filtered:
        rows = selectors.narrowed(rows, **form.cleaned_data)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "title": _title(selectors.figures(person)),
        "form": form,
        "filtered": filtered,
        "page": page,
    }
    return render(request, "lifecycle/toxic/findings.html", context)


def _title(figures: selectors.Figures) -> str:
    if not figures.open:
        return "No toxic combination waits for an answer"
    noun, verb = ("combination", "waits") if figures.open == 1 else ("combinations", "wait")
    said = f"{number_word(figures.open).capitalize()} toxic {noun} {verb} for an answer"
    return f"{said}, {number_word(figures.urgent)} within reach" if figures.urgent else said


@login_required
@require_GET
def finding(request: HttpRequest, pk: int) -> HttpResponse:
    """What comes together here, from where, and what is done about it?"""
    person = signed_in(request)
    row = get_object_or_404(selectors.findings(person), pk=pk)
    return render(request, "lifecycle/toxic/finding.html", _page(row, person))


# Answers that ask for a reason.
_ASKING = ("split", "elevate", "aggregate", "lower")


def _page(row: ToxicFinding, person: Person) -> dict[str, Any]:
    made = row.splits.select_related("first", "second", "agent").filter(undone_at=None).first()
    why_not = can(permissions.check_can_answer, row, person)
    return {
        "finding": row,
        "picture": combined_picture(selectors.picture_of(row)),
        "owner": permissions.owner_of(row),
        "live": [
            (agent, can(check_can_suspend_agent, agent, person))
            for agent in selectors.live_agents(row)
        ],
        # Each has ids of its own.
        **{f"{word}_form": AnswerForm(auto_id=f"{word}-%s") for word in _ASKING},
        "split": made,
        "why_not": why_not,
        "why_not_split": why_not or _why_not_split(row),
        "waits": row.state == FindingState.OPEN,
        "aggregated": row.answer == FindingAnswer.AGGREGATE,
        "combination": ToxicCombination.objects.filter(slug=row.combination).first(),
    }


def _why_not_split(row: ToxicFinding) -> str:
    if row.scope != FindingScope.AGENT:
        return "These are several agents already. Have one stop reading or writing, on its page."
    return ""


def _split(pk: int, by: Person, reason: str) -> str:
    made = answering.split(finding_id=pk, by=by, reason=reason)
    return (
        f"{made.first.slug} and {made.second.slug} are drafts. "
        "Their junction waits for someone in security."
    )


def _elevate(pk: int, by: Person, reason: str) -> str:
    answering.elevate(finding_id=pk, by=by, reason=reason)
    return "It is with those who review it."


def _aggregate(pk: int, by: Person, reason: str) -> str:
    row = answering.aggregate(finding_id=pk, by=by, reason=reason)
    return f"What comes out counts as {row.tier} from now on."


def _undo(pk: int, by: Person, reason: str) -> str:
    answering.undo_split(finding_id=pk, by=by)
    return "The split is taken back: both drafts ended, and the finding is open again."


def _lower(pk: int, by: Person, reason: str) -> str:
    answering.ask_to_lower(finding_id=pk, by=by, reason=reason)
    return "Someone in security must agree. Until then it counts as it does now."


_WORDS: dict[str, Callable[[int, Person, str], str]] = {
    "split": _split,
    "elevate": _elevate,
    "aggregate": _aggregate,
    "undo": _undo,
    "lower": _lower,
}


@login_required
@require_POST
def answer(request: HttpRequest, pk: int, word: str) -> HttpResponse:
    """One answer to a finding, or one taken back."""
    if word not in _WORDS:
        raise NotFound()
    form = AnswerForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    try:
        messages.success(request, _WORDS[word](pk, signed_in(request), reason))
    except NotFound:
        raise
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("toxic_finding", pk=pk)


# The catalogue


@login_required
@require_GET
def combination(request: HttpRequest, slug: str) -> HttpResponse:
    """What counts for more together, why, since when, and what does it find now?"""
    person = signed_in(request)
    row = get_object_or_404(ToxicCombination, slug=slug)
    found = selectors.narrowed(selectors.findings(person), combination=slug)
    context = {
        "combination": row,
        "found": found.exclude(state=FindingState.GONE)[:PAGE],
        "checks": selectors.checks_of(slug)[:NEWEST],
        "history": row.history.select_related("history_user").order_by("-history_id")[:PAGE],
        "change": _waiting(slug),
        "why_not": can(authorization_rights.check_can_change_toxic, person),
    }
    if context["change"] is not None:
        context["why_not_agree"] = changes.can_agree(context["change"], person)
    return render(request, "lifecycle/toxic/combination.html", context)


def _waiting(slug: str) -> ProposedChange | None:
    rows = ProposedChange.objects.filter(kind="toxic", target=slug, state=ChangeState.PROPOSED)
    return rows.select_related("proposed_by").first()


@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Add a combination; it counts at once. The address may fill the form in."""
    return _edit(request, None)


@login_required
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a combination; what would guard less waits for a second person."""
    return _edit(request, get_object_or_404(ToxicCombination, slug=slug))


def _edit(request: HttpRequest, row: ToxicCombination | None) -> HttpResponse:
    person = signed_in(request)
    proposed = CombinationForm.proposed(request.GET) if row is None else {}
    form = CombinationForm(request.POST or None, row=row, initial=proposed)
    if request.method == "POST" and form.is_valid():
        try:
            return _saved(request, row, dict(form.cleaned_data), person)
        except GovernanceError as error:
            _show(form, error)
    context = {
        "form": form,
        "combination": row,
        "why_not": can(authorization_rights.check_can_change_toxic, person),
    }
    status = 400 if request.method == "POST" else 200
    return render(request, "lifecycle/toxic/edit.html", context, status=status)


def _saved(
    request: HttpRequest, row: ToxicCombination | None, given: dict[str, Any], by: Person
) -> HttpResponse:
    slug = row.slug if row else str(given.pop("slug"))
    if row is None and ToxicCombination.objects.filter(slug=slug).exists():
        raise Invalid("This name is taken.", fields={"slug": ["This name is taken."]})
    saved = authorization.save_toxic(slug=slug, by=by, **given)
    for waiting in saved.proposed:
        messages.warning(request, f"Waits for a second person: {waiting.summary}.")
    if saved.created or saved.changed:
        messages.success(request, "Saved. Every agent is looked at once more.")
    return redirect("toxic_combination", slug=slug)


def _show(form: CombinationForm, error: GovernanceError) -> None:
    fields = getattr(error, "fields", None) or {}
    placed = {name: told for name, told in fields.items() if name in form.fields}
    for name, told in placed.items():
        form.add_error(name, told)
    if not placed:
        form.add_error(None, error.message)


@login_required
@require_POST
def remove(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a combination out; one that counts stays until a second person agrees."""
    try:
        saved = authorization.remove_toxic(slug=slug, by=signed_in(request))
    except NotFound:
        raise
    except GovernanceError as error:
        messages.error(request, error.message)
        return redirect("toxic_combination", slug=slug)
    if saved.proposed:
        messages.warning(request, "It counts until a second person agrees.")
        return redirect("toxic_combination", slug=slug)
    messages.success(request, f"{slug} was taken out.")
    return redirect("toxic")
