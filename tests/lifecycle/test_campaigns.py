"""What already runs: read row by row, asked of its owners, a draft of who accepts."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from hypothesis import given
from hypothesis import strategies as some

from audit.export import read_cell
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, Invalid, NotAllowed
from lifecycle.campaigns import selectors, services, sweep
from lifecycle.campaigns.candidates import look_up
from lifecycle.campaigns.reading import read_rows
from lifecycle.inbox.answers import Reply, answer
from lifecycle.inbox.entries import queue_of
from lifecycle.models import Campaign, Candidate, CandidateState, Notice
from registry.enums import GroupName
from registry.models import Agent, Person, UnregisteredCaller
from registry.services import note_caller
from tests.factories.registry import make_agent, make_person, make_system, make_tool, security

pytestmark = pytest.mark.django_db
S = CandidateState


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def start(text: str, by: Person | None = None, **more: Any) -> Campaign:
    looked = look_up(read_rows(text.encode()) if text else [], **more)
    due = (clock.now() + timedelta(days=14)).date()
    return services.start_campaign(name="Autumn", looked=looked, due=due, by=by or security())


def states(campaign: Campaign) -> list[tuple[str, str]]:
    return [(each.slug, each.state) for each in campaign.candidates.all()]


def ids(campaign: Campaign) -> list[int]:
    return list(campaign.candidates.values_list("pk", flat=True))


def listed(*rows: str) -> str:
    return "\n".join(["name,owner,purpose,tools", *rows])


# Reading


def test_csv_yaml_cards_and_configurations_are_read() -> None:
    as_csv = read_rows(b"\xef\xbb\xbfName,Owner,Tools\nBot,a@b.example,x.read; y.write\n")
    as_yaml = read_rows(b"agents:\n- {name: Bot, tools: [x.read]}\n- {name: Other, owner: a@b.c}\n")
    card = {"name": "Card", "description": "D", "skills": [{"id": "s", "name": "S"}], "url": "x"}
    as_card = read_rows(json.dumps(card | {"version": "1", "capabilities": {}}).encode())
    mcp = read_rows(json.dumps({"mcpServers": {"crm": {"command": "crm"}}}).encode())

    (row,) = as_csv
    assert (row.place, row.proposed.slug, row.proposed.owner) == ("line 2", "bot", "a@b.example")
    assert row.proposed.tools == ("x.read", "y.write")
    assert [each.proposed.slug for each in as_yaml] == ["bot", "other"]
    assert [each.proposed.kind for each in (*as_card, *mcp)] == ["agent_card", "mcp"]


def test_wrong_rows_are_kept_with_what_is_wrong() -> None:
    rows = read_rows(b"name,owner,rate_per_minute,colour\nA,,ten,red\nB,x@y.example\n\nC,,7,blue\n")

    assert [row.place for row in rows] == ["line 2", "line 3", "line 5"]
    assert [len(row.problems) for row in rows] == [2, 2, 1]
    assert "rate_per_minute is no whole number." in rows[0].problems
    assert rows[2].proposed.facts == {"rate_per_minute": 7}


@pytest.mark.parametrize(
    "raw",
    [b"name,owner\n\xff\xfe,x\n", b"colour,owner\nred,x\n", b'name,owner\n"open,x\n', b"\x00"],
)
def test_what_cannot_be_read_is_refused_with_a_sentence(raw: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        read_rows(raw, kind="csv")

    assert caught.value.message.endswith(".")


@given(some.binary(max_size=300) | some.text(max_size=300).map(str.encode))
def test_reading_anything_raises_nothing_else(raw: bytes) -> None:
    for kind in ("", "csv", "mcp", "agent_card", "agent_yaml"):
        try:
            read_rows(raw, kind=kind)
        except GovernanceError as refusal:
            said = refusal.status
        else:
            said = 200
        assert said in (200, 400)


# Looking up


def test_candidates_get_the_owner_that_is_on_the_register() -> None:
    owner, known = make_person(), make_agent(slug="known")
    text = listed(
        f"One,{owner.email.upper()},P,", "Two,nobody@x.example,P,", "Known,,P,", "Six,,P,"
    )

    looked = look_up(read_rows(text.encode()))

    assert [(each.proposed.slug, each.state, each.owner) for each in looked] == [
        ("one", S.ASKED, owner),
        ("two", S.UNOWNED, None),
        ("known", S.KNOWN, None),
        ("six", S.UNOWNED, None),
    ]
    assert looked[2].agent == known
    assert "nobody@x.example is nobody on the register" in looked[1].problems[0]


def test_names_that_stand_twice_are_told() -> None:
    looked = look_up(read_rows(listed("Bot,,,", "bot,,,").encode()))

    assert all("stands 2 times" in each.problems[0] for each in looked)


def test_looking_up_asks_the_same_of_one_row_and_of_many(
    django_assert_num_queries: Any,
) -> None:
    for many in (1, 40):
        rows = read_rows(listed(*(f"Bot {n},p{n}@x.example,," for n in range(many))).encode())
        with django_assert_num_queries(2):
            look_up(rows)


# Sending out


def test_nothing_of_the_list_is_lost() -> None:
    owner = make_person()
    make_agent(slug="known")
    text = listed(f"One,{owner.email},P,", "!!,,P,", "Known,,P,", "One,,again,")

    campaign = start(text)

    assert states(campaign) == [
        ("one", "asked"),
        ("", "unowned"),
        ("known", "known"),
        ("one", "unowned"),
    ]


def test_an_owner_is_told_once_of_everything() -> None:
    owner = make_person()

    start(listed(*(f"Bot {n},{owner.email},P," for n in range(3))))

    notice = Notice.objects.get(person=owner)
    assert notice.subject == "3 agents may be yours: Autumn"
    assert not Agent.objects.filter(owner=owner).exists()


@pytest.mark.parametrize("group", [None, GroupName.DPO, GroupName.AUDITOR])
def test_only_operators_send_out(group: GroupName | None) -> None:
    with pytest.raises(NotAllowed):
        start(listed("Bot,,,"), by=make_person(*([group] if group else [])))


def test_nothing_is_not_sent_out() -> None:
    with pytest.raises(Invalid):
        start("")


# Accepting and declining


def test_accepted_ones_are_drafts_of_who_accepts() -> None:
    owner, tool = make_person(), make_tool(make_system(tier="internal"))
    campaign = start(
        listed(f"One,{owner.email},Reads.,{tool.name} no.such", f"Two,{owner.email},,")
    )

    done = services.accept_candidates(candidate_ids=ids(campaign), by=owner)

    one, two = Agent.objects.filter(owner=owner).order_by("slug")
    assert (len(done.moved), done.left) == (2, {})
    assert (one.state, one.purpose, one.name) == ("draft", "Reads.", "One")
    assert [entry.tool for entry in one.allowlist.all()] == [tool]
    assert two.purpose == "Two, found by the campaign Autumn."
    assert states(campaign) == [("one", "accepted"), ("two", "accepted")]
    assert [each.agent for each in campaign.candidates.all()] == [one, two]


def test_one_that_is_refused_keeps_no_other_waiting() -> None:
    owner = make_person()
    campaign = start(listed(f"One,{owner.email},,", f"!!,{owner.email},,", f"Two,{owner.email},,"))
    make_agent(slug="two")
    first, second, third = ids(campaign)

    done = services.accept_candidates(candidate_ids=[first, second, third], by=owner)
    again = services.accept_candidates(
        candidate_ids=[second, third], by=owner, slugs={second: "named", third: "two-b"}
    )

    assert [each.pk for each in done.moved] == [first]
    assert set(done.left) == {second, third}
    assert [each.agent.slug for each in again.moved if each.agent] == ["named", "two-b"]


def test_nobody_accepts_what_is_asked_of_another() -> None:
    owner, stranger = make_person(), security()
    campaign = start(listed(f"One,{owner.email},,"))

    done = services.accept_candidates(candidate_ids=ids(campaign), by=stranger)

    assert list(done.left.values()) == ["There is no such candidate of yours."]
    assert not Agent.objects.exists()


def test_accepted_twice_it_is_one_agent() -> None:
    owner = make_person()
    campaign = start(listed(f"One,{owner.email},,"))
    services.accept_candidates(candidate_ids=ids(campaign), by=owner)

    again = services.accept_candidates(candidate_ids=ids(campaign), by=owner, slugs={})

    assert (again.moved, Agent.objects.filter(owner=owner).count()) == ([], 1)


def test_declined_with_a_name_it_is_asked_of_that_person() -> None:
    owner, other = make_person(), make_person()
    campaign = start(listed(f"One,{owner.email},,"))

    services.decline_candidates(
        candidate_ids=ids(campaign), by=owner, reason="Theirs.", other=other.email
    )

    candidate = campaign.candidates.get()
    assert (candidate.state, candidate.owner, candidate.answer) == (S.ASKED, other, "Theirs.")
    assert Notice.objects.filter(person=other, code="campaign.asks").count() == 1
    assert [each.key for each in queue_of(owner).mine] == []
    assert [each.key for each in queue_of(other).mine] == [f"campaign:{campaign.pk}"]


def test_declined_without_a_name_security_has_to_name_one() -> None:
    owner, other, by = make_person(), make_person(), security()
    campaign = start(listed(f"One,{owner.email},,"))

    services.decline_candidates(candidate_ids=ids(campaign), by=owner, reason="Not mine.")
    before = states(campaign)
    services.name_owner(candidate_id=ids(campaign)[0], email=other.email, by=by)

    assert (before, states(campaign)) == ([("one", "unowned")], [("one", "asked")])


@pytest.mark.parametrize("other", ["nobody@x.example", "self"])
def test_a_name_that_cannot_answer_is_refused(other: str) -> None:
    owner = make_person()
    campaign = start(listed(f"One,{owner.email},,"))

    with pytest.raises(Invalid):
        services.decline_candidates(
            candidate_ids=ids(campaign),
            by=owner,
            reason="R.",
            other=owner.email if other == "self" else other,
        )

    assert states(campaign) == [("one", "asked")]


def test_put_aside_it_stays_in_the_list() -> None:
    campaign = start(listed("One,,,"))

    services.drop_candidate(candidate_id=ids(campaign)[0], reason="A test bot.", by=security())

    assert states(campaign) == [("one", "dropped")]
    assert campaign.candidates.get().answer == "A test bot."


def test_closed_campaign_asks_nobody() -> None:
    owner = make_person()
    campaign = start(listed(f"One,{owner.email},,"))

    services.close_campaign(campaign_id=campaign.pk, by=security())

    done = services.accept_candidates(candidate_ids=ids(campaign), by=owner)
    assert queue_of(owner).mine == []
    assert list(done.left.values()) == ["The campaign Autumn is closed."]
    assert states(campaign) == [("one", "asked")]


def test_unregistered_caller_becomes_the_agent_of_who_accepts() -> None:
    owner, by = make_person(), security()
    caller = note_caller(claimed="Night Bot", source="10.0.0.7").caller
    campaign = start("", by=by, with_callers=True)
    (key,) = ids(campaign)
    services.name_owner(candidate_id=key, email=owner.email, by=by)

    services.accept_candidates(candidate_ids=[key], by=owner)

    caller.refresh_from_db()
    agent = Agent.objects.get(owner=owner)
    assert (agent.slug, caller.state, caller.adopted_as) == ("night-bot", "adopted", agent)
    assert UnregisteredCaller.objects.filter(state="open").count() == 0


def test_every_state_says_what_may_follow() -> None:
    assert set(services.TRANSITIONS) == set(S)


# Reminders


def test_owners_are_reminded_until_they_answer(settings: Any) -> None:
    settings.MUSTER_CAMPAIGN_REMIND_DAYS = 3
    owner = make_person()
    campaign = start(listed(f"One,{owner.email},,", f"Two,{owner.email},,"))

    def swept(days: float) -> list[bool]:
        """What the sweep does where the last word was so long ago."""
        before = clock.now() - timedelta(days=days)
        campaign.candidates.update(told_at=before)
        done = [sweep.tell(key, clock.now()) for key in sweep.due(clock.now())]
        return done + [sweep.tell(key, clock.now()) for key in sweep.due(clock.now())]

    told = [swept(2.9), swept(3.1), swept(3.2)]
    services.accept_candidates(candidate_ids=ids(campaign), by=owner)
    told.append(swept(9.3))

    assert told == [[], [True], [True], []]
    assert Notice.objects.filter(person=owner, code="campaign.asks").count() == 3


# Inbox, pages, REST


def test_inbox_answers_in_bulk(client: Browser) -> None:
    owner = make_person()
    campaign = start(listed(*(f"Bot {n},{owner.email},," for n in range(3))))
    first, second, third = map(str, ids(campaign))
    key = f"campaign:{campaign.pk}"
    client.force_login(owner)

    shown = client.get(f"/inbox/?item={key}").content.decode()
    given = {f"slug-{first}": "bot-first"}
    said = answer(
        key=key, word="approve", reply=Reply(by=owner, given=given, ticked=[first, second])
    )
    reply = Reply(by=owner, given={"reason": "Not mine."}, ticked=[third])
    declined = answer(key=key, word="reject", reply=reply)

    assert shown.count('name="hold"') == 3
    assert said == "Accepted 2. Each is your draft now."
    assert declined == "Declined 1. Someone else is asked."
    assert {agent.slug for agent in owner.owned_agents.all()} == {"bot-first", "bot-1"}


def form(text: str, **more: str) -> dict[str, str]:
    due = (clock.now() + timedelta(days=14)).date().isoformat()
    return {"name": "Autumn", "due": due, "kind": "", "text": text} | more


def test_page_shows_before_it_keeps(client: Browser) -> None:
    owner = make_person()
    client.force_login(security())
    text = listed(f"One,{owner.email},,", "Two,,,")

    looked = client.post("/campaigns/new/", form(text)).content.decode()
    before = Campaign.objects.count()
    sent = client.post("/campaigns/new/", form(text, start="1"))
    page = client.get(sent["Location"]).content.decode()

    assert "2 found: 1 with an owner, 1 without" in looked
    assert (before, Candidate.objects.count()) == (0, 2)
    assert "It names no owner. Security names one." in page


def test_hostile_names_are_shown_as_text(client: Browser) -> None:
    client.force_login(security())

    said = client.post("/campaigns/new/", form(listed("<script>x</script>,,,"))).content.decode()

    assert "<script>x" not in said


def test_csv_of_a_campaign_holds_no_formula(client: Browser) -> None:
    client.force_login(security())
    hostile = ["=1+1", "+a", "-a", "@a", "＝a"]
    campaign = start(listed(*(f'"{each}",,"=2",' for each in hostile)))

    body = client.get(f"/campaigns/{campaign.pk}/csv/").getvalue().decode()

    _, *rows = csv.reader(body.splitlines())
    assert [read_cell(row[1]) for row in rows] == hostile
    assert all(not cell.startswith(("=", "+", "-", "@", "＝")) for row in rows for cell in row)


def test_pages_are_for_operators(client: Browser) -> None:
    campaign = start(listed("One,,,"))
    (key,) = ids(campaign)
    client.force_login(make_person())

    answers = [
        client.get("/campaigns/"),
        client.get("/campaigns/new/"),
        client.get(f"/campaigns/{campaign.pk}/"),
        client.get(f"/campaigns/{campaign.pk}/csv/"),
        client.post(f"/campaigns/{campaign.pk}/close/"),
        client.post(f"/campaigns/{campaign.pk}/{key}/", {"drop": "1", "reason": "R."}),
        client.get("/api/v1/campaigns"),
        client.get(f"/api/v1/campaigns/{campaign.pk}/candidates"),
    ]

    assert [each.status_code for each in answers] == [403] * 8
    assert states(campaign) == [("one", "unowned")]


def test_page_of_a_campaign_names_owners_and_puts_aside(client: Browser) -> None:
    owner = make_person()
    campaign = start(listed("One,,,", "Two,,,"))
    first, second = ids(campaign)
    client.force_login(security())

    client.post(f"/campaigns/{campaign.pk}/{first}/", {"owner": owner.email})
    client.post(f"/campaigns/{campaign.pk}/{second}/", {"drop": "1", "reason": "Gone."})
    listed_page = client.get(f"/campaigns/{campaign.pk}/?state=dropped").content.decode()
    client.post(f"/campaigns/{campaign.pk}/close/")

    assert states(campaign) == [("one", "asked"), ("two", "dropped")]
    assert ("Gone." in listed_page, "two" in listed_page) == (True, True)
    assert Campaign.objects.get().closed_at is not None
    assert client.get("/campaigns/").status_code == 200


def test_campaign_list_asks_the_same_at_one_and_many(client: Browser) -> None:
    by = security()
    counted = []
    for many in (1, 3):
        while Campaign.objects.count() < many:
            start(listed("One,,,", "Two,,,"), by=by)
        rows = selectors.for_list()
        counted.append([(each.total, each.left) for each in rows])

    assert counted == [[(2, 2)], [(2, 2)] * 3]


def test_rest_starts_shows_and_answers(client: Browser) -> None:
    owner = make_person()
    client.force_login(security())
    due = (clock.now() + timedelta(days=9)).date().isoformat()
    body = {
        "name": "Autumn",
        "due": due,
        "text": listed(f"One,{owner.email},,", f"Two,{owner.email},,"),
    }

    made = client.post("/api/v1/campaigns", body, content_type="application/json")
    client.force_login(owner)
    mine = client.get("/api/v1/candidates").json()["results"]
    first, second = (each["id"] for each in mine)
    taken = client.post(
        "/api/v1/candidates/accept", {"candidates": [first]}, content_type="application/json"
    ).json()
    left = client.post(
        "/api/v1/candidates/decline",
        {"candidates": [second, first], "reason": "No."},
        content_type="application/json",
    ).json()

    assert made.status_code == 201
    assert made.json()["counted"]["asked"] == 2
    assert [each["agent"] for each in taken["moved"]] == ["one"]
    assert [each["state"] for each in left["moved"]] == ["unowned"]
    assert list(left["left"]) == [str(first)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "A", "due": "2000-01-01", "text": "name,owner\na,b\n"},
        {"name": "A", "due": "x"},
    ],
)
def test_bad_campaigns_are_refused(client: Browser, body: dict[str, str]) -> None:
    client.force_login(security())

    answered = client.post("/api/v1/campaigns", body, content_type="application/json")

    assert answered.status_code == 400
    assert not Campaign.objects.exists()
