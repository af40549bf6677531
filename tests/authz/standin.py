"""A decision point of somebody else, as far as a test needs one: AuthZEN over TLS."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.governance.test_egress import Server, _whole

Answered = Callable[[dict[str, Any], str], bytes]


def told(decision: Any, named: str = "", **context: Any) -> bytes:
    """A well-formed answer; `named` is the id of the request, "" for none."""
    body = json.dumps({"decision": decision, **({"context": context} if context else {})})
    return http(body.encode(), **({"X-Request-ID": named} if named else {}))


def http(
    body: bytes, status: str = "200 OK", content_type: str = "application/json", **headers: str
) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", f"Content-Type: {content_type}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


class StandIn(Server):
    """Answers each evaluation by `answer(question, request_id)`; keeps questions and heads."""

    def __init__(self, folder: Path) -> None:
        self.answer: Answered = lambda _, named: told(True, named)
        self.questions: list[dict[str, Any]] = []
        self.heads: list[dict[str, str]] = []
        super().__init__(folder)

    @property
    def url(self) -> str:
        return f"https://{self.name}/access/v1/evaluation"

    def _answer(self, connection: ssl.SSLSocket) -> None:
        with connection:
            try:
                head, _, body = _whole(connection).partition(b"\r\n\r\n")
                lines = [line.split(": ", 1) for line in head.decode().split("\r\n")[1:]]
                headers = {name.lower(): value for name, value in lines}
                question = json.loads(body)
                self.heads.append(headers)
                self.questions.append(question)
                connection.sendall(self.answer(question, headers["x-request-id"]))
            except (OSError, ValueError):
                return
