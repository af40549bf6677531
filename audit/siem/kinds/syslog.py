"""Lines of syslog (RFC 5424) over TLS (RFC 5425), TCP (RFC 6587, octet counting) or UDP.

Syslog has no acknowledgement. Over TLS and TCP, what counts as one is that the collector read
everything to the end and then closed in order: a collector that was killed, or never read it,
resets or stays silent instead. UDP is told and never answers.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import sys
import termios
import time
from contextlib import closing, suppress
from urllib.parse import urlsplit

from django.conf import settings

from audit import export, leaf
from audit.enums import Kind
from audit.models import Record
from audit.siem.batches import Batch, Item
from audit.siem.configured import Configured
from audit.siem.errors import StreamFailed
from governance.kernel import egress

# Facility "log audit" (13); severities "warning", "notice", "informational".
FACILITY = 13
SEVERITY = {"deny": 4, "hold": 5}
INFORMATIONAL = 6
SECONDS = 5.0
# What RFC 5426, section 3.2, has every receiver take over IPv6, and what no network splits: over
# IPv4 it has only 480 taken, which would leave out nearly everything, and asks for 2048.
MOST_DATAGRAM = 1180


class Syslog:
    """The collector at `host` and `port`."""

    def __init__(self, stream: Configured) -> None:
        self._stream = stream
        self._host, self._port = str(stream.options["host"]), stream.port

    def send(self, batch: Batch) -> None:
        address = str(egress.address_of(self._host, self._port))
        made = datagram_of if self._stream.carrier == "udp" else line_of
        lines = [made(each).encode() for each in batch.items]
        try:
            if self._stream.carrier == "udp":
                self._tell(address, lines)
            else:
                self._hand_over(address, lines)
        except OSError as error:
            raise StreamFailed(
                f"{self._stream.where} did not take it ({type(error).__name__})."
            ) from error

    def _tell(self, address: str, lines: list[bytes]) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as opened:
            # Connected, a datagram that nobody takes is told by the next.
            opened.connect((address, self._port))
            for line in lines:
                opened.send(line)

    def _hand_over(self, address: str, lines: list[bytes]) -> None:
        framed = b"".join(b"%d %s" % (len(line), line) for line in lines)
        with closing(socket.create_connection((address, self._port), SECONDS)) as opened:
            if self._stream.carrier == "tcp":
                opened.sendall(framed)
                _wait_for_kernel(opened)
                opened.shutdown(socket.SHUT_WR)
                _read_to_end(opened)
                return
            trust = egress.trusted(self._stream.ca_file)
            with closing(trust.wrap_socket(opened, server_hostname=self._host)) as secured:
                secured.sendall(framed)
                _wait_for_kernel(secured)
                _close(secured)


def line_of(item: Item) -> str:
    """One message. What it holds is one line of visible characters, which nothing can end."""
    return _header_of(item.record) + item.line


def datagram_of(item: Item) -> str:
    """One message of CEF that every receiver takes; too long, it says what it leaves out."""
    header = _header_of(item.record)
    if len((header + item.line).encode()) <= MOST_DATAGRAM:
        return header + item.line
    most = MOST_DATAGRAM - len(header.encode())
    return header + export.short_cef_line(item.record, item.index, most)


def _header_of(record: Record) -> str:
    priority = FACILITY * 8 + SEVERITY.get(record.effect, INFORMATIONAL)
    host = urlsplit(settings.MUSTER_BASE_URL).hostname or "-"
    kind = record.kind if record.kind in Kind.values else "other"
    return f"<{priority}>1 {leaf.instant(record.at)} {host} muster - {kind} - "


def _wait_for_kernel(opened: socket.socket) -> None:
    """Wait until the other machine has every byte: then an end without a reset means that the
    collector read them all, and not that it closed while they were under way.
    """
    until = time.monotonic() + SECONDS
    while sys.platform == "linux" and _unsent(opened):
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.002)


def _unsent(opened: socket.socket) -> int:
    """Bytes that the other machine has not got yet."""
    (many,) = struct.unpack("i", fcntl.ioctl(opened.fileno(), termios.TIOCOUTQ, bytes(4)))
    return int(many)


def _close(secured: ssl.SSLSocket) -> None:
    """Say that nothing more comes, and wait for the end from the other side.

    Some collectors end without the word that TLS has for it. One that had not read everything
    resets the connection, which raises.
    """
    with suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
        _read_to_end(secured.unwrap())


def _read_to_end(opened: socket.socket) -> None:
    """Whoever took everything closes; whoever did not resets the connection, which raises."""
    while opened.recv(1024):
        pass
