"""Proofs of the entries that a report looked at: checked by the verifier alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from audit import services as audit
from audit.enums import Kind
from audit.sealing import notes
from client.muster_client import verify
from compliance.models import Report
from compliance.reports import making, proofs
from compliance.sealed import coverage
from governance.kernel import clock
from registry.enums import GroupName
from tests.compliance.test_reports import AUDITOR, asked, made, opened
from tests.compliance.world import World
from tests.factories.authz import make_person

pytestmark = pytest.mark.django_db

Seal = Callable[[], Any]
Bundle = dict[str, bytes]


@pytest.fixture
def bundle(world: World, seal_now: Seal) -> Bundle:
    seal_now()
    return opened(made(make_person(groups=AUDITOR), "soc2"))


def proven(bundle: Bundle) -> list[str]:
    return sorted(name for name in bundle if name.startswith("proofs/"))


def checked(bundle: Bundle, folder: Path, *names: str) -> int:
    """What the file README.txt of a bundle tells people to run."""
    for name in (*names, "checkpoint-keys.txt"):
        (folder / Path(name).name).write_bytes(bundle[name])
    paths = [str(folder / Path(name).name) for name in names]
    return verify.main([*paths, "--key", str(folder / "checkpoint-keys.txt")])


def test_the_verifier_checks_every_proof_of_a_bundle(
    bundle: Bundle, tmp_path: Path, capsys: Any
) -> None:
    rows = list(csv.DictReader(io.StringIO(bundle["annexes/samples.csv"].decode())))
    document, manifest = (json.loads(bundle[f"{each}.json"]) for each in ("evidence", "manifest"))

    names = proven(bundle)
    code = checked(bundle, tmp_path, *names)
    said = capsys.readouterr().out

    assert names == sorted({f"proofs/{row['record']}.tlog-proof" for row in rows})
    assert {row["proof"] for row in rows} == set(names) <= set(manifest["files"])
    assert (document["proofs"]["entries"], document["proofs"]["without"]) == (len(names), [])
    assert code == 0
    assert [row["record"] for row in rows if f"record {row['record']}." not in said] == []
    assert said.count("is in the tree of") == len(names) > 2
    assert {bundle[name].decode().partition("\n\n")[2] for name in names} == {
        bundle["checkpoint.txt"].decode()
    }


def test_an_altered_proof_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    name, other = proven(bundle)[:2]

    assert checked(bundle, tmp_path, name) == verify.EXIT[verify.HOLDS]
    answers = {
        what: checked(bundle | {name: changed}, tmp_path, name)
        for what, changed in altered(bundle[name], bundle[other]).items()
    }
    answers["key"] = checked(bundle | {"checkpoint-keys.txt": STRANGER}, tmp_path, name)
    assert answers == dict.fromkeys(answers, verify.EXIT[verify.BROKEN])


# Another key under the name of the log.
STRANGER = notes.Signer.of_seed("muster.example/test", bytes(32)).verifier.vkey.encode()


def altered(proof: bytes, other: bytes) -> Bundle:
    """The proof with another body, place, path or checkpoint, and that of another entry for it."""
    head, extra, index, *path = proof.decode().split("\n")
    elsewhere = other.decode().split("\n")
    changed = {
        "body": [head, elsewhere[1], index, *path],
        "place": [head, extra, f"index {int(index.split()[1]) + 1}", *path],
        "path": [head, extra, index, path[1], path[0], *path[2:]],
        "checkpoint": [head, extra, index, *path[:-5], f"{path[-5]}0", *path[-4:]],
        "other": [*elsewhere[:1], extra, *elsewhere[2:]],
    }
    return {what: "\n".join(lines).encode() for what, lines in changed.items()}


def test_what_is_not_sealed_has_no_proof_and_the_report_says_so(world: World) -> None:
    bundle = opened(made(make_person(groups=AUDITOR), "sox"))

    document = json.loads(bundle["evidence.json"])
    told = document["proofs"]
    assert (proven(bundle), told["proven"], told["keys"]) == ([], 0, [])
    assert {each["why"] for each in told["without"]} == {proofs.NOTHING_SEALED}
    assert len(told["without"]) == told["entries"] > 0
    assert b"No entry of the samples has a proof" in bundle["README.txt"]
    assert "checkpoint-keys.txt" not in bundle


def test_each_entry_without_a_proof_says_why(world: World, seal_now: Seal) -> None:
    under = _entry()
    seal_now()
    covered = coverage(clock.now() + timedelta(days=1))
    later = _entry()
    seal_now()
    waiting = _entry()
    sample = [{"record": str(each)} for each in (under, later, waiting)]
    document: dict[str, Any] = {"controls": [{"queries": [{"sample": sample}]}]}

    files = proofs.tell(document, covered)

    assert list(files) == [proofs.name_of(under)]
    assert document["proofs"]["without"] == [
        {"record": str(later), "why": proofs.LATER},
        {"record": str(waiting), "why": proofs.NOT_SEALED},
    ]
    assert [bool(each["proof"]) for each in sample] == [True, False, False]
    assert sample[2]["place"] is None


def _entry() -> UUID:
    return audit.record(kind=Kind.ADMIN, actor="system:test", asked={"did": "looked"})


def test_two_runs_have_the_same_proofs_however_far_the_record_is_sealed_since(
    world: World, seal_now: Seal
) -> None:
    by = make_person(groups=[GroupName.AUDITOR])
    seal_now()
    first, second = (asked(by, "soc2") for _ in range(2))
    Report.objects.filter(pk=second.pk).update(asked_at=first.asked_at)

    before = opened(making.make_report(report_id=first.pk))
    seal_now()
    after = opened(making.make_report(report_id=second.pk))

    assert proven(before) == proven(after) != []
    assert {name for name in before if before[name] != after[name]} <= {
        "report.pdf", "oscal.json", "manifest.json", "manifest.sig",
    }  # fmt: skip
