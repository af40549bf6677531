"""Promise 27: what a process must find before it serves, and how it refuses otherwise."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from django.db import connection

from governance.kernel import secret_key
from governance.kernel.checks import REFUSED
from governance.runner import keyfiles, places
from governance.runner.database import Database
from governance.runner.places import PROJECT, Places
from tests import public

WEB = [sys.executable, "-c", "import governance.asgi"]
CELERY = [sys.executable, "-m", "celery", "-A", "governance.celery:app"]


@dataclass
class Boot:
    """A process about to start; the tests spoil one thing about it."""

    keys: Path
    database: Database
    passwords: dict[str, str]
    more: dict[str, str] = field(default_factory=dict)
    login: str = "muster_web"

    def run(self, command: list[str] = WEB) -> tuple[int, str]:
        done = subprocess.run(
            command,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PROJECT),
                "DJANGO_SETTINGS_MODULE": "governance.settings",
                "DATABASE_URL": self.database.url(self.login, self.passwords[self.login]),
                "MUSTER_DATA": str(self.keys.parent),
                "MUSTER_KEYS": str(self.keys),
                "MUSTER_PROCESS": "web",
                "CELERY_BROKER_URL": "memory://",
                **self.more,
            },
            cwd=PROJECT,
            check=False,
            capture_output=True,
            text=True,
        )
        lines = [line for line in done.stderr.splitlines() if "refuses to start" in line]
        return done.returncode, "\n".join(lines) or done.stderr


@pytest.fixture
def boot(django_db_setup: None, tmp_path: Path) -> Boot:
    """A process with sound keys on the migrated test database."""
    ours = Places(tmp_path)
    places.prepare(ours)
    keyfiles.make(ours)
    ours.static.mkdir()
    parameters = connection.get_connection_params()
    place = {key: str(parameters[key]) for key in ("host", "port") if key in parameters}
    passwords = json.loads(Path(os.environ["MUSTER_LOGINS"]).read_text())
    return Boot(ours.keys, Database(parameters["dbname"], place, {}), passwords)


def test_sound_process_starts(boot: Boot) -> None:
    assert boot.run() == (0, "")


def write_key(name: str, text: str) -> Callable[[Boot], None]:
    return lambda boot: (boot.keys / name).write_text(text) and None


def encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def forget(name: str) -> Callable[[Boot], None]:
    return lambda boot: (boot.keys / name).unlink()


def set_variable(name: str, value: str) -> Callable[[Boot], None]:
    return lambda boot: boot.more.update({name: value})


def log_in_as(login: str) -> Callable[[Boot], None]:
    return lambda boot: setattr(boot, "login", login)


SPOILED = {
    "short key": (write_key("secret_key", "s3cret"), "E001): The secret key is unsafe: it has 6"),
    "repeated key": (write_key("secret_key", "ab" * 40), "E001): The secret key is unsafe: it has"),
    "key of a tutorial": (
        write_key("secret_key", "django-insecure-Zq7w)vX2p!kM3t@Hn8Lr$Jb5Gy^Fc0Ud6Ws1Ea4"),
        "E001): The secret key is unsafe: it was not made by Muster",
    ),
    "altered key": (
        write_key("secret_key", secret_key.make().replace("-key-", "-key-A")),
        "E001): The secret key is unsafe: it was not made by Muster",
    ),
    "no kek": (forget("kek"), "E002): The key file kek is unsafe: "),
    "short kek": (write_key("kek", encoded(b"k" * 8)), "E002): The key file kek is unsafe: "),
    "empty kek": (write_key("kek", encoded(bytes(32))), "E002): The key file kek is unsafe: "),
    "kek of text": (
        write_key("kek", encoded(b"correct horse battery staple qxz")),
        "E002): The key file kek is unsafe: its bytes are not random",
    ),
    "counted index key": (
        write_key("index_key", encoded(bytes(range(120, 152)))),
        "E002): The key file index_key is unsafe: its bytes follow a pattern",
    ),
    "no vault key": (forget("vault_kek"), "E009): The vault has no key: "),
    "short vault key": (
        write_key("vault_kek", encoded(b"k" * 8)),
        "E009): The vault has no key: ",
    ),
    "vault key of text": (
        set_variable("MUSTER_VAULT_KEY", encoded(b"correct horse battery staple 32b")),
        "E009): The vault's key is unsafe: its bytes are not random",
    ),
    "keys for everybody": (
        lambda boot: boot.keys.chmod(0o755),
        "E003): Other accounts may open the folder of keys",
    ),
    "debug": (set_variable("MUSTER_DEBUG", "true"), "E004): DEBUG is on"),
    "wrong password": (
        lambda boot: boot.passwords.update(muster_web="wrong"),
        "E005): The database cannot be reached",
    ),
    "owner of tables": (log_in_as("muster_migrator"), "E006): Login muster_migrator owns"),
    "hasty commit": (
        set_variable("PGOPTIONS", "-c synchronous_commit=off"),
        "E008): synchronous_commit is off",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_process_refuses_and_says_why(boot: Boot, name: str) -> None:
    spoil, reason = SPOILED[name]
    spoil(boot)

    code, said = boot.run()

    assert code == REFUSED, said
    assert said.startswith(f"Muster refuses to start (muster.{reason}")


@pytest.fixture
def writable_record(boot: Boot) -> Iterator[None]:
    with psycopg.connect(
        boot.database.dsn("muster_migrator", boot.passwords["muster_migrator"]), autocommit=True
    ) as migrator:
        migrator.execute("SET ROLE muster_audit")
        migrator.execute("GRANT INSERT ON audit.record TO muster_web")
        yield
        migrator.execute("REVOKE INSERT ON audit.record FROM muster_web")


@pytest.mark.usefixtures("writable_record")
def test_login_that_may_write_the_record_is_refused(boot: Boot) -> None:
    code, said = boot.run()

    assert code == REFUSED
    assert said.endswith("E007): Login muster_web may write audit.record, which is append-only.")


@pytest.mark.parametrize("process", ["worker", "beat"])
def test_worker_and_beat_refuse_as_well(boot: Boot, process: str) -> None:
    boot.more |= {"MUSTER_DEBUG": "true", "MUSTER_PROCESS": process}

    assert boot.run([*CELERY, process]) == (
        REFUSED,
        "Muster refuses to start (muster.E004): DEBUG is on. Unset MUSTER_DEBUG.",
    )


def test_commands_refuse_unsafe_keys(boot: Boot) -> None:
    (boot.keys / "secret_key").write_text("s3cret")

    code, said = boot.run([sys.executable, "manage.py", "check"])

    assert code == 1
    assert "muster.E001" in said


def test_every_well_known_key_is_refused() -> None:
    known = (
        public.path("corpora/jwt/jwt.secrets.list").read_text(errors="surrogateescape").splitlines()
    )

    accepted = [key for key in known if not secret_key.fault(key)]

    assert (len(known) >= 20_000, accepted) == (True, [])


def test_made_keys_are_accepted_and_differ() -> None:
    made = [secret_key.make() for _ in range(200)]

    assert [secret_key.fault(key) for key in made] == [""] * 200
    assert len(set(made)) == 200


def test_key_with_one_letter_changed_is_refused() -> None:
    key = secret_key.make()
    changed = [
        key[:at] + ("b" if key[at] == "a" else "a") + key[at + 1 :] for at in range(len(key))
    ]

    assert [key for key in changed if not secret_key.fault(key)] == []


def test_made_key_files_are_private(boot: Boot) -> None:
    found = {
        str(path.relative_to(boot.keys)): path.stat().st_mode & 0o777
        for path in (boot.keys, *boot.keys.rglob("*"))
    }
    kid = next((boot.keys / "tokens").glob("*.json")).stem

    assert found == {
        ".": 0o700,
        "secret_key": 0o600,
        "kek": 0o600,
        "index_key": 0o600,
        "vault_kek": 0o600,
        "origin": 0o600,
        "receipt_key": 0o600,
        "tokens": 0o700,
        f"tokens/{kid}.json": 0o600,
    }


def test_keys_are_made_once(boot: Boot) -> None:
    before = {path: path.read_bytes() for path in boot.keys.rglob("*") if path.is_file()}

    keyfiles.make(Places(boot.keys.parent))

    assert {path: path.read_bytes() for path in boot.keys.rglob("*") if path.is_file()} == before
