"""The launcher: one server a data folder, never somebody else's, never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from governance.runner import accounts, database, postgres
from governance.runner.places import CannotStart, Places
from tests.governance import servers

LAUNCH = """
import sys, time
from pathlib import Path
from governance.runner import children, postgres
from governance.runner.places import Places
children.stop_on_signals()
with postgres.running(postgres.Cluster(Places(Path(sys.argv[1])), throw_away=True)):
    print("ready", flush=True)
    time.sleep(60)
"""


@contextmanager
def launched(ours: Places) -> Iterator[subprocess.Popen[str]]:
    """A launcher in a process of its own, with its server ready."""
    command = [sys.executable, "-c", LAUNCH, str(ours.data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "ready\n"
        yield launcher


def server_pid(ours: Places) -> int:
    return int((postgres.Cluster(ours).files / "postmaster.pid").read_text().split()[0])


def is_gone(pid: int) -> bool:
    try:
        return "(postgres) Z" in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True


def eventually(true: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def test_server_listens_on_its_socket_alone() -> None:
    with (
        servers.server() as fresh,
        fresh.connect(database.MAINTENANCE, **fresh.administrator) as admin,
    ):
        found = admin.execute(
            "SELECT current_setting('listen_addresses'), current_setting('server_encoding'),"
            " current_setting('password_encryption'), current_setting('timezone')"
        ).fetchone()
        rules = admin.execute(
            "SELECT DISTINCT type, auth_method FROM pg_hba_file_rules ORDER BY 1"
        ).fetchall()

    assert found == ("", "UTF8", "scram-sha-256", "UTC")
    assert rules == [("host", "reject"), ("local", "scram-sha-256")]


def test_installed_server_keeps_what_it_acknowledged() -> None:
    with servers.data_folder() as ours:
        argv = postgres.Cluster(ours).argv()

    assert [part for part in argv if part.split("=")[0] in postgres.THROW_AWAY] == []


def test_second_launcher_waits_then_refuses() -> None:
    with servers.data_folder() as ours:
        cluster = postgres.Cluster(ours, throw_away=True)
        with (
            postgres.running(cluster),
            pytest.raises(CannotStart, match="holds the database"),
            postgres.running(cluster, wait=0.2),
        ):
            pytest.fail("two servers on one data folder")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stopped_launcher_stops_its_server(number: signal.Signals) -> None:
    with servers.data_folder() as ours, launched(ours) as launcher:
        server = server_pid(ours)

        launcher.send_signal(number)

        assert launcher.wait(20) != 0
        assert is_gone(server)


def test_killed_launcher_leaves_no_server() -> None:
    with servers.data_folder() as ours, launched(ours) as launcher:
        server = server_pid(ours)

        launcher.kill()

        assert eventually(lambda: is_gone(server))


def test_start_right_after_a_killed_launcher_waits_for_its_server() -> None:
    with servers.data_folder() as ours:
        with launched(ours) as launcher:
            first = server_pid(ours)
            launcher.kill()

        with postgres.running(postgres.Cluster(ours, throw_away=True)):
            assert is_gone(first)
            assert server_pid(ours) != first


def test_pid_of_another_program_is_not_taken_for_a_server() -> None:
    with servers.data_folder() as ours:
        cluster = postgres.Cluster(ours, throw_away=True)
        with postgres.running(cluster):
            pass
        # What a reboot leaves: the number is in use again, by someone else.
        (cluster.files / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.files}\n")

        with postgres.running(cluster):
            assert server_pid(ours) != os.getpid()


def test_half_made_cluster_is_made_again() -> None:
    with servers.data_folder() as ours:
        cluster = postgres.Cluster(ours, throw_away=True)
        draft = cluster.files.with_suffix(".new")
        draft.mkdir()
        (draft / "PG_VERSION").write_text("18\n")

        with postgres.running(cluster):
            assert (cluster.files / "PG_VERSION").exists()
        assert not draft.exists()


def test_long_path_gets_a_short_socket() -> None:
    with servers.data_folder() as ours:
        deep = Places(ours.data / ("d" * 60) / ("e" * 60))
        deep.data.mkdir(parents=True)
        socket = postgres.Cluster(deep).sockets / postgres.SOCKET_FILE

        assert len(os.fsencode(socket)) <= postgres.LONGEST_SOCKET_PATH
        assert not socket.is_relative_to(deep.data)


def test_folder_that_a_stranger_put_there_is_refused() -> None:
    with servers.data_folder() as ours:
        cluster = postgres.Cluster(ours)
        elsewhere = ours.data / "elsewhere"
        elsewhere.mkdir()
        accounts.give(elsewhere, accounts.for_postgres())
        cluster.sockets.symlink_to(elsewhere)

        with pytest.raises(CannotStart, match="belongs to someone else"):
            cluster.make()


def test_server_that_cannot_start_says_why() -> None:
    with servers.data_folder() as ours:
        cluster = postgres.Cluster(ours, throw_away=True)
        with postgres.running(cluster):
            pass
        (cluster.files / "postgresql.conf").write_text("no_such_setting = 1\n")

        with pytest.raises(CannotStart, match="no_such_setting"), postgres.running(cluster):
            pytest.fail("it started")
