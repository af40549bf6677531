"""The overview: every figure is a count of its own, and leads to its rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit import services as audit
from audit.anchors.selectors import freshness, standing
from compliance.dashboard import figures, page
from governance.kernel import clock
from lifecycle.models import Counted, HourCount
from registry.enums import GroupName
from registry.models import Person
from tests.compliance.world import World
from tests.factories.authz import Desk, make_desk, make_person

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
AGENTS = "SELECT count(*) FROM registry_agent WHERE state <> 'decommissioned'"
OPEN_ENDS = {
    "Reviews overdue": f"{AGENTS} AND state IN ('active', 'suspended')"
    " AND review_due < current_date",
    "Renewals past their day": f"{AGENTS} AND state IN ('active', 'suspended')"
    " AND renewal_due < current_date",
    "Cases past their day": "SELECT count(*) FROM lifecycle_case WHERE state = 'open'"
    " AND due_at < now()",
    "Keys past their day": "SELECT 0",
    "Answers to data subjects overdue": "SELECT count(*) FROM compliance_subjectrequest"
    " WHERE closed_at IS NULL AND state <> 'held' AND due_at <= now()",
    "Agents of leavers without a new owner": "SELECT count(*) FROM lifecycle_case"
    " WHERE kind = 'leaver' AND state = 'open'",
    "Unregistered callers, not yet adopted or blocked": "SELECT count(*)"
    " FROM registry_unregisteredcaller WHERE state = 'open'",
    "Dangerous combinations without an answer": "SELECT count(*) FROM lifecycle_toxicfinding"
    " WHERE state = 'open'",
    "Alerts that nobody looked at": "SELECT count(*) FROM lifecycle_anomaly WHERE state = 'open'",
    "Agents that are observed": "SELECT count(*) FROM registry_agent WHERE observe_until > now()"
    " AND state IN ('active', 'suspended')",
}


def counted(statement: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])


def stopped_by_check() -> dict[str, tuple[int, int]]:
    """Refusals and holds in earnest; what the world writes by itself has reasons that are none."""
    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT "check", count(*) FILTER (WHERE effect = 'deny'),
                   count(*) FILTER (WHERE effect = 'hold')
            FROM audit.record WHERE kind = 'decision' AND effect IN ('deny', 'hold')
                AND mode IN ('enforce', 'observe') AND code NOT LIKE '%.made'
                AND at > now() - interval '20 days' GROUP BY 1
        """)
        return {check: (denied, held) for check, denied, held in cursor.fetchall()}


@pytest.fixture
def auditor(world: World) -> Person:
    return make_person(groups=[GroupName.AUDITOR])


@pytest.fixture
def visitor(auditor: Person) -> Client:
    client = Client()
    client.force_login(auditor)
    return client


def stopped(desk: Desk, effect: str, code: str, mode: str = "enforce") -> None:
    audit.record(
        kind="decision",
        actor=desk.agent.slug,
        agent=desk.agent.slug,
        tool=desk.tool.name,
        effect=effect,
        check=code.partition(".")[0],
        code=code,
        mode=mode,
    )


@pytest.fixture
def busy(world: World) -> World:
    """Hours that were counted, and refusals with their reasons."""
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    Counted.objects.create(pk=1, until=hour)
    for back, calls, denied, held in (
        (2, 40, 3, 1),
        (3, 10, 0, 0),
        (26, 7, 7, 0),
        (31 * 24, 9, 9, 9),
    ):
        HourCount.objects.create(
            agent="payer", tool="ledger.pay", hour=hour - back * HOUR, calls=calls, denied=denied,
            held=held,
        )  # fmt: skip
    for effect, code, mode in (
        ("deny", "flow.sinks", "enforce"),
        ("deny", "flow.sinks", "observe"),
        ("deny", "flow.sinks", "simulate"),
        ("deny", "role.none", "enforce"),
        ("hold", "gate.amount", "enforce"),
    ):
        stopped(world.money, effect, code, mode)
    return world


