"""The pages about runs: what is told, to whom, and by how many queries."""

import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import Record
from authz import session_pages
from authz.models import Carried, FlowSession
from governance.kernel import clock
from registry.enums import GroupName
from registry.models import AllowlistEntry
from tests.factories.authz import bearer, make_desk, make_person, make_system, make_tool

pytestmark = pytest.mark.django_db(transaction=True)

STRINGS = {"url": {"type": "string"}, "to": {"type": "string"}, "text": {"type": "string"}}


class Office:
    """An agent that reads a hostile web and a confidential archive, and writes to two places."""

    def __init__(self, client):
        self.http = client
        self.desk = make_desk(system_fields={"tier": "internal"})
        self.agent, self.owner = self.desk.agent, self.desk.owner
        self.web = self._tool("public", "read", trust="untrusted", resource_parameter="url")
        self.archive = self._tool("confidential", "read")
        self.portal = self._tool("confidential", "write", recipient_parameter="to")
        self.chat = self._tool("internal", "write", recipient_parameter="to")

    def _tool(self, tier, effect, trust="trusted", **roles):
        schema = {"type": "object", "properties": STRINGS, "additionalProperties": False}
        given = {"amount_parameter": "", "resource_parameter": ""} | roles
        tool = make_tool(make_system(tier=tier, trust=trust), effect=effect, schema=schema, **given)
        AllowlistEntry.objects.create(agent=self.agent, tool=tool)
        self.desk.role.tools.add(tool)
        return tool

    def post(self, path, body, of=None):
        token = bearer(of or self.desk.client)
        return self.http.post(
            path,
            data=json.dumps(body),
            content_type="application/json",
            headers={"authorization": token},
        ).json()

    def open(self, **body):
        return self.post("/api/v1/sessions", body)["session_id"]

    def ask(self, tool, session, parameters=None, **context):
        body = {
            "subject": {"type": "agent", "id": self.agent.slug},
            "action": {"name": tool.name, "properties": parameters or {}},
            "resource": {"type": "tool", "id": tool.name},
            "context": {"session": session, **context},
        }
        return self.post("/access/v1/evaluation", body)


@pytest.fixture
def office(client):
    return Office(client)


@pytest.fixture
def page(client, office):
    """Pages as the agent's owner sees them."""

    def get(path, person=None):
        client.force_login(person or office.owner)
        return client.get(path)

    return get


def heading(answer):
    return re.search(r"<h1[^>]*>\s*(.*?)\s*</h1>", answer.content.decode(), re.DOTALL)[1]


def story(answer):
    return answer.context["story"]


def test_run_that_would_sink_is_told_in_one_sentence(office, page):
    session = office.open()
    office.ask(office.archive, session)
    office.ask(office.portal, session, {"to": "case-1"})
    office.ask(office.chat, session, {"to": "#support"})

    answer = page(f"/sessions/{session}/")

    assert heading(answer) == "This run read confidential data and was stopped once"
    assert [(p.tier, p.did, p.below) for p in answer.context["run"].places] == [
        ("confidential", "read", ""),
        ("confidential", "wrote", ""),
        ("internal", "denied: would write", "confidential"),
    ]
    assert [turn.tier for turn in story(answer).turns] == ["public", "confidential"]


def test_denied_read_raises_no_label(office, page):
    session = office.open()
    office.desk.role.tools.remove(office.archive)
    office.ask(office.archive, session)
    office.ask(office.chat, session, {"to": "#support"})

    answer = page(f"/sessions/{session}/")

    assert heading(answer) == "This run read nothing and was stopped once"
    assert answer.context["label"] == "public"
    assert [turn.tier for turn in story(answer).turns] == ["public"]


def test_denied_read_of_hostile_text_taints_nothing(office, page):
    session = office.open()
    office.desk.role.tools.remove(office.web)
    office.ask(office.web, session, {"url": "https://one.example/"})

    assert story(page(f"/sessions/{session}/")).tainted_at is None


def test_untrusted_input_is_marked_from_the_call_that_read_it(office, page):
    session = office.open()
    office.ask(office.archive, session)
    office.ask(office.web, session, {"url": "https://one.example/"})
    office.ask(office.portal, session, {"to": "case-1"})
    second = Record.objects.filter(session=session, kind="decision").order_by("at")[1]

    answer = page(f"/sessions/{session}/")

    assert story(answer).tainted_at == second.at
    assert heading(answer) == (
        "This run read confidential data and untrusted input and was held once"
    )
    (stop,) = story(answer).stops
    assert stop.sentence == (
        f"{office.portal.name} waits for a human. The run has read untrusted input, and no plan "
        "was declared before. Declare one before reading."
    )


def test_untrusted_input_that_was_reported_is_marked_too(office, page):
    session = office.open()
    office.post(
        f"/api/v1/sessions/{session}/inputs", {"inputs": [{"system": office.web.system.slug}]}
    )

    answer = page(f"/sessions/{session}/")

    assert heading(answer) == "This run has asked for nothing"
    assert story(answer).tainted_at is not None


