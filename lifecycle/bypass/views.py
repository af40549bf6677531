"""Pages about calls that were not asked for, and about the logs that tell of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from governance.kernel.streaming import Streamed
from governance.words import number_word
from lifecycle.bypass import importing, logs, permissions, reading, selectors, services
from lifecycle.bypass.forms import (
    CallFilter,
    ConfirmForm,
    ExplainForm,
    FileForm,
    LogForm,
    initial_of,
)
from lifecycle.models import CallState, LogImport, LogState, ToolLog
from registry.models import Agent, Person, System
from registry.people import signed_in, visible_agent
from registry.permissions import can

PAGE = 50


@login_required
@require_GET
def calls(request: HttpRequest) -> HttpResponse:
    """Which agents act without asking?"""
    person = signed_in(request)
    form, rows, filtered = _chosen(request, person)
    page = Paginator(selectors.by_tool(rows), PAGE).get_page(request.GET.get("page"))
    waiting = selectors.found(person).filter(state=CallState.OPEN).count()
    context = {
        "title": _title(waiting, any_at_all=bool(page.object_list)),
        "form": form,
        "filtered": filtered,
        "page": page,
        "logs": selectors.logs_for(person),
        "unreported": selectors.unreported(person, clock.now()),
        "query": request.GET.urlencode(),
    }
    return render(request, "lifecycle/bypass/calls.html", context)


def _chosen(request: HttpRequest, person: Person) -> tuple[CallFilter, Any, bool]:
    form, rows = CallFilter(request.GET), selectors.found(person)
    filtered = form.is_valid() and any(form.cleaned_data.values())
    return form, selectors.narrowed(rows, **form.cleaned_data) if filtered else rows, filtered


def _title(waiting: int, *, any_at_all: bool) -> str:
    if not waiting:
        return (
            "No call waits for an answer" if any_at_all else "No call without a decision is known"
        )
    noun, verb = ("call", "has") if waiting == 1 else ("calls", "have")
    return f"{number_word(waiting).capitalize()} {noun} {verb} no decision"


@login_required
@require_GET
def as_csv(request: HttpRequest) -> Streamed:
    """Every call that the page's filters leave, for a spreadsheet."""
    _, rows, _ = _chosen(request, signed_in(request))
    return Streamed(
        selectors.csv_lines(rows.iterator(chunk_size=500)),
        content_type="text/csv",
        name="calls-without-a-decision.csv",
    )


@login_required
@require_GET
def of_tool(request: HttpRequest, slug: str) -> HttpResponse:
    """The calls of one agent and tool, and what was said to them."""
    agent, tool = visible_agent(request, slug, "owner", "backup_owner"), _tool(request)
    person = signed_in(request)
    rows = selectors.found(person).filter(agent=agent, tool=tool)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    waiting = rows.filter(state=CallState.OPEN)
    until = waiting.aggregate(last=Max("pk"))["last"]
    context = {
        "agent": agent,
        "tool": tool,
        "page": page,
        "waiting": waiting.count(),
        "confirm_form": ConfirmForm(initial={"until": until}, prefix="confirm"),
        "explain_form": ExplainForm(initial={"until": until}, prefix="explain"),
        "why_not": can(permissions.check_can_confirm, agent, person),
        "why_not_explain": can(permissions.check_can_explain, agent, person),
    }
    return render(request, "lifecycle/bypass/of_tool.html", context)


def _tool(request: HttpRequest) -> str:
    return request.GET.get("tool", "")[:255]


@login_required
@require_POST
def confirm(request: HttpRequest, slug: str) -> HttpResponse:
    """They went past Muster."""
    return _answer(request, slug, ConfirmForm(request.POST, prefix="confirm"), services.confirm)


@login_required
@require_POST
def explain(request: HttpRequest, slug: str) -> HttpResponse:
    """They did not have to be asked for."""
    return _answer(request, slug, ExplainForm(request.POST, prefix="explain"), services.explain)


def _answer(
    request: HttpRequest, slug: str, form: forms.Form, answer: Callable[..., int]
) -> HttpResponse:
    agent: Agent = visible_agent(request, slug, "owner", "backup_owner")
    tool = _tool(request)
    back = f"{reverse('bypass_of_tool', args=[slug])}?{urlencode({'tool': tool})}"
    if not form.is_valid():
        messages.error(request, "Say why, in at most 500 characters.")
        return redirect(back)
    try:
        many = answer(agent=agent, tool=tool, by=signed_in(request), **form.cleaned_data)
        messages.success(
            request, f"{'One call is' if many == 1 else f'{many:,} calls are'} answered."
        )
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect(back)


