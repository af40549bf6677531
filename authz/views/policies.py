"""Pages on which policies are written, compared, agreed to and ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from authz import pages, permissions, selectors, services
from authz.cases import with_emails, world_document
from authz.engine.world import compile_world
from authz.enums import PolicyState
from authz.errors import DraftMoved
from authz.forms.policies import CaseFormSet, PolicyForm, WordsFilter, case_initial
from authz.models import Policy
from authz.vocabulary import vocabulary
from governance.kernel.errors import GovernanceError
from registry import changes
from registry.models import Agent, Person, ProposedChange, Tool
from registry.people import signed_in
from registry.permissions import can

PREFIX = "case"
PAGE = 20
# Names to choose from while typing; whatever else is typed is taken as well.
SUGGESTED = 200


@login_required
@require_GET
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """One policy: what is in force, and every version before and after it."""
    versions = list(selectors.versions_of(slug)) or [get_object_or_404(Policy, slug=slug)]
    active = next((one for one in versions if one.state == PolicyState.ACTIVE), None)
    shown = active or versions[0]
    context = {
        "slug": slug,
        "versions": [
            (one, pages.alone_word(one) if one.activated_at else "none") for one in versions
        ],
        "active": active,
        "shown": shown,
        "draft": next((one for one in versions if one.state == PolicyState.DRAFT), None),
        "waiting": next((one for one in versions if one.state == PolicyState.PROPOSED), None),
        "concern": selectors.concern_of(shown, selectors.tool_facts()),
        "lines": pages.shown_lines(shown.text)[: pages.MAX_SHOWN_LINES],
        "ending": _decision(selectors.changes_of_policy(slug).get(""), signed_in(request)),
        "why_not": can(permissions.check_can_propose_policies, signed_in(request)),
    }
    return render(request, "authz/policy.html", context)


@login_required
@require_GET
def version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """One version: what it changes, what its cases say, and what one may do with it."""
    found = _version(slug, number)
    return render(request, "authz/version.html", _version_context(found, signed_in(request)))


def _version(slug: str, number: int) -> Policy:
    return get_object_or_404(selectors.versions_of(slug), version=number)


def _version_context(found: Policy, by: Person) -> dict[str, Any]:
    active = selectors.versions_of(found.slug).filter(state=PolicyState.ACTIVE).first()
    against = active if active and active.pk != found.pk else None
    before = against.text if against else ""
    return {
        "policy": found,
        "alone": pages.alone_word(found) if found.activated_at else "not yet",
        "against": against,
        "preview": pages.preview(found),
        "difference": pages.difference(before, found.text),
        "case_changes": pages.case_difference(against, found),
        "open": found.state in {PolicyState.DRAFT, PolicyState.PROPOSED},
        "waits": found.state == PolicyState.PROPOSED,
        "decision": _decision(selectors.changes_of_policy(found.slug).get(found.uid), by),
        "why_not": can(permissions.check_can_propose_policies, by),
        "has_draft": Policy.objects.filter(slug=found.slug, state=PolicyState.DRAFT).exists(),
        "from_url": f"{reverse('policy_edit', args=[found.slug])}?from={found.version}",
    }


def _decision(change: ProposedChange | None, by: Person) -> dict[str, Any]:
    """What waits for a second person, and why `by` may not answer, if so."""
    if change is None:
        return {}
    own = change.proposed_by_id == by.pk
    return {
        "change": change,
        "why_not": changes.can_agree(change, by),
        "own": own,
        "why_not_withdraw": "" if own else f"Only {change.proposed_by} can take it back.",
    }


# Writing


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str = "") -> HttpResponse:
    """The editor: text, cases, and what both come to."""
    by = signed_in(request)
    permissions.check_can_propose_policies(by)
    start = _start(request, slug)
    if request.method == "GET":
        return _editor(request, *_unbound(start, slug), start=start)
    form, formset = _bound(request, slug)
    if request.POST.get("do") == "add":
        return _editor(request, form, _one_more(formset), start=start)
    if request.POST.get("do") == "check" or not (form.is_valid() and formset.is_valid()):
        form.is_valid()
        return _editor(request, form, formset, start=start)
    return _save(request, form, formset, start, by)


def _start(request: HttpRequest, slug: str) -> Policy | None:
    """What the editor begins with: the draft, a version that is named, what is in force."""
    if not slug:
        return None
    versions = selectors.versions_of(slug)
    if draft := versions.filter(state=PolicyState.DRAFT).first():
        return draft
    asked = request.GET.get("from", "")
    if asked.isdecimal() and len(asked) < 10:
        return get_object_or_404(versions, version=int(asked))
    return versions.filter(state=PolicyState.ACTIVE).first() or get_object_or_404(versions[:1])


def _unbound(start: Policy | None, slug: str) -> tuple[PolicyForm, Any]:
    if start is None:
        return PolicyForm(initial={"seen": 0}), CaseFormSet(prefix=PREFIX)
    is_draft = start.state == PolicyState.DRAFT
    initial = {
        "text": start.text,
        "description": start.description,
        "log_only": start.log_only,
        "why": start.why if is_draft else "",
        "seen": start.edits if is_draft else 0,
    }
    cases = [case_initial(case) for case in with_emails(start.cases)]
    return PolicyForm(initial=initial, fixed=slug), CaseFormSet(initial=cases, prefix=PREFIX)


def _bound(request: HttpRequest, slug: str) -> tuple[PolicyForm, Any]:
    return PolicyForm(request.POST, fixed=slug), CaseFormSet(request.POST, prefix=PREFIX)


def _one_more(formset: Any) -> Any:
    """The same rows as they were typed, and an empty one."""
    data = formset.data.copy()
    name = f"{PREFIX}-TOTAL_FORMS"
    data[name] = str(min(formset.total_form_count() + 1, formset.max_num))
    more: Any = CaseFormSet(data, prefix=PREFIX)
    more.forms[-1].fields["name"].widget.attrs["autofocus"] = True
    return more


def _save(
    request: HttpRequest, form: PolicyForm, formset: Any, start: Policy | None, by: Person
) -> HttpResponse:
    given = form.cleaned_data
    draft = services.PolicyDraft(
        slug=given["slug"],
        text=given["text"],
        description=given["description"],
        log_only=given["log_only"],
        cases=formset.documents(),
        why=given["why"],
    )
    try:
        saved = services.save_draft(draft=draft, by=by, seen=given["seen"])
    except DraftMoved:
        return _conflict(request, form, formset)
    except GovernanceError as error:
        _show(form, error)
        return _editor(request, form, formset, start=start)
    messages.success(request, f"Saved as the draft {saved.uid}. Nothing is in force by it.")
    return redirect("policy_edit", slug=saved.slug)


def _show(form: PolicyForm, error: GovernanceError) -> None:
    known = {name: said for name, said in error.fields.items() if name in form.fields}
    for name, sentences in known.items():
        for sentence in sentences:
            form.add_error(name, sentence)
    if not known:
        form.add_error(None, error.message)


def _conflict(request: HttpRequest, form: PolicyForm, formset: Any) -> HttpResponse:
    """Someone was quicker: what was typed stands there unsaved, beside what they made."""
    versions = selectors.versions_of(form.cleaned_data["slug"])
    theirs = versions.filter(state=PolicyState.DRAFT).first() or versions.first()
    is_draft = theirs is not None and theirs.state == PolicyState.DRAFT
    data = request.POST.copy()
    data["seen"] = str(theirs.edits if theirs and is_draft else 0)
    again = PolicyForm(data, fixed=theirs.slug if theirs else "")
    again.is_valid()
    conflict = {
        "theirs": theirs,
        "is_draft": is_draft,
        "difference": pages.difference(theirs.text if theirs else "", form.cleaned_data["text"]),
    }
    return _editor(request, again, formset, start=theirs, conflict=conflict, status=409)


def _editor(
    request: HttpRequest,
    form: PolicyForm,
    formset: Any,
    *,
    start: Policy | None,
    conflict: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    written = _written(form, formset)
    shown = pages.preview(written, words=True)
    is_draft = start is not None and start.state == PolicyState.DRAFT
    context = {
        "form": form,
        "formset": formset,
        "preview": shown,
        "rows": _rows(formset, shown),
        "start": start,
        "draft": start if is_draft else None,
        "conflict": conflict,
        "tools": Tool.objects.order_by("name").values_list("name", flat=True)[:SUGGESTED],
        "agents": Agent.objects.order_by("slug").values_list("slug", flat=True)[:SUGGESTED],
    }
    return render(request, "authz/policy_edit.html", context, status=status)


def _written(form: PolicyForm, formset: Any) -> pages.Written:
    """What is typed, right or not."""
    text = str(form["text"].value() or "").replace("\r\n", "\n")
    slug = str(form["slug"].value() or "") or "new"
    if formset.is_bound:
        return pages.Written(slug, text, formset.documents())
    return pages.Written(slug, text, [_typed(initial) for initial in formset.initial or ()])


def _typed(initial: dict[str, Any]) -> dict[str, Any]:
    data = {f"{PREFIX}-0-{name}": value for name, value in initial.items()}
    data |= {f"{PREFIX}-TOTAL_FORMS": "1", f"{PREFIX}-INITIAL_FORMS": "0"}
    formset: Any = CaseFormSet(data, prefix=PREFIX)
    (document,) = formset.documents()
    return dict(document)


def _rows(formset: Any, shown: pages.Preview) -> list[dict[str, Any]]:
    """Each row of the cases with what became of it."""
    results = {result.name: result for result in shown.results}
    return [
        {
            "form": row,
            "name": row["name"].value() or "",
            "result": results.get(str(row["name"].value() or "")),
            "open": bool(row.errors) or not row["name"].value(),
        }
        for row in formset.forms
    ]


@login_required
@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """What is typed, checked: swapped in beside the editor while one types."""
    permissions.check_can_propose_policies(signed_in(request))
    form, formset = _bound(request, "")
    context = {"preview": pages.preview(_written(form, formset), words=True), "live": True}
    return render(request, "authz/_preview.html", context)


@login_required
@require_GET
def words(request: HttpRequest) -> HttpResponse:
    """Everything that a policy may name."""
    form = WordsFilter(request.GET or None)
    rows = Tool.objects.order_by("name").values_list("name", flat=True)
    if form.is_valid() and (text := form.cleaned_data["q"]):
        rows = rows.filter(name__icontains=text)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    world = compile_world(world_document())
    known = [name for name in page.object_list if name in world.tools]
    context = {"form": form, "page": page, "vocabulary": vocabulary(world, known)}
    return render(request, "authz/words.html", context)


# Deciding


def _propose(found: Policy, request: HttpRequest, by: Person) -> str:
    done = services.propose_draft(policy_id=found.pk, by=by, seen=_seen(request))
    if done.state == PolicyState.PROPOSED:
        return f"{done.uid} waits for a second person to agree. Nothing has changed yet."
    return f"{done.uid} only narrows, so it is in force from now on."


def _discard(found: Policy, request: HttpRequest, by: Person) -> str:
    services.discard_draft(policy_id=found.pk, by=by, seen=_seen(request))
    return f"{found.uid} is given up. Its text stays here to be read."


def _agree(found: Policy, request: HttpRequest, by: Person) -> str:
    services.agree_policy(policy_id=found.pk, by=by, answer=_said(request))
    return f"Agreed. {found.uid} is in force from now on."


def _reject(found: Policy, request: HttpRequest, by: Person) -> str:
    services.reject_policy(policy_id=found.pk, by=by, answer=_said(request))
    return f"{found.uid} is rejected. Its author reads your reason."


def _withdraw(found: Policy, request: HttpRequest, by: Person) -> str:
    services.withdraw_policy(policy_id=found.pk, by=by)
    return f"{found.uid} is taken back. Nothing has changed."


_ACTS: dict[str, Callable[[Policy, HttpRequest, Person], str]] = {
    "propose": _propose,
    "discard": _discard,
    "agree": _agree,
    "reject": _reject,
    "withdraw": _withdraw,
}


def _seen(request: HttpRequest) -> int:
    asked = request.POST.get("seen", "")
    return int(asked) if asked.isdecimal() and len(asked) < 10 else -1


def _said(request: HttpRequest) -> str:
    return request.POST.get("answer", "").replace("\0", "")[:500]


@login_required
@require_POST
def act(request: HttpRequest, slug: str, number: int, word: str) -> HttpResponse:
    """Propose, discard, agree, reject or withdraw; what refuses it is told on the page."""
    found = _version(slug, number)
    if word not in _ACTS:
        raise Http404
    try:
        messages.success(request, _ACTS[word](found, request, signed_in(request)))
    except GovernanceError as error:
        _tell(request, error)
    return redirect("policy_version", slug=slug, number=number)


def _tell(request: HttpRequest, error: GovernanceError) -> None:
    """The refusal, and the cases or places that it is about."""
    messages.error(request, error.message)
    sentences = [one for each in error.fields.values() for one in each if one not in error.message]
    for sentence in sentences[:10]:
        messages.error(request, sentence)


@login_required
@require_http_methods(["GET", "POST"])
def retire(request: HttpRequest, slug: str) -> HttpResponse:
    """Take a policy out of force: a page of its own, since it cannot be undone in place."""
    by = signed_in(request)
    permissions.check_can_propose_policies(by)
    active = get_object_or_404(selectors.versions_of(slug), state=PolicyState.ACTIVE)
    if request.method == "GET":
        concern = selectors.concern_of(active, selectors.tool_facts())
        context = {"policy": active, "concern": concern, "guards": bool(concern.forbids)}
        return render(request, "authz/policy_retire.html", context)
    try:
        retired = services.retire_policy(slug=slug, by=by, why=_said(request))
        ended = retired.state == PolicyState.RETIRED
        waits = f"{retired.uid} forbids something, so a second person must agree that it ends."
        messages.success(request, f"{retired.uid} is out of force." if ended else waits)
    except GovernanceError as error:
        _tell(request, error)
    return redirect("policy", slug=slug)
