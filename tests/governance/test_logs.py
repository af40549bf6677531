"""Log lines: which request they belong to, as text and as JSON, and never with a credential."""

import asyncio
import json
import logging
import logging.config
import os
import subprocess
import sys
from contextvars import copy_context
from typing import Any

import pytest
from django.conf import settings

from governance.kernel import tracked
from governance.kernel.tracked import Tracked
from governance.logs import Redacting, Structured
from governance.runner.places import PROJECT

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01".encode()
SECRET = "ghp_" + "A1b2C3d4E5f6" * 3


def asked(headers: list[tuple[bytes, bytes]], answer: list[tuple[bytes, bytes]]) -> Any:
    """What is said in the log, and the headers of the answer, of one request."""
    said: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        record = logging.makeLogRecord({"name": "muster.test", "msg": "done", "levelname": "INFO"})
        said.append(json.loads(Structured("web").format(record)))
        said.append(Redacting("%(levelname)s %(message)s").format(record))
        await send({"type": "http.response.start", "status": 200, "headers": answer})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        said.append(message)

    copy_context().run(
        asyncio.run,
        Tracked(inner)({"type": "http", "headers": headers}, None, send),  # type: ignore[arg-type]
    )
    return said[0], said[1], said[2]["headers"]


def test_the_id_and_trace_of_a_request_are_in_its_lines() -> None:
    line, text, headers = asked([(b"x-request-id", b"r-1"), (b"traceparent", TRACEPARENT)], [])

    assert {name: line[name] for name in ("request_id", "trace_id", "span_id", "message")} == {
        "request_id": "r-1",
        "trace_id": TRACE,
        "span_id": SPAN,
        "message": "done",
    }
    assert text == "INFO [r-1] done"
    assert headers == [(b"x-request-id", b"r-1")]


def test_who_names_no_request_is_told_a_name_and_each_another() -> None:
    (first, _, given), (second, _, _) = asked([], []), asked([], [])

    assert given == [(b"x-request-id", first["request_id"].encode())]
    assert first["request_id"] != second["request_id"]


def test_an_id_that_was_answered_stays_the_only_one() -> None:
    _, _, headers = asked([(b"x-request-id", b"r-1")], [(b"X-Request-ID", b"r-1")])

    assert headers == [(b"X-Request-ID", b"r-1")]


@pytest.mark.parametrize("given", [b"", b"two words", b"a\nb", b"\xff", b"x" * 129])
def test_an_id_that_could_spoil_a_line_is_not_taken(given: bytes) -> None:
    line, _, _ = asked([(b"x-request-id", given)], [])

    assert line["request_id"].encode() != given
    assert line["request_id"].isprintable()


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"nonsense",
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"ff-{TRACE}-{SPAN}-01".encode(),
        TRACEPARENT.upper(),
    ],
)
def test_a_trace_that_is_none_is_left_out(given: bytes) -> None:
    line, _, _ = asked([(b"traceparent", given)], [])

    assert "trace_id" not in line
    assert "span_id" not in line


def test_no_credential_is_in_any_field() -> None:
    try:
        raise ValueError(f"cannot use {SECRET}")
    except ValueError:
        record = logging.makeLogRecord(
            {"msg": "sent %s", "args": (SECRET,), "exc_info": sys.exc_info(), "name": SECRET}
        )

    written = Structured("web").format(record)
    line, _, _ = asked([(b"x-request-id", SECRET.encode())], [])

    assert "\n" not in written
    assert SECRET not in written + json.dumps(line)
    assert "ValueError" in json.loads(written)["exception"]


def test_a_line_that_says_nothing_is_a_line_too() -> None:
    try:
        raise ValueError(f"cannot use {SECRET}")
    except ValueError:
        record = logging.makeLogRecord({"msg": "", "exc_info": sys.exc_info()})

    written = Redacting("%(levelname)s %(message)s").format(record)

    assert SECRET not in written
    assert "ValueError" in written


def test_outside_of_a_request_there_is_none() -> None:
    assert copy_context().run(tracked.request_id) == ""
    assert copy_context().run(tracked.trace) == ("", "")


def test_every_process_writes_by_one_of_the_two() -> None:
    written = settings.LOGGING["formatters"]

    assert [each["()"] for each in written.values()] == [
        "governance.logs.Redacting",
        "governance.logs.Structured",
    ]
    assert settings.LOGGING["handlers"]["console"]["formatter"] == "line"


UVICORN = """
import logging, logging.config, os
from uvicorn.config import LOGGING_CONFIG
logging.config.dictConfig(LOGGING_CONFIG)
import django
django.setup()
import sys, governance.tracing
print([name for name in sys.modules if name.startswith("opentelemetry")])
logging.getLogger("uvicorn.error").error("cannot read %s", os.environ["CANARY"])
"""


def test_the_web_servers_own_lines_are_redacted() -> None:
    """And nothing of OpenTelemetry is imported while no collector is named."""
    done = subprocess.run(
        [sys.executable, "-c", UVICORN],
        env={**os.environ, "CANARY": SECRET, "MUSTER_LOG_FORMAT": "json"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "[]\n"
    assert SECRET not in done.stderr
    assert "uvicorn.error" in done.stderr
    assert "[credential removed]" in done.stderr
    assert json.loads(done.stderr)["process"] == "test"
