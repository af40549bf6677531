"""The page of an agent's adversarial tests: the newest run, older ones, every attack."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Case, QuerySet, When
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from kombu.exceptions import OperationalError

from authz.engine.types import Check
from governance.kernel import egress, strict_json
from governance.kernel.api import PROBLEM, problem
from governance.kernel.errors import GovernanceError
from lifecycle.models.probes import ProbeEnd, ProbeResult, ProbeRun
from lifecycle.probes import live, reporting, selectors, services, tasks
from registry import permissions
from registry.models import Agent, Person
from registry.people import signed_in, visible_agent

PAGE = 30
RUNS_SHOWN = 15
_WORST_FIRST = Case(*(When(end=end, then=place) for place, end in enumerate(ProbeEnd)))


class AttackFilter(forms.Form):
    """Which attacks of a run."""

    end = forms.ChoiceField(
        label="They", required=False, choices=[("", "end any way"), *ProbeEnd.choices]
    )
    by = forms.ChoiceField(
        label="By check", required=False, choices=[("", "any"), *((c, c) for c in Check)]
    )
    q = forms.CharField(label="Attack, tool or OWASP id", required=False, max_length=100)


@login_required
@require_GET
def probes(request: HttpRequest, slug: str) -> HttpResponse:
    """The newest run."""
    agent = visible_agent(request, slug)
    return _page(request, agent, agent.probe_runs.select_related("by").first())


@login_required
@require_GET
def one_run(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """A run of before."""
    agent = visible_agent(request, slug)
    return _page(request, agent, get_object_or_404(agent.probe_runs.select_related("by"), pk=pk))


@login_required
@require_POST
def run_now(request: HttpRequest, slug: str) -> HttpResponse:
    """Run it again: a fraction of a second, so the person waits for it."""
    agent = visible_agent(request, slug)
    try:
        run = services.probe_agent(agent_id=agent.pk, by=signed_in(request))
        messages.success(request, f"{reporting.title_of(run)}.")
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("agent_probes", slug=slug)


@login_required
@require_POST
def run_live(request: HttpRequest, slug: str) -> HttpResponse:
    """Have the running agent attacked: it takes minutes, and the page shows the result then."""
    agent, person = visible_agent(request, slug), signed_in(request)
    try:
        permissions.check_can_change_agent(agent, person)
        egress.check(agent.runs_at)
        tasks.probe_running.delay(agent.pk, person.pk)
        messages.success(request, "It is being attacked. What became of it stands here in minutes.")
    except OperationalError:
        messages.error(request, "The queue does not answer, so nothing was begun. Try again.")
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("agent_probes", slug=slug)


@csrf_exempt
@require_POST
def evaluation(request: HttpRequest) -> HttpResponse:
    """Where a running agent that is attacked asks: always no, and counted what it would have been.

    The token is the test's own, and opens nothing else.
    """
    try:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise live.NoVisit()
        told, status = live.judge_visit(token, strict_json.loads(request.body)), 200
    except GovernanceError as error:
        told = problem(status_code=error.status, code=error.code, detail=error.message)
        status = error.status
    response = JsonResponse(told, status=status)
    response["Cache-Control"] = "no-store"
    if status != 200:
        response["Content-Type"] = PROBLEM
    return response


@login_required
@require_GET
def junit(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """A run as JUnit XML."""
    run = get_object_or_404(visible_agent(request, slug).probe_runs.select_related("agent"), pk=pk)
    response = HttpResponse(reporting.junit(run), content_type="application/xml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slug}-probe.xml"'
    return response


def _page(request: HttpRequest, agent: Agent, run: ProbeRun | None) -> HttpResponse:
    form = AttackFilter(request.GET or None)
    context: dict[str, Any] = {
        "agent": agent,
        "run": run,
        "runs": agent.probe_runs.select_related("by")[:RUNS_SHOWN],
        "form": form,
        "filtered": any(request.GET.get(name) for name in form.fields),
        "may_call": agent.allowlist.exists(),
        "may_live": _why_not_live(agent, signed_in(request)),
    }
    if run:
        page = Paginator(_filtered(run, form), PAGE).get_page(request.GET.get("page"))
        context |= _told(run) | {"page": page, "rows": [_row(run, each) for each in page]}
    return render(request, "lifecycle/probes.html", context)


def _why_not_live(agent: Agent, person: Person) -> str:
    if not agent.runs_at.startswith("https://"):
        return "Its row names no address: where it runs is no https:// one."
    return permissions.can(permissions.check_can_change_agent, agent, person)


def _told(run: ProbeRun) -> dict[str, Any]:
    newest = (selectors.live_runs if run.live else selectors.gating_runs)(run.agent).first()
    return {
        "title": reporting.title_of(run),
        "verdict": reporting.verdict_of(run),
        "stale": run == newest and not selectors.stands(run),
        "checks": _checks(run),
        "forgotten": not run.results.exists(),
    }


def _checks(run: ProbeRun) -> list[dict[str, Any]]:
    """Which checks stopped attack calls, the busiest first."""
    counted: dict[tuple[str, str], int] = {}
    for ends in run.calls.values():
        for end, by_check in ends.items():
            for check, many in by_check.items():
                counted[check, end] = counted.get((check, end), 0) + many
    rows = [{"check": check, "end": end, "calls": many} for (check, end), many in counted.items()]
    return sorted(rows, key=lambda row: (-row["calls"], row["check"]))


def _filtered(run: ProbeRun, form: AttackFilter) -> QuerySet[ProbeResult]:
    rows = run.results.order_by(_WORST_FIRST, "position")
    if not form.is_valid():
        return rows
    wanted = form.cleaned_data
    if wanted["end"]:
        rows = rows.filter(end=wanted["end"])
    if wanted["by"]:
        rows = rows.filter(check_name=wanted["by"])
    return rows.filter(pk__in=_searched(rows, wanted["q"])) if wanted["q"] else rows


def _searched(rows: QuerySet[ProbeResult], text: str) -> list[int]:
    """By title, id, tool and OWASP id; a run has few enough attacks to look at each."""
    wanted = text.casefold()
    return [
        each.pk
        for each in rows
        if wanted
        in " ".join([each.title, each.attack, each.tool, *each.llm, *each.agentic]).casefold()
    ]


def _row(run: ProbeRun, result: ProbeResult) -> dict[str, Any]:
    goals = [step for step in result.steps if step["goal"] and step["end"] == result.end]
    return {
        "result": result,
        "blocks": result.attack in run.blocking,
        "walk": (goals or result.steps or [{"walk": []}])[-1]["walk"],
        "others": len(result.shots) - 1,
    }
