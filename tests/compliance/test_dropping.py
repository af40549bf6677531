"""A month of the record goes by two people and the operator, proven before and after, or not."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb

from audit import protection
from audit import services as audit
from audit.demo_append import timed_append_sql
from audit.dropping import export, selectors
from audit.dropping import services as drops
from audit.dropping.errors import (
    ExportNotWhole,
    ExportThere,
    MonthHeld,
    MonthNotAnchored,
    MonthNotSealed,
    NoSuchMonth,
    NotOrdered,
    NotOver,
)
from audit.leaf import parse_body
from audit.models import DropOrder, Dropped, Leaf, Record
from audit.proof_export import Span, span_lines
from audit.sealing.selectors import published_keys
from client.muster_client import verify
from compliance.evidence import look_at
from compliance.evidence.of_decisions import record_retained
from compliance.period import Period
from compliance.retention import dropping
from compliance.subjects import services as subjects
from governance.kernel import clock
from governance.kernel.errors import NotAllowed
from registry import changes
from registry.enums import GroupName
from registry.errors import OwnMatter
from tests.factories.registry import make_person

pytestmark = pytest.mark.django_db
MARCH = date(2019, 3, 1)
DAYS = (2, 17, 31)


def as_role(role: str, statement: str, *given: Any) -> Any:
    """What a statement answers that another role asks."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {role}")
        cursor.execute(statement, given or None)
        answer = cursor.fetchone()[0] if cursor.description else None
        cursor.execute("SET ROLE muster_web")
    return answer


def write(*times: datetime) -> None:
    """Entries of other times, as a demo has them written."""
    rows = [
        audit.prepare_row(kind="outcome", actor="desk", agent="old-desk", id=clock.uuid7(at))
        for at in times
    ]
    as_role("muster_audit", "SELECT audit.append_at(%s, %s)", Jsonb(rows), list(times))


@pytest.fixture
def march(seal_now: Any) -> None:
    """Three sealed entries of March 2019, one of April between them in the tree, others around."""
    audit.record(kind="system", actor="system:test")
    as_role("muster_audit", timed_append_sql())
    for month in (MARCH, date(2019, 4, 1)):
        as_role("muster_audit", "SELECT audit.make_partition(%s)", month)
    seal_now()
    write(*(datetime(2019, 3, day, 12, tzinfo=UTC) for day in DAYS[:2]))
    seal_now()
    write(datetime(2019, 4, 1, 0, 0, 1, tzinfo=UTC))
    seal_now()
    write(datetime(2019, 3, DAYS[2], 23, 59, 59, tzinfo=UTC))
    seal_now()
    audit.record(kind="system", actor="system:test")
    seal_now()
    as_role("muster_audit", "DROP FUNCTION audit.append_at(jsonb, timestamptz[])")


@pytest.fixture
def ordered(march: None) -> DropOrder:
    """An order as security and the DPO make it."""
    change = dropping.propose_drop(month=MARCH, by=make_person(GroupName.SECURITY))
    changes.agree(change_id=change.pk, by=make_person(GroupName.DPO))
    return DropOrder.objects.get()


def entries_of_march() -> int:
    since, until = selectors.span_of(MARCH)
    return Record.objects.filter(at__gte=since, at__lt=until).count()


def operated(folder: Path) -> str:
    """What `./muster record drop` says, run with the rights of the migrator alone."""
    said = StringIO()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        call_command("record", "drop", "2019-03", "--export", str(folder), stdout=said)
        cursor.execute("SET ROLE muster_web")
    return said.getvalue()


def refusal(folder: Path) -> str:
    """Why the operator is refused."""
    with pytest.raises(CommandError) as refused, transaction.atomic():
        operated(folder)
    assert entries_of_march() == 3
    return str(refused.value)


def whole_export(path: Path) -> verify.Report:
    path.write_text("".join(span_lines(Span(), scope=export.EVERYTHING)))
    keys = [verify.read_key(each.vkey) for each in published_keys()]
    return verify.check([path], verify.Given(keys, first=True))


