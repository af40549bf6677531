"""Holds in the inbox: who finds them, what is shown, and what an answer does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client

from authz.decide import decide
from authz.enums import HoldState
from authz.models import Hold, Release
from lifecycle import sweeps
from lifecycle.inbox import editing, entries, holds
from lifecycle.models import Notice
from registry.enums import GroupName
from registry.models import Person
from tests.factories.authz import (
    Desk,
    age,
    bearer,
    make_agent,
    make_client,
    make_desk,
    make_person,
)

pytestmark = pytest.mark.django_db(transaction=True)

SECURITY = [GroupName.SECURITY]
GATES = {"amount": {"above": 40_000, "currency": "EUR"}}
WORDS = "The customer was promised it. <script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _without_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def gated(**fields: Any) -> Desk:
    return make_desk(
        tool_fields={"gates": GATES, "effect": "financial", "title": "Refund"} | fields
    )


def hold_of(desk: Desk, **changed: Any) -> Hold:
    parameters = {"claim": "CL-1", "amount": 124_000} | changed.pop("parameters", {})
    (answer,) = decide([desk.ask(parameters=parameters, reasoning=WORDS, **changed)], desk.caller)
    return Hold.objects.get(pk=answer.settled["hold"]["id"])


def signed_in(client: Client, person: Person) -> Client:
    client.force_login(person)
    return client


def test_a_hold_waits_for_those_who_were_asked_and_is_seen_by_its_owner() -> None:
    asked, late_group = make_person(groups=SECURITY), make_person(groups=["auditor"])
    source = make_person(groups=[GroupName.SOURCE_OWNER])
    desk = gated()
    type(desk.system).objects.filter(pk=desk.system.pk).update(owner=source)
    other_source = make_person(groups=[GroupName.SOURCE_OWNER])
    hold = hold_of(desk)
    late = make_person(groups=SECURITY)
    key = f"hold:{hold.pk}"

    found = {
        name: (
            [each.key for each in entries.queue_of(person).mine],
            [each.key for each in entries.queue_of(person).others],
        )
        for name, person in {
            "asked": asked,
            "source": source,
            "other source": other_source,
            "owner": desk.owner,
            "joined since": late,
            "auditor": late_group,
        }.items()
    }

    assert found == {
        "asked": ([key], []),
        "source": ([key], []),
        "other source": ([], []),
        "owner": ([], [key]),
        "joined since": ([], [key]),
        "auditor": ([], []),
    }


def test_the_list_and_the_service_say_the_same_of_who_may() -> None:
    """`holds.mine` puts into one query what `check_can_approve_hold` says of one."""
    people = [
        make_person(groups=groups)
        for groups in (
            SECURITY,
            [GroupName.SOURCE_OWNER],
            [GroupName.DPO],
            [GroupName.SECURITY, GroupName.SOURCE_OWNER],
            [],
        )
    ]
    desks = [gated() for _ in people]
    for desk, owner in zip(desks, people, strict=True):
        type(desk.agent).objects.filter(pk=desk.agent.pk).update(owner=owner)
        type(desk.system).objects.filter(pk=desk.system.pk).update(owner=people[1])
    made = [hold_of(desk) for desk in desks]
    people[0].groups.clear()
    # Someone who was asked becomes the owner while it waits.
    type(desks[2].agent).objects.filter(pk=desks[2].agent.pk).update(owner=people[3])

    said = {}
    for person in Person.objects.filter(pk__in=[each.pk for each in people]):
        listed = set(holds.mine(person).values_list("pk", flat=True))
        allowed = {each.pk for each in made if not holds.why_not_approve(each, person)}
        said[person.pk] = (listed, allowed)

    assert all(listed == allowed for listed, allowed in said.values())
    assert sum(len(listed) for listed, _ in said.values()) > 0


def test_what_is_shown_is_what_runs_and_the_agents_words_stay_words(client: Client) -> None:
    approver = make_person(groups=SECURITY)
    hold = hold_of(gated(), parameters={"note": "good\u200bwill"})

    said = signed_in(client, approver).get(f"/inbox/?item=hold:{hold.pk}").content.decode()

    assert "€1,240.00" in said
    assert "Approve €1,240.00" in said
    assert 'good<span class="unseen">U+200B zero width space</span>will' in said
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in said
    assert "<script>alert" not in said
    assert hold.digest in said
    assert "above the amount that runs alone" in said


def test_looking_is_recorded(client: Client, mark: Any, records_after: Any) -> None:
    approver = make_person(groups=SECURITY)
    hold, marked = hold_of(gated()), mark()

    signed_in(client, approver).get(f"/inbox/?item=hold:{hold.pk}")

    read = records_after(marked, kind="payload_read")
    assert {record["actor"] for record in read} == {approver.pid}


def test_owner_cannot_approve_and_is_told_why(client: Client) -> None:
    desk = gated()
    make_person(groups=SECURITY)
    hold = hold_of(desk)
    signed_in(client, desk.owner)

    page = client.get(f"/inbox/?item=hold:{hold.pk}").content.decode()
    client.post(f"/inbox/hold:{hold.pk}/approve/", {"seen": hold.digest})

    hold.refresh_from_db()
    assert hold.state == HoldState.OPEN
    assert f"You answer for {desk.agent.slug}" in page


def test_approving_releases_once_and_the_next_comes(client: Client) -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    hold, other = hold_of(desk), hold_of(gated())
    signed_in(client, approver)

    answer = client.post(f"/inbox/hold:{hold.pk}/approve/", {"seen": hold.digest})

    release = Release.objects.get()
    assert release.hold == hold
    assert parse_qs(urlsplit(answer["Location"]).query)["item"] == [f"hold:{other.pk}"]


def test_rejecting_takes_a_reason_that_the_agent_reads(client: Client) -> None:
    approver, hold = make_person(groups=SECURITY), hold_of(gated())
    signed_in(client, approver)

    client.post(f"/inbox/hold:{hold.pk}/reject/", {"reason": ""})
    hold.refresh_from_db()
    before = hold.state
    client.post(f"/inbox/hold:{hold.pk}/reject/", {"reason": "Not for this claim"})

    hold.refresh_from_db()
    assert (before, hold.state, hold.reason) == ("open", "rejected", "Not for this claim")


def test_editing_shows_the_difference_then_approves_it(client: Client) -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    hold = hold_of(desk)
    signed_in(client, approver)
    place = f"/inbox/hold:{hold.pk}/edit/"

    shown = client.post(place, {"p:amount": "750.00", "p:claim": "CL-1"}).content.decode()
    hold.refresh_from_db()
    before = hold.state
    client.post(place, {"p:amount": "750.00", "p:claim": "CL-1", "confirmed": "1"})

    hold.refresh_from_db()
    release = Release.objects.get()
    edited = {"claim": "CL-1", "amount": 75_000}
    (answer,) = decide([desk.ask(parameters=edited, approval=str(release.pk))], desk.caller)
    assert "<del>€1,240.00</del>" in shown
    assert "<ins>€750.00</ins>" in shown
    assert before == HoldState.OPEN
    assert (hold.state, answer.allowed) == (HoldState.APPROVED, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"p:amount": "750.005"}, "at most 2 digits"),
        ({"p:amount": "lots"}, "is not an amount"),
        ({"p:amount": "NaN"}, "is not an amount"),
        ({"p:amount": "1e999999"}, "is not an amount"),
        ({"p:amount": "1240.00"}, "Nothing is different"),
        ({"p:claim": "x" * 3, "p:amount": "-1", "confirmed": "1"}, "would be refused"),
        ({"p:nothing": "1"}, "Nothing is different"),
    ],
)
def test_an_edit_that_does_not_fit_changes_nothing(
    client: Client, given: dict[str, str], said: str
) -> None:
    approver, hold = make_person(groups=SECURITY), hold_of(gated())

    answer = signed_in(client, approver).post(f"/inbox/hold:{hold.pk}/edit/", given, follow=True)

    hold.refresh_from_db()
    assert said in answer.content.decode()
    assert hold.state == HoldState.OPEN


def test_values_that_are_not_touched_stay_as_they_are() -> None:
    sent = {
        "text": "two\r\nlines",
        "list": [1, {"a": None}],
        "yes": True,
        "float": 1.5,
        "empty": "",
    }
    given = {
        each.key: each.value.replace("\r\n", "\n").replace("\n", "\r\n")
        for each in editing.fields_of(sent, None)
    }

    assert editing.edited(sent, given, None) == sent
    assert editing.compared(sent, sent | {"yes": 1}, None) != []


def test_seen_parameters_that_are_no_longer_those_are_refused(client: Client) -> None:
    approver, hold = make_person(groups=SECURITY), hold_of(gated())

    client = signed_in(client, approver)
    client.post(f"/inbox/hold:{hold.pk}/approve/", {"seen": "0" * 64})

    hold.refresh_from_db()
    assert hold.state == HoldState.OPEN


def test_money_asks_for_a_second_factor_used_just_now(client: Client, settings: Any) -> None:
    approver, hold = make_person(groups=SECURITY), hold_of(gated())
    signed_in(client, approver)
    settings.MUSTER_APPROVER_MFA = True
    from allauth.account.internal.flows import login
    from django.test import RequestFactory

    from registry import middleware

    def post() -> Any:
        return client.post(f"/inbox/hold:{hold.pk}/approve/", {"seen": hold.digest})

    def proved(seconds_ago: float) -> None:
        request = RequestFactory().get("/")
        request.session = client.session
        login.clear_authentication_records(request)
        with time_machine.travel(time.time() - seconds_ago):
            login.record_authentication(request, approver, method="mfa", type="totp")
        request.session.save()

    original = middleware.needs_second_factor
    middleware.needs_second_factor = lambda person: False
    try:
        without = post()
        proved(16 * 60)
        stale = post()
        hold.refresh_from_db()
        before = hold.state
        proved(60)
        post()
    finally:
        middleware.needs_second_factor = original

    hold.refresh_from_db()
    back = "/accounts/2fa/reauthenticate/?next=%2Finbox%2F%3Fitem%3Dhold%253A"
    assert without["Location"].startswith(back)
    assert stale["Location"].startswith(back)
    assert (before, hold.state) == (HoldState.OPEN, HoldState.APPROVED)


# Alike ones


@pytest.fixture
def many() -> tuple[Person, Desk, list[Hold]]:
    approver, desk = make_person(groups=SECURITY), gated()
    return approver, desk, [hold_of(desk, parameters={"claim": f"CL-{n}"}) for n in range(5)]


def batch_key(hold: Hold) -> str:
    return f"batch:{hold.agent}:{hold.shape}"


def test_alike_holds_are_one_entry_that_shows_all_of_them(
    client: Client, many: tuple[Person, Desk, list[Hold]]
) -> None:
    approver, desk, made = many

    queue = entries.queue_of(approver)
    said = signed_in(client, approver).get("/inbox/").content.decode()

    assert [each.key for each in queue.mine] == [batch_key(made[0])]
    assert f"{desk.agent.slug}: 5 × {desk.tool.name}" in said
    assert all(f"CL-{number}" in said for number in range(5))
    assert "Same in all" in said


def test_a_batch_is_released_in_part_then_the_rest_rejected(
    client: Client, many: tuple[Person, Desk, list[Hold]]
) -> None:
    approver, _, made = many
    signed_in(client, approver)
    place = f"/inbox/{batch_key(made[0])}"

    client.post(f"{place}/approve/", {"hold": [str(each.pk) for each in made[:3]]})
    part = list(Hold.objects.order_by("made_at").values_list("state", flat=True))
    nothing = client.post(f"{place}/approve/", {}, follow=True).content.decode()
    rest = {"hold": [str(each.pk) for each in made], "reason": "Enough"}
    told = client.post(f"{place}/reject/", rest, follow=True).content.decode()

    whole = list(Hold.objects.order_by("made_at").values_list("state", flat=True))
    assert part == ["approved"] * 3 + ["open"] * 2
    assert "Tick at least one." in nothing
    assert whole == ["approved"] * 3 + ["rejected"] * 2
    assert "Rejected 2. 3 were left as they are" in told


def test_holds_that_are_not_alike_are_not_released_together(
    client: Client, many: tuple[Person, Desk, list[Hold]]
) -> None:
    approver, _, made = many
    other = hold_of(gated())
    signed_in(client, approver)

    ticked = [str(made[0].pk), str(other.pk)]
    client.post(f"/inbox/{batch_key(made[0])}/approve/", {"hold": ticked})

    assert set(Hold.objects.values_list("state", flat=True)) == {"open"}


@pytest.mark.parametrize("rows", [1, 12])
def test_the_queue_costs_the_same_for_any_number(
    client: Client, rows: int, django_assert_max_num_queries: Any
) -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    for number in range(rows):
        hold_of(desk, parameters={"claim": f"CL-{number}"})
    signed_in(client, approver)

    with django_assert_max_num_queries(13):
        entries.queue_of(Person.objects.get(pk=approver.pk))


@pytest.mark.parametrize("name", ["hold:x", "batch:x", "batch:a:b", "hold:" + "0" * 32])
def test_what_is_no_hold_is_not_found(client: Client, name: str) -> None:
    signed_in(client, make_person(groups=SECURITY))

    assert client.get(f"/inbox/?item={name}").status_code == 200
    assert client.post(f"/inbox/{name}/edit/").status_code == 404
    answer = client.post(f"/inbox/{name}/approve/", {"hold": ["x"]})
    assert answer.status_code == 404


# Sweeps


def test_nobody_answers_and_the_hold_ends(mark: Any, records_after: Any) -> None:
    make_person(groups=SECURITY)
    hold, marked = hold_of(gated()), mark()
    age(hold, "-1 day")

    runs = [sweeps.run_sweep("holds") for _ in range(2)]

    hold.refresh_from_db()
    assert [run and (run.done, run.failed) for run in runs] == [(1, 0), (0, 0)]
    assert hold.state == HoldState.EXPIRED
    told = [record["code"] for record in records_after(marked, kind="hold")]
    assert told == ["hold.expired"]


def test_those_who_may_decide_are_told_once_of_alike_holds(
    many: tuple[Person, Desk, list[Hold]], records_after: Callable[..., Any]
) -> None:
    approver, desk, _ = many

    first = sweeps.run_sweep("asked")
    hold_of(desk, parameters={"claim": "CL-99"})
    again = sweeps.run_sweep("asked")

    (notice,) = Notice.objects.all()
    assert first
    assert again
    assert (first.done, again.done) == (1, 0)
    assert (notice.person, notice.subject) == (approver, f"{desk.agent.slug} waits for your word")
    assert WORDS not in notice.text


# How people decide


def test_security_sees_how_people_decide_and_others_do_not(client: Client) -> None:
    approver, desk = make_person(groups=SECURITY), gated()
    made = [hold_of(desk, parameters={"claim": f"CL-{number}"}) for number in range(3)]
    signed_in(client, approver)
    client.post(f"/inbox/hold:{made[0].pk}/approve/", {"seen": made[0].digest})
    client.post(f"/inbox/hold:{made[1].pk}/reject/", {"reason": "No"})

    page = client.get("/inbox/deciding/")
    inbox = client.get("/inbox/").content.decode()
    client.force_login(desk.owner)

    (habit,) = page.context["habits"]
    assert (habit.who, habit.decided, habit.approved, habit.hasty) == (approver, 2, 1, 1)
    assert [(pile["agent"], pile["many"]) for pile in page.context["piles"]] == [
        (desk.agent.slug, 1)
    ]
    assert "approve 50\u202f%" in inbox
    assert client.get("/inbox/deciding/").status_code == 403


def test_over_rest_the_agent_that_the_gate_names_is_answered_by_its_own_token() -> None:
    make_person(groups=SECURITY)
    friend, stranger = make_agent(make_person()), make_agent(make_person())
    hold = hold_of(gated(gates=GATES | {"agents": [friend.slug]}))
    place = f"/api/v1/holds/{hold.pk}"

    strangers = {"authorization": bearer(make_client(agent=stranger))}
    friends = {"authorization": bearer(make_client(agent=friend))}

    def say_yes(headers: dict[str, str]) -> Any:
        client = Client(enforce_csrf_checks=True)
        return client.post(f"{place}/approve", "", "application/json", headers=headers)

    refused = say_yes(strangers)
    shown = Client().get(place, headers=friends)
    moved = say_yes(friends)

    assert refused.status_code == 403
    assert (shown.status_code, shown.json()["parameters"]["amount"]) == (200, 124_000)
    assert (moved.status_code, moved.json()["state"]) == (200, "approved")
    assert Client().get(place).status_code == 401
