"""Values that break calendars, and texts that no name needs: refused over REST with a code."""

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from governance.kernel import clock
from registry import sign_in
from registry.enums import GroupName
from registry.models import Absence, Agent, Person
from tests.factories.registry import make_agent, make_person, security

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[2]
FIRST, LAST = "0001-01-01", "9999-12-31"
EDGES = [f"{FIRST}T00:00:00+14:00", f"{FIRST}T00:00", f"{LAST}T23:59:59Z", f"{LAST}T23:59-12:00"]
CONTROL = "a\x99b"


@pytest.fixture(autouse=True)
def one_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def ask(person: Person, method: str, address: str, body: Any = None) -> Any:
    client = Client()
    client.force_login(person, backend=sign_in.BACKEND)
    content = json.dumps(body) if body is not None else ""
    kind = "application/json"
    return client.generic(method, f"/api/v1/{address}", content, content_type=kind)


def refused(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    return body


def soon() -> str:
    return (clock.now() + timedelta(days=20)).date().isoformat()


@pytest.mark.parametrize(("name", "due"), [(CONTROL, ""), ("Spring", FIRST), ("Spring", LAST)])
def test_a_campaign(name: str, due: str) -> None:
    text = "slug,name,owner\nnight-mailer,Night mailer,jane@example.org"
    given = {"name": name, "due": due or soon(), "kind": "csv", "text": text}

    assert refused(ask(security(), "POST", "campaigns", given))["errors"].keys() <= {"name", "due"}


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize("noun", ["records", "incidents"])
def test_the_ends_of_a_search(noun: str, name: str, edge: str) -> None:
    client, person = Client(), security()
    client.force_login(person, backend=sign_in.BACKEND)

    more = {"handle": "everything:"} if noun == "incidents" else {}
    answer = client.get(f"/api/v1/{noun}", {name: edge, **more})

    assert list(refused(answer)["errors"]) == [name]


@pytest.mark.parametrize("edge", [*EDGES, FIRST, LAST, f"{FIRST}..{LAST}", f"2026-11-01..{LAST}"])
def test_a_name_that_looks_like_a_time_is_a_name(edge: str) -> None:
    client = Client()
    client.force_login(security(), backend=sign_in.BACKEND)

    assert client.get("/api/v1/incidents", {"q": edge}).status_code < 500
    assert client.get("/incident/", {"q": edge}).status_code == 200
    for page in ("/trail/", "/incident/"):
        assert client.get(page, {"q": "x", "since": edge}).status_code == 400


@pytest.mark.parametrize("edge", EDGES)
def test_the_moment_of_a_policy_case(edge: str) -> None:
    request = {"agent": "refund-desk", "tool": "refund.issue", "now": edge}
    case = {"name": "At the edge", "request": request, "effect": "allow"}
    given = {"text": "permit(principal, action, resource);", "cases": [case]}

    body = refused(ask(security(), "POST", "policies/check", given))

    assert "now is a time" in body["detail"]


@pytest.mark.parametrize("edge", EDGES)
def test_the_moment_of_a_simulation(edge: str) -> None:
    agent: Agent = make_agent()
    question = {
        "subject": {"type": "agent", "id": agent.slug},
        "action": {"name": "x"},
        "resource": {"type": "tool", "id": "x"},
        "at": edge,
    }

    refused(ask(security(), "POST", "simulations", question))


@pytest.mark.parametrize("edge", [FIRST, LAST])
def test_days_of_people(edge: str) -> None:
    boss, other = security(), security()
    person = make_person()
    leaving = {"employment": "leaving", "last_day": edge}
    away = {"person": boss.pid, "stand_in": other.pid, "first_day": soon(), "last_day": edge}

    refused(ask(boss, "PUT", f"people/{person.pid}/employment", leaving))
    refused(ask(boss, "POST", "absences", away))

    person.refresh_from_db()
    assert (person.last_day, Absence.objects.count()) == (None, 0)


def test_the_day_of_a_data_subjects_request() -> None:
    given = {"kind": "access", "subject": "customer:1", "received": FIRST}

    refused(ask(make_person(GroupName.DPO), "POST", "subjects/requests", given))


def test_days_that_calendars_work_with() -> None:
    days = [date(1969, 12, 31), date(1970, 1, 1), date(2169, 12, 31), date(2170, 1, 1)]

    assert [clock.is_usable(day) for day in days] == [False, True, True, False]


def test_rows_are_checked_in_one_place() -> None:
    """Elsewhere the model's own refusal would reach nobody: an answer without a code."""
    calls = {
        str(file.relative_to(ROOT))
        for app in ("audit", "authz", "compliance", "governance", "lifecycle", "registry")
        for file in (ROOT / app).rglob("*.py")
        if re.search(r"\.(full_clean|clean_fields)\(", file.read_text("utf-8"))
    }

    assert calls == {"registry/services/saving.py"}
