"""Streams: what receivers get, at least once and in order, whatever they do to it."""

import base64
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from psycopg.pq import TransactionStatus

from audit import export, export_cef
from audit import services as recording
from audit.enums import Kind
from audit.models import Record, Stream
from audit.siem import configured, selectors, services
from audit.siem.batches import Item, batch
from audit.siem.errors import NoSuchPlace, NoSuchStream, StreamBusy, StreamFailed
from audit.siem.kinds import syslog as syslog_kind
from governance.kernel import egress
from governance.kernel.egress import AddressRefused, NoAnswer
from governance.runner import environment
from lifecycle.models import Notice
from lifecycle.sweeps import streams as sweep
from registry.enums import GroupName
from tests.audit import receivers
from tests.audit.receivers import Https
from tests.audit.test_exports import HOSTILE, entry
from tests.audit.test_hostile_content import record_in_every_field
from tests.factories.registry import make_person

HEADER = re.compile(
    r"<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) 127\.0\.0\.1 muster - ([a-z_]+) - (.*)"
)


# Settings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "https", "url": "https://x.example"}, "with a name"),
        ({"name": "a", "kind": "kafka"}, "the kind of a is one of https, syslog"),
        ({"name": "a", "kind": "https"}, "a lacks url"),
        ({"name": "a", "kind": "https", "url": "http://x.example"}, "Only https is called"),
        ({"name": "a", "kind": "https", "url": "https://x.example", "token": "t"}, "not take"),
        ({"name": "a", "kind": "https", "url": "https://x.example", "envelope": "x"}, "envelope"),
        ({"name": "a", "kind": "https", "url": "https://x.example", "batch": 0}, "from 1 to 5000"),
        ({"name": "a", "kind": "syslog", "host": "h", "protocol": "smtp"}, "the protocol of a"),
        ({"name": "a", "kind": "syslog", "host": "h", "port": "514"}, "from 1 to 65535"),
        ({"name": "a", "kind": "syslog", "host": "h", "begin": "last"}, "the begin of a"),
        (
            {"name": "a", "kind": "syslog", "host": "h", "protocol": "udp", "format": "ocsf"},
            "the format of a is cef over udp.*by tcp or tls",
        ),
    ],
)
def test_a_setting_that_cannot_work_is_refused(given: Any, said: str, settings: Any) -> None:
    settings.MUSTER_STREAMS = [given]
    with pytest.raises(ImproperlyConfigured, match=said):
        configured.check()


def test_names_are_unique_and_secrets_lie_apart(settings: Any, tmp_path: Path) -> None:
    one = {"name": "a", "kind": "syslog", "host": "h"}
    settings.MUSTER_STREAMS = [one, one]
    with pytest.raises(ImproperlyConfigured, match="a name of its own"):
        configured.check()

    settings.MUSTER_STREAMS = [one]
    assert configured.header_of("a") == {}
    path = tmp_path / "secrets.json"
    settings.MUSTER_STREAM_SECRETS = str(path)
    for text in ("", "[1]", '{"a": {"password": "x"}}', '{"a": {"bearer": "x\\ny"}}'):
        path.write_text(text)
        with pytest.raises(StreamFailed):
            configured.header_of("a")
    path.write_text('{"a": {"bearer": "t"}, "b": {"hec": "t"}, "c": {"api_key": "t"}}')
    assert [configured.header_of(name) for name in ("a", "b", "c", "d")] == [
        *({"Authorization": f"{scheme} t"} for scheme in ("Bearer", "Splunk", "ApiKey")),
        {},
    ]
    with pytest.raises(NoSuchStream):
        configured.find("b")
    url = "https://siem.example/services/secret-token?key=secret"
    assert configured.read({"name": "a", "kind": "https", "url": url}).where == "siem.example:443"


def test_the_web_process_is_not_told_where_secrets_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.STREAM_SECRETS, "/secrets")
    processes = ("web", "beat", "command", "migrate", "sealer", "anchors", "worker", "streams")
    told = [name for name in processes if environment.STREAM_SECRETS in environment.inherited(name)]

    assert told == ["worker", "streams"]
    assert environment.LOGIN_OF["streams"] == environment.LOGIN_OF["worker"]


