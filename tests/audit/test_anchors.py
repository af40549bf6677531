"""Anchors: each kind against the real thing, telling at least once, and reading back."""

import base64
import io
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from moto.server import ThreadedMotoServer
from psycopg.pq import TransactionStatus
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from audit import services as recording
from audit.anchors import configured, kinds, selectors, services
from audit.anchors.errors import AnchorFailed, Contradicted, NoSuchAnchor
from audit.anchors.kinds.syslog import line_of
from audit.enums import Kind
from audit.models import Anchored, Checkpoint
from governance.kernel.egress import AddressRefused
from governance.runner import environment
from lifecycle.models import Notice
from lifecycle.sweeps import anchors as sweep
from registry.enums import GroupName
from tests.client.made import Log
from tests.factories.registry import make_person

LOG = Log(7)
Configure = Callable[..., configured.Configured]


def checkpoint(size: int = 7) -> Checkpoint:
    return Checkpoint(size=size, note=LOG.checkpoint(size))


def anchor(**given: Any) -> kinds.Anchor:
    return kinds.of(configured.read({"name": "a", **given}))


# Settings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "file", "path": "/x"}, "with a name"),
        ({"name": "A b", "kind": "file", "path": "/x"}, "with a name"),
        ({"name": "a", "kind": "ftp"}, "the kind of a is one of"),
        ({"name": "a", "kind": "file"}, "a lacks path"),
        ({"name": "a", "kind": "s3", "bucket": "b", "secret_key": "x"}, "not take secret_key"),
        ({"name": "a", "kind": "file", "path": "/x", "minutes": 0}, "from 1 to 1440"),
        ("a", "with a name"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(given: Any, said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        configured.read(given)


def test_names_are_unique_and_secrets_lie_apart(settings: Any, tmp_path: Path) -> None:
    twice = {"name": "a", "kind": "file", "path": "/x"}
    settings.MUSTER_ANCHORS = [twice, twice]
    with pytest.raises(ImproperlyConfigured, match="a name of its own"):
        configured.check()

    settings.MUSTER_ANCHORS = [twice]
    configured.check()
    assert configured.secrets_of("a") == {}
    settings.MUSTER_ANCHOR_SECRETS = str(tmp_path / "secrets.json")
    with pytest.raises(AnchorFailed):
        configured.secrets_of("a")
    (tmp_path / "secrets.json").write_text(json.dumps({"a": {"token": "t"}}))
    assert (configured.secrets_of("a"), configured.secrets_of("b")) == ({"token": "t"}, {})
    with pytest.raises(NoSuchAnchor):
        configured.find("b")


@pytest.mark.parametrize(
    ("given", "outside"),
    [
        ({"kind": "file", "path": "/x"}, False),
        ({"kind": "file", "path": "/x", "outside": True}, True),
        ({"kind": "git", "remote": "/x"}, False),
        ({"kind": "git", "remote": "git@git.example:a/b"}, True),
        ({"kind": "s3", "bucket": "b"}, True),
        ({"kind": "mail", "to": "a@b.example"}, False),
        ({"kind": "syslog", "host": "127.0.0.1"}, False),
        ({"kind": "syslog", "host": "log.example"}, True),
        ({"kind": "rfc3161", "url": "https://tsa.example", "ca_file": "/x"}, False),
    ],
)
def test_what_lies_outside(given: Any, outside: bool) -> None:
    assert configured.read({"name": "a", **given}).outside is outside


def test_the_web_process_is_not_told_where_secrets_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.ANCHOR_SECRETS, "/secrets")
    told = {
        process: environment.ANCHOR_SECRETS in environment.inherited(process)
        for process in ("web", "beat", "command", "migrate", "sealer", "worker", "anchors")
    }
    assert [process for process, knows in told.items() if knows] == ["worker", "anchors"]
    assert environment.LOGIN_OF["anchors"] == environment.LOGIN_OF["worker"]


# Each kind against the real thing


def test_a_file_is_only_appended_to(tmp_path: Path) -> None:
    place, path = anchor(kind="file", path=str(tmp_path / "notes")), tmp_path / "notes"

    assert place.read_back(0) is None
    place.send(checkpoint(3))
    first = path.read_text()
    receipt = place.send(checkpoint(7))

    assert path.read_text() == f"{first}{LOG.checkpoint(7)}\n"
    assert receipt == {"path": str(path), "bytes": path.stat().st_size}
    assert place.read_back(0) == LOG.checkpoint(7)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(AnchorFailed):
        anchor(kind="file", path=str(tmp_path / "link")).send(checkpoint())
    with pytest.raises(AnchorFailed):
        anchor(kind="file", path=str(tmp_path)).read_back(0)


def git(*words: str, at: Path) -> str:
    done = subprocess.run(["git", "-C", str(at), *words], capture_output=True, check=True)
    return done.stdout.decode()


def test_a_git_remote_gets_a_commit_for_each(tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", str(tmp_path / "r.git"), at=tmp_path)
    remote = tmp_path / "r.git"
    place = anchor(kind="git", remote=str(remote))

    assert place.read_back(0) is None
    place.send(checkpoint(3))
    receipt = place.send(checkpoint(7))

    assert git("rev-parse", "checkpoints", at=remote).strip() == receipt["commit"]
    assert git("show", "checkpoints:checkpoint", at=remote) == LOG.checkpoint(7)
    assert git("show", "checkpoints~1:checkpoint", at=remote) == LOG.checkpoint(3)
    assert git("log", "--format=%s", "checkpoints", at=remote).splitlines() == [
        *("Checkpoint of 7 entries", "Checkpoint of 3 entries")
    ]
    assert place.read_back(0) == LOG.checkpoint(7)


def test_a_git_remote_that_is_not_to_be_called(settings: Any, tmp_path: Path) -> None:
    settings.MUSTER_EGRESS_ALLOWED = frozenset()
    for remote in ("https://127.0.0.1/a.git", "ssh://git@10.0.0.1/a", "git@127.0.0.1:a/b.git"):
        with pytest.raises(AddressRefused):
            anchor(kind="git", remote=remote).send(checkpoint())
    for remote in ("ext::sh -c x", "--upload-pack=x", "git://example.com/a", "a b"):
        with pytest.raises(AnchorFailed):
            anchor(kind="git", remote=remote).send(checkpoint())
    with pytest.raises(AnchorFailed, match="git ls-remote failed"):
        anchor(kind="git", remote=str(tmp_path / "missing")).send(checkpoint())


@pytest.fixture
def bucket(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings.MUSTER_EGRESS_ALLOWED = frozenset({f"{host}:{port}"})
    keys = {"access_key": "testing", "secret_key": "testing"}
    (tmp_path / "secrets.json").write_text(json.dumps({"a": keys}))
    settings.MUSTER_ANCHOR_SECRETS = str(tmp_path / "secrets.json")
    client = boto3.client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    where = {"LocationConstraint": "eu-central-1"}
    for name, locks in (("locked", True), ("open", False)):
        # What moto keeps outlives its server.
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(
                Bucket=name, ObjectLockEnabledForBucket=locks, CreateBucketConfiguration=where
            )
    yield client
    server.stop()


def test_a_bucket_locks_each_object(bucket: Any, settings: Any) -> None:
    endpoint = bucket.meta.endpoint_url
    place = anchor(kind="s3", bucket="locked", endpoint=endpoint, retain_days=30)

    assert place.read_back(0) is None
    place.send(checkpoint(3))
    receipt = place.send(checkpoint(7))

    assert receipt["key"] == "muster/00000000000000000007.note"
    assert datetime.fromisoformat(receipt["locked_until"]) > datetime.now(UTC) + timedelta(days=29)
    assert place.read_back(7) == LOG.checkpoint(7)
    with pytest.raises(bucket.exceptions.ClientError, match="AccessDenied"):
        bucket.delete_object(Bucket="locked", Key=receipt["key"], VersionId=receipt["version"])
    with pytest.raises(AnchorFailed):
        anchor(kind="s3", bucket="open", endpoint=endpoint).send(checkpoint())
    with pytest.raises(AnchorFailed, match="NoSuchBucket"):
        anchor(kind="s3", bucket="none", endpoint=endpoint).send(checkpoint())
    settings.MUSTER_EGRESS_ALLOWED = frozenset()
    with pytest.raises(AddressRefused):
        place.send(checkpoint())


class Ignores:
    """A store that speaks the protocol and keeps no lock."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put_object(self, **given: Any) -> Any:
        kept = {name: each for name, each in given.items() if "ObjectLock" not in name}
        return self._client.put_object(**kept | {"Bucket": "open"})

    def head_object(self, **given: Any) -> Any:
        return self._client.head_object(Bucket="open", Key=given["Key"])


def test_a_store_that_ignores_locks_is_no_anchor(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = anchor(kind="s3", bucket="open", endpoint=bucket.meta.endpoint_url)
    monkeypatch.setattr(place, "_client", lambda: Ignores(bucket))

    with pytest.raises(AnchorFailed, match="does not lock"):
        place.send(checkpoint())


def test_a_mail_is_the_note(settings: Any) -> None:
    receipt = anchor(kind="mail", to=["auditor@example.com", "b@example.com"]).send(checkpoint())

    (sent,) = mail.outbox
    assert (sent.body, sent.to) == (LOG.checkpoint(), ["auditor@example.com", "b@example.com"])
    assert sent.subject == "Checkpoint of muster.example/9f3c: 7 entries"
    assert sent.extra_headers["Message-ID"] == receipt["message"]


def test_syslog_gets_one_line_over_tcp_and_udp(settings: Any) -> None:
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=lambda: came.append(_all_of(listening)))
        thread.start()
        given = {"kind": "syslog", "host": "127.0.0.1", "port": port, "protocol": "tcp"}
        with pytest.raises(AddressRefused):
            anchor(**given).send(checkpoint())
        settings.MUSTER_EGRESS_ALLOWED = frozenset({f"127.0.0.1:{port}"})
        receipt = anchor(**given).send(checkpoint())
        thread.join(10)

    length, _, line = came[0].partition(b" ")
    assert int(length) == len(line)
    assert line.startswith(b"<109>1 ")
    assert b"\n" not in line
    note = line.rpartition(b" ")[2]
    assert base64.b64decode(note).decode() == LOG.checkpoint()
    assert receipt == {"to": f"127.0.0.1:{port}", "protocol": "tcp"}

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        port = listening.getsockname()[1]
        settings.MUSTER_EGRESS_ALLOWED = frozenset({f"127.0.0.1:{port}"})
        anchor(kind="syslog", host="127.0.0.1", port=port, protocol="udp").send(checkpoint())
        assert listening.recv(65536).rpartition(b" ")[2] == note
    settings.MUSTER_EGRESS_ALLOWED = frozenset({receipt["to"]})
    with pytest.raises(AnchorFailed, match="did not take it"):
        anchor(**given).send(checkpoint())
    assert line_of(checkpoint()).isascii()


def _all_of(listening: socket.socket) -> bytes:
    opened, _ = listening.accept()
    with opened:
        return b"".join(iter(lambda: opened.recv(65536), b""))


class Authority:
    """A time stamp authority of openssl's own, behind https."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tsa.cnf").write_text(CONFIG)
        (folder / "serial").write_text("01\n")
        self._run(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config", "tsa.cnf"),
            *("-extensions", "ca", "-subj", "/CN=Test TSA root", "-keyout", "ca.key"),
            *("-out", "ca.pem"),
        )
        for name, extensions in (("tsa", "tsa_cert"), ("web", "web_cert")):
            self._run(
                *("req", "-newkey", "rsa:2048", "-nodes", "-config", "tsa.cnf"),
                *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr"),
            )
            self._run(
                *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
                *("-CAcreateserial", "-days", "2", "-extfile", "tsa.cnf"),
                *("-extensions", extensions, "-out", f"{name}.pem"),
            )
        self.spoil = False

    def _run(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, capture_output=True, check=True)

    def stamp(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        self._run(
            *("ts", "-reply", "-config", "tsa.cnf", "-section", "tsa_config"),
            *("-queryfile", "query", "-out", "reply"),
        )
        raw = (self.folder / "reply").read_bytes()
        return raw[:-1] + bytes([raw[-1] ^ 1]) if self.spoil else raw


CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = x
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[tsa_cert]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[web_cert]
basicConstraints = critical, CA:false
subjectAltName = DNS:localhost, IP:127.0.0.1
[tsa_config]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
"""


@pytest.fixture
def authority(tmp_path: Path, settings: Any) -> Iterator[tuple[Authority, str]]:
    found = Authority(tmp_path)

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = found.stamp(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "web.pem", tmp_path / "web.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.MUSTER_EGRESS_CA = str(tmp_path / "ca.pem")
    settings.MUSTER_EGRESS_ALLOWED = frozenset({f"127.0.0.1:{server.server_port}"})
    yield found, f"https://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_time_stamp_is_verified_and_kept(authority: tuple[Authority, str]) -> None:
    from cryptography import x509

    found, url = authority
    place = anchor(kind="rfc3161", url=url, ca_file=str(found.folder / "ca.pem"))

    receipt = place.send(checkpoint())

    roots = x509.load_pem_x509_certificates((found.folder / "ca.pem").read_bytes())
    stamp = decode_timestamp_response(base64.b64decode(receipt["response"]))
    verifier = VerifierBuilder(roots=roots).build()
    assert verifier.verify_message(stamp, LOG.checkpoint().encode())
    at = datetime.fromisoformat(receipt["stamped_at"])
    assert abs(at - datetime.now(UTC)) < timedelta(minutes=2)
    found.spoil = True
    with pytest.raises(AnchorFailed, match="no time stamp that can be trusted"):
        place.send(checkpoint())


# Telling them


@pytest.fixture
def sealed(seal_now: Any) -> Callable[[], Checkpoint]:
    """Records something, seals it, and says under which checkpoint."""

    def seal() -> Checkpoint:
        recording.record(kind=Kind.SYSTEM, actor="system:test", asked={"did": "test"})
        found: Checkpoint = seal_now()
        return found

    return seal


@pytest.fixture
def as_worker() -> Callable[..., Any]:
    """Runs something as the worker does, which alone may note what anchors took."""

    def run(call: Callable[..., Any], *given: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE muster_worker")
            try:
                return call(*given)
            finally:
                # A transaction that failed takes its role back by itself.
                if not connection.needs_rollback and not _failed():
                    cursor.execute("SET ROLE muster_web")

    return run


@pytest.fixture
def two(settings: Any, tmp_path: Path) -> Path:
    """Two anchors at once, of which one lies outside."""
    settings.MUSTER_DATA = str(tmp_path)
    git("init", "--quiet", "--bare", str(tmp_path / "r.git"), at=tmp_path)
    settings.MUSTER_ANCHORS = [
        {"name": "worm", "kind": "file", "path": str(tmp_path / "notes"), "outside": True},
        {"name": "repo", "kind": "git", "remote": str(tmp_path / "r.git"), "minutes": 10},
    ]
    return tmp_path


def _failed() -> bool:
    return connection.connection.info.transaction_status == TransactionStatus.INERROR


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.django_db
def test_two_anchors_are_told_each_in_its_time(two: Path, sealed: Any, as_worker: Any) -> None:
    assert selectors.standing().anchored_at is None
    first = sealed()
    assert services.due(now()) == ["worm", "repo"]
    told = [as_worker(services.tell, name, now()) for name in ("worm", "repo", "worm")]

    assert told == [True, True, False]
    assert {name: each.size for name, each in selectors.last().items()} == {
        "worm": first.size,
        "repo": first.size,
    }
    assert bytes(Anchored.objects.latest("number").root) == bytes(first.root)
    found = selectors.standing()
    assert (found.outside, found.anchored_size, found.behind, found.late) == (
        *(True, first.size, None, False),
    )
    second = sealed()
    assert services.due(now()) == []
    assert services.due(now() + timedelta(minutes=5)) == ["worm"]
    assert services.due(now() + timedelta(minutes=10)) == ["worm", "repo"]
    assert as_worker(services.tell, "worm", now() + timedelta(minutes=5)) is True
    assert (two / "notes").read_text().count("— muster.example") == 2
    assert (two / "anchored" / "worm.note").read_text() == first.note
    assert selectors.standing().anchored_size == second.size


@pytest.mark.django_db
def test_only_the_worker_notes_and_nobody_changes_it(
    two: Path, sealed: Any, as_worker: Any
) -> None:
    found = sealed()
    with pytest.raises(DatabaseError), transaction.atomic():
        services.tell("worm", now())
    as_worker(services.tell, "worm", now())
    anchored = configured.find("worm")
    beyond = Checkpoint(size=found.size + 1)
    with pytest.raises(DatabaseError, match="no checkpoint of"), transaction.atomic():
        as_worker(services._note, anchored, beyond, {})
    for statement in ("UPDATE audit.anchored SET size = 1", "DELETE FROM audit.anchored"):
        with pytest.raises(DatabaseError), transaction.atomic():
            as_its_owner(statement)


def as_its_owner(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_audit")
        cursor.execute(statement)


@pytest.mark.django_db
def test_a_record_that_was_set_back_is_not_anchored(
    two: Path, sealed: Any, as_worker: Any, as_owner: Any
) -> None:
    sealed()
    last = sealed()
    as_worker(services.tell, "worm", now())
    with as_owner() as cursor:
        for table in ("checkpoint", "leaf_index", "anchored"):
            cursor.execute(f"ALTER TABLE audit.{table} DISABLE TRIGGER no_change")
        cursor.execute("DELETE FROM audit.checkpoint WHERE size = %s", [last.size])
        cursor.execute("DELETE FROM audit.leaf_index WHERE index = %s", [last.size - 1])
        cursor.execute("DELETE FROM audit.anchored")
        for table in ("checkpoint", "leaf_index", "anchored"):
            cursor.execute(f"ALTER TABLE audit.{table} ENABLE ALWAYS TRIGGER no_change")
    before = (two / "notes").read_bytes()

    with pytest.raises(Contradicted, match="rewritten, or set back"):
        as_worker(services.tell, "worm", now())

    assert (two / "notes").read_bytes() == before
    assert (two / "anchored" / "worm.note").read_text() == last.note


@pytest.mark.django_db
def test_a_place_of_somebody_else_is_left_alone(two: Path, sealed: Any, as_worker: Any) -> None:
    sealed()
    (two / "notes").write_text(LOG.checkpoint())

    with pytest.raises(Contradicted, match="not signed by this log"):
        as_worker(services.tell, "worm", now())


@pytest.mark.django_db
def test_a_killed_worker_tells_again(
    two: Path, sealed: Any, as_worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = sealed()

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(services, "_note", killed)
        with pytest.raises(KeyboardInterrupt):
            as_worker(services.tell, "worm", now())
    assert services.due(now()) == ["worm", "repo"]
    assert as_worker(services.tell, "worm", now()) is True
    assert (two / "notes").read_text() == f"{found.note}\n" * 2


@pytest.mark.django_db
def test_people_are_paged_once_where_no_anchor_takes_it(
    two: Path, sealed: Any, as_worker: Any, as_owner: Any
) -> None:
    security = make_person(GroupName.SECURITY)
    sealed()
    (two / "notes").mkdir()
    with as_owner() as cursor:
        cursor.execute("ALTER TABLE audit.leaf_index DISABLE TRIGGER no_change")
        cursor.execute("UPDATE audit.leaf_index SET at = clock_timestamp() - interval '16 minutes'")
        cursor.execute("ALTER TABLE audit.leaf_index ENABLE ALWAYS TRIGGER no_change")

    found = selectors.standing()
    (late,) = [key for key in sweep.due(now()) if key.startswith("late:")]

    assert found.late
    # Another test may have left entries that wait for longer.
    minutes = int(found.behind.total_seconds()) // 60
    assert minutes >= 16
    assert found.sentence == f"No anchor outside was told anything new for {minutes} minutes."
    assert [sweep.handle(late, now()), sweep.handle(late, now())] == [True, False]
    assert Notice.objects.filter(person=security, code="record.not_anchored").count() == 1
    (two / "notes").rmdir()
    assert as_worker(sweep.handle, "worm", now()) is True
    assert not any(key.startswith("late:") for key in sweep.due(now()))


@pytest.mark.django_db
def test_without_an_anchor_outside_it_says_so(settings: Any, sealed: Any) -> None:
    sealed()
    settings.MUSTER_ANCHORS = []

    found = selectors.standing()

    assert (found.outside, found.late) == (False, False)
    assert found.sentence == selectors.NOTHING_OUTSIDE


def told(*words: str) -> list[str]:
    out = io.StringIO()
    call_command("anchors", *words, stdout=out)
    return out.getvalue().splitlines()


@pytest.mark.django_db
def test_the_command_lists_tries_and_shows_the_last(
    two: Path, sealed: Any, as_worker: Any, client: Client
) -> None:
    found = sealed()
    with pytest.raises(CommandError, match="took nothing yet"):
        told("last", "worm")

    tried = told("try", "worm")
    as_worker(services.tell, "worm", now())

    assert tried[0] == f"worm took the checkpoint of {found.size} entries:"
    assert json.loads("".join(told("last", "worm")))["path"] == str(two / "notes")
    listed = told()
    assert listed[0].startswith(f"worm  file  outside  {two}/notes  {found.size} entries at ")
    assert listed[1] == f"repo  git  inside  {two}/r.git  nothing yet"
    assert listed[2] == f"{found.size:,} entries are anchored outside of Muster."
    for words in (["try"], ["try", "none"], ["last", "none"]):
        with pytest.raises(CommandError):
            told(*words)
    client.force_login(make_person())
    answer = client.get("/api/v1/log").json()
    assert (answer["anchored_size"], answer["anchored_at"] is None) == (found.size, False)
