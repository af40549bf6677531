"""Starting programs that must not outlive us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from governance.runner import accounts
from governance.runner.accounts import Account

PR_SET_PDEATHSIG = 1


class Stopped(BaseException):
    """Someone asked us to stop; not an error, so no `except Exception` holds it back."""


def stop_on_signals() -> None:
    """From now on TERM, INT and HUP raise `Stopped` here, once, so that every `with` unwinds."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)


def _stop(number: int, _frame: Any) -> None:
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(signal.Signals(number).name)


def _dies_with_parent(death_signal: int) -> Callable[[], None] | None:
    """What a child runs before exec so that the kernel ends it with us (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            os._exit(1)

    return bind


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    account: Account | None = None,
    output: IO[bytes] | int | None = None,
    cwd: Path | None = None,
    death_signal: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, as `account`, to end when this process does."""
    return subprocess.Popen(
        [str(part) for part in argv],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
        preexec_fn=_dies_with_parent(death_signal),  # noqa: PLW1509 - no thread exists here
        **accounts.popen(account),
    )


def end_group(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the session that `child` led."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def run(argv: Sequence[str | Path], *, env: Mapping[str, str], **more: Any) -> tuple[int, str]:
    """Run `argv` to its end; its exit code and what it printed. Ends it when we are stopped."""
    child = spawn(argv, env=env, output=subprocess.PIPE, **more)
    try:
        printed, _ = child.communicate()
    except BaseException:
        end_group(child)
        child.wait()
        raise
    return child.returncode, printed.decode(errors="replace").strip()