def test_a_month_goes_exported_declared_and_once(
    ordered: DropOrder, tmp_path: Path, seal_now: Any
) -> None:
    said = operated(tmp_path)
    seal_now()
    gone = Dropped.objects.get()
    file = tmp_path / "muster-record-2019-03.jsonl"

    assert entries_of_march() == 0
    assert (gone.month, gone.entries, gone.last - gone.first) == (MARCH, 3, 3)
    assert gone.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (file.stat().st_mode & 0o777, [each.name for each in tmp_path.iterdir()]) == (
        0o600,
        [file.name],
    )
    told = parse_body(bytes(Record.objects.get(id=gone.record).body))["asked"]
    assert told == {
        "did": "partition_dropped",
        "order": ordered.number,
        "month": "2019-03",
        "since": "2019-03-01T00:00:00+00:00",
        "until": "2019-04-01T00:00:00+00:00",
        "from": gone.first,
        "to": gone.last,
        "entries": 3,
        "export": gone.digest,
        "asked_by": ordered.asked_by,
        "agreed_by": ordered.agreed_by,
    }
    assert Leaf.objects.filter(index__gte=gone.first, index__lte=gone.last).count() == 4
    assert operated(tmp_path) == said
    assert (Dropped.objects.count(), protection.faults()) == (1, [])

    report = whole_export(tmp_path / "all")
    assert report.verdict == verify.HOLDS
    assert [each["sentence"] for each in report.checks if each["check"] == "gone"] == [
        (
            f"3 entries among {gone.first:,} to {gone.last:,} were dropped, declared by record "
            f"{gone.record}. They are in the export whose SHA-256 is {gone.digest}."
        )
    ]


def test_what_else_is_gone_is_not_declared(
    ordered: DropOrder, tmp_path: Path, seal_now: Any
) -> None:
    operated(tmp_path)
    seal_now()
    april = Leaf.objects.get(at__year=2019, at__month=4)
    as_role("muster_audit", "ALTER TABLE audit.record DISABLE TRIGGER no_change")
    as_role("muster_audit", "DELETE FROM audit.record WHERE id = %s", april.record)
    as_role("muster_audit", "ALTER TABLE audit.record ENABLE ALWAYS TRIGGER no_change")

    report = whole_export(tmp_path / "all")

    assert report.verdict == verify.BROKEN
    assert [each["verdict"] for each in report.checks if each["check"] == "gone"] == [verify.BROKEN]


def no_order(folder: Path) -> None:
    as_role("muster_audit", "ALTER TABLE audit.drop_order DISABLE TRIGGER no_change")
    as_role("muster_audit", "DELETE FROM audit.drop_order")


def old_order(folder: Path) -> None:
    as_role("muster_audit", "ALTER TABLE audit.drop_order DISABLE TRIGGER no_change")
    as_role("muster_audit", "UPDATE audit.drop_order SET at = now() - interval '30 days'")


def held(folder: Path) -> None:
    subjects.set_hold(
        first=date(2019, 3, 31), ground="e", reason="A claim.", by=make_person(GroupName.DPO)
    )


def unsealed(folder: Path) -> None:
    as_role("muster_audit", "ALTER TABLE audit.leaf_index DISABLE TRIGGER no_change")
    as_role("muster_audit", "DELETE FROM audit.leaf_index WHERE at < '2019-03-03'")


def file_there(folder: Path) -> None:
    (folder / "muster-record-2019-03.jsonl").write_text("another's\n")


REFUSED: dict[Callable[[Path], None], Any] = {
    no_order: NotOrdered,
    old_order: NotOrdered,
    held: MonthHeld,
    unsealed: MonthNotSealed,
    file_there: ExportThere,
}


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_it_is_refused_with_a_sentence(
    spoil: Callable[[Path], None], ordered: DropOrder, tmp_path: Path
) -> None:
    spoil(tmp_path)

    assert refusal(tmp_path) == REFUSED[spoil]().message


@pytest.mark.parametrize("month", ["2019-13", "2019-3-1", "March", "2019-02"])
def test_no_other_month_is_taken_for_one(month: str, march: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError), transaction.atomic():
        call_command("record", "drop", month, "--export", str(tmp_path))


def test_a_longer_rule_of_today_keeps_it(ordered: DropOrder, tmp_path: Path, settings: Any) -> None:
    settings.MUSTER_RECORD_MONTHS = 240

    assert refusal(tmp_path).startswith("2019-03 is kept until 2039-04-01 at least:")
    with pytest.raises(NotOver):
        dropping.propose_drop(month=MARCH, by=make_person(GroupName.DPO))


def test_what_is_anchored_outside_must_be_so_first(
    ordered: DropOrder, tmp_path: Path, settings: Any
) -> None:
    settings.MUSTER_ANCHORS = [
        {"name": "far", "kind": "file", "path": str(tmp_path / "anchor"), "outside": True}
    ]

    with pytest.raises(MonthNotAnchored):
        selectors.places_of(MARCH)


