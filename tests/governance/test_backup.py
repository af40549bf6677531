"""The two folders of a backup: apart from each other, and as they were written or refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from governance.runner import backup
from governance.runner.backup import Wanted
from governance.runner.places import CannotStart


@pytest.mark.parametrize(
    ("folder", "keys"), [("a", "a"), ("a", "a/keys"), ("keys/a", "keys"), ("a", "b/../a/c")]
)
def test_keys_never_lie_with_the_database(tmp_path: Path, folder: str, keys: str) -> None:
    with pytest.raises(CannotStart, match="a folder apart"):
        backup.refuse_one_in_the_other(Wanted(tmp_path / folder, tmp_path / keys))


def test_keys_beside_the_database_are_apart(tmp_path: Path) -> None:
    wanted = Wanted(tmp_path / "a", tmp_path / "ab")

    backup.refuse_one_in_the_other(wanted)

    assert wanted.folder != wanted.keys


def written(folder: Path, **told: str) -> Path:
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "kek").write_text("secret")
    (folder / "database.dump").write_text("rows")
    backup._seal(folder, {"origin": "muster.example/1", **told})
    return folder


def test_what_was_written_is_opened(tmp_path: Path) -> None:
    told = backup.opened(written(tmp_path / "copy"))

    assert set(told["files"]) == {"database.dump", "keys/kek"}
    assert told["origin"] == "muster.example/1"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda folder: (folder / "database.dump").write_text("row"), "database.dump"),
        (lambda folder: (folder / "keys" / "kek").unlink(), "keys/kek"),
        (lambda folder: (folder / "more").write_text(""), "more"),
    ],
)
def test_what_differs_is_named_and_refused(
    tmp_path: Path, change: Callable[[Path], object], named: str
) -> None:
    copy = written(tmp_path / "copy")
    change(copy)

    with pytest.raises(CannotStart) as refused:
        backup.opened(copy)

    assert str(refused.value) == f"{copy} is not as it was written: {named}."


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_folder_without_a_manifest_is_no_backup(tmp_path: Path, text: str) -> None:
    (tmp_path / backup.MANIFEST).write_text(text)

    with pytest.raises(CannotStart, match="is no backup"):
        backup.opened(tmp_path)


def test_keys_of_another_log_do_not_belong(tmp_path: Path) -> None:
    ours, later, other = (
        written(tmp_path / name, origin=origin)
        for name, origin in (("ours", "a/1"), ("later", "a/1"), ("other", "b/2"))
    )
    told = {"keys": backup._digest(ours / backup.MANIFEST), "origin": "a/1"}

    assert [backup.belongs(told, each) for each in (ours, later, other)] == [True, True, False]
    assert json.loads((other / backup.MANIFEST).read_text())["origin"] == "b/2"
