"""How bytes are sent and read: no redirect is followed, and no answer read without an end."""

from __future__ import annotations

import time
from collections.abc import Mapping

import httpx

from .errors import Unavailable
from .flows import MAX_ANSWER, Reply, Send

# Sent compressed, a small answer could become one without an end.
PLAIN = {"Accept": "application/json", "Accept-Encoding": "identity"}
# A proxy that the environment names would read a token that goes without TLS, even to this machine.
DIRECT: Mapping[str, None] = {"http://": None}


def request_of(send: Send, base_url: str) -> httpx.Request:
    """The request, without what an httpx client would add of itself."""
    headers = {**PLAIN, **send.headers}
    return httpx.Request(send.method, base_url + send.path, content=send.body, headers=headers)


def timed(request: httpx.Request, timeout: float) -> httpx.Request:
    request.extensions["timeout"] = httpx.Timeout(timeout).as_dict()
    return request


def check_head(response: httpx.Response) -> None:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise Unavailable("Muster's answer is compressed, which was not asked for.")


class Body:
    """Chunks up to `MAX_ANSWER` bytes, and up to `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._chunks: list[bytes] = []
        self._length = 0

    def add(self, chunk: bytes) -> None:
        self._length += len(chunk)
        if self._length > MAX_ANSWER:
            raise Unavailable("Muster's answer is too long.")
        if time.monotonic() > self._until:
            raise Unavailable("Muster's answer took too long.", passing=True)
        self._chunks.append(chunk)

    def reply(self, response: httpx.Response) -> Reply:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status_code, headers, b"".join(self._chunks))


def unavailable(error: Exception) -> Unavailable:
    """What went wrong on the way, as one thing: there is no decision."""
    return Unavailable(f"Muster could not be asked: {type(error).__name__}.", passing=True)