# Worlds


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers that hang are not waited for as long as elsewhere."""
    monkeypatch.setattr(egress, "READ_SECONDS", 0.5)
    monkeypatch.setattr(syslog_kind, "SECONDS", 0.5)


@dataclass
class World:
    """One stream, a receiver for it, and whoever works on it."""

    settings: Any
    https: Https
    ca_file: Path
    seal_now: Callable[[], Any]

    def allow(self, *places: str) -> None:
        self.settings.MUSTER_EGRESS_ALLOWED = frozenset(places)

    def stream(self, **given: Any) -> configured.Configured:
        self.settings.MUSTER_STREAMS = [{"name": "siem", **given}]
        return configured.find("siem")

    def to_https(self, **given: Any) -> configured.Configured:
        self.allow(self.https.url.split("/")[2])
        place = {"url": self.https.url, "ca_file": str(self.ca_file)}
        return self.stream(kind="https", **place, **given)

    def to_syslog(self, port: int, **given: Any) -> configured.Configured:
        self.allow(f"127.0.0.1:{port}")
        return self.stream(kind="syslog", host="127.0.0.1", port=port, **given)

    def as_worker(self, call: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """As the worker does it, which alone may move a cursor."""
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE muster_worker")
            try:
                return call(*given, **named)
            finally:
                status = connection.connection.info.transaction_status
                if not connection.needs_rollback and status != TransactionStatus.INERROR:
                    cursor.execute("SET ROLE muster_web")

    def change(self, **fields: Any) -> None:
        self.as_worker(Stream.objects.filter(name="siem").update, **fields)

    def send(self, later: timedelta = timedelta()) -> bool:
        return bool(self.as_worker(services.send, "siem", now() + later))

    def sealed(self, many: int) -> list[str]:
        """Record so many entries, seal them, and say their ids in the order of the log."""
        before = services.log_size()
        rows = [
            recording.prepare_row(kind=Kind.SYSTEM, actor="system:test", tool=f"t.{each}")
            for each in range(many)
        ]
        recording.append_rows(rows)
        size = self.seal_now().size
        items = batch("jsonl", start=before, size=size, most=size).items
        return [str(each.record.id) for each in items]

    def level(self) -> None:
        """The stream begins behind everything that is there, its own beginning included."""
        self.as_worker(services.begin, configured.find("siem"))
        self.change(position=self.seal_now().size)

    @property
    def row(self) -> Stream:
        return Stream.objects.get()


@pytest.fixture
def world(settings: Any, tmp_path: Path, seal_now: Any) -> Iterator[World]:
    ca_file = receivers.certificate(tmp_path)
    with receivers.https(ca_file) as https:
        yield World(settings, https, ca_file, seal_now)


def now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


def ids(https: Https) -> list[str]:
    return [json.loads(line)["metadata"]["uid"] for line in https.lines()]


# Over HTTPS


@pytest.mark.django_db
def test_entries_go_out_once_each_in_the_order_of_the_log(tmp_path: Path, world: World) -> None:
    (tmp_path / "secrets.json").write_text('{"siem": {"bearer": "t0ken"}}')
    world.settings.MUSTER_STREAM_SECRETS = str(tmp_path / "secrets.json")
    world.to_https(batch=2, begin="now")
    world.sealed(1)
    world.level()
    first = world.sealed(5)

    assert sweep.due(now()) == ["siem"]
    assert world.as_worker(sweep.handle, "siem", now()) is True
    assert world.as_worker(sweep.handle, "siem", now()) is False
    assert sweep.due(now()) == []
    second = world.sealed(1)
    world.send()

    assert ids(world.https) == first + second
    assert [len(each.body.splitlines()) for each in world.https.taken] == [2, 2, 1, 1]
    assert {each.headers["Authorization"] for each in world.https.taken} == {"Bearer t0ken"}
    assert {each.headers["Content-Type"] for each in world.https.taken} == {"application/x-ndjson"}
    places = [json.loads(line)["metadata"]["sequence"] for line in world.https.lines()]
    assert places == list(range(places[0], places[0] + len(places)))
    (state,) = selectors.standing()
    assert (state.waiting, state.late, state.position) == (0, False, services.log_size())


@pytest.mark.django_db
def test_a_new_stream_begins_with_the_first_entry(world: World) -> None:
    world.to_https(format="jsonl", batch=5000)
    world.sealed(3)

    world.send()

    lines = [json.loads(line) for line in world.https.lines()]
    assert [each["index"] for each in lines] == list(range(services.log_size()))
    assert lines[0]["body"] == base64.b64encode(body_of(lines[0]["columns"]["id"])).decode()
    began = Record.objects.filter(actor="system:streams").latest("at")
    assert json.loads(bytes(began.body).split(b"\n")[0])["asked"]["did"] == "stream_began"


def body_of(pk: str) -> bytes:
    return bytes(Record.objects.get(pk=pk).body)


@pytest.mark.django_db
def test_an_entry_that_committed_late_is_not_passed_by(world: World) -> None:
    world.to_https(begin="now")
    world.level()
    late = recording.prepare_row(kind=Kind.SYSTEM, actor="system:test")
    sent = world.sealed(2)
    world.send()

    # Its id is older than those that were sent: any order but that of the log leaves it out.
    recording.append_rows([late])
    world.seal_now()
    world.send()

    assert ids(world.https) == [*sent, late["id"]]


@pytest.mark.django_db
@pytest.mark.parametrize("envelope", ["array", "hec", "bulk"])
def test_envelopes(envelope: str, world: World) -> None:
    world.to_https(envelope=envelope, begin="now")
    world.level()
    wanted = world.sealed(2)
    if envelope == "bulk":
        said = {"errors": True, "items": [{"create": {"status": each}} for each in (201, 409)]}
        world.https.answers = [json.dumps(said).encode()]

    world.send()

    (taken,) = world.https.taken
    body = taken.body.decode()
    if envelope == "array":
        assert [each["metadata"]["uid"] for each in json.loads(body)] == wanted
        assert taken.headers["Content-Type"] == "application/json"
    elif envelope == "hec":
        found = [json.loads(line) for line in body.splitlines()]
        assert [each["event"]["metadata"]["uid"] for each in found] == wanted
        assert {(each["source"], each["sourcetype"]) for each in found} == {
            ("muster", "muster:ocsf")
        }
        assert [int(each["time"] * 1000) for each in found] == [
            each["event"]["time"] for each in found
        ]
    else:
        lines = [json.loads(line) for line in body.splitlines()]
        assert [each["create"]["_id"] for each in lines[::2]] == wanted
        assert [each["metadata"]["uid"] for each in lines[1::2]] == wanted
        assert taken.path == "/in?filter_path=errors,items.*.status"


@pytest.mark.django_db
def test_hec_takes_cef_as_text(world: World) -> None:
    found = world.to_https(envelope="hec", format="cef")
    world.level()
    world.sealed(1)

    services.try_out(found.name)

    event = json.loads(world.https.taken[0].body)["event"]
    assert export_cef.read(event)["cs2"] == "t.0"


@pytest.mark.django_db
def test_bulk_that_did_not_take_all_is_sent_again(world: World) -> None:
    world.to_https(envelope="bulk", begin="now")
    world.level()
    world.sealed(2)
    said = {"errors": True, "items": [{"create": {"status": each}} for each in (201, 429)]}
    wrong = [json.dumps(said).encode(), b"hello", b'{"errors": true}', b"{}", b"[]"]
    world.https.answers = list(wrong)
    before = world.row.position

    for _ in wrong:
        with pytest.raises(StreamFailed):
            world.send(timedelta(minutes=10))
    assert world.row.position == before
    world.https.answers = [b'{"errors": false}']
    world.send(timedelta(minutes=10))

    assert world.row.position == services.log_size()


@pytest.mark.django_db
@pytest.mark.parametrize("answer", [500, 401, 302, 503, "hang", "close", "refuse", "tls"])
def test_what_is_not_acknowledged_is_sent_again(answer: Any, world: World) -> None:
    found = world.to_https(begin="now", batch=2)
    world.level()
    wanted = world.sealed(4)
    # The first batch is taken, the second is not.
    world.https.answers = [] if answer in ("refuse", "tls") else [200, answer]
    if answer == "refuse":
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            port = nobody.getsockname()[1]
        world.allow(f"127.0.0.1:{port}")
        world.stream(kind="https", url=f"https://127.0.0.1:{port}/", ca_file=str(world.ca_file))
    if answer == "tls":
        world.stream(kind="https", url=world.https.url)

    with pytest.raises((StreamFailed, NoAnswer)):
        world.send()
    row = world.row
    assert (row.failures, row.claim, row.error != "") == (1, None, True)
    assert row.next_at > now() - timedelta(seconds=5)
    # Not before its time.
    assert world.send() is False
    (state,) = selectors.standing()
    assert state.waiting == (4 if answer in ("refuse", "tls") else 2)

    world.allow(found.where)
    world.to_https(batch=2)
    world.send(timedelta(seconds=10))

    assert ids(world.https) == wanted
    row.refresh_from_db()
    assert (row.failures, row.error, row.position) == (0, "", services.log_size())


@pytest.mark.django_db
def test_it_backs_off_for_longer_and_longer(world: World) -> None:
    world.to_https()
    world.sealed(1)
    world.https.answers = [500] * 9
    pauses = []

    for _ in range(9):
        with pytest.raises(StreamFailed):
            world.send(timedelta(hours=1))
        row = world.row
        assert row.failed_at is not None
        pauses.append(round((row.next_at - row.failed_at).total_seconds()))

    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.django_db
def test_a_batch_that_is_refused_is_halved_down_to_the_entry(world: World) -> None:
    world.to_https(begin="now", batch=4)
    world.level()
    wanted, start = world.sealed(4), world.row.position
    world.https.answers = [413, 413, 200, 400]

    with pytest.raises(StreamFailed, match=rf"Entry {start + 1}: .* refused it \(400\)"):
        world.send()

    assert [len(each.body.splitlines()) for each in world.https.refused] == [4, 2, 1]
    assert ids(world.https) == wanted[:1]
    assert world.row.position == start + 1
    world.as_worker(services.move, name="siem", to=start + 2, why="It is not taken there.")
    world.send()
    assert ids(world.https) == [wanted[0], *wanted[2:]]


@pytest.mark.django_db
def test_a_batch_ends_with_its_bytes(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    world.sealed(4)
    size = services.log_size()
    one = len(batch("jsonl", start=size - 1, size=size, most=1).items[0].line)
    monkeypatch.setattr("audit.siem.batches.MOST_BYTES", 2 * one + 10)

    found = batch("jsonl", start=size - 4, size=size, most=500)
    assert (found.start, found.until, len(found.items)) == (size - 4, size - 2, 2)
    monkeypatch.setattr("audit.siem.batches.MOST_BYTES", 1)
    assert batch("jsonl", start=size - 4, size=size, most=500).until == size - 3


@pytest.mark.django_db
def test_a_receiver_inside_a_network_is_called_where_it_is_listed_only(world: World) -> None:
    world.to_https()
    world.sealed(1)
    world.allow()

    with pytest.raises(AddressRefused):
        world.send()
    world.to_syslog(9, protocol="tcp")
    world.allow()
    with pytest.raises(AddressRefused):
        world.send(timedelta(minutes=1))
    assert world.https.taken == []


# Over syslog


@pytest.mark.django_db
@pytest.mark.parametrize("protocol", ["tls", "tcp"])
def test_syslog_gets_every_entry_as_it_was_whatever_it_holds(protocol: str, world: World) -> None:
    with receivers.syslog(world.ca_file if protocol == "tls" else None) as collector:
        options = {"ca_file": str(world.ca_file)} if protocol == "tls" else {}
        world.to_syslog(collector.port, protocol=protocol, format="jsonl", begin="now", **options)
        world.level()
        before = services.log_size()
        record_in_every_field(HOSTILE, "hostile-syslog")
        size = world.seal_now().size
        world.send()

    messages = [HEADER.fullmatch(each) for each in collector.messages()]
    assert None not in messages
    # Whoever cuts lines at their ends counts as many as whoever counts bytes.
    assert b"".join(collector.came).count(b"\n") == 0
    read = [export.read_jsonl_line(each[4]) for each in messages if each]
    stored = batch("jsonl", start=before, size=size, most=size).items
    assert [(row["id"], row["body"]) for row in read] == [
        (str(each.record.id), bytes(each.record.body)) for each in stored
    ]
    assert len([row for row in read if row["session"] == "hostile-syslog"]) == len(HOSTILE)


@pytest.mark.django_db
@pytest.mark.parametrize("protocol", ["tls", "tcp"])
@pytest.mark.parametrize("behave", ["close", "half", "hang"])
def test_syslog_that_was_not_read_to_its_end_is_sent_again(
    protocol: str, behave: str, world: World
) -> None:
    with receivers.syslog(world.ca_file if protocol == "tls" else None) as collector:
        options = {"ca_file": str(world.ca_file)} if protocol == "tls" else {}
        world.to_syslog(collector.port, protocol=protocol, begin="now", **options)
        world.level()
        wanted, before = world.sealed(300), world.row.position
        collector.behave = [behave]

        with pytest.raises(StreamFailed):
            world.send()
        assert world.row.position == before
        world.send(timedelta(seconds=10))

    found = [HEADER.fullmatch(each) for each in collector.messages()]
    assert [export_cef.read(each[4])["externalId"] for each in found if each] == wanted


@pytest.mark.django_db
def test_syslog_verifies_who_answers(world: World) -> None:
    with receivers.syslog(world.ca_file) as collector:
        world.to_syslog(collector.port)
        world.sealed(1)
        with pytest.raises(StreamFailed, match="SSLCertVerificationError"):
            world.send()

    assert collector.came == []


@pytest.mark.django_db
def test_udp_only_where_it_is_asked_for(world: World) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        found = world.to_syslog(listening.getsockname()[1], protocol="udp", begin="now")
        world.level()
        (wanted,) = world.sealed(1)
        world.send()
        line = HEADER.fullmatch(listening.recv(65536).decode())

    assert line is not None
    assert (line[1], line[3]) == ("110", "system")
    assert export_cef.read(line[4])["externalId"] == wanted
    assert (
        found.is_acknowledged,
        configured.read({"name": "a", "kind": "syslog", "host": "h"}).carrier,
    ) == (False, "tls")


@pytest.mark.parametrize("text", ["\x01" * 1000, "=|\\" * 400, "\u202e" * 900, "€" * 1000, "d"])
def test_a_datagram_is_short_whatever_an_entry_holds(text: str, settings: Any) -> None:
    settings.MUSTER_BASE_URL = f"https://{'h' * 63}.{'h' * 63}.{'h' * 63}.{'h' * 60}"
    record = entry(text, kind=text, leaf=bytes(range(32)))
    item = Item(10**12, record, export.cef_line(record, 10**12))

    sent = syslog_kind.datagram_of(item)

    assert len(sent.encode()) <= 1180
    assert (sent == syslog_kind.line_of(item)) == (text == "d")
    read = export_cef.read(sent[sent.index("CEF:0") :])
    assert (read["externalId"], read["cn1"]) == (str(record.id), str(10**12))
    assert (read["MusterLeaf"], read["rt"]) == (bytes(range(32)).hex(), "1795441201123")


# The cursor


@pytest.mark.django_db
def test_only_the_worker_moves_a_cursor(world: World) -> None:
    world.to_syslog(9)
    world.level()
    before = world.row.position

    for role in ("muster_web", "muster_beat"):
        for statement in (
            "UPDATE audit_stream SET position = 2",
            "DELETE FROM audit_stream",
            "INSERT INTO audit_stream (name, position, failures, error) VALUES ('x', 0, 0, '')",
        ):
            with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
                execute_as(role, statement)
    assert world.row.position == before


def execute_as(role: str, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {role}")
        cursor.execute(statement)


@pytest.mark.django_db
def test_a_cursor_is_moved_by_hand_and_that_is_recorded(world: World) -> None:
    world.to_syslog(9)
    world.sealed(3)
    size = services.log_size()

    world.as_worker(services.move, name="siem", to=size, why="It has them.")
    world.as_worker(services.move, name="siem", to=1, why="It lost them.")
    for place in (-1, size + 1):
        with pytest.raises(NoSuchPlace):
            world.as_worker(services.move, name="siem", to=place, why="x")
    world.as_worker(
        Stream.objects.filter(name="siem").update,
        claimed_until=datetime.now(UTC) + timedelta(minutes=1),
    )
    with pytest.raises(StreamBusy):
        world.as_worker(services.move, name="siem", to=2, why="x")

    assert world.row.position == 1
    told = [
        json.loads(bytes(each.body).split(b"\n")[0])["asked"]
        for each in Record.objects.filter(actor="system:streams").order_by("at", "id")
    ]
    assert [(each["did"], each.get("at"), each.get("to")) for each in told[-2:]] == [
        ("stream_moved", 0, size),
        ("stream_moved", size, 1),
    ]


@pytest.mark.django_db
def test_the_command_lists_tries_and_moves(world: World) -> None:
    def run(*words: str) -> str:
        said = StringIO()
        world.as_worker(call_command, "streams", *words, stdout=said)
        return said.getvalue()

    world.settings.MUSTER_STREAMS = []
    assert run() == "There is no stream. Name one in MUSTER_STREAMS.\n"
    found = world.to_https()
    world.sealed(2)
    size = services.log_size()

    assert run("try", "siem") == f"siem took entry {size - 1}. The cursor did not move.\n"
    assert len(world.https.taken) == 1
    assert run("list").splitlines() == [
        f"siem  {found.where}  OCSF, a line each over HTTPS  0 of {size}, nothing sent yet",
        "    siem has not begun yet.",
    ]
    assert run("move", "siem", "1", "It has the first.") == "siem goes on from entry 1.\n"
    with pytest.raises(CommandError, match="There is no stream"):
        run("try", "other")
    world.https.answers = [403]
    with pytest.raises(CommandError, match=r"answered 403"):
        run("try", "siem")


# People


@pytest.mark.django_db
def test_people_are_warned_once_of_a_stream_that_is_behind_for_long(world: World) -> None:
    make_person(GroupName.SECURITY)
    make_person(GroupName.AUDITOR)
    world.to_https(begin="now")
    world.level()
    world.sealed(2)
    assert sweep.due(now()) == ["siem"]
    world.https.answers = [500, 500]
    with pytest.raises(StreamFailed):
        world.send()

    ago(world, minutes=20)
    event, _ = sweep.due(now() + timedelta(minutes=1))
    assert event.startswith("late:siem:")
    assert [world.as_worker(sweep.handle, event, now()) for _ in range(2)] == [True, False]

    (notice,) = Notice.objects.filter(code="record.stream_behind")
    assert "2 entries wait for siem, the oldest for 20 minutes." in notice.text
    assert "answered 500" in notice.text
    world.https.answers = []
    world.send(timedelta(minutes=1))
    assert sweep.due(now()) == []
    assert world.as_worker(sweep.handle, event, now()) is False


def ago(world: World, *, minutes: int) -> None:
    """As if what was sealed, and the stream, were so old."""
    earlier = datetime.now(UTC) - timedelta(minutes=minutes)
    world.change(began_at=earlier)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_audit")
        cursor.execute("ALTER TABLE audit.leaf_index DISABLE TRIGGER no_change")
        cursor.execute("UPDATE audit.leaf_index SET at = %s", [earlier])
        cursor.execute("ALTER TABLE audit.leaf_index ENABLE ALWAYS TRIGGER no_change")
        cursor.execute("SET ROLE muster_web")


@pytest.mark.django_db
def test_who_catches_up_is_not_behind_until_a_day_has_passed(world: World) -> None:
    world.to_syslog(9)
    world.level()
    world.sealed(2)
    late = []
    for minutes in (10, 20, 25 * 60):
        ago(world, minutes=minutes)
        world.change(sent_at=datetime.now(UTC))
        late.append(selectors.standing()[0].late)
    assert late == [False, False, True]

    world.change(position=services.log_size() + 1)
    (state,) = selectors.standing()
    assert (state.late, state.waiting) == (True, 0)
    assert "the database was set back" in state.sentence


@pytest.mark.django_db
def test_the_page_and_rest_show_the_cursor_to_who_may_see_every_entry(
    client: Client, world: World
) -> None:
    world.settings.MUSTER_APPROVER_MFA = False
    found = world.to_https(begin="now")
    world.level()
    world.sealed(2)
    world.https.answers = [503]
    with pytest.raises(StreamFailed):
        world.send()

    assert client.get("/api/v1/streams").status_code == 401
    client.force_login(make_person())
    assert client.get("/proof/streams/").status_code == 403
    assert client.get("/api/v1/streams").json()["code"] == "streams_hidden"
    assert "Streams" not in client.get("/proof/").content.decode()
    client.force_login(make_person(GroupName.AUDITOR))
    page = client.get("/proof/streams/").content.decode()
    (told,) = client.get("/api/v1/streams").json()

    assert "siem does not take what it is sent" in page
    assert f"{found.where} answered 503." in page
    assert "2 waiting" in client.get("/proof/").content.decode()
    assert (told["name"], told["waiting"], told["failures"], told["late"]) == ("siem", 2, 1, False)
    assert told["size"] - told["position"] == 2
    assert 0 <= told["behind_seconds"] < 60
    world.settings.MUSTER_STREAMS = []
    assert "The record is sent nowhere" in client.get("/proof/streams/").content.decode()


# Several at once, and killed


@pytest.mark.django_db(transaction=True)
def test_several_workers_send_nothing_twice(world: World) -> None:
    world.to_https(begin="now", batch=3)
    world.level()
    wanted = world.sealed(30)
    start, did = threading.Barrier(4), []

    def work() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET ROLE muster_worker")
            start.wait(10)
            did.append(services.send("siem", now()))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)

    assert ids(world.https) == wanted
    assert sorted(did) == [False, False, False, True]
    forget(world)


@pytest.mark.django_db(transaction=True)
def test_killed_between_sending_and_moving_it_is_sent_again(login: Any, world: World) -> None:
    world.to_https(begin="now", batch=2)
    world.level()
    wanted = world.sealed(4)
    owner, pids = login("muster_migrator"), []

    def kill() -> None:
        """The receiver has the batch; the worker's session ends before it hears of it."""
        if len(world.https.taken) == 2:
            owner.execute("SELECT pg_terminate_backend(%s)", pids)

    def work() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pids.append(cursor.fetchone()[0])
                cursor.execute("SET ROLE muster_worker")
            with pytest.raises(DatabaseError):
                services.send("siem", now())
        finally:
            connection.close()

    world.https.before = kill
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    world.https.before = lambda: None

    assert ids(world.https) == wanted
    row = world.row
    assert row.position == services.log_size() - 2
    # Nobody takes over before the claim has run out.
    assert world.send() is False
    world.change(claimed_until=datetime.now(UTC))
    assert world.send() is True
    assert ids(world.https) == wanted + wanted[2:]
    assert world.row.position == services.log_size()
    forget(world)


