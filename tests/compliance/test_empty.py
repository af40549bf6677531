"""Evidence of an installation in which nothing is: honest, and no page fails."""

from __future__ import annotations

import pytest
from django.test import Client

from compliance import period
from compliance.catalogue import frameworks
from compliance.enums import Status
from compliance.evidence import Asking
from compliance.evidence.look import look_asked
from compliance.reports import making, services
from governance.kernel import clock
from registry.enums import GroupName
from tests.factories.authz import make_person

pytestmark = pytest.mark.django_db


def test_its_report_says_not_met() -> None:
    report = services.ask_report(
        framework_id="gdpr",
        period=period.month_of(clock.now().date()),
        scope_key="company",
        by=make_person(groups=[GroupName.AUDITOR]),
    )

    document = making.make_report(report_id=report.pk).document

    assert document["status"]["not_met"] == len(document["controls"])
    assert {line["why"] for line in document["controls"]} == {"No agent has been registered."}


def test_nothing_of_it_is_met_and_the_next_step_is_to_register() -> None:
    found = [line for each in frameworks() for line in Asking(look_asked("", "")).framework(each)]

    assert {line.status for line in found} == {Status.NOT_MET}
    assert {line.next for line in found} == {"Register the agents that run, and ask again."}
    assert [
        answer.query.id
        for line in found
        for answer in line.answers
        if answer.status == Status.MET or (not answer.evidence.about and not answer.evidence.none)
    ] == []


def test_its_pages_say_so_and_none_fails() -> None:
    client = Client()
    client.force_login(make_person(groups=[GroupName.AUDITOR]))
    places = [
        "/evidence/",
        "/evidence/compare/",
        "/evidence/reports/",
        *(f"/evidence/{each.id}/" for each in frameworks()),
        *(f"/evidence/{each.id}/{one.id}/" for each in frameworks() for one in each.controls),
        *(f"/evidence/{each.id}/annex/{name}/" for each in frameworks() for name in each.annexes),
    ]

    answers = {place: client.get(place) for place in places}

    assert {
        place: each.status_code for place, each in answers.items() if each.status_code != 200
    } == {}
    assert b'<h1 class="row">No agent has been registered.</h1>' in answers["/evidence/"].content