def declared(order: DropOrder, wrong: dict[str, Any]) -> Any:
    asked = drops._declared(order, selectors.places_of(MARCH), "0" * 64) | wrong
    return audit.record(kind=wrong.get("kind", "admin"), actor="system:operator", asked=asked)


def dropped_by_hand(number: int, record: Any) -> str:
    """What the database says to the record's owner itself."""
    try:
        with transaction.atomic():
            as_role("muster_audit", "SELECT audit.drop_month(%s, %s)", number, record)
    except DatabaseError as error:
        return str(error).split("\n")[0]
    return "dropped"


NOT = "Not dropped: "
NO_ORDER = NOT + "there is no such order of the last 30 days."


def anchored_short() -> None:
    as_role(
        "muster_audit",
        "INSERT INTO audit.anchored (size, root, kind, name, outside, receipt)"
        " SELECT max(index), sha256(''), 'file', 'far', true, '{}'"
        " FROM audit.leaf_index WHERE at < '2019-04-01'",
    )


def another_body() -> None:
    as_role("muster_audit", "ALTER TABLE audit.record DISABLE TRIGGER no_change")
    as_role("muster_audit", "UPDATE audit.record SET body = 'x' WHERE at = '2019-03-02 12:00Z'")
    as_role("muster_audit", "ALTER TABLE audit.record ENABLE ALWAYS TRIGGER no_change")


def rule_of_240() -> None:
    as_role("muster_audit", "ALTER TABLE audit.drop_order DISABLE TRIGGER no_change")
    as_role("muster_audit", "UPDATE audit.drop_order SET months = 240")


