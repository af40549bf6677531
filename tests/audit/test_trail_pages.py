"""The trail as people and their programs see it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit import selectors, services
from audit.api import RecordQuery
from audit.asked import AuditScope
from audit.forms import TrailForm
from audit.leaf import instant
from audit.models import Record
from tests.factories.registry import make_agent, make_person

pytestmark = pytest.mark.django_db

EVERYTHING = AuditScope(everything=True)
LIST = "/api/v1/records"


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def recorded(**entry: Any) -> Record:
    made = services.record(**{"kind": "decision", "actor": "desk", "session": "pages", **entry})
    return selectors.get_record(made, scope=EVERYTHING)


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["records"]]


def test_the_page_and_rest_offer_the_same_filters() -> None:
    of_page = set(TrailForm().fields)

    assert set(RecordQuery().fields) == of_page | {"after", "before", "size"}


def test_each_filter_of_the_list_finds_its_entries(auditor: Client) -> None:
    person = make_person()
    wanted = recorded(
        agent="a", user=person.pid, tool="t", resource="r", effect="deny", check="rate",
        code="rate.minute", actor=person.pid,
    )  # fmt: skip
    recorded(agent="b")
    after = instant(wanted.at + timedelta(microseconds=1))
    asked: dict[str, str] = {
        "agent": "a", "user": person.email, "actor": person.name, "tool": "t", "resource": "r",
        "effect": "deny", "check": "rate", "code": "rate.minute", "until": after,
    }  # fmt: skip

    for name, value in asked.items():
        answer = auditor.get(LIST, {"session": "pages", name: value})
        assert ids(answer) == [str(wanted.id)], name


def test_the_list_is_paged_by_cursors_without_a_gap(auditor: Client) -> None:
    rows = [str(recorded().id) for _ in range(5)][::-1]
    first = auditor.get(LIST, {"session": "pages", "size": 2})
    second = auditor.get(LIST, {"session": "pages", "size": 2, "after": first.json()["older"]})
    again = auditor.get(LIST, {"session": "pages", "size": 2, "before": second.json()["newer"]})

    assert (ids(first), ids(second), ids(again)) == (rows[:2], rows[2:4], rows[:2])
    assert first.json()["newer"] == ""


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ({"agnet": "a"}, "unknown_filter", "There is no filter 'agnet'."),
        ({"after": "x"}, "bad_cursor", "This page does not exist."),
        ({"effect": "maybe"}, "invalid", "maybe"),
        ({"since": "yesterday"}, "invalid", "Datetime has wrong format"),
        ({"since": "2026-02-01T00:00Z", "until": "2026-01-01T00:00Z"}, "invalid", "before the"),
        ({"size": 1000}, "invalid", "less than or equal to 200"),
        ({"user": "nobody@example.org"}, "invalid", "Nobody of that name or e-mail"),
        ({"agent": "a" * 61}, "invalid", "no more than 60"),
        ({"tool": "a\0b"}, "invalid", "The address holds the character NUL"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(
    auditor: Client, asked: dict[str, Any], code: str, told: str
) -> None:
    answer = auditor.get(LIST, asked)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert told in answer.content.decode().replace("\\u0027", "'")


def test_an_owner_lists_and_opens_entries_of_own_agents_alone(client: Client) -> None:
    owner = make_person()
    agent = make_agent(owner=owner)
    mine, other = recorded(agent=agent.slug), recorded(agent="other")
    client.force_login(owner)

    assert ids(client.get(LIST, {"session": "pages"})) == [str(mine.id)]
    assert ids(client.get(LIST, {"agent": "other"})) == []
    assert client.get(f"{LIST}/{mine.id}").json()["leaf"] == bytes(mine.leaf).hex()
    assert client.get(f"{LIST}/{other.id}").status_code == 404


def test_nobody_lists_nothing(client: Client) -> None:
    assert client.get(LIST).status_code == 401


def test_filters_that_are_set_can_be_taken_away_one_by_one(auditor: Client) -> None:
    entry = recorded(agent="a", tool="t")

    page = auditor.get(reverse("trail"), {"agent": "a", "tool": "t", "since": instant(entry.at)})

    chips = {str(chip["label"]): chip["url"] for chip in page.context["chips"]}
    since = instant(entry.at).replace(":", "%3A")
    assert chips == {
        "Agent": f"?tool=t&since={since}",
        "Tool": f"?agent=a&since={since}",
        "From": "?agent=a&tool=t",
    }
    assert [row["record"] for row in page.context["rows"]] == [entry]


def test_the_page_counts_nothing_and_goes_on_by_cursor(
    auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.views.PAGE", 2)
    rows = [recorded() for _ in range(3)][::-1]

    first = auditor.get(reverse("trail"), {"session": "pages"})
    second = auditor.get(reverse("trail") + first.context["older_url"])

    assert [row["record"] for row in first.context["rows"]] == rows[:2]
    assert [row["record"] for row in second.context["rows"]] == rows[2:]
    assert "2 records on this page" in first.content.decode()


def test_where_nothing_fits_the_page_says_what_to_widen(auditor: Client) -> None:
    recorded(agent="a")

    page = auditor.get(reverse("trail"), {"agent": "a", "tool": "none"})

    assert [(each["labels"], each["url"]) for each in page.context["wider"]] == [
        (["Tool"], "?agent=a")
    ]
    assert "No record fits" in page.content.decode()


def test_a_search_that_is_not_right_is_told_at_its_field(auditor: Client) -> None:
    page = auditor.get(reverse("trail"), {"actor": "nobody@example.org"})

    assert page.status_code == 400
    assert "Nobody of that name or e-mail is on the register." in page.content.decode()
