"""`./muster doctor`: each check seen well and seen red, without a database, and never a secret."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now

from audit import services as recording
from audit.anchors import selectors as anchors_at
from audit.enums import Kind
from audit.models import Stream
from governance.celery import heartbeat
from governance.doctor import configured, database, machine, report, telling, work
from governance.doctor.scrub import scrubbed
from governance.doctor.verdict import Finding, Here, State, Verdict, fail, ok, warn
from governance.kernel import private_file
from governance.models import Heartbeat
from governance.runner import accounts, keyfiles, roles
from governance.runner.database import Database
from governance.runner.places import PROJECT, Places
from lifecycle import sweeps
from lifecycle.models import Delivery, Notice, Rotation
from registry.enums import GroupName
from tests.factories.registry import make_agent, make_person
from tests.governance.servers import data_folder

HERE = Here(Path("/nowhere"), Path("/nowhere/keys"))
DEMO = Here(HERE.data, HERE.keys, demo=True)
PASSWORD = "hunter2hunter2hunter2"
UNREACHABLE = f"postgres://muster_web:{PASSWORD}@127.0.0.1:9/muster"


def run(*options: str) -> tuple[int, str]:
    said = io.StringIO()
    try:
        call_command("doctor", *options, stdout=said)
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


@pytest.fixture
def ours() -> Iterator[Places]:
    """The files of an installation as `up` leaves them."""
    with data_folder() as found:
        keyfiles.make(found)
        roles.load_logins(found.logins)
        private_file.write(found.superuser, "the superuser's password")
        accounts.give(found.sealer, accounts.for_sealer(found.data))
        yield found


def files_of(ours: Places) -> Verdict:
    return machine.key_files(Here(ours.data, ours.keys))


# Telling


def test_each_finding_is_a_line_with_what_to_do_below_it() -> None:
    found = [Finding("a", ok("Well.")), Finding("long", warn("So so.", "Look.")),
             Finding("c", fail("Bad.", "Mend it."))]  # fmt: skip

    assert telling.as_text(found).splitlines() == [
        "ok    a     Well.",
        "warn  long  So so.",
        "            → Look.",
        "fail  c     Bad.",
        "            → Mend it.",
        "1 ok, 1 warn, 1 fail",
    ]
    assert json.loads(telling.as_json(found)) == {
        "well": False,
        "checks": [
            {"name": "a", "state": "ok", "found": "Well.", "todo": ""},
            {"name": "long", "state": "warn", "found": "So so.", "todo": "Look."},
            {"name": "c", "state": "fail", "found": "Bad.", "todo": "Mend it."},
        ],
    }


def test_a_warning_alone_is_well() -> None:
    assert telling.is_well([Finding("a", warn("So so.", "Look."))])


def test_no_secret_is_told(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    secrets = {
        "DATABASE_URL": f"postgres://a:{PASSWORD}%21@h/d",
        "CELERY_BROKER_URL": "redis://:broker-s3cret@h/0",
        "MUSTER_EMAIL_URL": "smtp://me:mail-s3cret@h",
        "MUSTER_QUEUE_DSN": "host=h user=q password=queue-s3cret",
        "MUSTER_METRICS_TOKEN": "metrics-s3cret",
        "MUSTER_VAULT_KEY": "vault-s3cret-new,vault-s3cret-old",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    jwt = "eyJhbGciOiJFZERTQSJ9abc.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
    said = f"{' '.join(secrets.values())} {PASSWORD}! {settings.SECRET_KEY} {jwt}"

    told = telling.as_text([Finding("a", fail(said, said))])
    told += telling.as_json([Finding("a", fail(said, said))])

    for secret in (PASSWORD, "s3cret", str(settings.SECRET_KEY), jwt):
        assert secret not in told


def test_only_the_secret_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://a:{PASSWORD}%21@h/d")

    assert scrubbed(f"No: {PASSWORD}! at h, {PASSWORD}%21.") == (
        "No: [credential removed] at h, [credential removed]."
    )


# Of the machine


def test_python_of_this_test_is_well() -> None:
    assert machine.python(HERE).state == State.OK


@pytest.mark.parametrize("version", [(3, 10, 9), (3, 14, 0)])
def test_other_pythons_fail(version: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "sys", SimpleNamespace(version_info=version))

    found = machine.python(HERE)

    assert found.state == State.FAIL
    assert found.found.endswith(f"on Python {'.'.join(map(str, version))}.")


@pytest.mark.parametrize(("gib", "state"), [(0.9, State.FAIL), (4.9, State.WARN), (5.0, State.OK)])
def test_disk(gib: float, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=int(gib * machine.GIB))
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage)

    found = machine.disk(Here(tmp_path, tmp_path / "keys"))

    assert (found.state, found.found) == (state, f"{gib} GiB are free in {tmp_path}.")


def test_no_data_folder_fails() -> None:
    assert machine.disk(HERE) == fail(
        "There is no data folder /nowhere.", "Name the right one in MUSTER_DATA."
    )


def test_sound_key_files_are_well(ours: Places) -> None:
    made = {path.name for path in ours.keys.iterdir() if path.is_file()}

    assert made == set(machine.KEY_FILES)
    assert files_of(ours).state == State.OK


@pytest.mark.parametrize("name", machine.KEY_FILES)
def test_missing_key_file_fails(name: str, ours: Places) -> None:
    (ours.keys / name).unlink()

    found = files_of(ours)

    assert (found.state, found.found) == (State.FAIL, f"Missing: {ours.keys / name}.")
    assert found.todo.startswith("Put it back from your backup of keys")


def test_key_in_the_environment_needs_no_file(
    ours: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ours.keys / "vault_kek").unlink()
    monkeypatch.setenv("MUSTER_VAULT_KEY", "x" * 43)

    assert files_of(ours).state == State.OK


def test_no_key_of_tokens_fails(ours: Places) -> None:
    for path in (ours.keys / "tokens").iterdir():
        path.unlink()

    assert files_of(ours).found == f"Missing: {ours.keys / 'tokens' / '*.json'}."


@pytest.mark.parametrize("name", ["keys", "keys/kek", "logins.json", "superuser", "sealer"])
def test_what_others_can_open_fails(name: str, ours: Places) -> None:
    path = ours.data / name
    path.chmod(path.stat().st_mode | 0o040)

    found = files_of(ours)

    assert found.state == State.FAIL
    assert found.found.startswith(f"{path} is open to other accounts (mode ")
    assert found.todo == f"chmod go= {path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["keys/kek", "logins.json", "sealer"])
def test_wrong_owner_fails(name: str, ours: Places) -> None:
    os.chown(ours.data / name, 12345, 12345)

    found = files_of(ours)

    assert found.state == State.FAIL
    assert found.found.startswith(f"{ours.data / name} belongs to 12345, not to ")


# Of the settings


def test_self_checks(settings: Any) -> None:
    assert configured.self_checks(HERE).state == State.OK
    settings.DEBUG = True

    assert configured.self_checks(HERE).found == "muster.E004: DEBUG is on. Unset MUSTER_DEBUG."


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("https://muster.example", State.OK),
        ("http://127.0.0.1:8000", State.OK),
        ("http://[::1]:8000", State.OK),
        ("http://localhost", State.OK),
        ("http://muster.example", State.FAIL),
        ("http://10.0.0.5:8000", State.FAIL),
    ],
)
def test_base_url(url: str, state: State, settings: Any) -> None:
    settings.MUSTER_BASE_URL = url

    assert configured.base_url(HERE).state == state


def test_second_factor(settings: Any) -> None:
    assert configured.second_factor(HERE).state == State.OK
    settings.MUSTER_APPROVER_MFA = False

    assert configured.second_factor(DEMO).state == State.OK
    assert configured.second_factor(HERE).state == State.FAIL


def test_mail(settings: Any) -> None:
    settings.EMAIL_URL = ""
    settings.EMAIL_FILE_PATH = "/files"
    assert [configured.mail(each).state for each in (HERE, DEMO)] == [State.WARN, State.OK]

    settings.EMAIL_URL, settings.EMAIL_HOST = "smtp://me:pw@mail.example", "mail.example"
    assert configured.mail(HERE).found.startswith("Mail goes to mail.example, from ")


def test_broker(settings: Any) -> None:
    assert configured.broker(HERE) == ok("The broker memory:// answers.")
    settings.CELERY_BROKER_URL = f"amqp://me:{PASSWORD}@127.0.0.1:9//"

    found = configured.broker(HERE)

    assert found.state == State.FAIL
    assert found.found.startswith("The broker amqp://127.0.0.1:9 cannot be reached (")


def test_embedded_queue_without_its_tables_fails(settings: Any, login: Any) -> None:
    settings.CELERY_BROKER_URL = "pgmq://"
    there = login("muster_queue").info
    passwords = json.loads(Path(os.environ["MUSTER_LOGINS"]).read_text())
    settings.MUSTER_QUEUE_DSN = Database(there.dbname, {"host": there.host}, {}).dsn(
        "muster_queue", passwords["muster_queue"]
    )

    assert configured.broker(HERE).found == (
        "The queue inside PostgreSQL does not answer (UndefinedTable)."
    )


# In the database


@pytest.mark.parametrize(
    ("version", "state"),
    [
        (140019, State.FAIL),
        (150001, State.OK),
        (180004, State.OK),
        (190000, State.WARN),
    ],
)
def test_versions_of_postgresql(version: int, state: State) -> None:
    assert database.of_version(version).state == state


@pytest.mark.django_db
def test_postgresql_of_this_test_is_well() -> None:
    assert database.server(HERE).state == State.OK


@pytest.mark.django_db
@pytest.mark.parametrize(("seconds", "state"), [(0, State.OK), (5, State.WARN), (-40, State.FAIL)])
def test_clock(seconds: int, state: State) -> None:
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds)):
        found = database.clock(HERE)

    assert found.state == state
    assert f"are {abs(seconds)}." in found.found


@pytest.mark.django_db
def test_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    from governance import health

    assert database.migrations(HERE).state == State.OK
    health._waiting_migrations.cache_clear()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'governance'")

    assert database.migrations(HERE).state == State.FAIL


@pytest.mark.django_db
def test_what_tests_give_the_migrator_is_found() -> None:
    found = database.logins(HERE)

    assert (found.state, found.todo) == (State.FAIL, database.AGAIN)
    assert found.found == (
        "muster_migrator has powers of an administrator (createdb). muster_migrator is a member of "
        "muster_beat, muster_queue, muster_sealer, muster_web, muster_worker."
    )


def role(name: str, **fields: Any) -> database.Role:
    as_made = {
        "may_log_in": name != roles.AUDIT_OWNER,
        "powers": [],
        "member_of": [roles.AUDIT_OWNER] if name == roles.MIGRATOR else [],
    }
    return database.Role(name, **{**as_made, **fields})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ([], []),
        (
            [role(roles.MIGRATOR, powers=["superuser"])],
            ["muster_migrator has powers of an administrator (superuser)."],
        ),
        (
            [role(roles.MIGRATOR, member_of=["muster_audit", "pg_read_all_data"])],
            ["muster_migrator is a member of pg_read_all_data."],
        ),
        (
            [role(roles.AUDIT_OWNER, may_log_in=True)],
            ["muster_audit, who owns the record, may log in."],
        ),
    ],
)
def test_roles(changed: list[database.Role], told: list[str]) -> None:
    known = {name: role(name) for name in (roles.AUDIT_OWNER, *roles.LOGINS)}
    known |= {each.name: each for each in changed}

    assert database.role_faults(known.values()) == told


def test_missing_role() -> None:
    known = [role(name) for name in (roles.AUDIT_OWNER, *roles.LOGINS) if name != roles.SEALER]

    assert database.role_faults(known) == ["The role muster_sealer is missing."]


@pytest.mark.django_db
def test_lost_protection_is_named() -> None:
    assert database.record(HERE).state == State.OK
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE; SET ROLE muster_audit")
        cursor.execute("ALTER TABLE audit.mark DISABLE TRIGGER no_truncate")
        cursor.execute("SET ROLE NONE; SET ROLE muster_web")

    found = database.record(HERE)

    assert found.state == State.FAIL
    assert "audit.mark does not refuse TRUNCATE." in found.found


# Work


@pytest.mark.django_db
def test_beat_and_worker() -> None:
    assert work.beat(HERE).found == "No periodic task has come through yet."
    heartbeat()
    assert work.beat(HERE).state == State.OK
    Heartbeat.objects.update(at=Now() - timedelta(minutes=10))

    found = work.beat(HERE)

    assert (found.state, found.found) == (
        State.FAIL,
        "The last periodic task came through 600 s ago.",
    )


@pytest.mark.django_db
def test_sweeps() -> None:
    assert work.sweeps(HERE).state == State.FAIL
    for each in sweeps.registered():
        sweeps.run_sweep(each.name)

    assert work.sweeps(HERE).state == State.OK


@pytest.mark.django_db
def test_sealer(seal_now: Callable[[], Any]) -> None:
    recording.record(kind=Kind.SYSTEM, actor="system:test")
    seal_now()
    assert work.sealer(HERE).state == State.OK
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_audit")
        cursor.execute("SELECT audit.raise_alarm('forked', '{}')")
        cursor.execute("SET ROLE muster_web")

    assert work.sealer(HERE).found.startswith("The record in the database is another one than")


@pytest.mark.django_db
def test_anchors(
    settings: Any, seal_now: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.MUSTER_ANCHORS = []
    assert work.anchors(HERE) == warn(anchors_at.NOTHING_OUTSIDE, work.anchors(HERE).todo)
    recording.record(kind=Kind.SYSTEM, actor="system:test")
    seal_now()
    settings.MUSTER_ANCHORS = [
        {"name": "worm", "kind": "file", "path": str(tmp_path / "n"), "outside": True}
    ]
    monkeypatch.setattr(anchors_at, "LATEST", timedelta(days=9999))
    assert work.anchors(HERE).state == State.OK
    monkeypatch.setattr(anchors_at, "LATEST", timedelta())
    assert work.anchors(HERE).state == State.FAIL
    settings.MUSTER_ANCHORS = [{"name": "worm", "kind": "cloud"}]

    found = work.anchors(HERE)

    assert (found.state, found.todo) == (
        State.FAIL,
        "Put MUSTER_ANCHORS right: docs/reference/anchors.md.",
    )


@pytest.mark.django_db
def test_streams(settings: Any) -> None:
    settings.MUSTER_STREAMS = []
    assert work.streams(HERE) == ok("No stream is set up.")
    settings.MUSTER_STREAMS = [{"name": "siem", "kind": "syslog", "host": "siem.example"}]
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_worker")
    Stream.objects.create(name="siem", position=0)
    size = work.streams(HERE)
    assert (size.state, size.found.startswith("siem: 0 of ")) == (State.OK, True)
    Stream.objects.update(position=10**9)

    found = work.streams(HERE)

    assert found.state == State.FAIL
    assert found.found.startswith("siem has sent 1000000000 entries, and the record holds ")


@pytest.mark.django_db
def test_streams_that_cannot_work(settings: Any) -> None:
    settings.MUSTER_STREAMS = [{"name": "siem", "kind": "kafka"}]

    assert work.streams(HERE).state == State.FAIL


@pytest.mark.django_db
def test_notices() -> None:
    assert work.notices(HERE) == ok("Every notice was sent.")
    now = datetime.now(UTC)
    notice = Notice.objects.create(
        event="e", person=make_person(), severity="page", code="c", subject="s", text="t",
        made_at=now,
    )  # fmt: skip
    Delivery.objects.create(notice=notice, bundle=uuid4(), state="failed", next_try_at=now)

    found = work.notices(HERE)

    assert (found.state, found.found) == (State.WARN, "1 notice was not sent.")


@pytest.mark.django_db
def test_vaults(settings: Any, tmp_path: Path) -> None:
    assert work.vaults(HERE) == ok("vault:// answers.")
    settings.MUSTER_KEYS = str(tmp_path)

    found = work.vaults(HERE)

    assert found.state == State.FAIL
    assert found.found.startswith("vault:// The vault has no key: ")


@pytest.mark.django_db
def test_age_of_keys(settings: Any, ours: Places) -> None:
    settings.MUSTER_KEYS = str(ours.keys)
    assert work.key_ages(HERE) == ok(
        "The key of tokens is 0 days old. The key of the vault is 0 days old."
    )
    then = time.time() - 400 * 86400
    os.utime(ours.keys / "vault_kek", (then, then))

    found = work.key_ages(HERE)

    assert (found.state, found.todo) == (
        State.WARN,
        "Rotate it: ./muster rotate_vault_key.",
    )
    assert "The key of the vault is 400 days old." in found.found


@pytest.mark.django_db
def test_overdue_keys_of_agents(settings: Any, ours: Places) -> None:
    settings.MUSTER_KEYS = str(ours.keys)
    now = datetime.now(UTC)
    Rotation.objects.create(
        agent=make_agent(), key="client", due_on=(now - timedelta(days=9)).date(), state="waiting",
        opened_at=now, next_at=now,
    )  # fmt: skip

    found = work.key_ages(HERE)

    assert found.state == State.WARN
    assert found.found.endswith("1 key of an agent is overdue.")


@pytest.mark.django_db
def test_people_in_security() -> None:
    make_person(GroupName.SECURITY)
    assert work.security(HERE).state == State.WARN
    make_person(GroupName.SECURITY)

    assert work.security(HERE).state == State.OK


# The whole


@pytest.mark.django_db
def test_every_check_is_told_once() -> None:
    code, said = run("--json")

    told = json.loads(said)
    names = [each["name"] for each in told["checks"]]
    assert (code, told["well"]) == (1, False)
    assert names == [*report.WITHOUT_DATABASE, "database", *report.IN_DATABASE]
    assert {each["name"]: each["state"] for each in told["checks"]}["roles"] == "fail"


@pytest.mark.django_db
def test_a_demo_is_asked_for_less(settings: Any) -> None:
    settings.EMAIL_URL, settings.MUSTER_APPROVER_MFA = "", False
    settings.EMAIL_FILE_PATH = "/files"

    def states() -> list[State]:
        found = {each.name: each.verdict.state for each in report.findings()}
        return [found["second factor"], found["mail"]]

    assert states() == [State.FAIL, State.WARN]
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_audit")
        cursor.execute("INSERT INTO audit.mark (name, at) VALUES ('demo', clock_timestamp())")
        cursor.execute("SET ROLE muster_web")
    assert states() == [State.OK, State.OK]


@pytest.mark.django_db
def test_a_check_that_breaks_is_a_failure(settings: Any, ours: Places) -> None:
    settings.MUSTER_KEYS = str(ours.keys)
    (ours.keys / "tokens" / "zz.json").write_text("no key")

    def ask(here: Here) -> Verdict:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM nothing")
        return ok("")

    def divide(here: Here) -> Verdict:
        return ok(str(1 / 0))

    found = [report.asked(look, HERE) for look in (work.key_ages, divide, ask)]

    assert [each.state for each in found] == [State.FAIL] * 3
    assert [each.found for each in found[1:]] == [
        "It could not be looked at (ZeroDivisionError).",
        "The database refused to say (ProgrammingError).",
    ]


# Processes of its own


def doctor(ours: Places, *options: str, **more: str) -> tuple[int, str]:
    """What the command says in a process of its own, as `./muster doctor` starts it."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "governance.doctor", *options],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "DJANGO_SETTINGS_MODULE": "governance.settings",
            "DATABASE_URL": UNREACHABLE,
            "MUSTER_DATA": str(ours.data),
            "MUSTER_KEYS": str(ours.keys),
            "CELERY_BROKER_URL": "memory://",
            **more,
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_database_down_is_said_and_the_rest_is_looked_at(ours: Places) -> None:
    code, said = doctor(ours, "--json")

    told = {each["name"]: each for each in json.loads(said)["checks"]}
    assert code == 1
    assert told["database"]["state"] == "fail"
    assert told["database"]["found"].startswith("The database muster does not answer: ")
    assert [told[name]["state"] for name in ("python", "key files", "broker")] == ["ok"] * 3
    assert {told[name]["found"] for name in report.IN_DATABASE} == {
        "Not looked at, since the database does not answer."
    }
    assert PASSWORD not in said


