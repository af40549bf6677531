"""A file that only its owner reads, at every moment, whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from governance.kernel import private_file


@pytest.fixture(autouse=True)
def _everybody_may_read_what_is_made() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_reads_it_also_where_a_draft_or_the_file_was_open_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, draft = tmp_path / "key", tmp_path / ".key.new"
    for each in (path, draft):
        each.write_text("left behind")
    seen = []
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda this, to: seen.append(mode(this)) or replace(this, to)
    )

    private_file.write(path, "secret\n")

    assert (path.read_text(), mode(path), seen) == ("secret\n", 0o600, [0o600])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["key"]


def test_what_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))

    with pytest.raises(OSError, match="disk full"):
        private_file.write(path, "new")

    assert path.read_text() == "old"


def test_started_as_root_it_may_belong_to_whom_the_folder_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *to: given.append((path.name, *to)))

    private_file.write(tmp_path / "mine", "x")
    private_file.write(tmp_path / "theirs", "x", for_owner_of_folder=True)

    folder = tmp_path.stat()
    assert given == [(".theirs.new", folder.st_uid, folder.st_gid)]
