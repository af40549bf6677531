"""One's own grants: seen, ended, given again; security's list; what people are told; REST."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from authz.asks import Ask
from authz.decide import decide
from authz.errors import GrantRefused, NoSuchGrant
from authz.models import Grant
from authz.narrowings import in_words
from authz.services import grants as services
from authz.services.delegations import HandOver, delegate
from governance.kernel import clock
from lifecycle import sweeps
from lifecycle.grants import selectors, words
from lifecycle.grants.services import give_again
from lifecycle.models import Notice
from registry import services as register
from registry.enums import GroupName, IdentityPattern
from registry.models import AllowlistEntry, Person
from registry.permissions import Automatic
from tests.factories.authz import declare, make_agent, make_client, make_person
from tests.factories.grants import Acting, acting_desk, given, given_before

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def acting() -> Acting:
    return acting_desk()


@pytest.fixture
def person(acting: Acting) -> Person:
    return acting.person(name="Jane Okafor", zone="UTC")


def seen_by(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def page(person: Person, path: str, status: int = 200) -> str:
    answer = seen_by(person).get(path)
    assert answer.status_code == status, answer.content.decode()[:300]
    return answer.content.decode()


def effect_of(acting: Acting, ask: Ask) -> str:
    return str(decide([ask], acting.desk.caller)[0].decision.effect)


def main_of(shown: str) -> str:
    """What a page holds besides its frame."""
    return shown.partition('<main id="main"')[2].partition("</main>")[0]


def code_of(acting: Acting, ask: Ask) -> str:
    return decide([ask], acting.desk.caller)[0].decision.code


def codes(person: Person) -> list[str]:
    return sorted(Notice.objects.filter(person=person).values_list("code", flat=True))


def swept() -> None:
    done = sweeps.run_sweep("grants")
    assert done is not None
    assert (done.failed, done.failure) == (0, "")


def queries_of(client: Client, path: str) -> int:
    """How many a page asks, once what is kept in the process is there."""
    client.get(path)
    with CaptureQueriesContext(connection) as found:
        assert client.get(path).status_code == 200
    return len(found)


# My grants


def test_who_has_none_is_told_what_a_grant_is() -> None:
    shown = page(make_person(), "/my/grants/")

    assert "No agent may act for you" in shown
    assert "A grant is your word that an agent may do certain things in your name" in shown


def test_a_grant_says_what_may_be_done_what_was_and_what_never_was(
    acting: Acting, person: Person
) -> None:
    narrowing = {"properties": {"amount": {"maximum": 700}}}
    grant = given(acting, person, refund=narrowing, read={})
    decide([acting.ask(person)], acting.desk.caller)
    decide([acting.ask(person)], acting.desk.caller)
    decide([acting.ask(person, parameters={"claim": "C", "amount": 900})], acting.desk.caller)

    (held,) = selectors.held([selectors.own_grant(person, grant.pk)], clock.now())

    assert (held.calls, held.refused, held.counted) == (2, 1, True)
    assert {each.said: each.calls for each in held.may} == {"Pay a refund": 2, "Read a claim": 0}
    assert [each.said for each in held.never_used] == ["Read a claim"]
    assert held.last is not None
    shown = page(person, "/my/grants/")
    assert "One agent may act for you" in shown
    assert "amount at most 700" in shown
    assert "2 calls, last" in shown
    assert "1 refused or held" in shown
    assert shown.count("never used") == 1


def test_calls_before_a_grant_and_for_others_do_not_count(acting: Acting, person: Person) -> None:
    other = acting.person()
    given(acting, other)
    decide([acting.ask(other), acting.ask(person)], acting.desk.caller)
    grant = given(acting, person)

    (held,) = selectors.held([grant], clock.now())

    assert (held.calls, held.refused) == (0, 0)


def test_what_one_of_both_lost_is_said(acting: Acting, person: Person) -> None:
    given(acting, person)
    AllowlistEntry.objects.get(agent=acting.desk.agent, tool=acting.read).delete()

    shown = page(person, "/my/grants/")

    assert f"Refused now: the row of {acting.desk.agent.slug} names it no more." in shown


def test_what_was_handed_on_is_said(acting: Acting, person: Person) -> None:
    given(acting, person)
    other = second_agent(acting)
    wanted = HandOver(receiver=other, tools={acting.read.name: {}}, user=person.pid)
    delegate(caller=acting.desk.caller, wanted=wanted)

    assert f'on to <b class="strong">{other}</b>' in page(person, "/my/grants/")


def second_agent(acting: Acting) -> str:
    """Another agent with the same tools."""
    agent = make_agent(make_person(), pattern=IdentityPattern.IMPERSONATION)
    for tool in (acting.refund, acting.read):
        AllowlistEntry.objects.create(agent=agent, tool=tool)
    acting.desk.role.agents.add(agent)
    make_client(agent=agent)
    declare(acting.desk.agent, agent)
    return agent.slug


def test_the_page_asks_as_much_for_three_grants_as_for_one(person: Person, acting: Acting) -> None:
    client = seen_by(person)
    given(acting, person)
    one = queries_of(client, "/my/grants/")
    for _ in range(2):
        another = acting_desk()
        another.desk.role.people.add(person)
        given(another, person)

    assert queries_of(client, "/my/grants/") == one


# Ends


def test_ending_one_works_on_the_next_call_and_leaves_the_others(
    acting: Acting, person: Person
) -> None:
    other = acting_desk()
    other.desk.role.people.add(person)
    grant, kept = given(acting, person), given(other, person)
    assert effect_of(acting, acting.ask(person)) == "allow"

    asked = page(person, f"/grants/{grant.pk}/end/")
    answer = seen_by(person).post(f"/grants/{grant.pk}/end/")

    assert f"End what {acting.desk.agent.slug} may do for you?" in asked
    assert answer["Location"] == "/my/grants/"
    assert code_of(acting, acting.ask(person)) == "consent.none"
    grant.refresh_from_db()
    kept.refresh_from_db()
    assert (grant.end_cause, grant.ended_by, kept.ended_at) == ("person", person, None)
    shown = page(person, "/my/grants/")
    assert "You ended it" in shown
    assert "Give it again" in shown


def test_ending_all_ends_all_and_nobody_elses(acting: Acting, person: Person) -> None:
    other, neighbour = acting_desk(), acting.person()
    other.desk.role.people.add(person)
    given(acting, person), given(other, person)
    theirs = given(acting, neighbour)

    shown = page(person, "/my/grants/end/")
    answer = seen_by(person).post("/my/grants/end/")

    assert "End all 2 grants?" in shown
    assert answer["Location"] == "/my/grants/"
    assert not Grant.objects.filter(person=person, ended_at__isnull=True).exists()
    theirs.refresh_from_db()
    assert theirs.ended_at is None


def test_nobody_sees_or_ends_what_is_anothers(acting: Acting, person: Person) -> None:
    grant, stranger = given(acting, person), acting.person()

    for path in (f"/grants/{grant.pk}/end/", f"/my/grants/{grant.pk}/again/"):
        page(stranger, path, 404)
        assert seen_by(stranger).post(path).status_code == 404
    grant.refresh_from_db()
    assert grant.ended_at is None


def test_a_get_ends_nothing(acting: Acting, person: Person) -> None:
    grant = given(acting, person)

    page(person, f"/grants/{grant.pk}/end/")
    page(person, "/my/grants/end/")

    grant.refresh_from_db()
    assert grant.ended_at is None


# Given again


def test_what_was_never_used_is_not_ticked_and_less_is_given(
    acting: Acting, person: Person
) -> None:
    narrowing = {"properties": {"amount": {"maximum": 700}}}
    grant = given(acting, person, refund=narrowing, read={})
    decide([acting.ask(person)], acting.desk.caller)

    shown = page(person, f"/my/grants/{grant.pk}/again/")
    answer = seen_by(person).post(
        f"/my/grants/{grant.pk}/again/", {"tools": [acting.refund.name], "days": "30"}
    )

    assert f'value="{acting.refund.name}" checked' in shown
    assert f'value="{acting.read.name}">' in shown
    assert "Read the books" in shown
    assert answer["Location"] == "/my/grants/"
    newer = Grant.objects.get(person=person, ended_at__isnull=True)
    grant.refresh_from_db()
    assert (grant.end_cause, newer.tools) == ("replaced", {acting.refund.name: narrowing})
    assert (newer.until - newer.given_at).days in {29, 30}


def test_what_the_row_lost_is_not_given_again(acting: Acting, person: Person) -> None:
    grant = given(acting, person)
    AllowlistEntry.objects.get(agent=acting.desk.agent, tool=acting.read).delete()

    shown = page(person, f"/my/grants/{grant.pk}/again/")
    tools = [acting.read.name, acting.refund.name]
    answer = seen_by(person).post(f"/my/grants/{grant.pk}/again/", {"tools": tools, "days": "90"})

    assert "Not given any more" in shown
    assert answer.status_code == 200
    assert Grant.objects.get(person=person).pk == grant.pk


def test_more_than_it_had_is_not_given_again(acting: Acting, person: Person) -> None:
    grant = given(acting, person, refund={})

    with pytest.raises(GrantRefused) as refusal:
        give_again(grant_id=grant.pk, tools=[acting.refund.name, acting.read.name], by=person)

    assert refusal.value.code == "grant_tools"
    with pytest.raises(NoSuchGrant):
        give_again(grant_id=grant.pk, tools=[acting.refund.name], by=acting.person())


def test_all_that_one_may_do_is_refused_with_a_sentence(acting: Acting, person: Person) -> None:
    grant = given(acting, person)
    acting.own.roles.get().people.remove(person)

    tools = [acting.read.name, acting.refund.name]
    answer = seen_by(person).post(f"/my/grants/{grant.pk}/again/", {"tools": tools, "days": "90"})

    assert "This would be all that you may do. Leave something out" in answer.content.decode()
    assert Grant.objects.get(person=person).ended_at is None


def test_one_that_is_over_leads_to_the_one_that_took_its_place(
    acting: Acting, person: Person
) -> None:
    earlier, newer = given(acting, person), given(acting, person, read={})

    answer = seen_by(person).get(f"/my/grants/{earlier.pk}/again/")

    assert answer["Location"] == f"/my/grants/{newer.pk}/again/"


def test_one_that_the_person_ended_can_be_given_again(acting: Acting, person: Person) -> None:
    grant = given(acting, person)
    services.end_grant(grant_id=grant.pk, by=person)

    seen_by(person).post(
        f"/my/grants/{grant.pk}/again/", {"tools": [acting.read.name], "days": "7"}
    )

    assert effect_of(acting, acting.ask_read(person)) == "allow"
    assert code_of(acting, acting.ask(person)) == "consent.tool"


# Calls in my name


def test_one_sees_the_calls_in_ones_own_name_alone(acting: Acting, person: Person) -> None:
    other = acting.person()
    given(acting, person), given(acting, other)
    decide([acting.ask(person, resource_id="mine-1")], acting.desk.caller)
    decide([acting.ask(other, resource_id="theirs-1")], acting.desk.caller)

    shown = page(person, f"/my/grants/calls/?user={other.pid}")

    assert shown.count(f'<td class="mono">{acting.refund.name}</td>') == 1
    assert "/trail/" not in main_of(shown)


def test_calls_are_filtered_and_an_agents_owner_opens_them(acting: Acting, person: Person) -> None:
    acting.desk.role.people.add(acting.desk.owner)
    acting.own.roles.get().people.add(acting.desk.owner)
    given(acting, acting.desk.owner)
    decide([acting.ask(acting.desk.owner), acting.ask_read(acting.desk.owner)], acting.desk.caller)

    shown = page(acting.desk.owner, f"/my/grants/calls/?tool={acting.read.name}")

    assert f'<td class="mono">{acting.read.name}</td>' in shown
    assert f'<td class="mono">{acting.refund.name}</td>' not in shown
    assert 'href="/trail/' in main_of(shown)
    assert "No call fits" in page(acting.desk.owner, "/my/grants/calls/?agent=nobody")
    assert "No agent called anything" in page(person, "/my/grants/calls/")


# Everybody's


def test_security_sees_all_ends_one_and_gives_none(acting: Acting, person: Person) -> None:
    security, grant = make_person(groups=[GroupName.SECURITY]), given(acting, person)

    shown = page(security, "/grants/")
    answer = seen_by(security).post(f"/grants/{grant.pk}/end/")

    assert "1 live grant of 1 person" in shown
    assert "Jane Okafor" in shown
    assert answer["Location"] == "/grants/"
    grant.refresh_from_db()
    assert (grant.end_cause, grant.ended_by) == ("security", security)
    assert f"{security} of security ended it" in page(security, "/grants/?state=over")
    assert "No grant fits" in page(security, "/grants/?state=live")
    page(security, f"/my/grants/{grant.pk}/again/", 404)
    assert codes(person) == ["grant.ended", "grant.given"]


def test_an_auditor_sees_all_and_ends_none(acting: Acting, person: Person) -> None:
    auditor, grant = make_person(groups=[GroupName.AUDITOR]), given(acting, person)

    assert "End…" not in main_of(page(auditor, "/grants/"))
    page(auditor, f"/grants/{grant.pk}/end/", 404)
    page(person, "/grants/", 403)
    page(person, "/grants/csv/", 403)


def test_the_list_is_filtered_by_agent_person_and_state(acting: Acting, person: Person) -> None:
    security, other = make_person(groups=[GroupName.SECURITY]), acting_desk()
    given(acting, person), given(other, other.person(name="Emil Brandt"))

    for query, found in (
        (f"agent={acting.desk.agent.slug}", "Jane Okafor"),
        ("person=okafor", "Jane Okafor"),
        (f"person={person.pid}", "Jane Okafor"),
        ("person=Emil", "Emil Brandt"),
    ):
        shown = main_of(page(security, f"/grants/?{query}"))
        assert (found in shown, shown.count('<b class="strong">live</b>')) == (True, 1), query


def test_the_list_as_csv(acting: Acting, person: Person) -> None:
    security, grant = make_person(groups=[GroupName.SECURITY]), given(acting, person, read={})
    services.end_grant(grant_id=grant.pk, by=person)

    answer = seen_by(security).get("/grants/csv/?person=Jane")

    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["agent"], row["person"]) == (acting.desk.agent.slug, person.email)
    assert (row["state"], row["why"]) == ("ended", "Jane Okafor ended it")
    assert row["tools"] == acting.read.name


def test_the_list_asks_as_much_for_three_grants_as_for_one(acting: Acting) -> None:
    client = seen_by(make_person(groups=[GroupName.SECURITY]))
    given(acting, acting.person())
    one = queries_of(client, "/grants/")
    for _ in range(2):
        another = acting_desk()
        given(another, another.person())

    assert queries_of(client, "/grants/") == one


def test_an_owner_sees_how_many_and_security_who(acting: Acting, person: Person) -> None:
    given(acting, person)
    path = f"/agents/{acting.desk.agent.slug}/"

    owners = page(acting.desk.owner, path)
    securitys = page(make_person(groups=[GroupName.SECURITY]), path)

    assert "Who lets it act for them" in owners
    assert "1 person</b>" in owners
    assert "Jane Okafor" not in owners
    assert f'href="/grants/?agent={acting.desk.agent.slug}"' not in owners
    assert f'href="/grants/?agent={acting.desk.agent.slug}"' in securitys


# What people are told


def test_a_person_is_told_of_a_grant_and_of_its_first_use_once(
    acting: Acting, person: Person
) -> None:
    given(acting, person)
    swept()
    assert codes(person) == ["grant.given"]
    decide([acting.ask(person, parameters={"claim": "C", "amount": -1})], acting.desk.caller)
    swept()
    assert codes(person) == ["grant.given"]
    decide([acting.ask_read(person), acting.ask(person)], acting.desk.caller)

    swept()
    swept()

    assert codes(person) == ["grant.given", "grant.used"]
    notice = Notice.objects.get(person=person, code="grant.used")
    assert "called “Read a claim” in your name" in notice.text
    assert notice.path == "/my/grants/"


def test_before_its_end_a_person_is_asked_once_and_no_sooner(acting: Acting) -> None:
    early, near = acting.person(zone="UTC"), acting.person(zone="UTC")
    given_before(acting, early, days=70, left=16)
    grant = given_before(acting, near, days=80, left=10)

    swept()
    swept()

    assert (codes(early), codes(near)) == ([], ["grant.near"])
    notice = Notice.objects.get(person=near)
    assert notice.path == f"/my/grants/{grant.pk}/again/"
    assert "A grant ends soon" in page(near, "/my/grants/")
    assert "A grant ends soon" not in page(early, "/my/grants/")


def test_a_short_grant_is_asked_about_in_its_second_half(acting: Acting) -> None:
    first, second = acting.person(), acting.person()
    given_before(acting, first, days=2, left=5)
    given_before(acting, second, days=5, left=2)

    swept()

    assert (codes(first), codes(second)) == ([], ["grant.near"])


def test_what_is_over_ends_by_the_sweep_and_counts_for_nothing_before(
    acting: Acting, person: Person
) -> None:
    grant = given_before(acting, person, days=90, left=-1)
    assert code_of(acting, acting.ask(person)) == "consent.expired"
    assert "Its time was over" in page(person, "/my/grants/")

    swept()

    grant.refresh_from_db()
    assert (grant.end_cause, grant.ended_by) == ("expired", None)
    assert codes(person) == ["grant.ended"]


def test_who_ended_or_replaced_it_is_not_told(acting: Acting, person: Person) -> None:
    given(acting, person)
    services.end_grant(grant_id=given(acting, person, read={}).pk, by=person)

    assert codes(person) == ["grant.given", "grant.given"]


def test_a_leaver_is_told_nothing_and_stops_no_sweep(acting: Acting, person: Person) -> None:
    given(acting, person)
    today = clock.now().date()
    register.set_employment(
        person_id=person.pk, employment="left", last_day=today, by=Automatic("hr")
    )

    swept()

    assert Grant.objects.get(person=person).end_cause == "left"
    assert codes(person) == ["grant.given"]


# Words


@pytest.mark.parametrize(
    ("narrowing", "said"),
    [
        ({}, []),
        ({"properties": {"amount": {"maximum": 200}}}, ["amount at most 200"]),
        ({"properties": {"to_status": {"enum": ["won", "lost"]}}}, ["to status only won or lost"]),
        ({"properties": {"kind": {"const": "draft"}}}, ["kind only draft"]),
        ({"properties": {"note": {"pattern": "^x"}}}, ["note of the form ^x"]),
        ({"properties": {"note": True}}, ["note narrowed further"]),
        ({"required": ["claim"]}, ["narrowed further"]),
        (
            {"properties": {"n": {"minimum": 1, "maximum": 3}}},
            ["n at least 1", "n at most 3"],
        ),
    ],
)
def test_what_narrows_a_tool_in_words(narrowing: dict[str, Any], said: list[str]) -> None:
    assert in_words(narrowing) == said


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=46, hours=3), "46 days left"),
        (timedelta(hours=47), "47 hours left"),
        (timedelta(minutes=5), "1 hour left"),
    ],
)
def test_how_long_it_lasts_in_words(left: timedelta, said: str) -> None:
    now = clock.now()

    assert words.left(now + left, now) == said


# REST


def test_rest_lists_ones_own_and_for_readers_everybodys(acting: Acting, person: Person) -> None:
    other, auditor = acting.person(), make_person(groups=[GroupName.AUDITOR])
    mine, theirs = given(acting, person), given(acting, other)

    def ids(reader: Person, query: str = "") -> list[str]:
        found = seen_by(reader).get(f"/api/v1/grants{query}").json()
        return [each["id"] for each in found["results"]]

    assert ids(person) == [str(mine.pk)]
    assert ids(person, f"?person={other.pid}") == []
    assert ids(auditor) == [str(theirs.pk), str(mine.pk)]
    assert ids(auditor, f"?person={other.pid}&state=live") == [str(theirs.pk)]
    assert seen_by(person).get("/api/v1/grants?state=maybe").status_code == 400
    assert Client().get("/api/v1/grants").status_code == 401


def test_rest_ends_ones_own_at_once_and_twice_is_once(acting: Acting, person: Person) -> None:
    grant = given(acting, person)
    path = f"/api/v1/grants/{grant.pk}/end"

    assert seen_by(acting.person()).post(path).json()["code"] == "no_such_grant"
    assert effect_of(acting, acting.ask(person)) == "allow"
    first, second = seen_by(person).post(path).json(), seen_by(person).post(path).json()

    assert (first["live"], first["end_cause"], first["ended_by"]) == (False, "person", person.pid)
    assert second == first
    assert code_of(acting, acting.ask(person)) == "consent.none"