def test_figures_equal_counts_of_their_own(busy: World, auditor: Person) -> None:
    found = page.overview(auditor)

    decided = found["decided"]
    assert (decided.calls, decided.denied, decided.held) == (57, 10, 1)
    assert found["many"] == counted(AGENTS)
    assert found["states"]["active"] == counted(f"{AGENTS} AND state = 'active'")
    assert sum(many for _, cells in found["tiers"] for many, _ in cells) == counted(AGENTS)
    ends = {each.label: each.many for each in found["open_ends"]}
    assert {label: ends[label] for label in OPEN_ENDS} == {
        label: counted(statement) for label, statement in OPEN_ENDS.items()
    }
    assert ends["Idle agents"] == 1
    stops = {each.check: (each.denied, each.held) for each, _, _ in found["stops"]["checks"]}
    assert {check: each for check, each in stops.items() if any(each)} == stopped_by_check()
    assert stops["flow"][0] >= 2
    assert (found["holds"].open, found["holds"].decided) == (1, 0)


def test_every_figure_leads_to_its_rows(busy: World, visitor: Client) -> None:
    text = visitor.get("/overview/").content.decode()
    main = text[text.index('<main id="main"') :]
    links = {one.replace("&amp;", "&") for one in re.findall(r'<a[^>]* href="(/[^"]*)"', main)}

    reached = {link: visitor.get(link).status_code for link in links}

    assert {link for link, code in reached.items() if code != 200} == set()
    assert len(links) > 25
    assert "internal only" in main


@pytest.mark.parametrize(
    ("query", "many"),
    [
        ("tier=restricted", 1),
        ("observed=1", 1),
        ("renewal=past", 1),
        ("state=active&tier=confidential", 1),
    ],
)
def test_agents_are_narrowed_to_those_counted(
    busy: World, visitor: Client, query: str, many: int
) -> None:
    text = visitor.get(f"/overview/agents/?{query}").content.decode()

    assert text.count('<th scope="row" class="c-main">') == many


def test_what_is_overdue_alone_is_due(world: World, visitor: Client) -> None:
    text = visitor.get("/due/?within=0&kind=renewal").content.decode()

    assert "orphan" in text
    assert "sleeper" not in text


def test_many_agents_cost_no_more_statements(busy: World, auditor: Person) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as asked:
            page.overview(auditor)
        return len(asked)

    statements()
    few = statements()
    for _ in range(8):
        make_desk()

    assert statements() == few
    assert few <= 130


def test_a_frequent_reason_is_counted_so_far_alone(
    busy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "MOST", 2)
    now = clock.now() + HOUR

    found = {each.check: each for each in figures.stops(now - 2 * HOUR, now)}

    assert (found["flow"].denied, found["flow"].capped) == (2, True)
    assert not found["spend"].capped


def test_nobody_else_sees_it(world: World) -> None:
    client = Client()
    places = ["/overview/", "/overview/agents/", "/overview/holds/?state=decided"]
    assert {client.get(place).status_code for place in places} == {302}

    client.force_login(make_person())

    assert {client.get(place).status_code for place in places} == {403}


def test_an_empty_installation_has_an_overview() -> None:
    client = Client()
    client.force_login(make_person(groups=[GroupName.AUDITOR]))

    text = client.get("/overview/").content.decode()

    assert "Decisions are not counted yet" in text
    assert "internal only" in text


def test_freshness_says_what_is_anchored(seal_now: Callable[[], Any]) -> None:
    seal_now()

    said, outside = freshness(), standing()

    assert (said.anchored_size, said.anchored_at) == (outside.anchored_size, outside.anchored_at)
    client = Client()
    client.force_login(make_person(groups=[GroupName.AUDITOR]))
    assert client.get("/api/v1/log").json()["anchored_size"] == 0
