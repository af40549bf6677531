"""The fuzzer's check itself: what it lets pass, and what it does not."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from tests.functional.server_errors import NUMBERS, TEXTS, map_body, no_fault


def judge(address: str) -> None:
    response: Any = requests.get(address, timeout=5)
    context: Any = None
    case: Any = SimpleNamespace(operation=SimpleNamespace(label="GET /"))
    no_fault(context, response, case)


@contextmanager
def answering(*statuses: int) -> Iterator[str]:
    """A server that answers with these, one after the other; its address."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("statuses", [(200,), (404,), (503, 200), (503, 400)])
def test_an_answer_and_a_moment_too_busy_are_no_faults(statuses: tuple[int, ...]) -> None:
    with answering(*statuses) as address:
        judge(address)


@pytest.mark.parametrize("statuses", [(500,), (502,), (503, 503), (503, 500)])
def test_what_breaks_and_what_is_always_too_busy_are_faults(statuses: tuple[int, ...]) -> None:
    with answering(*statuses) as address, pytest.raises(AssertionError, match="GET /"):
        judge(address)


def test_one_value_is_spoiled_and_what_holds_it_stays() -> None:
    body = {"name": "x", "rate": 3, "on": True, "parts": [{"to": "a"}], "none": {}}
    context: Any = None

    spoiled = [map_body(context, copy.deepcopy(body)) for _ in range(200)]

    assert all(each.keys() == body.keys() and each["on"] is True for each in spoiled)
    assert {each["name"] for each in spoiled} <= {"x", *TEXTS}
    assert {each["rate"] for each in spoiled} <= {3, *NUMBERS}
    assert all(
        sum(each[name] != body[name] for name in body) <= 1 and each["none"] == {}
        for each in spoiled
    )
    assert len({str(each) for each in spoiled}) > 30
