"""The stand-alone verifier, on a record that is made up in memory."""

import base64
import json
import random
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit import leaf as server
from client.muster_client import verify
from tests import public
from tests.client import made
from tests.client.made import RECEIPTS, SIGNER, Log, Signer

# RFC 8032, 7.1: secret key, message, signature.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
            "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da0"
            "85ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac1"
            "8ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b5890"
            "9351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
]


def test_ed25519_of_the_rfc() -> None:
    for secret, message, signature in RFC_8032:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
        raw = key.public_key().public_bytes_raw()
        assert key.sign(bytes.fromhex(message)).hex() == signature
        assert verify.verify_ed25519(raw, bytes.fromhex(message), bytes.fromhex(signature))


def test_ed25519_says_what_cryptography_says() -> None:
    chance, said = random.Random(25519), Counter[bool]()
    for _ in range(60):
        key = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
        message = chance.randbytes(chance.randrange(200))
        public_key, signature = key.public_key().public_bytes_raw(), key.sign(message)
        for changed in (signature, _flipped(signature, chance), _with_order_added(signature)):
            for raw in (public_key, _flipped(public_key, chance)):
                wanted = _cryptography_says(raw, message, changed)
                assert verify.verify_ed25519(raw, message, changed) is wanted
                said[wanted] += 1
    assert said == {True: 60, False: 300}


