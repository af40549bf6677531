"""Promise 5: every committed entry is sealed, once, in time; or an alarm says that it is not."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from audit import selectors as trail
from audit import services
from audit.enums import Kind
from audit.models import Leaf, Record
from audit.sealing import certificates, notes, receipts, selectors, standing, tree
from audit.sealing.errors import NotSealed
from audit.sealing.folder import Folder
from audit.sealing.passes import LOCK
from audit.selectors import AuditScope
from lifecycle import sweeps
from lifecycle.models import Notice
from registry.enums import GroupName
from tests.audit.sealing import ORIGIN, Bench, bench
from tests.factories.registry import make_person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(tmp_path: Path, login: Any) -> Iterator[Bench]:
    found = bench(tmp_path, login)
    yield found
    found.tamper(*(f"DELETE FROM audit.{table}" for table in ("alarm", "sealing_key")))
    found.tamper(*(f"DELETE FROM audit.{table}" for table in ("checkpoint", "node", "leaf_index")))


def entries(many: int) -> list[UUID]:
    """So many committed entries, in one transaction."""
    rows = [services.prepare_row(kind=Kind.SYSTEM, actor="system:test") for _ in range(many)]
    return [each.id for each in services.append_rows(rows)]


def check_whole_tree() -> int:
    """Each committed entry is one leaf, in a tree that its checkpoint was signed over."""
    leaves = list(Leaf.objects.order_by("index"))
    records = dict(Record.objects.values_list("id", "leaf"))
    assert [leaf.index for leaf in leaves] == list(range(len(leaves)))
    assert len({leaf.record for leaf in leaves}) == len(leaves)
    assert {leaf.record: bytes(leaf.leaf) for leaf in leaves} == {
        record: bytes(leaf) for record, leaf in records.items()
    }
    latest = selectors.latest_checkpoint()
    assert latest is not None
    hashes = [bytes(leaf.leaf) for leaf in leaves]

    def subtree(level: int, index: int) -> bytes:
        return tree.combined(hashes[index << level : (index + 1) << level])

    assert (
        tree.root(len(hashes), subtree)
        == bytes(latest.root)
        == selectors.stored().root(latest.size)
    )
    return latest.size


def wait_until(done: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(done())


def test_under_load_with_long_transactions_every_entry_is_sealed_within_five_seconds(
    desk: Bench, login: Any
) -> None:
    """What a long transaction wrote is sealed when it has ended, and it holds nobody else up."""
    late: list[float] = []
    stop, begun = threading.Event(), [login("muster_web") for _ in range(2)]
    for each in begun:
        # They have written, and do not end until the load has.
        each.execute("BEGIN")
        row = services.prepare_row(kind=Kind.SYSTEM, actor="system:long")
        each.execute("SELECT audit.append(%s::jsonb)", [json.dumps([row])])

    def work() -> None:
        try:
            while not stop.is_set():
                with transaction.atomic():
                    written = entries(3)
                    time.sleep(0.02)
                done = time.monotonic()
                sealed = wait_until(lambda w=written: _sealed(w), 5)
                late.append(time.monotonic() - done if sealed else 99)
        finally:
            connection.close()

    with desk.running(pause=0.2):
        workers = [threading.Thread(target=work) for _ in range(4)]
        for each in workers:
            each.start()
        time.sleep(4)
        stop.set()
        for each in workers:
            each.join()
        for opened in begun:
            opened.execute("COMMIT")
        everything = wait_until(lambda: selectors.freshness().unsealed == 0, 5)

    assert everything
    assert len(late) > 8
    assert max(late) < 5
    check_whole_tree()


def _sealed(ids: list[UUID]) -> bool:
    return Leaf.objects.filter(record__in=ids).count() == len(ids)


def test_interrupted_anywhere_nothing_is_sealed_twice_or_forgotten(desk: Bench) -> None:
    signed = 0

    def sign(checkpoint: notes.Checkpoint) -> str:
        nonlocal signed
        signed += 1
        if signed % 3 == 0:
            raise KeyboardInterrupt
        return desk.sign(checkpoint)

    desk.folder.open()
    desk.sealer().seal()
    for many in (1, 40, 7, 300, 2):
        entries(many)
        for _ in range(400):
            try:
                desk.sealer(sign=sign, most=20).seal()
            except KeyboardInterrupt:
                entries(1)
            else:
                break

    assert signed > 20
    desk.sealer().seal()
    check_whole_tree()


def test_what_commits_between_the_steps_of_a_pass_is_sealed_by_the_next(
    desk: Bench, login: Any
) -> None:
    """Its transaction is older than those of the step before, which the pass has left behind."""
    desk.folder.open()
    desk.sealer().seal()
    long = login("muster_web")
    long.execute("BEGIN")
    row = services.prepare_row(kind=Kind.SYSTEM, actor="system:long")
    long.execute("SELECT audit.append(%s::jsonb)", [json.dumps([row])])
    for many in (4, 4, 2):
        entries(many)

    def sign(checkpoint: notes.Checkpoint) -> str:
        long.execute("COMMIT")
        return desk.sign(checkpoint)

    desk.sealer(sign=sign, most=4).seal()
    assert not _sealed([UUID(row["id"])])
    desk.sealer().seal()

    assert _sealed([UUID(row["id"])])
    check_whole_tree()


def test_nothing_new_is_signed_where_nothing_is_new(desk: Bench) -> None:
    desk.folder.open()
    entries(2)
    sealer = desk.sealer()
    first = sealer.seal()
    before = desk.rows("SELECT size FROM audit.checkpoint ORDER BY size")
    again = sealer.seal()

    assert first is not None
    assert again is None
    assert desk.rows("SELECT size FROM audit.checkpoint ORDER BY size") == before


def test_a_restore_into_another_cluster_begins_with_all_that_came_with_it(desk: Bench) -> None:
    """Transactions there are counted anew: some are lower than the restored ones, some the same."""
    desk.folder.open()
    sealed, unsealed = entries(3), []
    desk.sealer().seal()
    unsealed = entries(3)
    desk.tamper(
        "UPDATE audit.checkpoint SET system = 1",
        "UPDATE audit.record SET xid = (xid::text::bigint + 1000000000000)::text::xid8"
        f" WHERE id = '{unsealed[0]}'",
        f"UPDATE audit.record SET xid = '5' WHERE id = '{unsealed[1]}'",
        "UPDATE audit.record SET xid = ((SELECT pg_snapshot_xmax(pg_current_snapshot()))::text"
        f"::bigint + 20)::text::xid8 WHERE id IN ('{sealed[0]}', '{unsealed[2]}')",
    )

    restarted = desk.sealer(most=2)
    restarted.seal()
    for _ in range(40):
        entries(1)
        restarted.seal()
    assert desk.sealer().seal() is None

    check_whole_tree()


def test_an_old_copy_of_the_database_raises_an_alarm_and_no_signature(desk: Bench) -> None:
    entries(3)
    desk.seal()
    before = check_whole_tree()
    entries(4)
    desk.seal()
    desk.tamper(
        f"DELETE FROM audit.checkpoint WHERE size > {before}",
        f"DELETE FROM audit.leaf_index WHERE index >= {before}",
    )

    desk.seal()
    desk.seal()

    assert desk.alarms() == ["behind"]
    assert desk.rows("SELECT max(size) FROM audit.checkpoint") == [(before,)]
    found = standing.trouble()
    assert found is not None
    assert found.sentence.startswith("The database holds less of the record than was signed")


def test_a_rewritten_tree_raises_an_alarm(desk: Bench) -> None:
    (first, *_) = entries(3)
    desk.seal()
    desk.tamper(f"UPDATE audit.leaf_index SET leaf = sha256('') WHERE record = '{first}'")
    entries(1)

    desk.seal()

    assert desk.alarms() == ["forked"]


def test_a_checkpoint_that_an_anchor_gave_back_counts_where_we_signed_it(desk: Bench) -> None:
    entries(3)
    desk.seal()
    (size, note) = desk.rows("SELECT size, note FROM audit.checkpoint ORDER BY size DESC")[0]
    stranger = notes.Signer.of_seed(ORIGIN, bytes([3] * 32))
    far = notes.Checkpoint(ORIGIN, size + 100, bytes(32))
    (desk.folder.anchored / "stranger.note").write_text(notes.sign(far.text, [stranger]))
    (desk.folder.anchored / "ours.note").write_text(note)
    entries(1)
    desk.seal()
    assert desk.alarms() == []

    (desk.folder.anchored / "later.note").write_text(desk.sign(far))
    desk.seal()

    assert desk.alarms() == ["behind"]


def test_a_damaged_tree_is_not_continued_without_a_kept_checkpoint_either(desk: Bench) -> None:
    entries(300)
    desk.seal()
    desk.folder.last.unlink()
    desk.tamper("UPDATE audit.node SET hash = sha256('') WHERE index = 0")

    entries(1)
    desk.seal()

    assert desk.alarms() == ["damaged"]


def test_an_operators_word_ends_an_alarm_and_says_what_was_given_up(desk: Bench) -> None:
    entries(3)
    desk.seal()
    desk.folder.accepting.write_text("too early")
    entries(4)
    desk.seal()
    size = check_whole_tree()
    desk.tamper(
        f"DELETE FROM audit.checkpoint WHERE size = {size}",
        f"DELETE FROM audit.leaf_index WHERE index >= {size - 4}",
    )
    desk.seal()
    assert desk.alarms() == ["behind"]

    desk.folder.accepting.write_text("the newest copy that we have\n")
    desk.seal()
    desk.seal()

    assert desk.alarms() == ["behind", ""]
    ((detail,),) = desk.rows("SELECT detail FROM audit.alarm WHERE cause = ''")
    assert detail["accepted"] == "the newest copy that we have"
    assert [each["size"] for each in detail["given_up"]] == [size]
    assert not desk.folder.accepting.exists()
    check_whole_tree()


def test_another_key_does_not_go_on(desk: Bench, tmp_path: Path) -> None:
    entries(1)
    desk.seal()
    desk.folder = Folder(tmp_path / "another", desk.folder.anchored, ORIGIN)
    entries(1)

    desk.seal()

    assert desk.alarms() == ["key"]


def test_a_rotated_key_is_signed_over_by_the_one_before(desk: Bench) -> None:
    entries(1)
    desk.seal()
    first = desk.folder.signer().verifier
    desk.folder.make_next_key()
    entries(1)
    desk.seal()
    second = desk.folder.signer().verifier

    published = selectors.published_keys()
    trusted = certificates.trusted([first], [each.certificate for each in published])
    latest = selectors.latest_checkpoint()

    assert trusted == [first, second]
    assert latest is not None
    assert notes.open_checkpoint(latest.note, [second]).size == latest.size
    assert [each.kind for each in published] == ["checkpoint", "receipt", "checkpoint"]
    assert certificates.read(published[1].certificate, [first]).kind == "receipt"
    assert not desk.folder.next_key.exists()
    assert desk.alarms() == []


def test_only_one_seals_at_a_time(desk: Bench) -> None:
    entries(1)
    with desk.running():
        assert wait_until(lambda: selectors.freshness().is_sealing, 5)
        second = replace(desk, folder=Folder(desk.folder.path, desk.folder.anchored, ORIGIN))
        with second.running():
            assert wait_until(lambda: selectors.freshness().unsealed == 0, 5)
            held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
            assert desk.rows(held, LOCK & 0xFFFFFFFF) == [(1,)]
    # The server lets go of the lock a moment after the sealer has gone.
    assert wait_until(lambda: not selectors.freshness().is_sealing, 5)


def test_where_the_sealer_is_stopped_everybody_is_told(
    desk: Bench, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = make_person(GroupName.SECURITY)
    with desk.running():
        assert wait_until(lambda: selectors.freshness().unsealed == 0, 5)
    assert standing.trouble() is None
    entries(1)
    monkeypatch.setattr(standing, "LATEST", timedelta(seconds=1))
    assert wait_until(lambda: standing.trouble() is not None, 3)

    found = standing.trouble()
    sweeps.run_sweep("sealing")
    sweeps.run_sweep("sealing")
    said = client.get("/readyz").json()["checks"]["sealer"]

    assert found is not None
    assert found.sentence.startswith("No sealer runs: ")
    assert said.startswith("No sealer runs: ")
    assert Notice.objects.filter(person=guard, code="record.not_sealed").count() == 1


def test_a_receipt_proves_that_an_entry_was_lost_before_it_was_sealed(desk: Bench) -> None:
    desk.folder.open()
    rows = [services.prepare_row(kind=Kind.SYSTEM, actor="system:test") for _ in range(3)]
    written = services.append_rows(rows)
    leaves = {each.id: bytes(each.leaf).hex() for each in Record.objects.all()}
    given = receipts.sign_batch([leaves[each.id] for each in written], "2026-11-27T10:00:00Z")
    lost = written[1]
    desk.tamper(f"DELETE FROM audit.record WHERE id = '{lost.id}'")

    desk.seal()

    keys = [receipts._signer().verifier]
    assert all(receipts.verify(each, keys) for each in given)
    proved = [selectors.leaf_of_record(each.id) is not None for each in written]
    assert proved == [True, False, True]
    assert not Leaf.objects.filter(leaf=bytes.fromhex(given[1].leaf)).exists()


def test_a_proof_is_refused_before_an_entry_is_sealed_and_stands_alone_after(desk: Bench) -> None:
    (entry,) = entries(1)
    record = trail.get_record(entry, scope=AuditScope(everything=True))
    with pytest.raises(NotSealed):
        selectors.tlog_proof(record)

    desk.seal()
    lines = selectors.tlog_proof(record).split("\n")
    latest = selectors.latest_checkpoint()
    leaf = selectors.leaf_of_record(entry)

    assert latest is not None
    assert leaf is not None
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == f"index {leaf.index}"
    proof = [notes._bytes(line) for line in lines[3 : lines.index("")]]
    body = notes._bytes(lines[1].removeprefix("extra "))
    assert tree.verify_inclusion(
        index=leaf.index,
        size=latest.size,
        leaf=hashlib.sha256(b"\x00" + body).digest(),
        proof=proof,
        root=bytes(latest.root),
    )
    assert "\n".join(lines[lines.index("") + 1 :]) == latest.note
    assert selectors.checkpoint_covering(entry) == selectors.checkpoint_covering(leaf.index)


def test_the_function_takes_no_leaf_that_is_no_entry_and_no_other_tree(desk: Bench) -> None:
    desk.folder.open()
    (entry,) = entries(1)
    row = Record.objects.get(id=entry)
    given = [{"record": str(entry), "at": row.at.isoformat(), "leaf": bytes(row.leaf).hex()}]
    root = bytes(row.leaf)
    note = desk.sign(notes.Checkpoint(ORIGIN, 1, root))
    seal = "SELECT audit.seal(%s, %s::jsonb, %s::jsonb, %s, %s, NULL)"
    answers = [
        _refusal(desk, seal, [0, json.dumps([{**given[0], "leaf": "00" * 32}]), "[]", root, note]),
        _refusal(desk, seal, [1, json.dumps(given), "[]", root, note]),
        _refusal(desk, seal, [0, "[]", "[]", root, note]),
        _refusal(desk, seal, [0, json.dumps(given), "[]", bytes(32), note]),
        _refusal(
            desk,
            seal,
            [
                0,
                json.dumps(given),
                json.dumps([{"level": 8, "index": 0, "hash": "00" * 32}]),
                root,
                note,
            ],
        ),
        _refusal(desk, seal, [0, json.dumps(given), "[]", root, note]),
        _refusal(desk, seal, [0, json.dumps(given), "[]", root, note]),
    ]

    assert answers == [
        "Not sealed: 0 of 1 leaves are entries of the record.",
        "Not sealed: the tree does not end at 1.",
        "Not sealed: the tree does not end at 0.",
        "Not sealed: the note is of another tree.",
        "Not sealed: these are not the subtrees that are complete now.",
        "",
        "Not sealed: the tree does not end at 0.",
    ]


def _refusal(desk: Bench, query: str, params: list[Any]) -> str:
    try:
        desk.rows(query, *params)
    except Exception as error:
        return str(error).split("\n")[0]
    return ""