def test_plan_tells_what_it_fixes_and_keeps_the_values_to_itself(office, page):
    plan = [
        {"tool": office.web.name},
        {"tool": office.portal.name, "parameters": {"to": "case-4711", "text": {"maxLength": 9}}},
    ]
    session = office.open(plan=plan)
    office.ask(office.web, session, {"url": "https://one.example/"})
    office.ask(office.portal, session, {"to": "case-4711"})
    office.ask(office.portal, session, {"to": "case-4712"})
    office.ask(office.chat, session, {"to": "#support"})

    answer = page(f"/sessions/{session}/")

    assert [(p.tool, p.steps, p.let_through, p.stopped) for p in answer.context["planned"]] == [
        (office.web.name, ((),), 0, 0),
        (office.portal.name, ((("to", "one value"), ("text", "its shape alone")),), 1, 1),
    ]
    assert [call.record.tool for call in story(answer).outside] == [
        office.portal.name,
        office.chat.name,
    ]
    assert "case-4711" not in answer.content.decode()


def test_plan_links_to_the_record_in_which_it_lies_sealed(office, page):
    session = office.open()
    office.post(f"/api/v1/sessions/{session}/plan", {"plan": [{"tool": office.web.name}]})
    declared = Record.objects.filter(session=session, kind="session").order_by("-at").first()

    answer = page(f"/sessions/{session}/")

    assert story(answer).plan_record == declared


def test_extracts_that_were_handed_on_are_listed(office, page):
    extract = {"order": {"enum": ["cancel", "keep"]}}
    source = office.open(plan={"steps": [], "extracts": extract})
    target = office.open()
    office.post(
        f"/api/v1/sessions/{source}/extract", {"to": target, "extract": "order", "value": "keep"}
    )

    handed = story(page(f"/sessions/{source}/")).handed

    assert [(event.asked["extract"], event.asked["to"]) for event in handed] == [("order", target)]


def test_extracts_that_were_received_are_listed(office, page):
    extract = {"order": {"enum": ["cancel", "keep"]}}
    source = office.open(plan={"steps": [{"tool": office.archive.name}], "extracts": extract})
    office.ask(office.archive, source)
    target = office.open()
    office.post(
        f"/api/v1/sessions/{source}/extract", {"to": target, "extract": "order", "value": "keep"}
    )

    answer = page(f"/sessions/{target}/")

    (received,) = story(answer).received
    assert (received.asked["extract"], received.asked["from"]) == ("order", source)
    assert received.tier == "confidential"
    assert f'href="/sessions/{source}/"' in answer.content.decode()
    assert story(answer).handed == []


def test_run_that_was_only_named_has_a_page_too(office, page):
    name = "run 17/ä?#&\n."
    office.ask(office.chat, name, {"to": "#support"})

    answer = page("/sessions/run%2017/%C3%A4%3F%23%26%0A./")

    assert heading(answer) == "This run read nothing and was never stopped"
    assert "It was only named by the caller." in answer.content.decode()


def test_name_that_two_agents_used_keeps_their_runs_apart(office, page):
    other = Office(office.http)
    name = f"nightly-{uuid4()}"
    office.ask(office.chat, name, {"to": "#support"})
    other.ask(other.archive, name)
    auditor = make_person(groups=[GroupName.AUDITOR])

    first = page(f"/sessions/{name}/", auditor)
    second = page(f"/sessions/{name}/?agent={other.agent.slug}", auditor)

    assert (first.context["agent"], first.context["others"]) == (
        office.agent.slug,
        [other.agent.slug],
    )
    assert second.context["agent"] == other.agent.slug
    assert heading(second) == "This run read confidential data and was never stopped"


def test_same_stop_again_and_again_is_told_once(office, page):
    session = office.open()
    office.ask(office.archive, session)
    for _ in range(3):
        office.ask(office.chat, session, {"to": "#support"})

    answer = page(f"/sessions/{session}/")

    assert heading(answer) == "This run read confidential data and was stopped three times"
    assert [(call.record.code, times) for call, times in story(answer).stopped] == [
        ("flow.sinks", 3)
    ]


def test_long_run_is_drawn_from_its_beginning_and_listed_whole(office, page, monkeypatch):
    monkeypatch.setattr(session_pages, "MOST", 2)
    session = office.open()
    for _ in range(3):
        office.ask(office.archive, session)

    answer = page(f"/sessions/{session}/")

    assert (len(story(answer).calls), len(answer.context["rows"])) == (1, 3)
    assert "Drawn and counted are the first 2 entries." in answer.content.decode()


def test_nobody_else_sees_a_run(office, page):
    session = office.open()
    office.ask(office.chat, session, {"to": "#support"})
    stranger, auditor = make_person(), make_person(groups=[GroupName.AUDITOR])

    seen = [page(f"/sessions/{session}/", who).status_code for who in (stranger, auditor)]

    assert seen == [404, 200]


