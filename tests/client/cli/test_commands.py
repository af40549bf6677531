"""The command line by itself: what it refuses, keeps, prints and documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from client.muster_client.cli import exits, inventories, shown
from client.muster_client.cli.kept import Kept, forget, read, write
from client.muster_client.cli.main import COMMANDS, main
from client.muster_client.errors import (
    BadRequest,
    Conflict,
    MusterError,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Unavailable,
)
from tests.client.made import SIGNER, Log

Run = Callable[..., Result]
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
OF_OTHERS = {"discover", "gateway", "hook", "spend-proxy"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadRequest, 2),
        (NotFound, 2),
        (Conflict, 1),
        (NotSignedIn, 3),
        (NotAllowed, 3),
        (Unavailable, 3),
        (MusterError, 3),
    ],
)
def test_each_failure_has_its_code(error: type[MusterError], code: int) -> None:
    assert exits.code_of(error("No.")) == code


def test_a_file_that_others_read_is_not_used(kept: Path, run: Run) -> None:
    kept.parent.mkdir()
    kept.write_text(json.dumps({"url": "https://muster.example", "token": "mcl_x"}))
    kept.chmod(0o644)

    result = run("whoami")

    assert result.exit_code == 2
    assert "chmod 600" in result.stderr


def test_a_file_that_is_none_of_ours(kept: Path, run: Run) -> None:
    kept.parent.mkdir()
    for text in ("[", "[]", "\x00"):
        kept.write_text(text)
        kept.chmod(0o600)
        assert run("whoami").exit_code == 2


def test_what_is_kept_is_written_for_its_owner_alone(kept: Path) -> None:
    write(Kept("https://muster.example", "mcl_x", "later"))
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "mcl_x" not in repr(read())
    forget()
    assert read() == Kept("https://muster.example")
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize(
    "url", ["http://muster.example", "https://me:pw@muster.example", "ftp://x", "muster.example"]
)
def test_no_token_goes_where_it_would_leak(
    url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_TOKEN", "mcl_x")

    assert run("whoami", "--url", url).exit_code == 2


def test_nothing_that_a_terminal_acts_on_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown.printable("a\x1b]8;;x\x07\u202eb\n") == "a\\x1b]8;;x\\x07\\u202eb\\n"
    shown.table([{"name": "[red]x[/red]\x1b[2J"}], {"name": "Name"}, empty="")
    assert "\x1b" not in (said := capsys.readouterr().out)
    assert "[red]x[/red]\\x1b[2J" in said


def test_the_verifiers_verdict_is_the_end(tmp_path: Path, run: Run) -> None:
    log = Log(5)
    whole = log.export(tmp_path / "whole.jsonl")
    checkpoint = tmp_path / "now.txt"
    checkpoint.write_text(log.checkpoint())
    words = ("--checkpoint", str(checkpoint), "--key", SIGNER.vkey, "--first")

    def change(lines: list[dict[str, object]]) -> None:
        lines[2]["record"]["tool"] = "other"  # type: ignore[index]

    broken = log.export(tmp_path / "broken.jsonl", change=change)

    assert run("verify", str(whole), *words).exit_code == 0
    assert run("verify", str(broken), *words).exit_code == 1
    assert run("verify", str(whole), "--key", SIGNER.vkey).exit_code == 3
    assert run("verify", "--key", SIGNER.vkey).exit_code == 2
    assert json.loads(run("verify", str(whole), *words, "--json").stdout)["verdict"] == "holds"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, run: Run) -> None:
    result = run("completion", shell)

    assert result.exit_code == 0
    assert "_MUSTER_COMPLETE" in result.stdout


def test_words_are_completed(run: Run) -> None:
    words = {"_MUSTER_COMPLETE": "bash_complete", "COMP_WORDS": "muster ho", "COMP_CWORD": "1"}

    assert run(prog_name="muster", env=words).stdout == "plain,holds\nplain,hook\n"


def test_help_names_every_command_and_its_ends(run: Run) -> None:
    told = run("--help")

    assert told.exit_code == 0
    assert [name for name in COMMANDS if f"  {name}" not in told.stdout] == []
    assert run("--version").stdout.startswith("muster ")
    assert run("nothing-of-ours").exit_code == 2


def test_the_reference_has_every_command_and_option() -> None:
    text = REFERENCE.read_text()

    missing = [
        word
        for name in COMMANDS.keys() - OF_OTHERS
        for word in words_of(f"muster {name}", _command(name))
        if f"`{word}" not in text
    ]

    assert missing == []


def words_of(path: str, command: click.Command) -> list[str]:
    """The command's own name, those below it, and every option."""
    if isinstance(command, click.Group):
        below = command.commands.items()
        return [word for name, each in below for word in words_of(f"{path} {name}", each)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    return [path, *(max(each.opts, key=len) for each in options)]


def _command(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)  # type: ignore[attr-defined]
    assert isinstance(found, click.Command)
    return found


@pytest.mark.parametrize("place", ["agents.yaml", "."])
def test_what_only_lies_beside_an_inventory_is_not_sent(tmp_path: Path, place: str) -> None:
    texts = {"agents.yaml": "cedar: rules/small.cedar", "passwords.txt": "hunter2"}
    (tmp_path / "rules").mkdir()
    for name, text in {**texts, "rules/small.cedar": "permit(x);"}.items():
        (tmp_path / name).write_text(text)

    files = inventories.read_files(str(tmp_path / place))

    assert sorted(files) == ["agents.yaml", "rules/small.cedar"]


def test_the_name_of_a_field_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    shown.facts({"a": 1}, {"a": "\x1b[2Ja"})
    shown.facts({}, {})

    assert capsys.readouterr().out == "\\x1b[2Ja  1\n"
