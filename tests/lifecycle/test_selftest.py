"""No row, no key, shown: the same function that `./muster selftest` and its page run."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser

from lifecycle import selftest
from lifecycle.selftest import stage, ways
from registry import guard
from registry.enums import AgentState, GroupName
from registry.identity import clients
from registry.models import Agent, Person
from tests.factories.registry import make_agent, make_person

pytestmark = pytest.mark.django_db(transaction=True)


def counts() -> dict[str, int]:
    """How many rows every table has, but the record's."""
    with connection.cursor() as cursor:
        names = [
            name
            for name in connection.introspection.table_names(cursor)
            if not name.startswith(("django_", "audit"))
        ]
        found = {}
        for name in names:
            cursor.execute(f'SELECT count(*) FROM "{name}"')
            found[name] = cursor.fetchone()[0]
    return found


def test_everything_is_refused_and_nothing_stays(mark: Any, records_after: Any) -> None:
    for state in AgentState:
        make_agent(state)
    before, marked = counts(), mark()

    report = selftest.run()

    assert [(each.way, each.row, each.given) for each in report.given] == []
    assert [each.way for each in report.broken] == []
    assert report.holds
    assert {each.row for each in report.tries} >= {
        *("never registered", "draft", "in review", "suspended", "decommissioning"),
        *("decommissioned", "active, its owner has left"),
    }
    assert all(each.code and each.sentence for each in report.tries)
    assert counts() == before
    (record,) = records_after(marked)
    assert (record["kind"], record["actor"]) == ("admin", "system:selftest")
    assert report.total >= 80


def test_it_runs_where_nobody_is_registered_yet() -> None:
    report = selftest.run()

    assert (report.holds, Person.objects.count(), Agent.objects.count()) == (True, 0, 0)


@pytest.mark.parametrize("path", ["guard", "token", "client"])
def test_a_guard_that_is_gone_is_found(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    if path == "guard":
        monkeypatch.setattr(guard, "refusal", lambda agent: None)
    elif path == "token":
        monkeypatch.setattr(clients.Bearer, "refusal", "")
    else:
        monkeypatch.setattr(clients, "_check_active", lambda row: None)

    report = selftest.run()

    assert report.given
    assert not report.holds


def test_a_way_that_nobody_gets_through_proves_nothing() -> None:
    def shut(made: stage.Stage, subject: stage.Subject) -> str:
        raise selftest.report.Refused("Never.")

    report = selftest.run(over=[ways.Way("A door that is walled up", shut)])

    assert ([each.way for each in report.broken], report.given, report.holds) == (
        ["A door that is walled up"],
        [],
        False,
    )


def test_an_error_is_no_refusal() -> None:
    def broken(made: stage.Stage, subject: stage.Subject) -> str:
        raise ValueError("broken")

    report = selftest.run(over=[ways.Way("A door that falls apart", broken)])

    assert report.holds is False
    assert {each.given for each in report.given} == {"no answer (ValueError)"}


def test_the_command_says_each_refusal_and_ends_well() -> None:
    out = StringIO()

    call_command("selftest", url="none", stdout=out)

    said = out.getvalue()
    assert "identity.not_active" in said
    assert said.splitlines()[-1].startswith("All ")


def test_the_running_server_is_asked_as_well(live_server: Any) -> None:
    report = selftest.run(url=live_server.url)

    over_http = [each for each in report.tries if each.row == "never registered, over HTTP"]
    assert report.holds
    assert [each.code for each in over_http] == [
        "invalid_client",
        "identity.unknown_agent",
        "token_invalid",
        "no_token",
        "token_ended",
    ]


def test_a_server_that_is_not_there_refuses_nothing() -> None:
    report = selftest.run(url="http://127.0.0.1:1")

    assert {each.given for each in report.given} == {"no answer (ConnectError)"}


def test_the_command_ends_badly_where_something_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_check_active", lambda row: None)

    with pytest.raises(SystemExit) as end:
        call_command("selftest", url="none", stdout=StringIO())

    assert end.value.code == 1


@pytest.mark.parametrize(
    ("group", "status"),
    [
        (GroupName.SECURITY, 200),
        (GroupName.AUDITOR, 200),
        (GroupName.PLATFORM_ADMIN, 200),
        (GroupName.SOURCE_OWNER, 403),
        (None, 403),
    ],
)
def test_the_page_is_for_those_who_must_know(
    settings: Any, group: GroupName | None, status: int
) -> None:
    settings.MUSTER_APPROVER_MFA = False
    browser = Browser()
    browser.force_login(make_person(*([group] if group else [])))

    shown = browser.get("/selftest/")
    ran = browser.post("/selftest/")

    assert (shown.status_code, ran.status_code) == (status, status)
    assert (b"were refused" in ran.content) is (status == 200)
    assert b"were refused" not in shown.content
