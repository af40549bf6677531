"""The page of an incident: the four answers from each kind of handle, and who sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from audit import incident as reading
from audit import services as audit
from audit.enums import Kind
from audit.incident import Kin, Related, Span, Subject
from audit.leaf import instant
from audit.models import Record
from audit.payloads import canonical
from audit.selectors import AuditScope, get_record
from authz.decide import decide
from authz.outcomes import read_report, report_outcome
from authz.services import holds
from compliance.errors import BadHandle
from compliance.incident import handles
from compliance.incident.document import document_of
from compliance.incident.entries import limits_in_words
from compliance.incident.facts import AgentThen
from compliance.incident.gathering import Asked, gather, joined
from compliance.incident.handles import Handle, HandleKind
from compliance.reports import files
from governance.kernel import clock
from governance.pictures import Happening, lanes
from registry.enums import GroupName
from registry.models import Agent, Person
from tests.factories.authz import Desk, make_agent, make_desk, make_person, make_policy, make_tool

pytestmark = pytest.mark.django_db
ALL = AuditScope(everything=True)
RUN = "run-of-the-incident"


@dataclass(frozen=True)
class Case:
    """One run: a call that went on, one that was refused, one that a person let go on."""

    desk: Desk
    approver: Person
    allowed: UUID
    refused: UUID
    held: UUID
    released: UUID

    @property
    def slug(self) -> str:
        return self.desk.agent.slug


@pytest.fixture
def case(settings: Any) -> Case:
    settings.MUSTER_APPROVER_MFA = False
    approver = make_person(groups=[GroupName.SECURITY], name="Priya Raman")
    desk = make_desk(
        system_fields={"tier": "confidential", "categories": ["payment-records"]},
        tool_fields={
            "effect": "financial",
            "gates": {"amount": {"above": 400, "currency": "EUR"}},
        },
    )
    Person.objects.filter(pk=desk.owner.pk).update(name="Jane Okafor")
    permit = f'permit(principal, action == Muster::Action::"{desk.tool.name}", resource);'
    make_policy(permit, slug="cap", agreed_by=approver, proposed_by=desk.owner)
    asks = [
        desk.ask(session=RUN, parameters={"claim": "CL-1", "amount": 100}),
        desk.ask(session=RUN, tool="not.listed"),
        desk.ask(session=RUN, parameters={"claim": "CL-2", "amount": 900}),
    ]
    allowed, refused, held = (decide([ask], desk.caller)[0] for ask in asks)
    approved = holds.approve_hold(hold_id=held.id, by=approver)
    released = decide([replace(asks[2], approval=str(approved.release.pk))], desk.caller)[0]
    report = read_report({"outcome": "success", "records": ["a", "b"], "cost_minor": 30,
                          "currency": "EUR"})  # fmt: skip
    report_outcome(decision_id=allowed.id, caller=desk.caller, report=report)
    return Case(desk, approver, allowed.id, refused.id, held.id, released.id)


def found(key: str, scope: AuditScope = ALL, **more: Any) -> dict[str, Any]:
    return document_of(gather(Asked(handles.read(key), **more), scope))


def records(document: dict[str, Any]) -> set[str]:
    return {each["record"] for each in document["records"] if each["kind"] == Kind.DECISION}


def handle_of(case: Case, kind: str) -> str:
    return {
        "agent": f"agent:{case.slug}",
        "session": f"session:{RUN}",
        "record": f"record:{case.refused}",
        "hold": f"hold:{case.held}",
        "system": f"system:{case.desk.system.slug}",
        "tool": f"tool:{case.desk.tool.name}",
        "resource": f"resource:{case.desk.system.slug}/CL-1",
        "everything": "everything",
    }[kind]


@pytest.mark.parametrize("kind", ["agent", "session", "record", "hold", "everything"])
def test_a_handle_of_the_whole_run_finds_all_of_it(case: Case, kind: str) -> None:
    whole = {str(each) for each in (case.allowed, case.refused, case.held, case.released)}
    # What other tests committed stays on the record.
    first, last = (get_record(each, scope=ALL).at for each in (case.allowed, case.released))
    span = Span(first, last + timedelta(microseconds=1))

    assert records(found(handle_of(case, kind), span=span)) == whole


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("system", ["allowed", "held", "released"]),
        ("tool", ["allowed", "held", "released"]),
        ("resource", ["allowed"]),
    ],
)
def test_a_handle_of_a_part_finds_that_part(case: Case, kind: str, names: list[str]) -> None:
    assert records(found(handle_of(case, kind))) == {str(getattr(case, name)) for name in names}


def test_a_user_is_found_by_whom_was_acted_for() -> None:
    user = make_person(name="Ada Acted")
    record = audit.record(
        kind=Kind.DECISION, actor="desk", agent="desk", user=user.pid, mode="enforce",
        effect="allow", judged={"walk": []},
    )  # fmt: skip

    document = found(f"user:{user.pid}")

    assert records(document) == {str(record)}
    assert document["title"] == "Ada Acted"
    assert document["who_caused_it"]["callers"][0]["acting_for"] == "Ada Acted"


def test_what_happened_counts_each_decision_and_says_why_it_stopped(case: Case) -> None:
    what = found(f"agent:{case.slug}")["what_happened"]

    assert what["counts"] == {"allow": 2, "deny": 1, "hold": 1}
    assert what["answer"] == "1 denied, 1 held, 2 allowed"
    assert [(each["code"], each["times"]) for each in what["stops"]] == [
        ("allowlist.not_listed", 1),
        ("gate.amount", 1),
    ]


def test_the_owner_is_the_one_of_that_time(case: Case) -> None:
    Agent.objects.filter(slug=case.slug).update(owner=make_person(name="Later Owner"))

    who = found(f"agent:{case.slug}")["who_caused_it"]

    assert who["callers"][0]["owner_then"] == ["Jane Okafor"]


def test_an_owner_whom_no_slice_names_is_found_in_the_history_of_the_row() -> None:
    first, later = make_person(name="First Owner"), make_person(name="Later Owner")
    agent = make_agent(first)
    audit.record(kind=Kind.DECISION, actor=agent.slug, agent=agent.slug, mode="enforce",
                 effect="deny", code="identity.x", check="identity")  # fmt: skip
    agent.owner = later
    agent.save()

    assert found(f"agent:{agent.slug}")["who_caused_it"]["callers"][0]["owner_then"] == [
        "First Owner"
    ]


def test_a_chain_and_a_gateway_are_named() -> None:
    audit.record(kind=Kind.DECISION, actor="edge", agent="worker", gateway="edge", mode="enforce",
                 effect="deny", asked={"chain": ["planner", "front"]})  # fmt: skip

    caller = found("agent:worker")["who_caused_it"]["callers"][0]

    assert (caller["gateway"], caller["chain"]) == ("edge", ["planner", "front"])


def test_each_decision_says_by_what_it_was_decided(case: Case) -> None:
    document = found(f"session:{RUN}")
    by_record = {each["record"]: each for each in document["records"]}

    released = by_record[str(case.released)]

    assert [each["id"] for each in released["policies"]] == ["cap@v1"]
    assert released["policies"][0]["agreed_by"] == "Priya Raman"
    assert len(released["policies"][0]["sha256"]) == 64
    assert released["roles"] == [case.desk.role.slug]
    assert released["limits"] == "60 calls a minute, 600 an hour, €100.00 a day"
    assert released["approval"]["decided_by"] == "Priya Raman"
    assert released["approval"]["hold"] == str(case.held)
    assert document["was_it_authorized"]["allowed_by_a_person"] == 1
    assert document["was_it_authorized"]["stopped_by_check"] == {"gate": 1, "allowlist": 1}


def test_what_was_touched_counts_what_went_on_alone(case: Case) -> None:
    touched = found(f"session:{RUN}")["what_data_was_touched"]

    (system,) = [each for each in touched["systems"] if each["system"] == case.desk.system.slug]
    assert touched["tier"] == "confidential"
    assert touched["categories"] == ["payment-records"]
    assert (system["reads"], system["writes"], system["stopped"]) == (0, 2, 1)
    slug = case.desk.system.slug
    assert system["resources"] == {f"{slug}/CL-1": 1, f"{slug}/CL-2": 1}
    assert system["records_reported"] == 2
    assert touched["spent_minor"] == {"EUR": 30}


def test_an_outcome_after_the_span_still_counts(case: Case) -> None:
    at = get_record(case.allowed, scope=ALL).at
    span = Span(at, at + timedelta(microseconds=1))

    document = found(f"session:{RUN}", span=span)

    assert records(document) == {str(case.allowed)}
    assert document["what_data_was_touched"]["systems"][0]["records_reported"] == 2


def test_runs_with_the_same_resource_are_related(case: Case) -> None:
    decide([case.desk.ask(session="another", parameters={"claim": "CL-1", "amount": 1})],
           case.desk.caller)  # fmt: skip
    decide([case.desk.ask(session="third", parameters={"claim": "CL-9", "amount": 1})],
           case.desk.caller)  # fmt: skip

    related = found(f"session:{RUN}", span=Span(clock.now() - timedelta(hours=1), clock.now()))

    assert [(each["run"], each["by"]) for each in related["related_runs"]] == [
        ("another", "resource"),
        ("third", "agent"),
    ]


def test_an_entry_is_sealed_once_a_checkpoint_covers_it(
    case: Case, seal_now: Callable[[], Any]
) -> None:
    before = found(f"session:{RUN}")
    seal_now()
    after = found(f"session:{RUN}")

    assert {each["sealed"] for each in before["records"]} == {False}
    assert {each["sealed"] for each in after["records"]} == {True}
    assert (before["unsealed"], after["unsealed"]) == (len(before["records"]), 0)


def test_more_than_fits_is_said_and_can_be_gone_on_to() -> None:
    row = {"kind": Kind.DECISION, "actor": "busy", "agent": "busy", "mode": "enforce"}
    audit.append_rows([audit.prepare_row(**row, effect="allow") for _ in range(reading.MOST + 1)])

    first = found("agent:busy")
    rest = found("agent:busy", after=UUID(first["records"][-1]["record"]))
    back = found("agent:busy", before=UUID(rest["records"][0]["record"]))

    assert (len(first["records"]), first["older"], first["newer"]) == (reading.MOST, True, False)
    assert (len(rest["records"]), rest["older"], rest["newer"]) == (1, False, True)
    assert records(back) == records(first)


def test_a_record_stands_in_the_middle_of_what_is_around_it() -> None:
    rows = [
        audit.prepare_row(kind=Kind.DECISION, actor="a", agent="mid", mode="enforce")
        for _ in range(reading.MOST + 200)
    ]
    audit.append_rows(rows)
    middle = rows[350]["id"]

    shown = [each["record"] for each in found(f"record:{middle}")["records"]]

    assert len(shown) == reading.MOST
    assert shown.index(middle) == reading.MOST // 2


def test_a_trial_is_no_decision() -> None:
    audit.record(kind=Kind.DECISION, actor="a", agent="tried", mode="simulate", effect="deny")

    assert found("agent:tried")["what_happened"]["decisions"] == 0


# Who sees it


def test_a_scope_of_agents_leaves_out_everything_else(case: Case) -> None:
    other = AuditScope(agents=frozenset(["somebody-else"]))

    assert records(found(f"session:{RUN}", other)) == set()
    assert records(found("everything", other)) == set()
    assert records(found("everything", AuditScope(agents=frozenset([case.slug])))) == {
        str(each) for each in (case.allowed, case.refused, case.held, case.released)
    }


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_owners_see_their_agents_alone_and_others_nothing(case: Case) -> None:
    stranger, auditor = make_person(), make_person(groups=[GroupName.AUDITOR])
    key = {"handle": f"record:{case.refused}"}

    statuses = [
        signed_in(who).get("/incident/", key).status_code
        for who in (case.desk.owner, auditor, stranger)
    ]
    search = signed_in(stranger).get("/incident/", {"q": case.slug})

    assert statuses == [200, 200, 404]
    assert [choice for choice, _ in search.context.get("choices", [])] == []
    assert Client().get("/incident/", key).status_code == 302


# What was typed


def test_an_exact_name_goes_straight_on_and_a_part_offers_choices(case: Case) -> None:
    make_agent(case.desk.owner, slug=f"{case.slug}-two")
    client = signed_in(make_person(groups=[GroupName.AUDITOR]))

    exact = client.get("/incident/", {"q": case.slug})
    part = client.get("/incident/", {"q": case.slug[:-1]})

    assert exact["Location"] == f"/incident/?handle=agent%3A{case.slug}"
    assert {choice.label for choice, _ in part.context["choices"]} == {
        case.slug, f"{case.slug}-two",
    }  # fmt: skip


def test_ids_of_records_holds_runs_and_resources_are_understood(case: Case) -> None:
    auditor = make_person(groups=[GroupName.AUDITOR])

    def meant(text: str) -> list[str]:
        return [each.handle.key for each in handles.meant(text, auditor)]

    assert meant(str(case.refused).upper()) == [f"record:{case.refused}"]
    assert meant(str(case.held)) == [f"hold:{case.held}"]
    assert meant(RUN) == [f"session:{RUN}"]
    assert meant("CL-1") == [f"resource:{case.desk.system.slug}/CL-1"]
    assert meant(f"{case.desk.system.slug}/CL-1") == [f"resource:{case.desk.system.slug}/CL-1"]
    assert meant(case.desk.owner.email) == [f"user:{case.desk.owner.pid}"]
    assert meant(case.desk.system.slug) == [f"system:{case.desk.system.slug}"]
    assert meant("nothing of the kind") == []


def test_a_personal_resource_is_found_by_what_it_is_called() -> None:
    desk = make_desk(system_fields={"personal_resource_ids": True})
    decide([desk.ask(parameters={"claim": "ada@example.org", "amount": 1})], desk.caller)

    (choice,) = handles.meant("ada@example.org", make_person(groups=[GroupName.AUDITOR]))

    assert (
        choice.handle.key
        == f"resource:{desk.system.slug}/{audit.index_resource('ada@example.org')}"
    )
    assert records(found(choice.handle.key)) != set()


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2026-11-23", (-1, 23)),
        ("2026-11-23 14:00", (12.5, 13.5)),
        ("2026-11-23T14:00Z", (13.5, 14.5)),
        ("2026-11-23..2026-11-24", (-1, 47)),
        ("2026-11-23 14:00 .. 2026-11-23 15:00", (13, 14)),
        ("2026-11-24..2026-11-23", None),
        ("20261123", None),
        ("2026-13-45", None),
        ("refund-desk", None),
    ],
)
def test_times_are_read_in_the_zone_of_the_reader(text: str, hours: Any) -> None:
    day = datetime(2026, 11, 23, tzinfo=UTC)

    with timezone.override(ZoneInfo("Europe/Copenhagen")):
        span = handles.span_of(text)

    assert span == (hours and Span(*(day + timedelta(hours=each) for each in hours)))


@pytest.mark.parametrize(
    "key", ["", "agent", "agent:", "row:x", "record:x", "record:1234", "everything:x", "agent:\0"]
)
def test_what_is_no_handle_is_refused(key: str) -> None:
    with pytest.raises(BadHandle):
        handles.read(key)

    answer = signed_in(make_person()).get("/incident/", {"handle": key})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {"handle": "agent:x", "since": "never"},
        {"handle": "agent:x", "since": "0001-01-01T00:00"},
        {"handle": "agent:x", "since": "2026-11-24", "until": "2026-11-23"},
        {"handle": "agent:x", "after": "1"},
        {"q": "x", "until": "9999-12-31T23:59"},
    ],
)
def test_what_cannot_be_asked_is_no_error_of_ours(query: dict[str, str]) -> None:
    client = signed_in(make_person(groups=[GroupName.AUDITOR]))

    assert client.get("/incident/", query).status_code == 400


def test_hostile_names_are_shown_as_they_are() -> None:
    hostile = "<script>alert(1)</script>\u202egnp"
    audit.record(
        kind=Kind.DECISION, actor=hostile, agent=hostile, tool=hostile, resource=f"x/{hostile}",
        session=hostile, code="x.y", effect="deny", check="identity", mode="enforce",
        asked={"chain": [hostile]}, judged={"policies": [hostile], "walk": "no", "label": 7},
    )  # fmt: skip
    client = signed_in(make_person(groups=[GroupName.AUDITOR]))

    page = client.get("/incident/", {"handle": f"session:{hostile}"})
    paper = client.get("/incident/report.pdf", {"handle": f"session:{hostile}"})

    body = page.content.decode()
    assert (page.status_code, paper.status_code) == (200, 200)
    assert "<script>alert" not in body
    assert "\u202e" not in re.sub(r"<(title|input)[^>]*>[^<]*", "", body)


# What leaves


def test_a_report_is_on_the_record_with_what_it_says(case: Case) -> None:
    auditor = make_person(groups=[GroupName.AUDITOR])

    answer = signed_in(auditor).get("/incident/report.pdf", {"handle": f"session:{RUN}"})

    told = Record.objects.filter(kind=Kind.ACCESS, actor=auditor.pid).order_by("-at")[0]
    asked = json.loads(bytes(told.body).split(b"\n")[0])["asked"]
    assert answer.content.startswith(b"%PDF-")
    assert b"/PDFA" in answer.content or b"pdfaid" in answer.content
    assert asked["did"] == "incident_report_fetched"
    assert asked["sha256"] == files.digest(canonical(found(f"session:{RUN}")))


def test_the_same_is_answered_over_rest(case: Case) -> None:
    client = signed_in(make_person(groups=[GroupName.AUDITOR]))

    answer = client.get("/api/v1/incidents", {"handle": f"session:{RUN}"}).json()
    typed = client.get("/api/v1/incidents", {"q": RUN}).json()
    part = client.get("/api/v1/incidents", {"q": "refund"}).json()
    wrong = [
        client.get("/api/v1/incidents", query).status_code
        for query in ({}, {"handle": "x"}, {"handle": f"record:{clock.uuid7()}"})
    ]

    assert answer == {"incident": found(f"session:{RUN}"), "choices": []}
    assert typed == answer
    assert part["incident"] is None
    assert f"agent:{case.slug}" in {each["handle"] for each in part["choices"]}
    assert wrong == [400, 400, 404]


def test_a_combination_is_proposed_from_what_came_together(case: Case) -> None:
    security = signed_in(case.approver)
    page = security.get("/incident/", {"handle": f"session:{RUN}"})

    none = page.context["why_not"]
    form = security.get(page.context["propose_url"]).context["form"]

    assert none == "Fewer than two kinds of data or effects came together in what went on."
    assert form.initial["effects"] == ["financial"]
    assert form.initial["reference"].startswith(f"Incident session:{RUN}, ")


def test_what_was_read_and_done_together_can_be_proposed(case: Case) -> None:
    tool = make_tool(case.desk.system, effect="read")
    case.desk.role.tools.add(tool)
    case.desk.agent.allowlist.create(tool=tool)
    decide([case.desk.ask(session=RUN, tool=tool.name)], case.desk.caller)
    security = signed_in(case.approver)

    page = security.get("/incident/", {"handle": f"session:{RUN}"})
    form = security.get(page.context["propose_url"]).context["form"]

    assert page.context["why_not"] == ""
    assert form.initial["categories"] == "payment-records"


def test_a_page_asks_the_same_number_of_questions_however_much_it_shows(
    case: Case, django_assert_max_num_queries: Any
) -> None:
    few = _queries(django_assert_max_num_queries, f"session:{RUN}")
    for number in range(6):
        decide([case.desk.ask(session=RUN, parameters={"claim": f"CL-{number}", "amount": 1})],
               case.desk.caller)  # fmt: skip

    assert _queries(django_assert_max_num_queries, f"session:{RUN}") == few


def _queries(counting: Any, key: str) -> int:
    with counting(60) as captured:
        found(key)
    return len(captured)


# Rules alone


def _related(*runs: tuple[str, str, int], cut: bool = False) -> Related:
    at = datetime(2026, 11, 23, 14, tzinfo=UTC)
    return Related(
        tuple(
            Kin(session, "a", by, "v", at, at + timedelta(minutes=minute), 1, 0)
            for session, by, minute in runs
        ),
        cut,
    )


def test_a_run_is_related_once_and_the_same_agent_comes_last() -> None:
    by_resource = _related(("one", "resource", 1), ("two", "resource", 2))
    by_agent = _related(("two", "agent", 2), ("three", "agent", 9))

    found = joined([by_resource, by_agent])

    assert [(kin.session, kin.by) for kin in found.runs] == [
        ("two", "resource"), ("one", "resource"), ("three", "agent"),
    ]  # fmt: skip
    assert found.cut is False
    assert joined([by_resource, _related(cut=True)]).cut is True


def test_more_runs_than_are_shown_are_said_to_be_there() -> None:
    whole, more = (
        joined([_related(*((f"r{n}", "user", n) for n in range(many)))])
        for many in (reading.MOST_NAMES, reading.MOST_NAMES + 1)
    )

    assert (len(whole.runs), whole.cut) == (len(more.runs), False)
    assert more.cut is True


def test_limits_are_said_as_they_stood() -> None:
    then = AgentThen(
        limits={"rate_per_minute": 30, "spend_cap_minor": 2000, "currency": "EUR"},
        allowlist={"t": {"write_quota_per_hour": 20, "rate_per_minute": None}},
    )

    assert limits_in_words(then, "t") == (
        "30 calls a minute, €20.00 a day; this tool 20 records an hour"
    )
    assert limits_in_words(AgentThen(), "t") == ""


def test_lanes_without_a_tier_stand_in_the_order_of_time() -> None:
    at = datetime(2026, 11, 23, 14, tzinfo=UTC)
    later = Happening(at + timedelta(minutes=1), "alpha", "", "hold", at + timedelta(minutes=2))
    picture = lanes([later, Happening(at, "beta", "", "allow")], at, at + timedelta(minutes=3))

    assert re.findall(r">(alpha|beta)<", picture) == ["beta", "alpha"]
    assert picture.count("span-hold") == 1
    assert "tier-" not in picture


def test_a_window_ends_where_the_span_ends() -> None:
    ids = [audit.record(kind=Kind.DECISION, actor="a", agent="edge-case") for _ in range(3)]
    subject = Subject("agent", ("edge-case",))
    times = [get_record(each, scope=ALL).at for each in ids]

    window = reading.window(subject, Span(times[0], times[2]), scope=ALL)
    whole = reading.edges(subject, scope=ALL)

    assert [each.id for each in window.records] == [ids[1], ids[0]]
    assert whole == Span(times[0], times[2] + timedelta(microseconds=1))
    assert instant(times[0]) <= instant(times[2])
    assert replace(Asked(Handle(HandleKind.EVERYTHING))).span == reading.ALWAYS
