"""Everybody's grants, for who reads the whole register: as a page and as CSV. Nobody gives here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from audit.export import write_cell
from authz import timekeeper
from authz.models import Grant
from governance.kernel.errors import NotAllowed
from governance.kernel.streaming import Streamed
from lifecycle.grants import rules, selectors, words
from lifecycle.grants.forms import LIVE, GrantFilter
from registry.enums import GroupName
from registry.models import Person
from registry.people import signed_in
from registry.permissions import in_group

PAGE = 50
HEADER = ("agent", "person", "given", "until", "state", "ended", "why", "way", "tools")


def check_can_see_all(by: Person) -> None:
    """See everybody's grants: who reads the whole register. Everyone sees their own."""
    if not by.reads_everything:
        raise NotAllowed(
            "Only security, the DPO, auditors and platform admins see everybody's grants. "
            "Your own are under My grants."
        )


@login_required
@require_GET
def grants(request: HttpRequest) -> HttpResponse:
    """Who lets which agent act for them?"""
    person, now = signed_in(request), timekeeper.now()
    check_can_see_all(person)
    form = GrantFilter(request.GET)
    every = selectors.visible(person)
    chosen = _chosen(form)
    page = Paginator(selectors.narrowed(every, now, **chosen), PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "title": _title(selectors.narrowed(every, now, state=LIVE)),
        "form": form,
        "filtered": bool(chosen),
        "page": page,
        "rows": [_row(grant, now) for grant in page.object_list],
        "ends": in_group(person, GroupName.SECURITY),
        "query": request.GET.urlencode(),
    }
    return render(request, "lifecycle/grants/all.html", context)


def _chosen(form: GrantFilter) -> dict[str, str]:
    given = form.cleaned_data if form.is_valid() else {}
    return {name: value for name, value in given.items() if value}


def _title(live: QuerySet[Grant]) -> str:
    grants, people = live.count(), live.order_by().values("person").distinct().count()
    if not grants:
        return "Nobody lets an agent act for them"
    noun = "grant" if grants == 1 else "grants"
    return f"{grants:,} live {noun} of {people:,} {'person' if people == 1 else 'people'}"


def _row(grant: Grant, now: datetime) -> dict[str, Any]:
    live = rules.is_live(grant, now)
    return {
        "grant": grant,
        "live": live,
        "left": words.left(grant.until, now) if live else "",
        "why": "" if live else _why(grant, now),
        "tools": sorted(grant.tools),
    }


def _why(grant: Grant, now: datetime) -> str:
    return words.why_ended(grant, whose=str(grant.person), now=now)


@login_required
@require_GET
def as_csv(request: HttpRequest) -> Streamed:
    """What the filters of the page find, for a spreadsheet."""
    person, now = signed_in(request), timekeeper.now()
    check_can_see_all(person)
    rows = selectors.narrowed(selectors.visible(person), now, **_chosen(GrantFilter(request.GET)))
    return Streamed(csv_lines(rows, now), content_type="text/csv", name="grants.csv")


def csv_lines(rows: QuerySet[Grant], now: datetime) -> Iterator[str]:
    """All of them. No cell is taken for a formula."""
    yield _line(HEADER)
    for grant in rows.iterator(chunk_size=500):
        live = rules.is_live(grant, now)
        yield _line(
            (
                grant.agent.slug,
                grant.person.email,
                grant.given_at.isoformat(),
                grant.until.isoformat(),
                "live" if live else "ended",
                "" if live else rules.ends_at(grant).isoformat(),
                "" if live else _why(grant, now),
                grant.way,
                " ".join(sorted(grant.tools)),
            )
        )


def _line(cells: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow(map(write_cell, cells))
    return out.getvalue()
