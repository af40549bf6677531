"""The sealer's folder, and when it is late: what needs no database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from audit.sealing import standing
from audit.sealing.folder import Folder, Refused
from audit.sealing.notes import Checkpoint
from audit.sealing.process import REFUSED, main
from audit.sealing.selectors import Freshness
from tests.audit.sealing import ORIGIN

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def test_the_folder_is_closed_and_belongs_to_one_log(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "sealer", tmp_path / "anchored", ORIGIN)
    folder.open()
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.path.iterdir()}

    assert modes == {"key": 0o600, "origin": 0o600, "vkeys": 0o600}
    assert folder.path.stat().st_mode & 0o777 == 0o700
    with pytest.raises(Refused, match=r"seals the log muster\.example/test, not another"):
        replace(folder, origin="another").open()
    folder.key.chmod(0o640)
    with pytest.raises(Refused, match="Other accounts may read"):
        folder.signer()
    folder.path.chmod(0o750)
    with pytest.raises(Refused, match="Other accounts may open"):
        folder.open()


def test_what_was_given_up_binds_no_more(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "sealer", tmp_path / "anchored", ORIGIN)
    folder.open()
    one, other = Checkpoint(ORIGIN, 7, bytes(32)), Checkpoint(ORIGIN, 7, bytes([1] * 32))
    folder.keep(one.text + "\n")

    folder.give_up([one])

    assert folder.known([one, other]) == [other]


def test_a_last_checkpoint_that_cannot_be_read_is_a_refusal(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "sealer", tmp_path / "anchored", ORIGIN)
    folder.open()
    folder.keep("nothing of the kind")

    with pytest.raises(Refused, match="cannot be read"):
        folder.known()


@pytest.mark.parametrize(
    ("oldest", "sealed", "late"),
    [
        (None, None, False),
        (5, None, False),
        (5.1, None, True),
        (5.1, 5.1, True),
        # It catches up, oldest first.
        (900, 5, False),
    ],
)
def test_late_is_what_waits_for_more_than_five_seconds(
    oldest: float | None, sealed: float | None, late: bool
) -> None:
    found = Freshness(
        now=NOW,
        size=3,
        sealed_until=None if sealed is None else at(sealed),
        unsealed=0 if oldest is None else 2,
        oldest_unsealed_at=None if oldest is None else at(oldest),
        head=None,
        is_sealing=False,
    )

    assert standing.is_late(found) is late


def test_the_sentence_says_how_many_and_since_when() -> None:
    found = Freshness(NOW, 3, None, 1, at(61), None, is_sealing=False)

    assert standing.sentence_of(found) == (
        "No sealer runs: 1 entry is not sealed, the oldest since 61 s."
    )
    assert standing.sentence_of(replace(found, unsealed=10_001, is_sealing=True)) == (
        "The sealer does not come through: more than 10000 entries are not sealed, "
        "the oldest since 61 s."
    )


@pytest.mark.parametrize("told", ["0", "0.05", "3", "soon"])
def test_a_sealer_that_would_come_too_late_does_not_start(
    told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("MUSTER_SEALER", "MUSTER_ORIGIN", "DATABASE_URL"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("MUSTER_SEAL_SECONDS", told)

    assert main([]) == REFUSED
    assert capsys.readouterr().err == (
        "The sealer refuses: MUSTER_SEAL_SECONDS is from 0.1 to 2.0.\n"
    )


def test_a_sealer_that_is_told_nothing_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MUSTER_SEALER", raising=False)

    assert main([]) == REFUSED
    assert capsys.readouterr().err == (
        "The sealer refuses: MUSTER_SEALER is not set. `./muster up` sets it.\n"
    )
