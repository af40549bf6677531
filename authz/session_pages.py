"""Pages about runs: one run, and the runs of an agent. Who may see them is as for the trail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from audit import selectors as trail
from audit.enums import Kind
from audit.models import Record
from audit.selectors import AuditScope, PageRequest, TrailFilters
from audit.views import names_of
from authz.engine.reading import CATEGORY, TAINT, TIER
from authz.models import Carried, FlowSession
from authz.resolve import is_opened
from authz.story import Story, story_of
from governance.kernel import clock
from governance.kernel.tiers import rank
from registry.enums import Tier
from registry.models import Agent, Person
from registry.people import signed_in

PAGE = 50
LATEST = 5
# More than this of one run is neither read nor drawn; the list below pages through all of it.
MOST = 2_000
_STATES = [("", "any"), ("open", "open"), ("ended", "ended")]
_TAINTS = [("", "any"), ("yes", "with untrusted input"), ("no", "without")]


class SessionName:
    """Any name that a caller may give its run."""

    regex = r"[\s\S]{1,200}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class RunFilter(forms.Form):
    """Which of an agent's runs."""

    tier = forms.ChoiceField(label="Label", required=False, choices=[("", "any"), *Tier.choices])
    taint = forms.ChoiceField(label="Untrusted input", required=False, choices=_TAINTS)
    state = forms.ChoiceField(label="Open or ended", required=False, choices=_STATES)


@login_required
@require_GET
def run(request: HttpRequest, name: str) -> HttpResponse:
    """One run: what it read, its label over time, what it wrote, where it stopped."""
    scope = signed_in(request).audit_scope()
    session = _session(name, scope)
    records = trail.of_session(name, scope=scope, most=MOST)
    if session is None and not records:
        raise Http404
    agents = _agents(records, session)
    asked = request.GET.get("agent", agents[0])
    agent = asked if asked in agents else agents[0]
    story = story_of(record for record in records if record.agent == agent)
    filters = TrailFilters(session=name, agent=agent, kind=Kind.DECISION)
    context = _told(story, session) | _decisions(request, filters, scope)
    context |= {
        "name": name,
        "agent": agent,
        "session": session,
        "others": [other for other in agents if other != agent],
        "capped": len(records) == MOST,
        "most": MOST,
    }
    return render(request, "authz/run.html", context)


def _session(name: str, scope: AuditScope) -> FlowSession | None:
    """The session that was opened under this name, if the reader may see its agent's entries."""
    if not is_opened(name):
        return None
    found = FlowSession.objects.select_related("agent", "gateway").filter(pk=name).first()
    return found if found and _covers(scope, found.agent) else None


def _agents(records: Iterable[Record], session: FlowSession | None) -> list[str]:
    """Who used the name: first the agent that it was opened for, else the first one."""
    named = [session.agent.slug] if session else []
    return list(dict.fromkeys([*named, *(record.agent for record in records)]))


def _told(story: Story, session: FlowSession | None) -> dict[str, Any]:
    """What the page says of the run as a whole."""
    return {
        "story": story,
        "run": story.run,
        "label": _label(story, session),
        "tainted": bool(story.tainted_at or (session and session.untrusted)),
        "planned": story.planned(session.plan) if session and session.plan else [],
        "state": _state(session, clock.now()) if session else "",
    }


def _decisions(request: HttpRequest, filters: TrailFilters, scope: AuditScope) -> dict[str, Any]:
    """One page of its decisions, newest first."""
    wanted = PageRequest(
        after=request.GET.get("after", ""), before=request.GET.get("before", ""), size=PAGE
    )
    page = trail.search(filters, wanted, scope=scope)
    return {
        "rows": _rows(page.records),
        "count": trail.count(filters, scope=scope),
        "older": page.older,
        "newer": page.newer,
    }


def _label(story: Story, session: FlowSession | None) -> str:
    """The higher of what the record shows and what the session holds."""
    known = [story.label, *([session.tier] if session else [])]
    return max(known, key=rank)


def _state(session: FlowSession, now: datetime) -> str:
    if session.ended_at:
        return "ended"
    return "ran out" if session.expires_at <= now else "open"


