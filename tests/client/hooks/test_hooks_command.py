"""The command as a process of its own: whatever is wrong, it ends with 2 and says nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.hooks.sent import PLACE, RUN, run, sent

# Nobody listens there; what is looked at before anybody is asked ends earlier.
SOUND = {
    "MUSTER_URL": "http://127.0.0.1:9",
    "MUSTER_CLIENT_ID": "desk-1",
    "MUSTER_CLIENT_SECRET": "mst_x",
}
BROKEN: dict[str, dict[str, str]] = {
    "nobody there": {},
    "no address": {"MUSTER_URL": ""},
    "no http": {"MUSTER_URL": "ftp://muster.example"},
    "secrets unencrypted": {"MUSTER_URL": "http://muster.example"},
    "a name that is none": {"MUSTER_URL": "https://muster.invalid"},
    "no secret": {"MUSTER_CLIENT_SECRET": ""},
    "two ways to sign": {"MUSTER_TOKEN": "h.e.s"},
    "no certificates": {"MUSTER_URL": "https://127.0.0.1:9", "SSL_CERT_FILE": "/nowhere.pem"},
}
NO_EVENT = [b"", b"{", b"\xff", b"[]", sent(tool_name="mcp__claude-code__bash"), sent(tool_input=1)]


@pytest.mark.parametrize("change", list(BROKEN))
def test_a_set_up_that_is_broken_blocks(change: str) -> None:
    done = run(sent(), SOUND | BROKEN[change])

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Muster blocks this: ")


@pytest.mark.parametrize("raw", NO_EVENT)
def test_what_is_no_event_blocks(raw: bytes) -> None:
    done = run(raw, SOUND)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Muster blocks this: ")


@pytest.mark.parametrize("more", [("--mapping", "/nowhere.json"), ("--seconds", "x"), ("--new",)])
def test_what_the_command_is_not_told_rightly_blocks(more: tuple[str, ...]) -> None:
    done = run(sent(), SOUND, *more)

    assert (done.returncode, done.stdout) == (2, "")


def test_an_agent_without_a_hook_blocks() -> None:
    assert run(sent(), SOUND, agent="another").returncode == 2


def test_no_answer_in_time_blocks() -> None:
    done = run(sent(), SOUND, "--seconds", "0.001")

    assert (done.returncode, done.stdout) == (2, "")
    assert "no decision within 0.001 seconds" in done.stderr


def test_standard_output_that_is_closed_blocks() -> None:
    line = f'"{sys.executable}" -c "{RUN}" hook claude-code >&-'

    assert shell(line, PLACE).returncode == 2


def test_a_module_that_is_broken_blocks() -> None:
    """Broken where the command has begun: it ends with 2 by itself."""
    code = "import sys; sys.modules['muster_client.hooks.saying'] = None;" + RUN

    done = shell(f'"{sys.executable}" -c "{code}" hook claude-code', PLACE)

    assert (done.returncode, done.stdout) == (2, b"")


def test_a_package_that_is_broken_blocks_as_it_is_set_up(tmp_path: Path) -> None:
    """Broken before the command has begun: Python ends with 1, and the settings make it 2."""
    (tmp_path / "httpx.py").write_text("raise ImportError('broken')")
    bare = f'"{sys.executable}" -c "{RUN}" hook claude-code'
    for line, code in ((bare, 1), (f"{bare} || exit 2", 2), ("no-such-muster || exit 2", 2)):
        done = shell(line, tmp_path, PLACE)

        assert (done.returncode, done.stdout) == (code, b"")


def shell(line: str, *places: Path) -> subprocess.CompletedProcess[bytes]:
    """What a hook's command comes to, as an agent runs it."""
    path = os.pathsep.join(map(str, places))
    return subprocess.run(
        ["sh", "-c", line],
        input=sent(),
        env=SOUND | {"PYTHONPATH": path, "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
