"""A line of syslog (RFC 5424) that holds the signed note in base64, over TLS, TCP or UDP.

UDP is told and never answers: what shows that it arrived is the other side's log alone.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from django.conf import settings

from audit.anchors.errors import AnchorFailed
from audit.models import Checkpoint
from governance.kernel import clock, egress

# Facility "log audit" (13), severity "notice" (5).
PRIORITY = 13 * 8 + 5
SECONDS = 5.0
PORTS = {"tls": 6514, "tcp": 514, "udp": 514}


class Syslog:
    """The collector at `host` and `port`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._host = str(options["host"])
        self._protocol = str(options.get("protocol", "tls"))
        if self._protocol not in PORTS:
            raise AnchorFailed("The protocol of syslog is tls, tcp or udp.")
        self._port = int(options.get("port", PORTS[self._protocol]))

    def send(self, checkpoint: Checkpoint) -> dict[str, Any]:
        line = line_of(checkpoint).encode()
        address = str(egress.address_of(self._host, self._port))
        try:
            self._tell(address, line)
        except OSError as error:
            raise AnchorFailed(
                f"{self._host}:{self._port} did not take it ({type(error).__name__})."
            ) from error
        return {"to": f"{self._host}:{self._port}", "protocol": self._protocol}

    def read_back(self, after: int) -> str | None:
        return None

    def _tell(self, address: str, line: bytes) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if self._protocol == "udp":
            with closing(socket.socket(family, socket.SOCK_DGRAM)) as sent:
                sent.sendto(line, (address, self._port))
            return
        with closing(socket.create_connection((address, self._port), SECONDS)) as opened:
            stream = opened
            if self._protocol == "tls":
                stream = egress.trusted().wrap_socket(opened, server_hostname=self._host)
            with closing(stream):
                # RFC 6587, octet counting: a line that ends nowhere else.
                stream.sendall(b"%d %s" % (len(line), line))
                stream.shutdown(socket.SHUT_WR)
                # Who took it closes; who refused it resets the connection, which raises.
                stream.settimeout(SECONDS)
                while stream.recv(1024):
                    pass


def line_of(checkpoint: Checkpoint) -> str:
    """One line; the note in it is base64, so that nothing in it can end the line."""
    at = clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip(">") or "-"
    origin = checkpoint.note.partition("\n")[0]
    note = base64.b64encode(checkpoint.note.encode()).decode()
    data = f'[checkpoint@32473 origin="{origin}" size="{checkpoint.size}"]'
    return f"<{PRIORITY}>1 {at} {host} muster - checkpoint {data} {note}"