@pytest.mark.parametrize(
    ("name", "status"), [("s-" + "0" * 32, 404), ("never-used", 404), ("a%00b", 400)]
)
def test_run_that_never_was_is_not_found(page, name, status):
    assert page(f"/sessions/{name}/").status_code == status


def test_run_wants_someone_signed_in(client):
    assert client.get("/sessions/x/").status_code == 302


def queries(page, path):
    page(path)
    with CaptureQueriesContext(connection) as taken:
        assert page(path).status_code == 200
    return len(taken)


def test_run_of_one_and_of_three_calls_takes_the_same_queries(office, page):
    session = office.open(plan=[{"tool": office.web.name}])
    office.ask(office.archive, session)
    first = queries(page, f"/sessions/{session}/")
    office.ask(office.chat, session, {"to": "#support"})
    office.ask(office.web, session, {"url": "https://one.example/"})

    assert queries(page, f"/sessions/{session}/") == first


def test_list_of_one_and_of_three_runs_takes_the_same_queries(office, page):
    path = f"/agents/{office.agent.slug}/runs/"
    office.ask(office.archive, office.open())
    first = queries(page, path)
    for _ in range(2):
        office.ask(office.chat, office.open(), {"to": "#support"})

    assert queries(page, path) == first


def test_list_counts_calls_and_stops(office, page):
    session = office.open()
    office.ask(office.archive, session)
    office.ask(office.chat, session, {"to": "#support"})

    (row,) = page(f"/agents/{office.agent.slug}/runs/").context["rows"]

    assert (row["session"].pk, row["state"], row["calls"], row["stopped"]) == (
        session,
        "open",
        2,
        1,
    )


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ("tier=confidential", ["read"]),
        ("taint=yes", ["hostile"]),
        ("taint=no", ["ended", "read"]),
        ("state=ended", ["ended"]),
        ("state=open&tier=public", ["hostile"]),
        ("tier=nonsense", ["ended", "hostile", "read"]),
    ],
)
def test_list_is_filtered(office, page, query, fits):
    office.agent.isolated_runs = True
    office.agent.save()
    runs = {name: office.open() for name in ("read", "hostile", "ended")}
    office.ask(office.archive, runs["read"])
    office.ask(office.web, runs["hostile"], {"url": "https://one.example/"})
    office.post(f"/api/v1/sessions/{runs['ended']}/end", {})

    rows = page(f"/agents/{office.agent.slug}/runs/?{query}").context["rows"]

    found = {row["session"].pk for row in rows}
    assert sorted(name for name, pk in runs.items() if pk in found) == fits


def test_run_that_nobody_ended_ran_out(office, page):
    session = office.open()
    ago = clock.now() - timedelta(days=9)
    FlowSession.objects.filter(pk=session).update(
        opened_at=ago, expires_at=ago + timedelta(hours=1)
    )

    (row,) = page(f"/agents/{office.agent.slug}/runs/").context["rows"]

    assert row["state"] == "ran out"


def test_list_of_an_agent_that_one_may_not_see_is_not_found(office, page):
    assert page(f"/agents/{office.agent.slug}/runs/", make_person()).status_code == 404


def test_who_may_not_see_the_entries_sees_no_counts(office, page):
    office.ask(office.archive, office.open())
    system_owner = make_person()
    office.archive.system.owner = system_owner
    office.archive.system.save()

    answer = page(f"/agents/{office.agent.slug}/runs/", system_owner)

    (row,) = answer.context["rows"]
    assert ("calls" in row, answer.content.decode().count("not known")) == (False, 2)
    assert f"/sessions/{row['session'].pk}/" not in answer.content.decode()


def test_what_is_carried_is_told_from_the_highest_down(office, page):
    session = office.open()
    office.ask(office.archive, session)
    office.ask(office.web, session, {"url": "https://one.example/"})

    carried = page(f"/agents/{office.agent.slug}/").context["carried"]

    assert [fact["text"] for fact in carried] == [
        "has read confidential data",
        "has read untrusted input",
    ]


def test_lower_tier_is_told_only_where_it_outlasts_the_higher(office, page):
    now = clock.now()
    for fact, hours in (("tier:restricted", 2), ("tier:confidential", 1), ("tier:internal", 3)):
        until = now + timedelta(hours=hours)
        Carried.objects.create(agent=office.agent.slug, fact=fact, until=until)

    carried = page(f"/agents/{office.agent.slug}/").context["carried"]

    assert [fact["tier"] for fact in carried] == ["restricted", "internal"]


def test_agents_page_shows_the_newest_five(office, page):
    opened = [office.open() for _ in range(6)]

    runs = page(f"/agents/{office.agent.slug}/").context["runs"]

    assert [row["session"].pk for row in runs] == opened[:0:-1]


def test_record_and_trail_lead_to_the_run(office, page):
    name = f"nightly-{uuid4()}"
    office.ask(office.chat, name, {"to": "#support"})
    record = Record.objects.filter(session=name).get()

    places = [f"/trail/{record.pk}/", f"/trail/?session={name}"]

    assert all(f'href="/sessions/{name}/"' in page(place).content.decode() for place in places)