def _flipped(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) * 8)
    return bytes(byte ^ (1 << at % 8 if place == at // 8 else 0) for place, byte in enumerate(raw))


def _with_order_added(signature: bytes) -> bytes:
    """The same point with another number beside it, which RFC 8032 refuses."""
    s = int.from_bytes(signature[32:], "little") + verify.ORDER
    return signature[:32] + s.to_bytes(32, "little")


def _cryptography_says(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_vectors_of_others() -> None:
    """Every vector of transparency-dev: inclusion, consistency, and both of subtrees."""
    lines = public.path("tlog/transparency_dev_vectors.jsonl").read_text().splitlines()
    counted = Counter[str]()

    for line in lines:
        vector = json.loads(line)
        kind, data = vector["name"].split("/")[1], vector["data"]
        assert says(kind, data) is not data["wantErr"], vector["name"]
        counted[kind] += 1

    assert counted == {
        "inclusion": 98,
        "consistency": 98,
        "subtreeinclusion": 204,
        "subtreeconsistency": 118,
    }


def says(kind: str, data: dict[str, Any]) -> bool:
    raw = {name: base64.b64decode(data.get(name) or "") for name in ("leafHash", "root")}
    both = [base64.b64decode(data.get(name) or "") for name in ("root1", "root2")]
    proof = [base64.b64decode(each) for each in data["proof"] or []]
    leaf, root = raw["leafHash"], raw["root"]
    if kind == "inclusion":
        return verify.verify_inclusion(data["leafIdx"], data["treeSize"], leaf, proof, root)
    if kind == "consistency":
        return verify.verify_consistency(data["size1"], data["size2"], *both, proof)
    if kind == "subtreeinclusion":
        return verify.verify_subtree_inclusion(
            data["leafIdx"], (data["start"], data["end"]), leaf, proof, root
        )
    return verify.verify_subtree_consistency(
        (data["start"], data["end"]), data["size"], *both, proof
    )


def test_trees_of_every_small_size() -> None:
    leaves = [made.leaf_of(b"%d" % number) for number in range(70)]
    for size in range(1, 70):
        some, root = leaves[:size], made.root_of(leaves[:size])
        for at in range(size):
            assert verify.verify_inclusion(at, size, some[at], made.path_of(at, some), root)
            old, proof = made.root_of(leaves[: at + 1]), made.growth_of(at + 1, some)
            assert verify.verify_consistency(at + 1, size, old, root, proof)
            tree = verify.Tree(at, made.parts_of(0, at, leaves))
            tree.add(leaves[at])
            tree.join(size, made.parts_of(at + 1, size, leaves))
            assert tree.root() == root


# Keys and notes


def test_keys_and_notes_that_are_none() -> None:
    for text in ("", "a", "a+b+c", SIGNER.vkey[:-4], SIGNER.vkey.replace("9f3c+", "9f3d+")):
        with pytest.raises(verify.Unreadable):
            verify.read_key(text)
    good = Log(3).checkpoint()
    for note in ("", "x", good[:-1], good.replace("\n3\n", "\n03\n"), good.replace("— ", "- ")):
        with pytest.raises(verify.Unreadable):
            verify.open_checkpoint(note, [verify.read_key(SIGNER.vkey)], "note")


def test_a_note_of_two_keys_is_good_by_either_and_bad_with_one_that_is_wrong() -> None:
    old, new = Signer(seed=1), Signer(seed=7)
    first = Log(3, old).checkpoint()
    text = first.partition("\n\n")[0] + "\n"
    both = first + new.line(text)

    for key in (old, new):
        assert verify.open_checkpoint(both, [verify.read_key(key.vkey)], "note").size == 3
    spoilt, trusted = first + new.line("else\n"), [verify.read_key(x.vkey) for x in (old, new)]
    with pytest.raises(verify.Wrong):
        verify.open_checkpoint(spoilt, trusted, "note")


def test_the_key_of_receipts_signs_no_checkpoint() -> None:
    note = RECEIPTS.note(3, made.root_of(Log(3).leaves), origin=made.ORIGIN)

    with pytest.raises(verify.Unknown):
        verify.open_checkpoint(note, [verify.read_key(RECEIPTS.vkey)], "note")


def certificate(kind: str, key: Signer, *by: Signer) -> str:
    text = f"{made.ORIGIN}/keys\n{kind}\n0\n{key.vkey}\n"
    return f"{kind} {key.vkey}\n\n{text}\n" + "".join(each.line(text) for each in by)


def test_keys_follow_from_one_that_is_trusted(tmp_path: Path) -> None:
    newer, stranger = Signer(seed=7), Signer(seed=8)
    published = "\n".join(
        [
            certificate("checkpoint", SIGNER, SIGNER),
            certificate("receipt", RECEIPTS, SIGNER),
            certificate("checkpoint", newer, SIGNER, newer),
            certificate("checkpoint", stranger, stranger),
            certificate("checkpoint", Signer(seed=9), RECEIPTS),
        ]
    )
    log, trusted = Log(9, newer), [verify.read_key(SIGNER.vkey)]
    export = log.export(tmp_path / "e", checkpoint=log.checkpoint())
    kept = Log(4).checkpoint()

    report = verify.check([export], verify.Given(trusted, kept, published=published))

    assert report.verdict == verify.HOLDS
    assert [key.public for key in verify.follow(trusted, published, verify.Report())] == [
        *(SIGNER.public, RECEIPTS.public, newer.public)
    ]
    assert verify.check([export], verify.Given(trusted, kept)).verdict == verify.BROKEN
    spoilt = published.replace(newer.vkey, stranger.vkey)
    assert wrong(verify.check([export], verify.Given(trusted, kept, published=spoilt))) != []
    assert len(verify.read_keys(published)) == 5


def test_the_newest_of_many_notes() -> None:
    notes = [Log(size).checkpoint() for size in (3, 5)]

    assert verify.newest_note("\n".join(notes)) == notes[1]
    assert verify.newest_note(notes[0]) == notes[0]
    assert verify.newest_note("nothing") == "nothing"


# Exports


def checked(path: Path, kept: str = "", now: str = "", **more: Any) -> verify.Report:
    keys = [verify.read_key(SIGNER.vkey), verify.read_key(RECEIPTS.vkey)]
    files = [path, *more.pop("also", [])]
    return verify.check(files, verify.Given(keys, kept, now, **more))


def wrong(report: verify.Report) -> list[str]:
    return [each["sentence"] for each in report.checks if each["verdict"] == verify.BROKEN]


@pytest.mark.parametrize("old", [1, 6, 8, 13, 20])
def test_an_honest_record_holds(tmp_path: Path, old: int) -> None:
    log = Log(20)

    report = checked(log.export(tmp_path / "e"), log.checkpoint(old), log.checkpoint())

    assert (report.verdict, report.entries) == (verify.HOLDS, 20)


@pytest.mark.parametrize(("start", "until"), [(0, 20), (5, 20), (13, 17), (6, 6), (20, 20)])
def test_a_part_holds_where_a_part_was_asked_for(tmp_path: Path, start: int, until: int) -> None:
    log = Log(20)
    export = log.export(tmp_path / "e", start, until, consistency=log.growth(6))

    report = checked(export, log.checkpoint(6), log.checkpoint(), part=True)
    strict = checked(export, log.checkpoint(6), log.checkpoint())

    assert report.verdict == verify.HOLDS
    assert strict.verdict == (verify.HOLDS if (start, until) == (0, 20) else verify.BROKEN)


def test_a_choice_of_entries_holds(tmp_path: Path) -> None:
    log = Log(20)

    report = checked(
        log.choice(tmp_path / "e", [19, 2, 3]), now=log.checkpoint(), part=True, first=True
    )

    assert (report.verdict, report.entries) == (verify.HOLDS, 3)


def _set(lines: list[dict[str, Any]], at: int, **changes: Any) -> None:
    lines[at] = lines[at] | changes


def _column(lines: list[dict[str, Any]], at: int, **changes: Any) -> None:
    lines[at]["record"] |= changes


OTHER = made.body_of(made.columns(7, agent="someone-else"))
CHANGES: dict[str, tuple[Any, list[str]]] = {
    "a byte of a body": (
        lambda lines: _set(lines, 7, body=base64.b64encode(OTHER).decode()),
        [
            "Entry 7: the leaf is not the hash of the body.",
            "Entry 7: the column agent differs from the body.",
            verify._OTHER_ROOT,
        ],
    ),
    "a body with its leaf and column": (
        lambda lines: _set(
            lines,
            7,
            record=made.columns(7, agent="someone-else"),
            body=base64.b64encode(OTHER).decode(),
            leaf=made.leaf_of(OTHER).hex(),
        ),
        [verify._OTHER_ROOT],
    ),
    "a column": (
        lambda lines: _column(lines, 3, effect="deny"),
        ["Entry 3: the column effect differs from the body."],
    ),
    "the type of a column": (
        lambda lines: _column(lines, 3, version=1.0),
        ["Entry 3: the column version differs from the body."],
    ),
    "a row that is gone": (
        lambda lines: lines.pop(4),
        ["Entry 4 is missing.", verify._OTHER_ROOT],
    ),
    "a content that is gone": (
        lambda lines: _set(lines, 4, record=None, body=None),
        ["Entry 4: its content is not there any more, and no entry here declares that."],
    ),
    "rows that are swapped": (
        lambda lines: lines.__setitem__(slice(4, 6), [lines[5], lines[4]]),
        [
            "Entry 4 is missing.",
            "Entry 4 comes twice, or not in its place.",
            verify._OTHER_ROOT,
        ],
    ),
    "a row that comes twice": (
        lambda lines: lines.insert(4, lines[4]),
        [
            "Entry 4 comes twice, or not in its place.",
            f"The record {made.columns(4)['id']} stands in more than one entry.",
            verify._OTHER_ROOT,
        ],
    ),
    "a tail that is cut": (
        lambda lines: lines.__delitem__(slice(17, 20)),
        ["Entries 17 to 19 are missing.", verify._OTHER_ROOT],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_named(tmp_path: Path, name: str) -> None:
    change, sentences = CHANGES[name]
    log = Log(20)

    report = checked(log.export(tmp_path / "e", change=change), log.checkpoint(8), log.checkpoint())

    assert wrong(report) == sentences


GONE = "content is not there any more, and no entry here declares that."
DECLARED = (
    "{} entries among {} to {} were dropped, declared by record {}. They are in the export whose "
    "SHA-256 is " + "ab" * 32 + "."
)


def dropped(*places: int) -> Any:
    """Has the content of these entries gone."""

    def change(lines: list[dict[str, Any]]) -> None:
        for at in places:
            _set(lines, at, record=None, body=None)

    return change


def log_of_drops() -> Log:
    """Three entries are declared as dropped, then three among which two of the first may lie."""
    log = Log(20)
    log.drop(2, 5, 3)
    log.drop(4, 7, 3)
    log.drop(10, 10, 1, kind="decision")
    log.drop(11, 30, 1)
    return log


MARCH, APRIL = (made.columns(number)["id"] for number in (20, 21))
FIRST, SECOND = DECLARED.format(3, 2, 5, MARCH), DECLARED.format(3, 4, 7, APRIL)
# What is gone, and what is said of it.
DROPS: dict[tuple[int, ...], tuple[str, list[str]]] = {
    (): (verify.HOLDS, []),
    (2, 3, 5): (verify.HOLDS, [FIRST, SECOND]),
    (2, 3, 4, 5, 6, 7): (verify.HOLDS, [FIRST, SECOND]),
    (1, 2, 3, 5): (verify.BROKEN, [FIRST, SECOND, f"Entry 1: its {GONE}"]),
    # By a decision, and by an entry that stands among those that it declares.
    (10,): (verify.BROKEN, [f"Entry 10: its {GONE}"]),
    (11, 12): (verify.BROKEN, [f"Entries 11 to 12: their {GONE}"]),
    # The declaration of the first three is gone as well.
    (2, 4, 6, 7, 20): (verify.BROKEN, [SECOND, f"Entry 2: its {GONE}", f"Entry 20: its {GONE}"]),
    (4, 5, 6, 7, 20): (
        verify.BROKEN,
        [
            "4 entries among 4 to 7 have no content any more, and 3 were declared as dropped.",
            f"Entry 20: its {GONE}",
        ],
    ),
}


@pytest.mark.parametrize("places", DROPS)
def test_what_was_dropped_is_declared_or_was_removed(
    tmp_path: Path, places: tuple[int, ...]
) -> None:
    log, (verdict, sentences) = log_of_drops(), DROPS[places]
    export = log.export(tmp_path / "e", change=dropped(*places))

    report = checked(export, log.checkpoint(8), log.checkpoint())

    assert report.verdict == verdict
    assert [each["sentence"] for each in report.checks if each["check"] == "gone"] == sentences


def test_of_a_part_it_cannot_be_told_whether_it_was_declared(tmp_path: Path) -> None:
    log = log_of_drops()
    export = log.export(tmp_path / "e", 0, 6, change=dropped(2, 3), checkpoint=log.checkpoint())

    report = verify.check(
        [export], verify.Given([verify.read_key(SIGNER.vkey)], part=True, first=True)
    )

    assert report.verdict == verify.OPEN
    assert [each["sentence"] for each in report.checks if each["check"] == "gone"] == [
        f"Entries 2 to 3: their {GONE}"
    ]


def test_a_record_that_shrank_was_rewritten_or_replaced(tmp_path: Path) -> None:
    log, other, forged = Log(20), Log(20), Log(20, Signer(seed=9))
    other.lines, other.leaves = [], []
    for number in range(20):
        other.append(made.columns(number, tool="mail.read" if number == 3 else "mail.send"))
    export, rewritten = log.export(tmp_path / "e"), other.export(tmp_path / "r")

    assert wrong(checked(export, Log(21).checkpoint(), log.checkpoint())) == [
        verify._SHRUNK.format(21, 20)
    ]
    assert wrong(checked(rewritten, log.checkpoint(8), other.checkpoint())) == [
        "The first 8 entries are not those that you kept: rewritten."
    ]
    assert wrong(checked(rewritten, log.checkpoint(), other.checkpoint())) == [
        "Both checkpoints have the same size and another root: it was rewritten."
    ]
    assert wrong(
        checked(forged.export(tmp_path / "f"), log.checkpoint(8), forged.checkpoint())
    ) == [
        (
            "The new checkpoint is not signed with a key that you gave, but by "
            f"{made.ORIGIN} ({forged.signer.digest.hex()})."
        )
    ]
    tampered = log.checkpoint().replace("\n20\n", "\n21\n")
    assert wrong(checked(export, "", tampered, first=True)) == [
        f"The signature of {made.ORIGIN} ({SIGNER.digest.hex()}) on the new checkpoint is wrong."
    ]


def test_a_proof_of_growth_counts_only_where_it_is_right(tmp_path: Path) -> None:
    log = Log(20)
    kept, now = log.checkpoint(6), log.checkpoint()
    for proof, verdict in (
        (log.growth(6), verify.HOLDS),
        (log.growth(7), verify.OPEN),
        (None, verify.OPEN),
        ({"from": 6, "proof": log.growth(7)["proof"]}, verify.BROKEN),
    ):
        export = log.export(tmp_path / "e", 10, 20, consistency=proof)
        assert checked(export, kept, now, part=True).verdict == verdict


def test_without_a_kept_checkpoint_nothing_is_certain(tmp_path: Path) -> None:
    log = Log(4)
    export = log.export(tmp_path / "e", checkpoint=log.checkpoint())

    assert checked(export).verdict == verify.OPEN
    assert checked(export, first=True).verdict == verify.HOLDS


# Proofs and receipts


def test_a_proof_of_one_entry(tmp_path: Path) -> None:
    log, proof = Log(20), tmp_path / "p.tlog-proof"

    proof.write_text(log.proof(13))
    assert checked(proof).verdict == verify.HOLDS
    assert checked(proof, log.checkpoint()).verdict == verify.HOLDS
    assert checked(proof, Log(25).checkpoint()).verdict == verify.BROKEN

    proof.write_text(log.proof(13).replace("index 13", "index 12"))
    assert wrong(checked(proof)) == ["Entry 12 is not in the tree that was signed."]
    proof.write_text(log.proof(13, body=False))
    assert checked(proof).verdict == verify.OPEN


def test_receipts_show_what_was_lost(tmp_path: Path) -> None:
    log = Log(20)
    promise, proof = tmp_path / "r.json", tmp_path / "p.tlog-proof"
    promise.write_text(json.dumps({"context": {"receipt": made.receipt(log, 5, [4, 5, 6])}}))
    proof.write_text(log.proof(5))
    lost = Log(5)
    for number in range(6, 20):
        lost.append(made.columns(number))
    kept, now = log.checkpoint(4), lost.checkpoint()

    assert checked(promise).verdict == verify.OPEN
    assert checked(proof, also=[promise]).verdict == verify.HOLDS
    whole = log.export(tmp_path / "e")
    assert checked(whole, kept, log.checkpoint(), also=[promise]).verdict == verify.HOLDS
    assert wrong(checked(lost.export(tmp_path / "l"), kept, now, also=[promise])) == [
        (
            f"The record {made.columns(5)['id']} was promised at {made.columns(5)['at']} "
            "and is not there."
        )
    ]
    proof.write_text(log.proof(6))
    assert wrong(checked(proof, also=[promise])) == [
        "This is not the record that the receipt promised."
    ]


def test_a_receipt_that_was_changed(tmp_path: Path) -> None:
    log, promise = Log(20), tmp_path / "r.json"
    good = made.receipt(log, 5, [4, 5, 6])

    promise.write_text(json.dumps(good | {"leaf": log.leaves[7].hex()}))
    assert wrong(checked(promise)) == [
        "The receipt was changed: its signature is for other records."
    ]
    promise.write_text(json.dumps(good | {"note": SIGNER.note(3, made.root_of(log.leaves[4:7]))}))
    assert wrong(checked(promise)) == ["The receipt is signed with a key that signs no receipts."]


# The same as the server, alone, and in constant memory


def test_an_entry_is_looked_at_as_the_server_does() -> None:
    said = made.columns(3)
    bodies = [
        made.body_of(said),
        OTHER,
        b"",
        b"{}\n{}\n{}",
        b'{"a":1,"a":1}\n{}',
        b'{"at":1}\n{"at":2}',
        b"\xff\n{}",
        b"[]\n{}",
    ]
    for body in bodies:
        for row in (said, said | {"tier": "public"}, said | {"version": "1"}):
            for hashed in (made.leaf_of(body), b"\0" * 32):
                ours = verify.entry_faults(row, body, hashed)
                theirs = server.faults(row | {"body": body, "leaf": hashed})
                assert bool(ours) == bool(theirs)
                assert len([each for each in ours if "column" in each]) == len(
                    [each for each in theirs if "column" in each or "lacks" in each]
                )
    assert set(verify.COLUMNS) == set(server.COLUMNS)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", verify.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_needs_nothing_and_ends_with_its_verdict(tmp_path: Path) -> None:
    log = Log(9)
    export, key = log.export(tmp_path / "e"), tmp_path / "key"
    kept, now = tmp_path / "kept", tmp_path / "now"
    key.write_text(SIGNER.vkey + "\n")
    kept.write_text(log.checkpoint(4))
    now.write_text(log.checkpoint())
    asked = ["--kept", kept, "--checkpoint", now, "--key", key]

    good, told = run(export, *asked), run(export, *asked, "--json")
    cut = run(log.export(tmp_path / "c", change=lambda lines: lines.pop()), *asked)
    none = run(tmp_path / "missing", *asked)

    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.splitlines()[-1] == "The record holds."
    assert json.loads(told.stdout)["verdict"] == "holds"
    assert (cut.returncode, none.returncode) == (1, 2)


def test_memory_does_not_grow_with_the_export(tmp_path: Path) -> None:
    peaks = []
    for size in (200, 4000):
        log = Log(size)
        export, now = log.export(tmp_path / "e"), log.checkpoint()
        tracemalloc.start()
        assert checked(export, "", now, first=True).verdict == verify.HOLDS
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000
