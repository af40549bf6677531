"""The one way out: where it goes, and above all where it does not."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_socket import SocketConnectBlockedError

from governance.kernel import egress
from governance.kernel.egress import AddressRefused, NoAnswer

LOCALHOST = [
    # IPv4, as many ways as there are to write it
    *("127.0.0.1", "127.1", "127.0.1", "127.000.000.001", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001"),
    *("2130706433", "017700000001", "0x7F.1", "127.255.255.254", "127.0.0.1."),
    *("0.0.0.0", "0", "0x0", "127.0.0.001", "127.00.00.1"),
    # IPv6, and IPv4 inside of it
    *("[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[::ffff:127.0.0.1]"),
    *("[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
    *("[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "[64:ff9b:1::7f00:1]", "[::ffff:0.0.0.0]"),
    # Names
    *("localhost", "LOCALHOST", "localhost.", "LocalHost", "ip6-localhost"),
    # Inside a network, and the addresses at which clouds keep credentials
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1.254"),
    *("169.254.169.254", "169.254.0.1", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"),
    *("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::ffff:10.0.0.1]", "[fe80::1]"),
    *("[fd00::1]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[64:ff9b::169.254.169.254]"),
    *("[2002:a9fe:a9fe::1]", "[2001:0:0:0:0:0:5601:5601]", "100.64.0.1", "100.100.100.200"),
    *("192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[ff02::1]"),
]  # fmt: skip


@pytest.mark.parametrize("host", LOCALHOST)
def test_no_spelling_of_an_inner_address_is_called(host: str) -> None:
    with pytest.raises((AddressRefused, NoAnswer)):
        egress.post(f"https://{host}/", body=b"{}", headers={})


def test_these_are_many_spellings_and_nearly_all_are_refused_as_addresses() -> None:
    unread = set()
    for host in LOCALHOST:
        try:
            egress.check(f"https://{host}/")
        except AddressRefused:
            continue
        except NoAnswer:
            unread.add(host)  # this machine does not read it as an address at all
    assert len(set(LOCALHOST)) >= 64
    assert unread <= {"ip6-localhost"}


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "file:///etc/passwd", "ftp://example.com/", "gopher://x/", "//x/"),
        *("https://", "https:///x", "https://user@example.com/", "https://u:p@example.com/"),
        *("https://example.com:0x50/", "https://example.com:99999/", "https://ex ample.com/"),
        *("https://example.com/\r\nX: y", "https://example.com\\@127.0.0.1/", "javascript:1"),
        *("https://[::1%25lo]/", "https://example.com/#x", "https://exämple.com/", ""),
        "https://example.com/" + "x" * 500,
    ],
)
def test_nothing_but_plain_https_is_called(url: str) -> None:
    with pytest.raises(AddressRefused):
        egress.check(url)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::5db8:d822", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("::93.184.216.34", True),
        ("2001:db8::1", False),
    ],
)
def test_what_counts_as_public(address: str, public: bool) -> None:
    assert egress.is_public(ipaddress.ip_address(address)) is public


def test_a_name_with_one_inner_address_among_its_addresses_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _names(monkeypatch, ["93.184.216.34", "127.0.0.1"])

    with pytest.raises(AddressRefused):
        egress.check("https://both.example/")


def _names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names have these addresses: the first answer at the first question, and so on."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **more: Any) -> Any:
        if host[:1].isdigit():
            return real(host, port, *rest, **more)
        found = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]

    monkeypatch.setattr(egress.socket, "getaddrinfo", look_up)
    return asked


# A server to call


class Server:
    """A TLS server that answers each call with `reply`, and remembers what came."""

    def __init__(self, folder: Path) -> None:
        self.reply: bytes | Callable[[ssl.SSLSocket], None] = b"HTTP/1.1 204 No Content\r\n\r\n"
        self.came: list[bytes] = []
        self.ca = folder / "ca.pem"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate(folder))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._listening = context.wrap_socket(self._socket, server_side=True)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        return f"hooks.example:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self.name}/told?x=1"

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except ssl.SSLError:
                continue
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: ssl.SSLSocket) -> None:
        with connection:
            try:
                self.came.append(_whole(connection))
                if callable(self.reply):
                    self.reply(connection)
                else:
                    connection.sendall(self.reply)
            except OSError:
                return

    def close(self) -> None:
        self._listening.close()


def _whole(connection: ssl.SSLSocket) -> bytes:
    """Head and body of a request."""
    found = b""
    while piece := connection.recv(65536):
        found += piece
        head, end, body = found.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(length or 0):
            break
    return found


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "ca.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(private)
    return folder / "ca.pem", folder / "key.pem"


@pytest.fixture
def server(tmp_path: Path, settings: Any) -> Iterator[Server]:
    found = Server(tmp_path)
    settings.MUSTER_EGRESS_CA = str(found.ca)
    settings.MUSTER_EGRESS_ALLOWED = frozenset({found.name})
    yield found
    found.close()


def test_what_the_operator_listed_is_called_by_its_name(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, ["127.0.0.1"])

    answer = egress.post(server.url, body=b"{}", headers={"X-A": "b"})

    assert (answer.status, answer.is_good) == (204, True)
    head = server.came[0].decode().lower()
    assert head.startswith("post /told?x=1 http/1.1\r\n")
    assert f"host: {server.name}\r\n" in head


def test_another_port_of_what_is_listed_is_not(
    server: Server, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, ["127.0.0.1"])
    settings.MUSTER_EGRESS_ALLOWED = frozenset({f"hooks.example:{server.port + 1}"})

    with pytest.raises(AddressRefused):
        egress.post(server.url, body=b"{}", headers={})

    assert server.came == []


def test_a_name_that_changes_its_address_is_asked_once(
    server: Server, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MUSTER_EGRESS_ALLOWED = frozenset()
    asked = _names(monkeypatch, ["203.0.114.1"], ["127.0.0.1"])
    monkeypatch.setattr(egress, "CONNECT_SECONDS", 0.2)

    # The network of tests ends at the loopback: what is called is the first address.
    with pytest.raises((SocketConnectBlockedError, UserWarning), match=r"203\.0\.114\.1"):
        egress.post(server.url, body=b"{}", headers={})

    assert (asked, server.came) == (["hooks.example"], [])


def test_a_certificate_of_another_name_is_not_trusted(
    server: Server, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, ["127.0.0.1"])
    settings.MUSTER_EGRESS_ALLOWED = frozenset({f"other.example:{server.port}"})

    with pytest.raises(NoAnswer):
        egress.post(f"https://other.example:{server.port}/", body=b"{}", headers={})

    assert server.came == []


def test_a_redirect_is_an_answer_and_goes_nowhere(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, ["127.0.0.1"])
    server.reply = (
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n"
        b"Content-Length: 0\r\n\r\n"
    )

    answer = egress.post(server.url, body=b"{}", headers={})

    assert (answer.status, answer.is_good, len(server.came)) == (302, False, 1)


def test_an_answer_without_end_is_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    _names(monkeypatch, ["127.0.0.1"])
    server.reply = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000

    with pytest.raises(NoAnswer, match="64 KiB"):
        egress.post(server.url, body=b"{}", headers={})


def test_an_answer_that_trickles_is_cut_off(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    _names(monkeypatch, ["127.0.0.1"])
    monkeypatch.setattr(egress, "WHOLE_SECONDS", 0.3)

    def trickle(connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    server.reply = trickle
    started = time.monotonic()

    with pytest.raises(NoAnswer):
        egress.post(server.url, body=b"{}", headers={})

    assert time.monotonic() - started < 3
