"""Notices: once per event, when and on which ways, tried again, and addresses that stay sealed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from authz.decide import decide
from governance.kernel.errors import GovernanceError, Invalid
from lifecycle import sweeps
from lifecycle.models import Channel, Delivery, Notice, Wishes
from lifecycle.models.notices import Digest
from lifecycle.notices import Severity, notify, rules, services, words
from registry import services as register
from registry.enums import AgentState, Employment, GroupName
from registry.models import Person
from registry.permissions import Automatic
from tests.factories.authz import make_desk
from tests.factories.registry import make_agent, make_person, make_system, security

pytestmark = pytest.mark.django_db
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops"
WEBHOOK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TELL = {"agent": "refund-desk", "by": "Ana"}


@pytest.fixture(autouse=True)
def mails(settings: Any, tmp_path: Path) -> Callable[[], list[Any]]:
    settings.MUSTER_APPROVER_MFA = False
    settings.EMAIL_FILE_PATH = tmp_path
    return lambda: [
        message_from_bytes(each.read_bytes()) for each in sorted(tmp_path.glob("*.eml"))
    ]


def tell(person: Person, severity: Severity = Severity.INFO, **more: Any) -> Notice | None:
    return notify(
        person=person,
        severity=severity,
        code=more.pop("code", "agent.resumed"),
        context=TELL | more.pop("context", {}),
        **more,
    )


def test_one_event_tells_one_person_once(mark: Any, records_after: Any) -> None:
    one, other, marked = make_person(), make_person(), mark()

    first = tell(one, event="e:1")
    again, else_ = tell(one, event="e:1"), tell(other, event="e:1")
    later = tell(one, event="e:2")

    assert (again, [bool(each) for each in (first, else_, later)]) == (None, [True] * 3)
    made = [r for r in records_after(marked) if b'"did":"notice_made"' in bytes(r["body"])]
    assert [record["user"] for record in made] == [one.pid, other.pid, one.pid]


@pytest.mark.django_db(transaction=True)
def test_told_at_once_by_many_a_person_hears_it_once() -> None:
    person, barrier = make_person(), threading.Barrier(6)

    def run() -> None:
        barrier.wait()
        try:
            tell(person, event="e:1")
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (Notice.objects.count(), Delivery.objects.count()) == (1, 1)


def test_a_notice_is_undone_with_what_it_tells_of() -> None:
    from django.db import transaction

    person = make_person()
    with transaction.atomic():
        tell(person)
        transaction.set_rollback(True)

    assert not Notice.objects.exists()


def test_who_has_left_is_told_nothing() -> None:
    person = make_person(employment=Employment.LEFT, last_day="2026-01-01")

    assert tell(person) is None


def test_mail_says_what_and_where_and_comes_from_nobody(mails: Any, settings: Any) -> None:
    person = make_person()
    notice = tell(person)

    sweeps.run_sweep("notices")

    (mail,) = mails()
    assert (mail["To"], mail["Subject"]) == (person.email, "Muster: refund-desk runs again")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_payload() == (
        f"Ana started refund-desk again.\n{settings.MUSTER_BASE_URL}/agents/refund-desk/\n"
    )
    delivery = Delivery.objects.get(notice=notice)
    assert (delivery.state, delivery.attempts) == ("sent", 1)


@pytest.mark.parametrize(
    "hostile",
    ["a\r\nBcc: x@example.org", "a\0b", "a\u202eb", "x" * 5000, "{by.__class__}", "\ud800"],
)
def test_values_break_neither_line_nor_header_nor_format(mails: Any, hostile: str) -> None:
    person = make_person()

    tell(person, context={"agent": hostile})
    sweeps.run_sweep("notices")

    (mail,) = mails()
    assert set(mail.keys()) == {
        *("Content-Type", "MIME-Version", "Content-Transfer-Encoding", "Subject", "From", "To"),
        *("Date", "Message-ID", "Auto-Submitted"),
    }
    assert "class" not in str(mail["Subject"]) or "{" in str(mail["Subject"])


def test_a_credential_is_taken_out_of_what_is_told() -> None:
    person, secret = make_person(), "AKIA" + "Z" * 16

    notice = tell(person, context={"agent": secret})

    assert notice is not None
    assert secret not in notice.subject + notice.text + notice.path


def test_a_code_or_context_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Invalid, match="There is no notice nothing"):
        words.render("nothing", {})
    with pytest.raises(Invalid, match="needs by"):
        words.render("agent.resumed", {"agent": "a"})


def test_what_is_not_taken_is_tried_again_then_has_failed_and_is_seen(
    client: Client, settings: Any, tmp_path: Path
) -> None:
    person, operator = make_person(), security()
    tell(person)
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    settings.EMAIL_FILE_PATH = blocked

    tries = 0
    while Delivery.objects.filter(state="waiting").exists():
        sweeps.run_sweep("notices")
        row = Delivery.objects.get()
        assert row.state == "failed" or row.next_try_at > datetime.now(UTC)
        Delivery.objects.filter(state="waiting").update(next_try_at=datetime.now(UTC))
        tries += 1
    client.force_login(operator)
    seen = client.get("/sweeps/").content.decode()
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    client.post(f"/notices/again/{Delivery.objects.get().pk}/", {"back": "//evil.example/"})
    sweeps.run_sweep("notices")

    assert tries == len(rules.BACK_OFF) + 1
    assert "The mail could not be handed over: FileExistsError." in seen
    assert Delivery.objects.get().state == "sent"


def test_a_page_goes_on_every_way_and_an_info_where_it_is_wanted() -> None:
    person = make_person()
    for infos in (True, False):
        services.add_channel(person=person, name="x", address=SLACK, by=person, infos=infos)
    services.set_wishes(person=person, info_by_mail=False)

    page, info = tell(person, Severity.PAGE, event="1"), tell(person, event="2")

    ways = {
        notice.severity: [each.channel and each.channel.infos for each in notice.deliveries.all()]
        for notice in (page, info)
        if notice
    }
    assert ways == {"page": [None, True, False], "info": [True]}


def test_a_digest_is_one_message(mails: Any) -> None:
    person = make_person()
    services.set_wishes(person=person, digest=Digest.DAILY, digest_at=time(8))
    for number in range(3):
        tell(person, event=f"e:{number}")
    before = sweeps.run_sweep("notices")
    Delivery.objects.update(next_try_at=datetime.now(UTC))

    sweeps.run_sweep("notices")

    (mail,) = mails()
    assert before is not None
    assert (before.done, mail["Subject"]) == (0, "Muster: 3 notices")
    assert mail.get_payload().count("Ana started refund-desk again.") == 3


ZONES = ("Europe/Copenhagen", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu")


@pytest.mark.parametrize(
    ("now", "zone", "wishes", "expected"),
    [
        # A page waits for nobody.
        ("2026-07-01T23:30", "UTC", {"page": True, "quiet": (22, 7)}, "2026-07-01T23:30"),
        # Quiet hours over midnight, in the person's zone.
        ("2026-07-01T21:30", "Europe/Copenhagen", {"quiet": (22, 7)}, "2026-07-02T05:00"),
        ("2026-07-01T19:30", "Europe/Copenhagen", {"quiet": (22, 7)}, "2026-07-01T19:30"),
        # The end is not quiet any more; the same time twice is no quiet at all.
        ("2026-07-02T05:00", "Europe/Copenhagen", {"quiet": (22, 7)}, "2026-07-02T05:00"),
        ("2026-07-02T05:00", "UTC", {"quiet": (5, 5)}, "2026-07-02T05:00"),
        # The clocks go forward at 02:00 on 29 March 2026: 02:00 does not exist, and is 03:00.
        ("2026-03-29T00:30", "Europe/Copenhagen", {"quiet": (1, 2)}, "2026-03-29T01:00"),
        # The clocks go back on 25 October 2026.
        ("2026-10-24T22:30", "Europe/Copenhagen", {"quiet": (22, 7)}, "2026-10-25T06:00"),
        ("2026-07-01T07:59", "UTC", {"digest": "hourly"}, "2026-07-01T08:00"),
        ("2026-07-01T08:00", "UTC", {"digest": "daily"}, "2026-07-02T08:00"),
        ("2026-07-01T05:59", "Europe/Copenhagen", {"digest": "daily"}, "2026-07-01T06:00"),
        # A digest within quiet hours waits for their end.
        ("2026-07-01T05:59", "UTC", {"digest": "daily", "quiet": (7, 9)}, "2026-07-01T09:00"),
        # Leap day and the end of a year.
        ("2028-02-28T23:00", "UTC", {"quiet": (22, 7)}, "2028-02-29T07:00"),
        ("2026-12-31T23:00", "UTC", {"quiet": (22, 7)}, "2027-01-01T07:00"),
    ],
)
def test_when_it_goes_out(now: str, zone: str, wishes: dict[str, Any], expected: str) -> None:
    quiet = wishes.get("quiet")
    wanted = Wishes(
        digest=wishes.get("digest", Digest.NONE),
        digest_at=time(8),
        quiet_from=time(quiet[0]) if quiet else None,
        quiet_until=time(quiet[1]) if quiet else None,
    )
    severity = Severity.PAGE if wishes.get("page") else Severity.INFO

    at = rules.goes_out_at(severity, wanted, zone, datetime.fromisoformat(now + "+00:00"))

    assert at == datetime.fromisoformat(expected + "+00:00")


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(ZONES),
    st.times(),
    st.times(),
    st.sampled_from(Digest.values),
)
def test_an_info_never_comes_in_quiet_hours_nor_before_its_time(
    now: datetime, zone: str, start: time, end: time, digest: str
) -> None:
    wishes = Wishes(digest=digest, digest_at=time(8), quiet_from=start, quiet_until=end)

    at = rules.goes_out_at(Severity.INFO, wishes, zone, now)

    assert now <= at <= now + timedelta(days=3)
    assert (
        rules.goes_out_at(Severity.INFO, Wishes(quiet_from=start, quiet_until=end), zone, at) == at
    )


# Addresses


def test_an_address_is_sealed_and_never_said(
    client: Client, mark: Any, records_after: Any, caplog: Any
) -> None:
    person, marked = make_person(), mark()
    client.force_login(person)
    answer = client.post(
        "/notices/channels/",
        {"what": "channel", "name": "team", "address": SLACK},
        follow=True,
    )
    channel = Channel.objects.get()
    opened = services.addresses.unseal(channel.sealed, channel=channel.pk, person=person.pid)

    assert opened == SLACK
    token = b"TIiajkdnlazkcOXrIdevi7FQ"
    assert token not in bytes(channel.sealed) + answer.content
    assert all(token not in bytes(record["body"]) for record in records_after(marked))
    assert token.decode() not in caplog.text
    services.remove_channel(channel_id=channel.pk, by=person)
    channel.refresh_from_db()
    assert bytes(channel.sealed) == b""


def test_an_address_opens_for_its_own_channel_and_person_only() -> None:
    one, other = make_person(), make_person()
    channel = services.add_channel(person=one, name="x", address=SLACK, by=one)
    Channel.objects.filter(pk=channel.pk).update(person=other)

    tell(other, Severity.PAGE)
    sweeps.run_sweep("notices")

    row = Delivery.objects.get(channel=channel)
    assert row.failure == "Its stored address does not open. Add the channel again."


REFUSED = [
    "json://127.0.0.1/",
    "jsons://169.254.169.254/latest",
    "xml://localhost",
    WEBHOOK,
    "mailto://user:pass@example.org",
    "mailtos://user:pass@gmail.com",
    "ntfy://localhost/topic",
    "gotify://10.0.0.1/token",
    "matrix://user:pass@localhost",
    "apprise://localhost/key",
    "syslog://localhost",
    "rsyslog://10.0.0.1",
    "dbus://",
    "windows://",
    "file:///etc/passwd",
    "schan://x",
    "form://localhost",
    "mqtt://localhost/topic",
    "smpp://user:pass@localhost/1/2",
    SLACK + "?redirect=yes",
    SLACK + "?template=file:///etc/passwd",
    SLACK.replace("T1JJ", "%54%31"),
    "slack://",
    "slack",
    "",
    "SLACK:" + SLACK[6:].replace("//", "/"),
    "slack://\u202eT1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "discord://x/" + "y" * 600,
]


@pytest.mark.parametrize("address", REFUSED)
def test_what_could_reach_any_host_is_refused_to_a_person(address: str) -> None:
    person = make_person()

    with pytest.raises(GovernanceError):
        services.add_channel(person=person, name="x", address=address, by=person)

    assert not Channel.objects.exists()


def test_platform_admins_name_hosts_that_the_operator_listed_and_no_others(settings: Any) -> None:
    admin, person = make_person(GroupName.PLATFORM_ADMIN), make_person()
    settings.MUSTER_NOTICE_HOSTS = ["chat.internal", "127.0.0.1:9"]
    tried = {}
    for address in ("jsons://chat.internal/x", "json://127.0.0.1:9/", "json://127.0.0.1:8/"):
        try:
            services.add_channel(person=person, name="x", address=address, by=admin)
            tried[address] = ""
        except GovernanceError as error:
            tried[address] = error.message

    assert list(tried.values()) == [
        "",
        "",
        "The operator has not listed 127.0.0.1 in MUSTER_NOTICE_HOSTS.",
    ]
    with pytest.raises(GovernanceError):
        services.add_channel(person=person, name="x", address=SLACK, by=make_person())


class Heard(BaseHTTPRequestHandler):
    """Takes what is posted; leads elsewhere where it is told to."""

    taken: list[tuple[str, bytes]] = []
    answer = 200

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append((self.path, raw))
        self.send_response(self.answer)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.mark.parametrize(("answer", "state"), [(200, "sent"), (500, "waiting"), (307, "waiting")])
def test_a_chat_takes_a_page_and_redirects_are_not_followed(
    settings: Any, answer: int, state: str
) -> None:
    server = HTTPServer(("127.0.0.1", 0), Heard)
    Heard.taken, Heard.answer = [], answer
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"127.0.0.1:{server.server_port}"
    settings.MUSTER_NOTICE_HOSTS = [place]
    admin, person = make_person(GroupName.PLATFORM_ADMIN), make_person()
    services.add_channel(person=person, name="x", address=f"json://{place}/hook", by=admin)
    tell(person, Severity.PAGE)

    sweeps.run_sweep("notices")
    server.shutdown()
    server.server_close()

    assert [path for path, _ in Heard.taken] == ["/hook"]
    assert b"Ana started refund-desk again." in Heard.taken[0][1]
    assert Delivery.objects.get(channel__isnull=False).state == state


def test_an_address_that_is_no_longer_listed_is_not_used(settings: Any) -> None:
    admin = make_person(GroupName.PLATFORM_ADMIN)
    settings.MUSTER_NOTICE_HOSTS = ["127.0.0.1:9"]
    services.add_channel(person=admin, name="x", address="json://127.0.0.1:9/", by=admin)
    settings.MUSTER_NOTICE_HOSTS = []
    tell(admin, Severity.PAGE)

    sweeps.run_sweep("notices")

    row = Delivery.objects.get(channel__isnull=False)
    assert row.failure == "Its address is not allowed any more."


# What is told of


def test_owner_is_paged_when_someone_else_suspends_their_agent() -> None:
    owner, backup = make_person(), make_person()
    agent = make_agent(owner=owner, backup_owner=backup)
    by = security()

    register.suspend_agent(agent_id=agent.pk, by=by, reason="It mailed strangers")
    register.suspend_agent(agent_id=agent.pk, by=by, reason="again")

    told = Notice.objects.filter(code="agent.suspended")
    assert {(each.person, each.severity) for each in told} == {(owner, "page"), (backup, "page")}
    assert told[0].text.startswith(f"{by} suspended {agent.slug}: It mailed strangers. Every call")


def test_nobody_is_told_of_what_they_did_themself() -> None:
    agent = make_agent()

    register.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Mine")

    assert not Notice.objects.filter(code="agent.suspended").exists()


def test_security_is_told_when_nobody_answers_for_an_agent() -> None:
    agent, guard = make_agent(), security()
    Person.objects.filter(pk=agent.owner_id).update(employment="left", last_day="2026-01-01")

    register.suspend_agent(agent_id=agent.pk, by=Automatic("spend cap"), reason="")

    told = Notice.objects.filter(code="agent.suspended", person=guard)
    assert told.exists()


def test_security_is_told_of_what_asks_to_go_live() -> None:
    guard = security()
    agent = make_agent(AgentState.IN_REVIEW, tier="confidential")
    make_agent()

    for _ in range(2):
        sweeps.run_sweep("reviews")

    told = Notice.objects.filter(code="review.asked")
    assert guard in {each.person for each in told}
    assert told.filter(person=guard).count() == 1
    assert {each.subject for each in told} == {f"{agent.slug} waits for your signature"}


def test_a_change_tells_who_may_agree_and_its_answer_tells_who_proposed() -> None:
    from registry import changes
    from registry.models import ProposedChange

    one, other, owner = security(), security(), make_person()
    system = make_system(by=one, tier="confidential")
    register.save_system(slug=system.slug, by=one, tier="internal")
    change = ProposedChange.objects.get()

    told = {each.person for each in Notice.objects.filter(code="change.proposed")}
    changes.reject(change_id=change.pk, by=other, answer="No")

    assert other in told
    assert told.isdisjoint({one, owner})
    answer = Notice.objects.get(code="change.decided")
    assert (answer.person, answer.subject) == (one, "Your change was rejected")


# Pages


def test_pages_say_what_was_told_and_count_it_read(client: Client) -> None:
    person = make_person()
    tell(person)
    client.force_login(person)

    fresh = client.get("/notices/").content.decode()
    client.post("/notices/read/")
    read = client.get("/notices/").content.decode()

    assert ("One new notice" in fresh, "Nothing new" in read) == (True, True)
    assert "refund-desk runs again" in read


def test_wishes_are_kept_by_the_form(client: Client) -> None:
    person = make_person()
    client.force_login(person)
    given_ = {"what": "wishes", "digest": "daily", "digest_at": "07:30"}

    client.post("/notices/channels/", given_ | {"quiet_from": "22:00", "quiet_until": "06:00"})
    half = client.post("/notices/channels/", given_ | {"quiet_from": "22:00"})

    wishes = Wishes.objects.get(person=person)
    assert (wishes.digest, wishes.digest_at, wishes.quiet_until) == ("daily", time(7, 30), time(6))
    assert "Quiet hours need a beginning and an end." in half.content.decode()


def test_mail_of_others_is_read_in_a_demo_only(client: Client) -> None:
    client.force_login(make_person())

    assert client.get("/mail/").status_code == 404


def test_others_channels_are_out_of_reach(client: Client) -> None:
    person = make_person()
    channel = services.add_channel(person=person, name="x", address=SLACK, by=person)
    client.force_login(make_person())

    assert client.post(f"/notices/channels/{channel.pk}/").status_code == 404
    channel.refresh_from_db()
    assert channel.removed_at is None


# Limits


@pytest.mark.django_db(transaction=True)
def test_a_rate_limit_pages_once_for_each_window() -> None:
    desk = make_desk(agent_fields={"rate_per_minute": 2, "rate_per_hour": 100})
    for _ in range(6):
        decide([desk.ask()], desk.caller)

    runs = [sweeps.run_sweep("limits") for _ in range(2)]

    (notice,) = Notice.objects.filter(code="limit.reached")
    assert [run and run.done for run in runs] == [1, 0]
    assert (notice.person, notice.severity) == (desk.owner, "page")
    assert notice.text.startswith(f"{desk.agent.slug}")


@pytest.mark.django_db(transaction=True)
def test_what_a_limit_stops_is_suspended_and_paged_as_one(monkeypatch: Any) -> None:
    monkeypatch.setattr("authz.services.stops.suspend_stopped", lambda *_: 0)
    desk = make_desk(
        agent_fields={"spend_cap_minor": 100, "rate_per_minute": 99},
        tool_fields={"cost_minor": 90},
    )
    for _ in range(3):
        decide([desk.ask()], desk.caller)
    before = type(desk.agent).objects.get(pk=desk.agent.pk).state

    for _ in range(2):
        for name in ("limits", "stopped", "limits"):
            sweeps.run_sweep(name)

    desk.agent.refresh_from_db()
    paged = [each.code for each in Notice.objects.filter(person=desk.owner, severity="page")]
    assert (before, desk.agent.state) == ("active", "suspended")
    assert paged == ["agent.suspended"]
