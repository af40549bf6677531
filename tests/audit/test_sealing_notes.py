"""Signed notes, checkpoints, proofs and certificates, as C2SP writes them."""

import pytest

from audit.sealing import certificates, notes
from audit.sealing.certificates import CHECKPOINT, RECEIPT, Certificate
from audit.sealing.notes import BadNote, Checkpoint, Signer

# The example of c2sp.org/signed-note.
FOO = notes.read_vkey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
FOO_NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""  # noqa: E501
OURS = Signer.of_seed("muster.example/a1", bytes(32))
NEXT = Signer.of_seed("muster.example/a1", bytes([1] * 32))
CHECKED = Checkpoint("muster.example/a1", 7, bytes(range(32)))


def test_the_example_of_the_specification_verifies() -> None:
    assert FOO.vkey == "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    assert notes.open_note(FOO_NOTE, [FOO]) == "This is an example message.\n"


def test_a_checkpoint_comes_back_as_it_was_signed() -> None:
    note = notes.sign(CHECKED.text, [OURS])

    assert note.startswith(
        "muster.example/a1\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— muster.example/a1 "
    )
    assert notes.open_checkpoint(note, [OURS.verifier]) == CHECKED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda note: note.replace("\n7\n", "\n8\n"), "The signature of muster.example/a1 is"),
        (lambda note: note.replace("\n7\n", "\n07\n"), "The signature of muster.example/a1 is"),
        (lambda note: note[:-1], "A note ends with an empty line"),
        (lambda note: note + "x", "A note ends with an empty line"),
        (lambda note: note + "- no signature\n", "is no line with a signature"),
        (lambda note: note.replace("\n\n—", "\n—"), "A note ends with an empty line"),
        (lambda note: note + note.splitlines()[-1].replace("a1", "a 1") + "\n", "is no line"),
        (lambda note: note + (note.splitlines()[-1] + "\n") * 16, "1 to 16 signatures"),
    ],
)
def test_a_changed_note_is_refused(change: object, said: str) -> None:
    note = notes.sign(CHECKED.text, [OURS])

    with pytest.raises(BadNote, match=said):
        notes.open_checkpoint(change(note), [OURS.verifier])  # type: ignore[operator]


def test_signatures_of_others_count_for_nothing() -> None:
    note = notes.sign(CHECKED.text, [NEXT])

    with pytest.raises(BadNote, match="No known key"):
        notes.open_checkpoint(note, [OURS.verifier])
    assert notes.open_checkpoint(notes.sign(CHECKED.text, [NEXT, OURS]), [OURS.verifier]) == CHECKED


def test_a_key_signs_for_its_own_log_alone() -> None:
    another = notes.sign(Checkpoint("elsewhere", 7, bytes(32)).text, [OURS])

    with pytest.raises(BadNote, match="is not the log of any of these keys"):
        notes.open_checkpoint(another, [OURS.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "a\n1\n",
        "\n1\nAAAA\n",
        "a\n01\n" + "A" * 43 + "=\n",
        "a\n-1\nx\n",
        "a\n1\nAAAA\n",
        "a\n1\n!\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        notes.read_checkpoint(text)


@pytest.mark.parametrize(
    "vkey",
    ["", "foo", FOO.vkey.replace("530d", "530e"), FOO.vkey.replace("+Ae", "+Ee"), FOO.vkey[:-4]],
)
def test_what_is_no_vkey_is_refused(vkey: str) -> None:
    with pytest.raises(BadNote):
        notes.read_vkey(vkey)


def test_a_proof_stands_alone() -> None:
    note = notes.sign(CHECKED.text, [OURS])

    assert notes.tlog_proof(index=3, proof=[bytes(32)], note=note, extra=b"body") == (
        "c2sp.org/tlog-proof@v1\nextra Ym9keQ==\nindex 3\n"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" + note
    )


def test_trust_follows_certificates_and_nothing_else() -> None:
    rogue = Signer.of_seed("muster.example/a1", bytes([9] * 32))
    receipts = Signer.of_seed("muster.example/a1/receipts", bytes([2] * 32))
    published = [
        certify(CHECKPOINT, OURS, [OURS]),
        certify(CHECKPOINT, rogue, [rogue]),
        certify(CHECKPOINT, NEXT, [OURS, NEXT]),
        certify(RECEIPT, receipts, [NEXT]),
        "nothing of the kind",
    ]

    assert certificates.trusted([OURS.verifier], published) == [OURS.verifier, NEXT.verifier]
    assert certificates.read(published[3], [NEXT.verifier]) == Certificate(
        "muster.example/a1", RECEIPT, receipts.verifier.vkey, 12
    )


def certify(kind: str, key: Signer, signers: list[Signer]) -> str:
    said = Certificate("muster.example/a1", kind, key.verifier.vkey, 12)
    return certificates.certify(said, signers)
