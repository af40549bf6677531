"""Copies follow no link, whoever left it, and have the modes that they are told to have."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from governance.runner import copying
from governance.runner.places import CannotStart


def folder(at: Path) -> Path:
    (at / "below").mkdir(parents=True)
    (at / "below" / "key").write_text("secret")
    (at / "below" / "key").chmod(0o644)
    (at / "half.new").write_text("")
    return at


def modes(at: Path) -> dict[str, str]:
    return {path.name: stat.filemode(path.stat().st_mode) for path in (at, *at.rglob("*"))}


@pytest.mark.parametrize(
    ("mode", "found"),
    [
        (copying.PRIVATE, {"copy": "drwx------", "below": "drwx------", "key": "-rw-------"}),
        (copying.OPEN, {"copy": "drwxr-xr-x", "below": "drwxr-xr-x", "key": "-rw-r--r--"}),
    ],
)
def test_a_copy_has_the_modes_that_it_is_told(
    tmp_path: Path, mode: int, found: dict[str, str]
) -> None:
    source = folder(tmp_path / "source")

    copying.tree(source, tmp_path / "copy", leave=("*.new",), mode=mode)

    assert modes(tmp_path / "copy") == found
    assert (tmp_path / "copy" / "below" / "key").read_text() == "secret"


def test_a_copied_key_is_as_old_as_it_was(tmp_path: Path) -> None:
    source = folder(tmp_path / "source")
    os.utime(source / "below" / "key", (1_700_000_000, 1_700_000_000))

    copying.tree(source, tmp_path / "copy")
    copying.one(source / "below" / "key", tmp_path / "alone")

    found = [tmp_path / "copy" / "below" / "key", tmp_path / "alone"]
    assert [each.stat().st_mtime for each in found] == [1_700_000_000] * 2


def test_a_copy_over_what_was_open_is_private(tmp_path: Path) -> None:
    source = folder(tmp_path / "source")
    copying.tree(source, tmp_path / "copy", mode=copying.OPEN)

    copying.tree(source, tmp_path / "copy")

    assert modes(tmp_path / "copy")["key"] == "-rw-------"


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/hostname"),
        lambda path: path.symlink_to("/etc"),
        lambda path: path.symlink_to("/nowhere"),
        os.mkfifo,
    ],
)
def test_what_is_neither_file_nor_folder_is_refused(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    source = folder(tmp_path / "source")
    make(source / "below" / "odd")

    with pytest.raises(CannotStart, match="below/odd is neither file nor folder"):
        copying.tree(source, tmp_path / "copy")
    with pytest.raises(CannotStart, match="below/odd is neither file nor folder"):
        list(copying.files(source))


def test_a_folder_that_the_operator_put_elsewhere_is_copied_whole(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder(tmp_path / "source"))

    copying.tree(tmp_path / "link", tmp_path / "copy")

    assert len(list(copying.files(tmp_path / "copy"))) == 2


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="nothing cannot be copied: No such file"):
        copying.one(tmp_path / "nothing", tmp_path / "copy")
