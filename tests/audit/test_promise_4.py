"""Promise 4: whoever owns the database can rewrite the record, but not unseen.

The stand-alone verifier gets what an auditor has: the key, a checkpoint that was kept outside, and
what the database gives out after the attack.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from audit import leaf, services
from audit.enums import Kind
from audit.export import columns_of
from audit.models import Checkpoint, Record
from audit.proof_export import Span, span_lines
from audit.sealing import notes, selectors
from audit.sealing.passes import Last, Sealer
from audit.selectors import AuditScope
from client.muster_client import verify

pytestmark = pytest.mark.django_db

EVERYTHING = AuditScope(everything=True)
KEPT, NOW = 12, 20
OURS, THEIRS = (notes.Signer.of_seed("muster.example/p4", bytes([seed]) * 32) for seed in (4, 5))


class SealsAll(Sealer):
    """What the test has not committed counts as settled."""

    def _last(self) -> Last:
        return super()._last()._replace(seen=None)


def seal(signer: notes.Signer = OURS) -> str:
    """Seal all there is, with the key that is given; the checkpoint."""
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_sealer")
        SealsAll(
            connection.connection,
            origin=signer.name,
            sign=lambda checkpoint: notes.sign(checkpoint.text, [signer]),
        ).seal()
        cursor.execute("SET ROLE muster_web")
    latest = selectors.latest_checkpoint()
    assert latest is not None
    return latest.note


def write(many: int, did: str = "test") -> None:
    for number in range(many):
        services.record(kind=Kind.SYSTEM, actor="system:test", asked={"did": did, "n": number})


@pytest.fixture
def kept(as_owner: Any) -> Iterator[str]:
    """A record of 20 sealed entries of this test alone, and the checkpoint over the first 12."""
    with all_powerful(as_owner) as run:
        for table in ("node", "leaf_index", "checkpoint", "record"):
            run(f"DELETE FROM audit.{table}")
    write(KEPT)
    note = seal()
    write(NOW - KEPT)
    seal()
    return note


class all_powerful:  # noqa: N801
    """Runs statements as who owns the tables, every guard of theirs switched off."""

    def __init__(self, as_owner: Any) -> None:
        self._role = as_owner()

    def __enter__(self) -> Callable[..., None]:
        self._cursor = self._role.__enter__()
        self._guard("DISABLE TRIGGER no_change")
        return lambda query, *params: self._cursor.execute(query, params or None)

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._guard("ENABLE ALWAYS TRIGGER no_change")
            self._role.__exit__(None, None, None)

    def _guard(self, what: str) -> None:
        for table in ("record", "leaf_index", "node", "checkpoint"):
            self._cursor.execute(f"ALTER TABLE audit.{table} {what}")


def checked(kept: str, folder: Path) -> verify.Report:
    """What the stand-alone verifier says of what the database gives out now."""
    path = folder / "muster-proof.jsonl"
    path.write_text("".join(span_lines(Span(since=KEPT), scope=EVERYTHING)))
    key = verify.read_key(OURS.verifier.vkey)
    return verify.check([path], verify.Given([key], kept))


def inside_only() -> bool:
    """The mutant: a verifier that sees nothing but the database, and believes its keys."""
    latest = Checkpoint.objects.latest("size")
    tree = verify.Tree()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.body, l.leaf FROM audit.leaf_index AS l"
            " JOIN audit.record AS r ON r.id = l.record ORDER BY l.index"
        )
        for body, hashed in cursor.fetchall():
            if leaf.leaf_of(bytes(body)) != bytes(hashed):
                return False
            tree.add(bytes(hashed))
    return (tree.size, tree.root()) == (latest.size, bytes(latest.root))


def entry(index: int) -> Record:
    row = selectors.Leaf.objects.get(index=index)
    return Record.objects.get(id=row.record)


def resealed(run: Callable[..., None], signer: notes.Signer) -> None:
    for table in ("node", "leaf_index", "checkpoint"):
        run(f"DELETE FROM audit.{table}")


def change_a_byte(as_owner: Any) -> None:
    found = entry(3)
    with all_powerful(as_owner) as run:
        body = bytes(found.body).replace(b"system:test", b"system:tesu")
        run("UPDATE audit.record SET body = %s WHERE id = %s", body, found.id)


def change_an_entry_and_its_leaf(as_owner: Any) -> None:
    found = entry(3)
    body = bytes(found.body).replace(b"system:test", b"system:tesu")
    with all_powerful(as_owner) as run:
        run(
            "UPDATE audit.record SET body = %s, leaf = %s, actor = 'system:tesu' WHERE id = %s",
            *(body, leaf.leaf_of(body), found.id),
        )
        run("UPDATE audit.leaf_index SET leaf = %s WHERE index = 3", leaf.leaf_of(body))


def delete_a_row(as_owner: Any) -> None:
    found = entry(15)
    with all_powerful(as_owner) as run:
        run("DELETE FROM audit.record WHERE id = %s", found.id)


def delete_a_row_and_its_leaf(as_owner: Any) -> None:
    found = entry(15)
    with all_powerful(as_owner) as run:
        run("DELETE FROM audit.record WHERE id = %s", found.id)
        run("DELETE FROM audit.leaf_index WHERE index = 15")


def swap_two(as_owner: Any) -> None:
    with all_powerful(as_owner) as run:
        run("UPDATE audit.leaf_index SET index = 1000 WHERE index = 4")
        run("UPDATE audit.leaf_index SET index = 4 WHERE index = 5")
        run("UPDATE audit.leaf_index SET index = 5 WHERE index = 1000")


def cut_the_tail(as_owner: Any) -> None:
    with all_powerful(as_owner) as run:
        run(
            "DELETE FROM audit.record USING audit.leaf_index AS l WHERE l.record = id AND index > 9"
        )
        run("DELETE FROM audit.leaf_index WHERE index > 9")


def replace_the_tree_with_another_key(as_owner: Any) -> None:
    change_an_entry_and_its_leaf(as_owner)
    with all_powerful(as_owner) as run:
        resealed(run, THEIRS)
    seal(THEIRS)


def replace_the_tree_with_the_stolen_key(as_owner: Any) -> None:
    change_an_entry_and_its_leaf(as_owner)
    with all_powerful(as_owner) as run:
        resealed(run, OURS)
    seal(OURS)


def roll_back_to_an_old_dump(as_owner: Any) -> None:
    with all_powerful(as_owner) as run:
        run(
            "DELETE FROM audit.record USING audit.leaf_index AS l WHERE l.record = id AND index > 7"
        )
        resealed(run, OURS)
    seal()


def roll_back_and_go_on(as_owner: Any) -> None:
    roll_back_to_an_old_dump(as_owner)
    write(NOW, "another history")
    seal()


# What each attack is seen by, and whether the database by itself looks as it should.
ATTACKS: dict[Callable[[Any], None], tuple[str, bool]] = {
    change_a_byte: ("Entry 3: the leaf is not the hash of the body.", False),
    change_an_entry_and_its_leaf: (verify._OTHER_ROOT, False),
    delete_a_row: (
        "Entry 15: its content is not there any more, and no entry here declares that.",
        False,
    ),
    delete_a_row_and_its_leaf: ("Entry 15 is missing.", False),
    swap_two: (verify._OTHER_ROOT, False),
    cut_the_tail: ("Entries 10 to 19 are missing.", False),
    replace_the_tree_with_another_key: (
        (
            "The new checkpoint is not signed with a key that you gave, but by "
            f"{THEIRS.name} ({THEIRS.verifier.key_hash.hex()})."
        ),
        True,
    ),
    replace_the_tree_with_the_stolen_key: (
        "The first 12 entries are not those that you kept: rewritten.",
        True,
    ),
    roll_back_to_an_old_dump: (verify._SHRUNK.format(12, 8), True),
    roll_back_and_go_on: ("The first 12 entries are not those that you kept: rewritten.", True),
}


def test_honest_growth_holds(kept: str, tmp_path: Path) -> None:
    report = checked(kept, tmp_path)

    assert (report.verdict, report.entries) == (verify.HOLDS, NOW)
    assert inside_only() is True


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_each_attack_is_flagged_outside(
    kept: str, as_owner: Any, tmp_path: Path, attack: Callable[[Any], None]
) -> None:
    sentence, looks_fine_inside = ATTACKS[attack]

    attack(as_owner)
    report = checked(kept, tmp_path)

    assert report.verdict == verify.BROKEN
    assert sentence in [
        each["sentence"] for each in report.checks if each["verdict"] == verify.BROKEN
    ]
    # A verifier that looks inside the database alone would say that all is well.
    assert inside_only() is looks_fine_inside


def test_a_part_and_what_is_left_out(kept: str, tmp_path: Path) -> None:
    path = tmp_path / "part"
    path.write_text("".join(span_lines(Span(5, 9, KEPT), scope=EVERYTHING)))
    key = verify.read_key(OURS.verifier.vkey)

    part = verify.check([path], verify.Given([key], kept, part=True))

    assert (part.verdict, part.entries) == (verify.HOLDS, 4)
    assert verify.check([path], verify.Given([key], kept)).verdict == verify.BROKEN
    line = json.loads(path.read_text().splitlines()[1])
    assert line["record"] == columns_of(entry(5))
