"""The pages of an import: a file is uploaded, looked at, applied, and what it came to is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from governance.kernel.streaming import Streamed
from lifecycle.models import ImportRow, ImportState, PeopleImport, RowKind, RowState
from lifecycle.people import importing, reading
from lifecycle.people.errors import ImportOutdated
from lifecycle.people.forms import UploadForm
from lifecycle.people.selectors import FIRST_SHOWN, to_look_at
from registry.models import Person
from registry.people import signed_in
from registry.permissions import check_can_change_people

PAGE = 50


@login_required
@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Ask for a file, and keep what it comes to."""
    by = signed_in(request)
    check_can_change_people(by)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            kept = importing.keep_preview(
                raw=bytes(file.read(reading.MAX_BYTES + 1)),
                file_name=file.name or "",
                source=form.cleaned_data["source"],
                by=by,
            )
            return redirect("people_import_one", pk=kept.pk)
        except GovernanceError as error:
            form.add_error("file", error.sentences)
    imports = PeopleImport.objects.select_related("source", "made_by")[:PAGE]
    status = 400 if form.is_bound and form.errors else 200
    context = {"form": form, "imports": imports, "columns": reading.SHOWN}
    return render(request, "lifecycle/people/upload.html", context, status=status)


@login_required
@require_GET
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """The preview, the progress, or what came of it."""
    kept = _import(request, pk)
    if request.headers.get("HX-Request"):
        return render(request, "lifecycle/people/_progress.html", _progress(kept))
    kind = request.GET.get("kind", "")
    rows = kept.rows.select_related("person")
    shown = rows.filter(kind=kind) if kind in RowKind.values else to_look_at(rows)
    context = {
        "kind": kind,
        "kinds": _kinds(kept),
        "page": Paginator(shown, PAGE).get_page(request.GET.get("page")),
        "open": kept.state == ImportState.PREVIEW and kept.expires_at > clock.now(),
        "typed": _typed(kept),
        "refused": rows.filter(state=RowState.REFUSED)[:PAGE],
        **_progress(kept),
    }
    return render(request, "lifecycle/people/import.html", context)


def _import(request: HttpRequest, pk: int) -> PeopleImport:
    check_can_change_people(signed_in(request))
    rows = PeopleImport.objects.select_related("source", "made_by", "applied_by")
    return get_object_or_404(rows, pk=pk)


def _kinds(kept: PeopleImport) -> list[tuple[str, str, int]]:
    return [
        (str(kind), str(kind.label), many)
        for kind in FIRST_SHOWN
        if (many := kept.counts.get(kind, 0))
    ]


def _typed(kept: PeopleImport) -> dict[str, Any]:
    """How many leave, with and without who is not in the file; and whether that must be typed."""
    leavers = importing.leavers_of(kept, whole=False)
    everyone = importing.leavers_of(kept, whole=True)
    return {
        "leavers": leavers,
        "everyone": everyone,
        "must": importing.must_be_typed(leavers),
        "must_whole": importing.must_be_typed(everyone),
    }


def _progress(kept: PeopleImport) -> dict[str, Any]:
    told = kept.rows.exclude(state=RowState.SHOWN)
    return {
        "kept": kept,
        "all": told.count(),
        "over": told.exclude(state=RowState.DUE).count(),
    }


@login_required
@require_POST
def apply(request: HttpRequest, pk: int) -> HttpResponse:
    """Do what was shown."""
    kept, by = _import(request, pk), signed_in(request)
    try:
        importing.begin_import(
            import_id=kept.pk,
            by=by,
            whole="whole" in request.POST,
            returns="returns" in request.POST,
            typed=request.POST.get("typed", "")[:20],
        )
    except ImportOutdated as error:
        importing.look_again(import_id=kept.pk, by=by)
        messages.warning(request, error.message)
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("people_import_one", pk=kept.pk)


@login_required
@require_POST
def drop(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a preview aside."""
    try:
        importing.drop_import(import_id=_import(request, pk).pk, by=signed_in(request))
        messages.success(request, "Put aside. Nothing was changed.")
    except GovernanceError as error:
        messages.error(request, error.sentences)
    return redirect("people_import")


# Files to take along


def _csv(lines: Iterator[str], name: str) -> Streamed:
    return Streamed(lines, content_type="text/csv; charset=utf-8", name=name)


@login_required
@require_GET
def refused_csv(request: HttpRequest, pk: int) -> Streamed:
    """The rows of which nothing was done, and why: to be mended and imported again."""
    kept = _import(request, pk)
    wrong = kept.rows.filter(kind=RowKind.WRONG) | kept.rows.filter(state=RowState.REFUSED)
    return _csv(_refused_lines(wrong.order_by("line")), f"import-{kept.pk}-refused.csv")


def _refused_lines(rows: QuerySet[ImportRow]) -> Iterator[str]:
    yield reading.csv_line(["line", "problem", *reading.SHOWN])
    for row in rows.iterator():
        said = row.said if row.line else {"id": row.external_id}
        cells = [said.get(name) for name in reading.SHOWN]
        yield reading.csv_line([row.line, row.problem, *cells])


@login_required
@require_GET
def template_csv(request: HttpRequest) -> Streamed:
    """A file with the names of the columns, and a line that shows what they hold."""
    example = (
        "1042", "ada@example.org", "Ada Example", "Claims", "1007", "Europe/Copenhagen",
        "employed", "",
    )  # fmt: skip
    return _csv(map(reading.csv_line, (reading.SHOWN, example)), "people.csv")


@login_required
@require_GET
def export_csv(request: HttpRequest) -> Streamed:
    """Everyone on the register, as a file that can be imported again."""
    check_can_change_people(signed_in(request))
    source = request.GET.get("source", "")[:60]
    return _csv(_people_lines(source), "people.csv")


def _people_lines(source: str) -> Iterator[str]:
    yield reading.csv_line(reading.SHOWN)
    rows = Person.objects.select_related("manager").prefetch_related("identities")
    for person in rows.order_by("pk").iterator(chunk_size=500):
        named = [each.external_id for each in person.identities.all() if each.source == source]
        yield reading.csv_line(
            [
                named[0] if named else "",
                person.email,
                person.name,
                person.department,
                person.manager.email if person.manager else "",
                person.zone,
                person.employment,
                person.last_day,
            ]
        )
