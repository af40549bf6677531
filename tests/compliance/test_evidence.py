"""Evidence in a company in which everything is wrong: each thing under its own line."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from compliance.annexes import tables
from compliance.catalogue import framework, frameworks
from compliance.enums import Concern, Status
from compliance.evidence import Asking, Found, Look, ask, look_at, queries
from compliance.evidence.of_data import gaps
from compliance.period import Period
from compliance.scope import Scope
from compliance.sealed import coverage
from lifecycle.sweeps import registered
from registry.models import Agreement
from tests.compliance.counted import KNOWN, SQL
from tests.compliance.world import World

pytestmark = pytest.mark.django_db


def counted(statement: str, look: Look) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"since": look.since, "until": look.until})
        return int(cursor.fetchone()[0])


def test_every_figure_equals_a_count_of_its_own(world: World, look: Look) -> None:
    answers = ask(look, queries())

    said = {
        (name, figure.key): figure.value
        for name, evidence in answers.items()
        for figure in evidence.figures
    }
    wanted: dict[tuple[str, str], object] = {
        (name, key): counted(statement, look)
        for name, statements in SQL.items()
        for key, statement in statements.items()
    }
    wanted |= {(name, key): each for name, known in KNOWN.items() for key, each in known.items()}
    wanted |= {
        ("record_kept", "looked_at"): len(answers["record_kept"].sample),
        ("sweeps_on_time", "sweeps"): len(registered()),
    }
    # A kind of entry of which there is none is not named.
    wanted = {key: each for key, each in wanted.items() if key in said or each != 0}

    assert said == wanted


LINES = {
    "BAA that has ended": ("hipaa", "baa", "without a BAA in force"),
    "try to approve one's own": ("sox", "s404-duties", "approve their own matter, gated.pay"),
    "secret that was not changed": (
        "soc2",
        "cc6-1",
        "vault://ledger/payer of payer was to be changed by",
    ),
    "movement to a lower tier": ("soc2", "cc6-7", "triage was observed"),
    "widening by one": ("soc2", "cc8-1", "alone@v1 came into force without a second person"),
    "review that is overdue": ("soc2", "cc8-1", "payer was to be looked at again by"),
    "agent of a leaver": ("soc2", "cc6-2", "owns orphan and has left"),
    "leaver without an answer": ("soc2", "cc6-2", "orphan of a leaver was to be answered for"),
    "combination without an answer": ("gdpr", "art-35", "linked-payments"),
    "idle agent": ("soc2", "cc8-1", "Nobody has heard of sleeper"),
    "log that is not anchored": ("soc2", "cc7-2", "No anchor outside"),
    "log that is not sealed": ("gdpr", "art-5-2", "The record is not sealed"),
    "credential of a person": ("soc2", "cc6-1", "vault://ledger/payer, which is a person's own"),
    "caller that nobody knows": ("soc2", "cc6-2", "stranger calls from 10.0.0.9"),
    "alert that nobody looked at": ("soc2", "cc7-2", "Nobody has looked for 3 days"),
    "emergency without a review": ("hipaa", "activity-review", "emergency access of"),
    "renewal past its day": ("soc2", "cc8-1", "orphan was to be renewed by"),
    "processing that is not recorded": ("gdpr", "art-30", "triage does not say lawful basis"),
    "transfer without a safeguard": ("gdpr", "art-44-49", "in US, without a safeguard"),
    "reach that nobody cleared": ("ai-act", "art-9", "triage reaches what nobody cleared"),
    "row that was never tested": ("ai-act", "art-15", "triage is live and was never tested"),
    "key that was changed late": ("gdpr", "art-32", "and changed later"),
    "writes without a quota": ("soc2", "cc7-4", "without a quota of writes"),
    "DPO who has not signed": ("gdpr", "art-35", "The DPO has not signed triage"),
}


def test_what_is_wrong_stands_under_its_line(look: Look) -> None:
    asking = Asking(look)
    found = {
        (each.id, line.control.id): line for each in frameworks() for line in asking.framework(each)
    }

    missing = [
        planted
        for planted, (framework_id, control_id, words) in LINES.items()
        if not any(words in said for said in _said(found[framework_id, control_id]))
    ]

    assert missing == []
    standing = {found[where[:2]].status for where in LINES.values()}
    assert standing == {Status.NOT_MET, Status.PARTLY}


def test_calls_that_went_on_are_found_by_one_search(look: Look) -> None:
    (observed,) = ask(look, ["down_tier_refused"])["down_tier_refused"].exceptions

    search = parse_qs(urlsplit(observed.link).query)

    found = {name: search[name] for name in ("agent", "kind", "effect", "check")}
    assert found == {
        "agent": ["triage"], "kind": ["decision"], "effect": ["deny"], "check": ["flow"],
    }  # fmt: skip


def _said(line: Found) -> list[str]:
    return [each.what for answer in line.answers for each in answer.evidence.exceptions]


def test_what_is_mended_is_gone(look: Look, world: World) -> None:
    line = framework("hipaa").control("baa")

    Agreement.objects.filter(kind="baa").update(expires_on=None)

    assert Asking(look).control(framework("hipaa"), line).status == Status.MET


def test_days_without_an_agreement_are_told_as_spans(world: World) -> None:
    from audit.figures import Day

    ended = Agreement.objects.get(kind="baa").expires_on
    assert ended is not None
    days = [
        Day(
            "triage",
            "patients.read",
            date.fromordinal(ended.toordinal() + number),
            2,
            world.hold.pk,
        )
        for number in (0, 1, 2, 5)
    ]

    found = gaps(world.provider, "baa", days)

    assert [
        ((each.first - ended).days, (each.last - ended).days, each.calls) for each in found
    ] == [
        (1, 2, 4),
        (5, 5, 2),
    ]


def test_a_framework_is_about_its_own_agents(look: Look) -> None:
    def slugs(concern: Concern) -> set[str]:
        return {row.agent.slug for row in look.about(concern).rows}

    assert slugs(Concern.HEALTH) == slugs(Concern.PERSONAL) == {"triage"}
    assert slugs(Concern.FINANCIAL) == {"payer", "gated"}
    assert slugs(Concern.HIGH_RISK) == {"triage"}
    assert {"triage", "payer", "orphan", "sleeper", "gated"} <= slugs(Concern.ALL)


def test_a_scope_is_about_its_agent_alone(look: Look) -> None:
    one = look_at(look.period, Scope("agent", "payer"))

    answers = ask(one, ["decisions_checked", "owners_employed", "toxic_answered"])

    assert [evidence.figures[0].value for evidence in answers.values()] == [8, 1, 0]


def test_an_earlier_period_has_nothing(world: World) -> None:
    empty = look_at(Period(date(2020, 1, 1), date(2020, 3, 31)))

    found = Asking(empty).framework(framework("gdpr"))

    assert {(each.status, each.why) for each in found} == {
        (Status.NOT_MET, "No agent has been registered.")
    }


def test_all_frameworks_ask_a_bounded_number_of_statements(look: Look) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        asking = Asking(look_at(look.period))
        for each in frameworks():
            asking.framework(each)

    assert len(asked) <= 200


def test_annexes_are_the_same_whenever_they_are_asked(look: Look) -> None:
    def rows(of: Look) -> dict[str, list[Any]]:
        return {name: list(table.rows(of)) for name, table in tables().items()}

    first, second = rows(look), rows(look_at(look.period, now=look.now))

    assert first == second
    assert {name for name, each in first.items() if not each} == {
        "access_reviews", "delegations", "ends", "grants", "probes", "sweeps",
    }  # fmt: skip
    assert all(
        len(row) == len(table.columns) for name, table in tables().items() for row in first[name]
    )


def test_a_sealed_period_names_its_checkpoint(
    world: World, look: Look, seal_now: Callable[[], Any]
) -> None:
    before = coverage(look.period.until)
    checkpoint = seal_now()
    after = coverage(look.period.until)

    assert (before.covers, before.size) == (False, 0)
    assert (after.covers, after.size, after.root) == (
        True,
        checkpoint.size,
        bytes(checkpoint.root).hex(),
    )
    (unanchored,) = ask(look, ["record_sealed"])["record_sealed"].exceptions
    assert unanchored.what.startswith("No anchor outside of Muster is set up.")
    assert coverage(look.period.since).size == 0