SAID: dict[str, tuple[Callable[[], None], dict[str, Any], str]] = {
    "no order": (lambda: no_order(Path()), {}, NO_ORDER),
    "an old order": (lambda: old_order(Path()), {}, NO_ORDER),
    "its time": (rule_of_240, {}, NOT + "2019-03-01 is kept for 240 months."),
    "a hold": (
        lambda: held(Path()), {}, NOT + "a legal hold covers entries of 2019-03-01.",
    ),
    "no leaf": (
        lambda: unsealed(Path()), {}, NOT + "1 of 3 entries of 2019-03-01 are not sealed.",
    ),
    "another body": (
        another_body, {}, NOT + "1 of 3 entries of 2019-03-01 are not sealed.",
    ),
    "no anchor": (
        anchored_short, {}, NOT + "entries of 2019-03-01 are not anchored outside.",
    ),
    **{
        f"another {name}": (
            lambda: None, {name: value}, NOT + "no entry of the record declares it as it is.",
        )
        for name, value in {
            "did": "x", "order": 0, "from": 1000000, "to": 10**9, "entries": 2, "export": "",
            "kind": "system",
        }.items()
    },
    "nothing": (lambda: None, {}, "dropped"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_the_database_itself_looks_again(name: str, ordered: DropOrder) -> None:
    spoil, wrong, sentence = SAID[name]
    record = declared(ordered, wrong)

    spoil()

    assert dropped_by_hand(ordered.number, record) == sentence
    assert entries_of_march() == (0 if sentence == "dropped" else 3)


def test_no_login_drops_or_orders_what_it_may_not(login: Any) -> None:
    statements = (
        "SELECT audit.drop_month(1, gen_random_uuid())",
        "INSERT INTO audit.drop_order (month, months) VALUES ('2019-03-01', 12)",
        f"DROP TABLE audit.record_{clock.now():%Y_%m}",
        f"ALTER TABLE audit.record DETACH PARTITION audit.record_{clock.now():%Y_%m}",
    )
    for who in ("muster_web", "muster_worker", "muster_beat", "muster_sealer", "muster_migrator"):
        for statement in statements:
            with pytest.raises(InsufficientPrivilege):
                login(who).execute(statement)
    for who in ("muster_worker", "muster_beat", "muster_sealer", "muster_migrator"):
        with pytest.raises(InsufficientPrivilege):
            login(who).execute("SELECT audit.order_drop('2019-03-01', 12, 'x', 'y')")


@pytest.mark.parametrize(
    ("months", "people", "said"),
    [
        (12, ("x", "x"), "violates check constraint"),
        (5, ("x", "y"), "violates check constraint"),
        (1200, ("x", "y"), "Not ordered"),
    ],
)
def test_the_web_orders_nothing_for_one_person_or_before_its_time(
    march: None, months: int, people: tuple[str, str], said: str
) -> None:
    with pytest.raises(DatabaseError, match=said):
        as_role("muster_web", "SELECT audit.order_drop(%s, %s, %s, %s)", MARCH, months, *people)


class Killed(BaseException):
    """The process ends here."""


POINTS = [
    (export, "_write"),
    (export, "read_back"),
    (export.private_file, "settle"),
    (drops, "_declared"),
    (audit, "record"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", POINTS, ids=lambda place: place[1])
def test_killed_anywhere_and_run_again_it_ends_right(
    place: tuple[Any, str], after: bool, ordered: DropOrder, tmp_path: Path, monkeypatch: Any
) -> None:
    module, name = place
    real = getattr(module, name)

    def end(*given: Any, **more: Any) -> Any:
        if after:
            real(*given, **more)
        raise Killed

    monkeypatch.setattr(module, name, end)
    with pytest.raises(Killed), transaction.atomic():
        operated(tmp_path)
    monkeypatch.undo()
    assert (entries_of_march(), Dropped.objects.count()) == (3, 0)

    operated(tmp_path)

    assert (entries_of_march(), Dropped.objects.count()) == (0, 1)
    assert [each.name for each in tmp_path.iterdir()] == ["muster-record-2019-03.jsonl"]


def cut(lines: list[dict[str, Any]]) -> None:
    lines.pop()


def emptied(lines: list[dict[str, Any]]) -> None:
    lines[1] |= {"record": None, "body": None}


def altered(lines: list[dict[str, Any]]) -> None:
    lines[1]["record"]["agent"] = "another"


@pytest.mark.parametrize("harm", [cut, emptied, altered])
def test_what_was_not_written_whole_drops_nothing(
    harm: Any, ordered: DropOrder, tmp_path: Path, monkeypatch: Any
) -> None:
    real = export._write

    def torn(path: Path, places: Any) -> None:
        real(path, places)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        harm(lines)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    monkeypatch.setattr(export, "_write", torn)

    assert refusal(tmp_path) == ExportNotWhole().message


def test_security_and_the_dpo_agree_one_of_each(march: None) -> None:
    one, other = make_person(GroupName.SECURITY), make_person(GroupName.SECURITY)
    both = make_person(GroupName.SECURITY, GroupName.DPO)
    with pytest.raises(NotAllowed):
        dropping.propose_drop(month=MARCH, by=make_person(GroupName.AUDITOR))

    change = dropping.propose_drop(month=MARCH, by=one)
    for who, refused in ((one, OwnMatter), (other, NotAllowed)):
        with pytest.raises(refused), transaction.atomic():
            changes.agree(change_id=change.pk, by=who)
    changes.reject(change_id=change.pk, by=both, answer="Not now.")
    again = dropping.propose_drop(month=MARCH, by=both)
    with pytest.raises(OwnMatter):
        changes.agree(change_id=again.pk, by=both)
    changes.agree(change_id=again.pk, by=other)

    order = DropOrder.objects.get()
    assert (order.month, order.months) == (MARCH, 12)
    assert (order.asked_by, order.agreed_by) == (both.pid, other.pid)
    assert entries_of_march() == 3
    with pytest.raises(NoSuchMonth):
        dropping.propose_drop(month=date(2018, 1, 1), by=one)


def test_the_page_proposes_and_the_evidence_tells(
    march: None, client: Client, settings: Any, tmp_path: Path
) -> None:
    settings.MUSTER_APPROVER_MFA = False
    dpo = make_person(GroupName.DPO)
    client.force_login(dpo)

    assert b"Propose to drop" in client.get("/retention/").content
    assert client.post("/retention/2019-03/drop/").status_code == 302
    assert b"waits for the second person" in client.get("/retention/").content
    assert client.post("/retention/2019-99/drop/").status_code == 404
    (change,) = changes.ProposedChange.objects.filter(kind=dropping.DROP)
    changes.agree(change_id=change.pk, by=make_person(GroupName.SECURITY))
    assert b"ordered; the operator has until" in client.get("/retention/").content
    operated(tmp_path)
    page = client.get("/retention/").content.decode()

    assert Dropped.objects.get().digest in page
    today = clock.now().date()
    look = look_at(Period(today - timedelta(days=1), today + timedelta(days=1)))
    gone = Dropped.objects.get()
    too_early = record_retained(look, months=240).exceptions
    days = (gone.at - selectors.span_of(MARCH)[1]).days
    assert [(each.what, each.record) for each in too_early] == [
        (
            f"Entries until 2019-04-01 were dropped when the last of them were {days} days old.",
            gone.record,
        )
    ]
    assert record_retained(look, months=84).exceptions == []
