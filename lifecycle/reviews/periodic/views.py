"""The page on which a live agent is looked at again."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from lifecycle.decommissioning.answers import what_follows
from lifecycle.models import Case, CaseKind, Review, ReviewStep
from lifecycle.models.reviews import ReviewKind, ReviewOutcome, ReviewState
from lifecycle.renewals.selectors import asked_about, weeks_of
from lifecycle.reviews import page, reading, selectors
from lifecycle.reviews import waiting as reviews
from lifecycle.reviews.errors import RowChanged
from lifecycle.reviews.periodic import services
from lifecycle.reviews.periodic.forms import PeriodicForm
from registry.models import Agent, Person
from registry.people import signed_in
from registry.permissions import can


@login_required
@require_http_methods(["GET", "POST"])
def review(request: HttpRequest, pk: int) -> HttpResponse:
    """Should this agent go on as it is?"""
    person = signed_in(request)
    rows = selectors.visible(person).filter(kind=ReviewKind.PERIODIC)
    found = get_object_or_404(rows, pk=pk)
    tools = list(found.agent.allowlist.order_by("tool__name").values_list("tool__name", flat=True))
    form = PeriodicForm(tools, found.digest, request.POST or None)
    step = next(iter(reviews.mine(found, person)), None) if found.is_open else None
    answered = request.method == "POST" and form.is_valid()
    if answered and (done := _answer(request, form, found, step, person)):
        return done
    context = _context(found, form, step, person)
    return render(request, "lifecycle/reviews/periodic.html", context)


def _answer(
    request: HttpRequest, form: PeriodicForm, found: Review, step: ReviewStep | None, person: Person
) -> HttpResponse | None:
    given = form.cleaned_data
    if step is None:
        form.add_error(None, reviews.why_not(found, person))
        return None
    try:
        after = services.answer_periodic(
            step_id=step.pk,
            by=person,
            outcome=ReviewOutcome(given["outcome"]),
            answers=form.answers,
            reason=given["reason"],
            drop=given["drop"],
            digest=given["digest"],
        )
    except RowChanged as error:
        messages.error(request, error.message)
        return redirect("periodic_review", pk=found.pk)
    except GovernanceError as error:
        name = next(iter(error.fields), None)
        form.add_error(name if name in form.fields else None, error.message)
        return None
    messages.success(request, _said(after))
    return redirect("inbox") if after.is_open else redirect("periodic_review", pk=found.pk)


def _said(after: Review) -> str:
    if after.is_open:
        return f"Answered. {after.agent.slug} waits for the others, and runs meanwhile."
    after.agent.refresh_from_db()
    if after.outcome == ReviewOutcome.END:
        return what_follows(after.agent)
    due = after.agent.review_due
    then = f" It is looked at again by {due:%d %b %Y}." if due else ""
    return f"{after.agent.slug} {after.get_outcome_display()}.{then}"


def _context(
    found: Review, form: PeriodicForm, step: ReviewStep | None, person: Person
) -> dict[str, Any]:
    now, agent = clock.now(), found.agent
    asked = asked_about(agent, now)
    earlier = _before(found)
    context = page.page_of(found, person)
    return context | {
        "form": form,
        "step": step,
        "asked": asked,
        "weeks": weeks_of(agent, now, asked.days),
        "suspends_at": services.suspends_at(found),
        "late": found.is_open and found.due_at is not None and found.due_at <= now,
        "earlier": earlier,
        "beside": _asked_beside(agent),
        "differences": reading.compared(earlier.facts, found.facts) if earlier else [],
        "dropped": set(form.data.getlist("drop")) if form.is_bound else set(asked.ticked),  # type: ignore[attr-defined]
        "refused": {
            str(each): can(services.check_can_say, agent, person, each) for each in ReviewOutcome
        },
    }


def _asked_beside(agent: Agent) -> Case | None:
    """What its owner and their managers are asked meanwhile: whether it stays theirs."""
    rows = agent.cases.filter(kind=CaseKind.MOVER).select_related("closed_by")
    return rows.order_by("-opened_at").first()


def _before(found: Review) -> Review | None:
    """The last one that ended well: what it was when others last looked at it."""
    ended = [ReviewState.APPROVED, ReviewState.ANSWERED]
    rows = Review.objects.filter(agent=found.agent, state__in=ended, pk__lt=found.pk)
    return rows.order_by("-closed_at", "-pk").first()
