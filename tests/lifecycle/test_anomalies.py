"""Alerts from the record: what is found, once, who is told, and what people say to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from authz.decide import decide
from governance.kernel import clock
from governance.kernel.errors import Invalid, NotAllowed, NotFound
from lifecycle import sweeps
from lifecycle.anomalies import counting, selectors, services
from lifecycle.anomalies.rules import HOUR, LEAST_HISTORY, LOOK_BACK
from lifecycle.anomalies.services import AlreadyAnswered
from lifecycle.models import Anomaly, Counted, HourCount, Notice, Seen
from registry.enums import GroupName
from registry.models import AllowlistEntry, Person
from tests.factories.authz import Desk, make_desk, make_tool
from tests.factories.registry import make_person
from tests.factories.sweeping import find_anomalies

pytestmark = pytest.mark.django_db

LIST_QUERIES = 22
NOTES = {"type": "object", "properties": {"to": {"type": "string"}}}


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def desk() -> Desk:
    plenty = {"rate_per_minute": 10**6, "rate_per_hour": 10**6}
    made = make_desk(agent_fields=plenty)
    made.owner.zone = "UTC"
    made.owner.save(update_fields=["zone"])
    return made


@pytest.fixture
def hour() -> datetime:
    """The hour that goes on; everything before it counts as counted."""
    found = counting.hour_of(clock.now())
    Counted.objects.create(pk=1, until=found)
    return found


def ends(hour: datetime) -> datetime:
    """An instant at which that hour has ended and settled."""
    return hour + HOUR + counting.SETTLED


def worked(
    desk: Desk, hour: datetime, each: int, *, tool: str = "", denied: int = 0, at: Any = None
) -> None:
    """Four weeks of the agent: so many calls in each of the hours `at`, or in every hour."""
    hours = [hour - HOUR * n for n in range(1, int(LOOK_BACK / HOUR) + 1)]
    HourCount.objects.bulk_create(
        HourCount(
            agent=desk.agent.slug,
            tool=tool or desk.tool.name,
            hour=then,
            calls=each,
            denied=denied,
            held=0,
        )
        for then in hours
        if at is None or at(then)
    )


def call(desk: Desk, times: int, **changed: Any) -> None:
    decide([desk.ask(**changed)] * times, desk.caller)


def found(desk: Desk) -> list[tuple[str, str, int]]:
    rows = Anomaly.objects.filter(agent=desk.agent).order_by("pk")
    return [(row.kind, row.tool, row.observed) for row in rows]


# What is found


def test_spike_of_calls_is_found(desk: Desk, hour: datetime) -> None:
    worked(desk, hour, 2)
    call(desk, 60)

    find_anomalies(ends(hour))

    assert found(desk) == [("volume", desk.tool.name, 60)]
    alert = Anomaly.objects.get()
    assert (alert.window, alert.expected, alert.detail["most"]) == (hour, 2.0, 2)
    assert selectors.sentence_of(alert).endswith(
        "usual at such hours is 2.0, the most in four weeks was 2."
    )


def test_usual_hour_is_no_alert(desk: Desk, hour: datetime) -> None:
    worked(desk, hour, 20)
    call(desk, 24)

    assert find_anomalies(ends(hour)) == []
    assert HourCount.objects.get(agent=desk.agent.slug, hour=hour).calls == 24


def test_burst_of_denials_is_found(desk: Desk, hour: datetime) -> None:
    worked(desk, hour, 30, denied=1)
    call(desk, 10)
    call(desk, 25, parameters={"claim": "CL-1", "amount": -1})

    find_anomalies(ends(hour))

    assert found(desk) == [("denials", desk.tool.name, 25)]


def test_denials_over_many_tools_are_found_together(desk: Desk, hour: datetime) -> None:
    worked(desk, hour, 30)
    call(desk, 10)
    for number in range(12):
        call(desk, 1, tool=f"guess{number}.call")

    find_anomalies(ends(hour))

    assert found(desk) == [("denials", "", 12)]


def test_calls_in_an_hour_in_which_there_never_are_any_are_found(
    desk: Desk, hour: datetime
) -> None:
    worked(desk, hour, 20, at=lambda then: 2 <= (then.hour - hour.hour) % 24 <= 22)
    call(desk, 4)

    find_anomalies(ends(hour))

    assert found(desk) == [("off_hours", "", 4)]


def test_new_destination_is_found(desk: Desk, hour: datetime) -> None:
    post = destination_tool(desk)
    worked(desk, hour, 2)
    used(
        desk, hour, post.name, {f"{desk.system.slug}/#support": 200, f"{desk.system.slug}/#all": 80}
    )
    call(desk, 3, tool=post.name, parameters={"to": "#support"})
    call(desk, 1, tool=post.name, parameters={"to": "#exfil"})

    find_anomalies(ends(hour))

    assert found(desk) == [("new_destination", post.name, 1)]
    assert Anomaly.objects.get().detail["value"] == f"{desk.system.slug}/#exfil"
    assert Seen.objects.get(value__endswith="#support").calls == 203


def test_destination_that_was_denied_was_not_reached(desk: Desk, hour: datetime) -> None:
    post = destination_tool(desk)
    worked(desk, hour, 2)
    used(desk, hour, post.name, {f"{desk.system.slug}/#support": 200})
    AllowlistEntry.objects.filter(tool=post).delete()
    call(desk, 1, tool=post.name, parameters={"to": "#exfil"})

    find_anomalies(ends(hour))

    assert found(desk) == []


def test_who_goes_somewhere_else_every_time_is_no_news(desk: Desk, hour: datetime) -> None:
    post = destination_tool(desk)
    worked(desk, hour, 2)
    used(desk, hour, post.name, {f"{desk.system.slug}/{n}": 1 for n in range(90)})
    call(desk, 2, tool=post.name, parameters={"to": "91"})

    find_anomalies(ends(hour))

    assert found(desk) == []


def test_new_kind_of_resource_is_found(desk: Desk, hour: datetime) -> None:
    worked(desk, hour, 2)
    used(desk, hour, "", {"crm": 900}, kind="resource_type")
    call(desk, 1)

    find_anomalies(ends(hour))

    assert found(desk) == [("new_resource_type", "", 1)]
    assert Anomaly.objects.get().detail["value"] == desk.system.slug


def test_agent_that_is_new_has_no_usual(desk: Desk, hour: datetime) -> None:
    young = int(LEAST_HISTORY / HOUR) - 2
    worked(desk, hour, 2, at=lambda then: then >= hour - HOUR * young)
    call(desk, 80)

    assert find_anomalies(ends(hour)) == []


def destination_tool(desk: Desk) -> Any:
    fields = {
        "effect": "write",
        "schema": NOTES,
        "amount_parameter": "",
        "resource_parameter": "to",
    }
    tool = make_tool(desk.system, **fields)
    AllowlistEntry.objects.create(agent=desk.agent, tool=tool)
    desk.role.tools.add(tool)
    return tool


def used(
    desk: Desk, hour: datetime, tool: str, places: dict[str, int], kind: str = "destination"
) -> None:
    Seen.objects.bulk_create(
        Seen(
            agent=desk.agent.slug,
            tool=tool,
            kind=kind,
            value=value,
            calls=calls,
            first_hour=hour - LOOK_BACK,
            last_hour=hour - HOUR,
        )
        for value, calls in places.items()
    )


# Once


def test_hour_is_counted_and_judged_once(desk: Desk, hour: datetime) -> None:
    worked(desk, hour, 2)
    call(desk, 60)

    first = find_anomalies(ends(hour))
    again = [find_anomalies(ends(hour)), services.watch_hour(hour, ends(hour))]

    assert len(first) == 1
    assert again == [[], None]
    assert HourCount.objects.get(agent=desk.agent.slug, hour=hour).calls == 60


def test_hour_that_has_not_settled_waits(desk: Desk, hour: datetime) -> None:
    early = ends(hour) - timedelta(seconds=1)

    assert counting.due_hours(early) == []
    assert services.watch_hour(hour, early) is None


def test_hours_are_taken_in_their_order(desk: Desk, hour: datetime) -> None:
    later = ends(hour + 2 * HOUR)

    assert services.watch_hour(hour + HOUR, later) is None
    assert counting.due_hours(later) == [hour, hour + HOUR, hour + 2 * HOUR]


def test_sweep_counts_what_is_due_and_nothing_twice(desk: Desk) -> None:
    call(desk, 3)
    begun = counting.hour_of(clock.now()) - 2 * HOUR
    Counted.objects.create(pk=1, until=begun)

    first, second = sweeps.run_sweep("anomalies"), sweeps.run_sweep("anomalies")

    assert first is not None
    assert second is not None
    assert first.done in (1, 2)  # the last hour may not have settled
    assert (first.failed, second.done) == (0, 0)


def test_burst_that_goes_on_is_one_alert(desk: Desk, hour: datetime) -> None:
    worked(desk, hour, 2)
    call(desk, 60)
    find_anomalies(ends(hour))
    before = hour - HOUR
    Anomaly.objects.update(window=before, latest=before)
    Counted.objects.update(until=hour)
    HourCount.objects.filter(hour=hour).delete()

    find_anomalies(ends(hour))

    alert = Anomaly.objects.get()
    assert (alert.window, alert.latest, alert.hours) == (before, hour, 2)


def test_counts_are_forgotten_after_five_weeks(desk: Desk, hour: datetime) -> None:
    HourCount.objects.create(
        agent="a", tool="t", hour=hour - counting.KEPT - HOUR, calls=1, denied=0, held=0
    )

    find_anomalies(ends(hour))

    assert HourCount.objects.filter(agent="a").exists() is False


# Who is told


def test_owner_and_security_are_paged_once(desk: Desk, hour: datetime) -> None:
    security = make_person(GroupName.SECURITY)
    worked(desk, hour, 2)
    call(desk, 60)

    (alert,) = find_anomalies(ends(hour))

    told = Notice.objects.filter(code="anomaly.found")
    assert {notice.person for notice in told} == {desk.owner, security}
    assert {notice.severity for notice in told} == {"page"}
    assert {notice.path for notice in told} == {f"/anomalies/{alert.pk}/"}


def test_what_an_agent_chose_stands_in_no_notice(desk: Desk, hour: datetime) -> None:
    post = destination_tool(desk)
    worked(desk, hour, 2)
    used(desk, hour, post.name, {f"{desk.system.slug}/#support": 200})
    call(desk, 1, tool=post.name, parameters={"to": "CALL +49 1234"})

    find_anomalies(ends(hour))

    notice = Notice.objects.get(code="anomaly.found", person=desk.owner)
    assert "1234" not in notice.subject + notice.text
    assert notice.severity == "info"


def test_alerts_are_on_the_record(
    desk: Desk, hour: datetime, mark: Any, records_after: Any
) -> None:
    worked(desk, hour, 2)
    call(desk, 60)
    before = mark()

    find_anomalies(ends(hour))

    (record,) = records_after(before, kind="system", actor="system:anomalies")
    assert (record["agent"], record["tool"]) == (desk.agent.slug, desk.tool.name)


# What people say to it


@pytest.fixture
def alert(desk: Desk, hour: datetime) -> Anomaly:
    worked(desk, hour, 2)
    call(desk, 60)
    (made,) = find_anomalies(ends(hour))
    return made


PEOPLE: dict[str, Callable[[Desk], Person]] = {
    "owner": lambda desk: desk.owner,
    "security": lambda desk: make_person(GroupName.SECURITY),
    "auditor": lambda desk: make_person(GroupName.AUDITOR),
    "dpo": lambda desk: make_person(GroupName.DPO),
    "stranger": lambda desk: make_person(),
}


@pytest.mark.parametrize(
    ("who", "acknowledges", "calls_it_false"),
    [
        ("owner", "yes", NotAllowed),
        ("security", "yes", "yes"),
        ("auditor", NotAllowed, NotAllowed),
        ("dpo", NotAllowed, NotAllowed),
        ("stranger", NotFound, NotFound),
    ],
)
def test_who_answers(
    alert: Anomaly, desk: Desk, who: str, acknowledges: Any, calls_it_false: Any
) -> None:
    by = PEOPLE[who](desk)

    def outcome(service: Any) -> Any:
        try:
            service(anomaly_id=alert.pk, by=by, answer="The quarter closed.")
        except (NotAllowed, NotFound) as refusal:
            return type(refusal)
        return "yes"

    assert outcome(services.acknowledge) == acknowledges
    assert outcome(services.mark_false_alarm) == calls_it_false


def test_security_does_not_silence_its_own_agent(alert: Anomaly, desk: Desk) -> None:
    desk.owner.groups.add(make_person(GroupName.SECURITY).groups.get())

    with pytest.raises(NotAllowed, match="someone else in security"):
        services.mark_false_alarm(anomaly_id=alert.pk, by=desk.owner, answer="Nothing.")


def test_answer_is_given_once(alert: Anomaly, desk: Desk) -> None:
    services.acknowledge(anomaly_id=alert.pk, by=desk.owner)

    with pytest.raises(AlreadyAnswered):
        services.acknowledge(anomaly_id=alert.pk, by=make_person(GroupName.SECURITY))


def test_false_alarm_needs_a_reason(alert: Anomaly) -> None:
    with pytest.raises(Invalid):
        services.mark_false_alarm(
            anomaly_id=alert.pk, by=make_person(GroupName.SECURITY), answer=" "
        )


@pytest.mark.parametrize(("calls", "again"), [(0, False), (1, True)])
def test_false_alarm_silences_as_much_and_no_more(
    alert: Anomaly, desk: Desk, hour: datetime, calls: int, again: bool
) -> None:
    services.mark_false_alarm(
        anomaly_id=alert.pk, by=make_person(GroupName.SECURITY), answer="The quarter closed."
    )
    Anomaly.objects.update(window=hour - HOUR, latest=hour - HOUR)
    Counted.objects.update(until=hour)
    HourCount.objects.filter(hour=hour).delete()
    call(desk, calls)

    assert bool(find_anomalies(ends(hour))) is again


# Pages


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_list_shows_what_one_may_see(alert: Anomaly, desk: Desk) -> None:
    mine = signed_in(desk.owner).get("/anomalies/").content.decode()
    other = signed_in(make_person()).get("/anomalies/").content.decode()

    assert "One alert waits for an answer" in mine
    assert f'href="/anomalies/{alert.pk}/"' in mine
    assert "Nothing unusual was found" in other
    assert str(alert.agent) not in other


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", True),
        ("?kind=volume", True),
        ("?kind=denials", False),
        ("?state=open", True),
        ("?state=false_alarm", False),
        ("?agent=nobody", False),
        ("?kind=nonsense&page=x", True),
    ],
)
def test_list_is_filtered(alert: Anomaly, desk: Desk, query: str, shown: bool) -> None:
    answer = signed_in(desk.owner).get(f"/anomalies/{query}")

    assert answer.status_code == 200
    assert (f'href="/anomalies/{alert.pk}/"' in answer.content.decode()) is shown


def test_page_shows_the_hours_and_takes_an_answer(alert: Anomaly, desk: Desk) -> None:
    security = signed_in(make_person(GroupName.SECURITY))
    page = security.get(f"/anomalies/{alert.pk}/").content.decode()

    answer = security.post(f"/anomalies/{alert.pk}/false-alarm/", {"answer": "The quarter closed."})

    assert 'class="chart hours"' in page
    assert "60 times" in page
    assert answer.url == f"/anomalies/{alert.pk}/"
    alert.refresh_from_db()
    assert (alert.state, alert.raised_to) == ("false_alarm", 60)


def test_page_says_who_may_call_it_false(alert: Anomaly, desk: Desk) -> None:
    page = signed_in(desk.owner).get(f"/anomalies/{alert.pk}/").content.decode()

    assert "Only security may call an alert a false alarm" in page


def test_page_of_an_alert_that_one_may_not_see(alert: Anomaly) -> None:
    assert signed_in(make_person()).get(f"/anomalies/{alert.pk}/").status_code == 404
    assert signed_in(make_person()).post(f"/anomalies/{alert.pk}/acknowledge/").status_code == 404


# REST


def test_rest(alert: Anomaly, desk: Desk) -> None:
    client = signed_in(desk.owner)

    listed = client.get("/api/v1/anomalies?state=open").json()
    one = client.get(f"/api/v1/anomalies/{alert.pk}").json()
    answered = client.post(
        f"/api/v1/anomalies/{alert.pk}/acknowledge",
        {"answer": "Seen."},
        content_type="application/json",
    )
    refused = client.post(
        f"/api/v1/anomalies/{alert.pk}/false-alarm",
        {"answer": "Nothing."},
        content_type="application/json",
    )

    assert listed["count"] == 1
    assert listed["results"] == [one]
    assert (one["kind"], one["agent"], one["observed"]) == ("volume", desk.agent.slug, 60)
    assert "60 times" in one["sentence"]
    assert (answered.status_code, answered.json()["state"]) == (200, "acknowledged")
    assert refused.status_code == 403
    assert client.get("/api/v1/anomalies?kind=nonsense").status_code == 400
    assert signed_in(make_person()).get(f"/api/v1/anomalies/{alert.pk}").status_code == 404


# The admin


@pytest.mark.parametrize(
    ("group", "status"),
    [
        (GroupName.SECURITY, 200),
        (GroupName.DPO, 200),
        (GroupName.AUDITOR, 200),
        (GroupName.PLATFORM_ADMIN, 403),
        (GroupName.SOURCE_OWNER, 403),
    ],
)
def test_who_has_the_list_in_the_admin(alert: Anomaly, group: GroupName, status: int) -> None:
    client = signed_in(make_person(group, is_staff=True))

    answer = client.get("/admin/lifecycle/anomaly/")

    assert answer.status_code == status
    assert (alert.agent.slug in answer.content.decode()) is (status == 200)


def test_admin_asks_nobody_to_sign_in() -> None:
    assert Client().get("/admin/login/").status_code in (200, 302)


def test_admin_leads_to_the_page(alert: Anomaly) -> None:
    client = signed_in(make_person(GroupName.SECURITY, is_staff=True))

    answer = client.get(f"/admin/lifecycle/anomaly/{alert.pk}/change/")

    assert answer.url == f"/anomalies/{alert.pk}/"


# Cost


@pytest.mark.parametrize("rows", [1, 3])
def test_list_costs_the_same_however_long(
    alert: Anomaly, desk: Desk, rows: int, django_assert_num_queries: Any
) -> None:
    for number in range(1, rows):
        Anomaly.objects.create(
            kind="volume",
            agent=desk.agent,
            tool=f"tool{number}",
            window=alert.window,
            latest=alert.window,
            observed=1,
            expected=0,
            limit=1,
            detail={},
            found_at=alert.found_at,
        )
    client = signed_in(desk.owner)
    client.get("/anomalies/")

    with django_assert_num_queries(LIST_QUERIES):
        client.get("/anomalies/")