def _rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """The columns of the trail."""
    names = names_of(record.user for record in records)
    calls = story_of(records).calls
    return [
        {
            "record": call.record,
            "walk": call.judged.get("walk", []),
            "user": names.get(call.record.user, call.record.user),
            "short": str(call.record.id)[-8:],
        }
        for call in calls
    ]


@login_required
@require_GET
def agent_runs(request: HttpRequest, slug: str) -> HttpResponse:
    """Every run of an agent that was opened, newest first."""
    person = signed_in(request)
    agent = get_object_or_404(Agent.objects.visible_to(person), slug=slug)
    form = RunFilter(request.GET)
    rows = FlowSession.objects.filter(agent=agent).order_by("-opened_at", "id")
    if form.is_valid():
        rows = _filtered(rows, form.cleaned_data, clock.now())
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "agent": agent,
        "form": form,
        "page": page,
        "rows": rows_of(agent, page.object_list, person.audit_scope()),
        "carried": carried_by(agent),
        "filtered": any(request.GET.get(field) for field in form.fields),
    }
    return render(request, "authz/agent_runs.html", context)


def _filtered(
    rows: QuerySet[FlowSession], wanted: dict[str, str], now: datetime
) -> QuerySet[FlowSession]:
    ended = Q(ended_at__isnull=False) | Q(expires_at__lte=now)
    if wanted["tier"]:
        rows = rows.filter(tier=wanted["tier"])
    if wanted["taint"]:
        rows = rows.filter(untrusted=wanted["taint"] == "yes")
    if wanted["state"]:
        rows = rows.filter(ended if wanted["state"] == "ended" else ~ended)
    return rows


def latest_runs(agent: Agent, person: Person) -> list[dict[str, Any]]:
    """The newest runs of an agent, for its page."""
    newest = FlowSession.objects.filter(agent=agent).order_by("-opened_at", "id")[:LATEST]
    return rows_of(agent, newest, person.audit_scope())


def rows_of(
    agent: Agent, sessions: Iterable[FlowSession], scope: AuditScope
) -> list[dict[str, Any]]:
    """Rows of a table of an agent's runs, their calls counted by one query for all.

    Who may see the agent but not its entries sees no counts, which is not the same as none.
    """
    found, now = list(sessions), clock.now()
    counts = _counts(found, scope) if _covers(scope, agent) else {}
    return [
        {"session": session, "state": _state(session, now), **counts.get(session.pk, {})}
        for session in found
    ]


def _counts(sessions: Sequence[FlowSession], scope: AuditScope) -> dict[str, dict[str, int]]:
    if not sessions:
        return {}
    since = min(session.opened_at for session in sessions)
    found = trail.effects_by_session([one.pk for one in sessions], since=since, scope=scope)
    return {
        session: {"calls": effects.total(), "stopped": effects.total() - effects["allow"]}
        for session, effects in found.items()
    }


def _covers(scope: AuditScope, agent: Agent) -> bool:
    return scope.everything or agent.slug in scope.agents


def carried_by(agent: Agent) -> list[dict[str, Any]]:
    """What the agent carries into its next run: each fact in words, and until when it counts."""
    live = Carried.objects.filter(agent=agent.slug, until__gt=clock.now())
    facts = [(*each.fact.partition(":")[::2], each.until) for each in live]
    tiers = sorted((f for f in facts if f[0] == TIER), key=lambda f: rank(f[1]), reverse=True)
    taint = [f for f in facts if f[0] == TAINT]
    categories = sorted(f for f in facts if f[0] == CATEGORY)
    return [
        {"tier": name if kind == TIER else "", "text": _carried_words(kind, name), "until": until}
        for kind, name, until in [*_outlasting(tiers), *taint, *categories]
    ]


def _outlasting(
    tiers: Sequence[tuple[str, str, datetime]],
) -> Iterable[tuple[str, str, datetime]]:
    """From the highest tier down, those alone that count for longer than all above them."""
    last: datetime | None = None
    for kind, name, until in tiers:
        if last is None or until > last:
            last = until
            yield kind, name, until


def _carried_words(kind: str, name: str) -> str:
    if kind == TAINT:
        return "has read untrusted input"
    return f"has read {name} data" if kind == TIER else f"has read of the category {name}"