@pytest.mark.django_db
def test_who_lost_the_claim_moves_nothing(world: World) -> None:
    world.to_https(begin="now", batch=2)
    world.level()
    world.sealed(4)
    before = world.row.position
    other = uuid4()
    found = batch("ocsf", start=before, size=services.log_size(), most=2)
    world.as_worker(services._take, "siem", other, now())

    assert world.as_worker(services._move_on, "siem", uuid4(), found, level=False) is False
    assert world.as_worker(services._held, "siem", uuid4()) is None
    assert world.as_worker(services._move_on, "siem", other, found, level=False) is True
    # The same batch does not move it a second time.
    assert world.as_worker(services._move_on, "siem", other, found, level=False) is False
    assert world.row.position == before + 2


def forget(world: World) -> None:
    """What was committed for everybody: the cursor, and the tree that other tests begin anew."""
    world.as_worker(Stream.objects.all().delete)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_audit")
        for table in ("leaf_index", "node", "checkpoint", "sealing_key"):
            cursor.execute(f"ALTER TABLE audit.{table} DISABLE TRIGGER no_change")
            cursor.execute(f"DELETE FROM audit.{table}")
            cursor.execute(f"ALTER TABLE audit.{table} ENABLE ALWAYS TRIGGER no_change")
        cursor.execute("SET ROLE muster_web")
