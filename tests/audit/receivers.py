"""Receivers on this machine that take what they are sent, or misbehave in a known way."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, and its key; `ca_file` is its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "receiver.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "receiver.key").write_bytes(secret)
    return path


def context(ca_file: Path) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(ca_file, ca_file.with_suffix(".key"))
    return found


@dataclass
class Taken:
    """What one request held."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Https:
    """`answers` says what happens to the next requests: a status, a body with 200, or one of
    hang, close. After the last, everything is taken. `before` is called before each answer.
    """

    url: str = ""
    taken: list[Taken] = field(default_factory=list)
    refused: list[Taken] = field(default_factory=list)
    answers: list[int | bytes | str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def lines(self) -> list[str]:
        return [line for each in self.taken for line in each.body.decode().splitlines()]


@contextmanager
def https(ca_file: Path) -> Iterator[Https]:
    found, lock = Https(), threading.Lock()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Taken(self.path, dict(self.headers), body)
            with lock:
                answer = found.answers.pop(0) if found.answers else 200
                good = answer == 200 or isinstance(answer, bytes)
                (found.taken if good else found.refused).append(request)
            found.before()
            if answer == "hang":
                time.sleep(1.5)
            if isinstance(answer, str):
                self.connection.close()
                return
            said = answer if isinstance(answer, bytes) else b"{}"
            self.send_response(200 if isinstance(answer, bytes) else answer)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A connection that was dropped on purpose."""

    server = Server(("127.0.0.1", 0), Answers)
    server.socket = context(ca_file).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"https://127.0.0.1:{server.server_port}/in"
    yield found
    server.shutdown()
    server.server_close()


@dataclass
class Syslog:
    """`behave` says what is done with the next connections: take, half, close, hang; then take."""

    port: int = 0
    came: list[bytes] = field(default_factory=list)
    behave: list[str] = field(default_factory=list)

    def messages(self) -> list[str]:
        """Every message, cut by its length and nothing else."""
        return [text for each in self.came for text in cut(each)]


@contextmanager
def syslog(ca_file: Path | None) -> Iterator[Syslog]:
    listening = socket.create_server(("127.0.0.1", 0))
    found = Syslog(listening.getsockname()[1])

    def serve() -> None:
        with suppress(OSError):
            while True:
                opened, _ = listening.accept()
                behave = found.behave.pop(0) if found.behave else "take"
                given = (found, opened, behave, ca_file)
                threading.Thread(target=_serve, args=given, daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield found
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


def _serve(found: Syslog, opened: socket.socket, behave: str, ca_file: Path | None) -> None:
    with suppress(OSError), opened:
        if behave != "close":
            _read(found, opened, behave, ca_file)


def _read(found: Syslog, opened: socket.socket, behave: str, ca_file: Path | None) -> None:
    stream = context(ca_file).wrap_socket(opened, server_side=True) if ca_file else opened
    with stream:
        if behave == "half":
            stream.recv(10)
            return
        if behave == "hang":
            time.sleep(1.5)
            return
        found.came.append(b"".join(iter(lambda: stream.recv(65536), b"")))
        if isinstance(stream, ssl.SSLSocket):
            stream.unwrap()


def cut(raw: bytes) -> list[str]:
    """RFC 6587, octet counting."""
    found = []
    while raw:
        length, _, rest = raw.partition(b" ")
        found.append(rest[: int(length)].decode())
        raw = rest[int(length) :]
    return found
