"""A peer of HashiCorp Vault, written to its public HTTP API: AppRole and KV version 2.

It keeps versions, check-and-set, destroyed versions and custom metadata as the API says, and
answers 403, 404, 400 and 503 as it does. It is not the real server.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DATA = re.compile(r"/v1/(?P<mount>[^/]+)/(?P<kind>data|metadata|destroy)/(?P<path>.+)")


@dataclass
class Kept:
    versions: dict[int, dict[str, Any]] = field(default_factory=dict)
    custom: dict[str, str] = field(default_factory=dict)
    current: int = 0


@dataclass
class Peer:
    """The state behind the server, for tests to look at and to break."""

    role_id: str = "muster-role"
    secret_id: str = "muster-secret-id"
    lease_seconds: int = 3600
    sealed: bool = False
    secrets: dict[str, Kept] = field(default_factory=dict)
    tokens: dict[str, datetime] = field(default_factory=dict)
    logins: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def login(self, body: dict[str, Any]) -> tuple[int, Any]:
        if (body.get("role_id"), body.get("secret_id")) != (self.role_id, self.secret_id):
            return 400, {"errors": ["invalid role or secret ID"]}
        self.logins += 1
        token = f"hvs.token-{self.logins}"
        self.tokens[token] = datetime.now(UTC) + timedelta(seconds=self.lease_seconds)
        auth = {"client_token": token, "lease_duration": self.lease_seconds, "renewable": True}
        return 200, {"auth": auth}

    def read(self, key: str) -> tuple[int, Any]:
        kept = self.secrets.get(key)
        if kept is None or not kept.current:
            return 404, {"errors": []}
        version = kept.versions[kept.current]
        metadata = {
            "version": kept.current,
            "created_time": version["created_time"],
            "deletion_time": "",
            "destroyed": version["destroyed"],
        }
        if version["destroyed"]:
            return 404, {"data": {"data": None, "metadata": metadata}}
        return 200, {"data": {"data": version["data"], "metadata": metadata}}

    def write(self, key: str, body: dict[str, Any]) -> tuple[int, Any]:
        kept = self.secrets.setdefault(key, Kept())
        cas = body.get("options", {}).get("cas")
        if cas is not None and cas != kept.current:
            return 400, {"errors": ["check-and-set parameter did not match the current version"]}
        kept.current += 1
        kept.versions[kept.current] = {
            "data": body["data"],
            "created_time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "destroyed": False,
        }
        return 200, {"data": {"version": kept.current}}

    def metadata(self, key: str) -> tuple[int, Any]:
        kept = self.secrets.get(key)
        if kept is None:
            return 404, {"errors": []}
        versions = {
            str(number): {
                "created_time": each["created_time"],
                "deletion_time": "",
                "destroyed": each["destroyed"],
            }
            for number, each in kept.versions.items()
        }
        return 200, {
            "data": {
                "current_version": kept.current,
                "versions": versions,
                "custom_metadata": kept.custom or None,
            }
        }

    def note(self, key: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.secrets.setdefault(key, Kept()).custom = dict(body.get("custom_metadata") or {})
        return 204, None

    def destroy(self, key: str, body: dict[str, Any]) -> tuple[int, Any]:
        for number in body["versions"]:
            version = self.secrets[key].versions[int(number)]
            version["data"], version["destroyed"] = None, True
        return 204, None


class _Handler(BaseHTTPRequestHandler):
    """One request; `peer` is set by `serve` on a class of its own."""

    peer: Peer

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        self._answer(json.loads(self._body() or b"{}"))

    def do_PUT(self) -> None:
        self.do_POST()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, body: dict[str, Any]) -> None:
        with self.peer.lock:
            status, told = self._judged(body)
        raw = b"" if told is None else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _judged(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self.peer.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if self.path == "/v1/auth/approle/login":
            return self.peer.login(body)
        ends = self.peer.tokens.get(self.headers.get("X-Vault-Token") or "")
        if ends is None or ends <= datetime.now(UTC):
            return 403, {"errors": ["permission denied"]}
        return self._of_secret(body)

    def _of_secret(self, body: dict[str, Any]) -> tuple[int, Any]:
        found = DATA.fullmatch(self.path.partition("?")[0])
        if not found:
            return 404, {"errors": []}
        key = f"{found['mount']}/{found['path']}"
        reading = self.command == "GET"
        if found["kind"] == "data":
            return self.peer.read(key) if reading else self.peer.write(key, body)
        if found["kind"] == "metadata":
            return self.peer.metadata(key) if reading else self.peer.note(key, body)
        return self.peer.destroy(key, body)

    def log_message(self, *_: Any) -> None:
        return None


def serve(peer: Peer) -> ThreadingHTTPServer:
    """The peer on a free port of the loopback; whoever asks closes it."""
    handler = type("Handler", (_Handler,), {"peer": peer})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
