"""Keeping the decision points outside: one has more refused, two have less; the pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.test import Client

from audit.leaf import parse_body
from authz import outside, selectors, services
from authz.models import ExternalPDP, PDPHealth
from authz.simulate import simulate
from governance.doctor import work
from governance.doctor.verdict import Here, State
from governance.kernel import clock
from governance.kernel.errors import Invalid, NotAllowed, NotFound
from registry import changes, sign_in
from registry.models import Person, Slice
from tests.authz.standin import StandIn, http, told
from tests.factories.authz import Desk, make_person
from tests.governance.test_egress import _names

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_factor")]

URL = "https://opa.example/access/v1/evaluation"
NEW: dict[str, Any] = {"url": URL, "description": "The house's own rules."}


@pytest.fixture
def standin(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    found = StandIn(tmp_path)
    settings.MUSTER_EGRESS_CA = str(found.ca)
    settings.MUSTER_EGRESS_ALLOWED = frozenset({found.name})
    _names(monkeypatch, ["127.0.0.1"])
    outside.forget()
    yield found
    found.close()


def added(by: Person, desk: Desk, **fields: Any) -> ExternalPDP:
    return services.save_pdp(slug="opa", by=by, **{**NEW, "tools": [desk.tool.name], **fields}).row


def test_one_of_security_adds_it_and_has_more_calls_ask(
    ann: Person, desk: Desk, mark: Any, records_after: Any
) -> None:
    before = mark()

    made = services.save_pdp(slug="opa", by=ann, **NEW)
    more = services.save_pdp(
        slug="opa", by=ann, tools=[desk.tool.name], roles=[desk.role.slug], timeout_ms=900
    )

    assert (made.created, made.proposed, more.proposed) == (True, (), ())
    assert more.changed == ("roles", "timeout_ms", "tools")
    assert ExternalPDP.objects.get().owner == ann
    dids = [
        parse_body(bytes(each["body"]))["asked"]["did"]
        for each in records_after(before, kind="policy")
    ]
    assert dids == ["pdp_added", "pdp_changed"]


@pytest.mark.parametrize(
    "less",
    [
        {"is_active": False},
        {"tools": []},
        {"url": "https://elsewhere.example/"},
        {"subject_type": "bot"},
        {"resource_type": "thing"},
        {"roles_as": "roles"},
        {"sends": ["user"]},
        {"parameters": ["amount"]},
        {"parameters_in": "action"},
    ],
    ids=lambda less: next(iter(less)),
)
def test_what_could_refuse_less_or_tell_more_waits_for_a_second_person(
    ann: Person, ben: Person, desk: Desk, less: dict[str, Any]
) -> None:
    added(ann, desk)
    (name,) = less
    was = getattr(ExternalPDP.objects.get(), name)

    (change,) = services.save_pdp(slug="opa", by=ann, **less).proposed
    meanwhile = getattr(ExternalPDP.objects.get(), name)
    with pytest.raises(NotAllowed):
        changes.agree(change_id=change.pk, by=ann)
    changes.agree(change_id=change.pk, by=ben)

    assert (meanwhile, getattr(ExternalPDP.objects.get(), name)) == (was, less[name])


def test_it_is_taken_out_by_two_while_it_is_in_force(ann: Person, ben: Person, desk: Desk) -> None:
    added(ann, desk)

    (change,) = services.remove_pdp(slug="opa", by=ann).proposed

    assert ExternalPDP.objects.count() == 1
    changes.agree(change_id=change.pk, by=ben)
    assert ExternalPDP.objects.count() == 0


def test_who_may_and_what_fits(ann: Person, desk: Desk) -> None:
    with pytest.raises(NotAllowed):
        services.save_pdp(slug="opa", by=make_person(), **NEW)
    for wrong in (
        {"url": "http://opa.example/"},
        {"tools": ["no.such"]},
        {"roles": ["nobody"]},
        {"timeout_ms": 1001},
        {"timeout_ms": 0},
        {"sends": ["everything"]},
    ):
        with pytest.raises(Invalid):
            services.save_pdp(slug="opa", by=ann, **{**NEW, **wrong})
    row = added(ann, desk)
    with pytest.raises(DatabaseError), transaction.atomic():
        ExternalPDP.objects.filter(pk=row.pk).update(timeout_ms=5000)


def test_its_row_is_a_fact_of_decisions_and_its_health_is_none(ann: Person, desk: Desk) -> None:
    def moved(act: Any) -> set[str]:
        before = dict(Slice.objects.values_list("key", "revision"))
        act()
        after = dict(Slice.objects.values_list("key", "revision"))
        return {key for key in after if after[key] != before.get(key)}

    assert moved(lambda: added(ann, desk)) == {"global"}
    noted = moved(lambda: services.note_health(slug="opa", cause="too slow", now=clock.now()))
    assert noted == set()


def test_the_simulator_asks_nobody_and_says_so(ann: Person, desk: Desk, standin: StandIn) -> None:
    added(ann, desk, url=standin.url)

    found = simulate(desk.ask(), by=ann)

    assert (found.decision.effect, found.decision.would_ask) == ("allow", ("opa",))
    assert "A decision would ask opa as well; nobody was asked here." in found.explanation.lede
    assert standin.questions == []


def test_the_pages_show_it_and_send_a_sample(
    ann: Person, ben: Person, desk: Desk, standin: StandIn, client: Client
) -> None:
    client.force_login(ann, backend=sign_in.BACKEND)
    empty = client.get("/policies/decision-points/").content.decode()
    added(ann, desk, url=standin.url, timeout_ms=1000)
    standin.answer = lambda _, named: told(False, named, reason="Who is <b>that</b>?")

    listed = client.get("/policies/decision-points/").content.decode()
    shown = client.get("/policies/decision-points/opa/").content.decode()
    tried = client.post("/policies/decision-points/opa/").content.decode()

    assert "No decision point outside is asked" in empty
    assert ">opa</a>" in listed
    assert standin.url in shown
    assert "It denies" in tried
    assert "Who is &lt;b&gt;that&lt;/b&gt;?" in tried
    assert standin.questions[0]["subject"] == {"type": "agent", "id": "muster-try"}
    client.force_login(make_person(), backend=sign_in.BACKEND)
    assert client.post("/policies/decision-points/opa/").status_code == 403
    assert len(standin.questions) == 1


def test_a_silent_one_is_told_of(ann: Person, desk: Desk, standin: StandIn, client: Client) -> None:
    here = Here(Path(), Path())
    assert work.decision_points(here).found == "None is asked."
    added(ann, desk, url=standin.url, timeout_ms=1000)
    assert work.decision_points(here).state == State.OK
    standin.answer = lambda _, named: http(b"", "502 Bad Gateway")

    services.try_pdp(slug="opa", by=ann, now=clock.now())

    found = work.decision_points(here)
    assert found.state == State.FAIL
    assert found.found.startswith("opa is silent (status 502) since ")
    client.force_login(ann, backend=sign_in.BACKEND)
    assert "status 502" in client.get("/policies/decision-points/").content.decode()
    assert [each.pdp.slug for each in selectors.silent_pdps()] == ["opa"]
    standin.answer = lambda _, named: told(True, named)
    services.try_pdp(slug="opa", by=ann, now=clock.now())
    assert (selectors.silent_pdps(), PDPHealth.objects.get().is_silent) == ([], False)
    with pytest.raises(NotFound):
        services.try_pdp(slug="other", by=ann, now=clock.now())


def test_the_admin_adds_one_through_the_service(ann: Person, desk: Desk, client: Client) -> None:
    ann.is_staff = True
    ann.save()
    client.force_login(ann, backend=sign_in.BACKEND)
    given = {
        "slug": "opa",
        "url": URL,
        "timeout_ms": "300",
        "owner": str(ann.pk),
        "tools": desk.tool.name,
        "parameters_in": "context",
        "is_active": "on",
    }

    answer = client.post("/admin/authz/externalpdp/add/", given)

    assert answer.status_code == 302, answer.content[:2000]
    row = ExternalPDP.objects.get()
    assert (row.tools, row.history.count()) == ([desk.tool.name], 1)