# Logs


@login_required
@require_http_methods(["GET", "POST"])
def log(request: HttpRequest, slug: str) -> HttpResponse:
    """How a system's log is read, and the way to read one in."""
    system, by = _system(request, slug), signed_in(request)
    kept = ToolLog.objects.filter(system=system).first()
    form = LogForm(request.POST or None, initial=initial_of(kept))
    if request.method == "POST" and form.is_valid():
        try:
            logs.set_log(system=system, by=by, **form.said())
            messages.success(request, f"The log of {system.slug} is read like this from now on.")
            return redirect("bypass_log", slug=slug)
        except GovernanceError as error:
            form.add_error(None, error.message)
    return _log_page(request, system, kept, form=form)


def _log_page(
    request: HttpRequest, system: System, kept: ToolLog | None, **more: Any
) -> HttpResponse:
    form = more.get("form")
    status = 400 if form is not None and form.is_bound and form.errors else 200
    context = {
        "system": system,
        "log": kept,
        "form": LogForm(initial=initial_of(kept)),
        "file_form": FileForm(),
        "imports": LogImport.objects.filter(log=kept).select_related("made_by")[:20]
        if kept
        else [],
        **more,
    }
    return render(request, "lifecycle/bypass/log.html", context, status=status)


def _system(request: HttpRequest, slug: str) -> System:
    system = get_object_or_404(System.objects.select_related("owner"), slug=slug)
    permissions.check_can_read_in(system, signed_in(request))
    return system


@login_required
@require_POST
def token(request: HttpRequest, slug: str, word: str) -> HttpResponse:
    """Make a token for the log, shown on this answer alone; or end it."""
    system, by = _system(request, slug), signed_in(request)
    kept = get_object_or_404(ToolLog, system=system)
    if word == "end":
        logs.end_token(log_id=kept.pk, by=by)
        messages.success(request, "No file is taken by a token any more.")
        return redirect("bypass_log", slug=slug)
    kept, secret = logs.new_token(log_id=kept.pk, by=by)
    answer = _log_page(request, system, kept, secret=secret)
    answer["Cache-Control"] = "no-store"
    return answer


@login_required
@require_POST
def upload(request: HttpRequest, slug: str) -> HttpResponse:
    """Look at a file."""
    system, by = _system(request, slug), signed_in(request)
    kept = get_object_or_404(ToolLog.objects.select_related("system__owner"), system=system)
    form = FileForm(request.POST, request.FILES)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            found = importing.keep_preview(
                log=kept,
                raw=bytes(file.read(reading.MAX_BYTES + 1)),
                file_name=file.name or "",
                by=by,
            )
            return redirect("bypass_import", pk=found.pk)
        except GovernanceError as error:
            form.add_error("file", error.message)
    answer = _log_page(request, system, kept, file_form=form)
    answer.status_code = 400
    return answer


@login_required
@require_GET
def one_import(request: HttpRequest, pk: int) -> HttpResponse:
    """What a file comes to."""
    kept = _import(request, pk)
    open_ = kept.state == LogState.PREVIEW and kept.expires_at > clock.now()
    return render(request, "lifecycle/bypass/import.html", {"kept": kept, "open": open_})


def _import(request: HttpRequest, pk: int) -> LogImport:
    rows = LogImport.objects.select_related("log__system__owner", "made_by", "ended_by")
    kept = get_object_or_404(rows, pk=pk)
    permissions.check_can_read_in(kept.log.system, signed_in(request))
    return kept


@login_required
@require_POST
def end_import(request: HttpRequest, pk: int, word: str) -> HttpResponse:
    """Take its calls in, or put it aside."""
    kept, by = _import(request, pk), signed_in(request)
    service = importing.apply_import if word == "apply" else importing.drop_import
    try:
        service(import_id=kept.pk, by=by)
        said = (
            "They are matched with the decisions within minutes."
            if word == "apply"
            else "Forgotten."
        )
        messages.success(request, said)
    except GovernanceError as error:
        messages.error(request, error.message)
    return redirect("bypass_import", pk=pk)