def test_settings_that_stop_every_process_are_said(ours: Places) -> None:
    (ours.keys / "secret_key").unlink()

    code, said = doctor(ours, "--json")

    told = {each["name"]: each for each in json.loads(said)["checks"]}
    assert (code, list(told)) == (1, ["python", "disk", "key files", "settings"])
    assert told["settings"]["found"].startswith("MUSTER_KEYS has no file secret_key")
    assert told["key files"]["state"] == "fail"
    assert PASSWORD not in said


def test_a_setting_of_the_wrong_kind_is_said_without_its_value(ours: Places) -> None:
    code, said = doctor(ours, MUSTER_HOLD_HOURS="my-s3cret")

    assert (code, "MUSTER_HOLD_HOURS must be a whole number of hours" in said) == (1, True)
    assert "s3cret" not in said


# A whole installation


@pytest.fixture
def installed() -> Iterator[Places]:
    """A running Muster in a folder of its own, on a port that is free."""
    with data_folder() as ours:
        running = muster(ours, "up", "--port", "18771")
        try:
            assert running.stdout is not None
            for line in running.stdout:
                if line.startswith("That took"):
                    break
            yield ours
        finally:
            running.send_signal(signal.SIGTERM)
            running.communicate()


def muster(ours: Places, *words: str) -> subprocess.Popen[str]:
    kept = {"PATH", "LANG", "HOME"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "governance.runner", *words],
        env={
            **{name: value for name, value in os.environ.items() if name in kept},
            "PYTHONPATH": str(PROJECT),
            "MUSTER_DATA": str(ours.data),
        },
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def secrets_of(ours: Places) -> list[str]:
    paths = (*(path for path in ours.keys.rglob("*") if path.is_file()), ours.superuser)
    texts = [path.read_text().strip() for path in paths if path.name != "origin"]
    return [*texts, *json.loads(ours.logins.read_text()).values()]


@pytest.mark.clone
def test_a_whole_installation(installed: Places) -> None:
    with muster(installed, "doctor", "--json") as looked:
        said, errors = looked.communicate()

    told = json.loads(said)
    assert (looked.returncode, told["well"], errors) == (0, True, "")
    assert {each["name"]: each["state"] for each in told["checks"]} == {
        **dict.fromkeys((*report.WITHOUT_DATABASE, "database", *report.IN_DATABASE), "ok"),
        **dict.fromkeys(("mail", "anchors", "people in security"), "warn"),
    }
    assert not [secret for secret in secrets_of(installed) if secret in said]


@pytest.mark.clone
def test_an_embedded_database_that_does_not_start(ours: Places) -> None:
    (ours.data / "postgres").mkdir()
    (ours.data / "postgres" / "PG_VERSION").write_text("18\n")

    with muster(ours, "doctor", "--json") as looked:
        said, errors = looked.communicate()

    states = {each["name"]: each["state"] for each in json.loads(said)["checks"]}
    assert (looked.returncode, states["database"], states["key files"]) == (1, "fail", "ok")
    assert "PostgreSQL did not start" in errors
    assert not [secret for secret in secrets_of(ours) if secret in said + errors]
