"""Muster's REST API as the commands call it: one answer or one typed error, never half of one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import click
import httpx

from .. import questions, transport
from ..errors import (
    BadRequest,
    Conflict,
    MusterError,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Unavailable,
)
from . import kept

MAX_ANSWER = 32 * 1024 * 1024
TIMEOUT = 30.0
LONG = 300.0
PAGE = 200
CLIENT_ID = "muster-cli"
_ERRORS: Mapping[int, type[MusterError]] = {
    400: BadRequest,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    405: BadRequest,
    409: Conflict,
    410: Conflict,
    413: BadRequest,
    415: BadRequest,
    422: BadRequest,
}
WITH_SECOND_FACTOR = (
    "Use your second factor on the site, then sign in again with: muster login\n"
    "The page that asks for the code has a link to it."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: status and body, read whole."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises `Unavailable`."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Unavailable("The answer is no JSON. Is this the address of Muster?") from error

    def object(self) -> dict[str, Any]:
        """The body as an object of JSON. Raises `Unavailable`."""
        told = self.json()
        if not isinstance(told, dict):
            raise Unavailable("The answer is none that Muster gives.")
        return told


@dataclass(slots=True)
class Remote:
    """One Muster, and the token that is shown to it."""

    url: str
    token: str = field(default="", repr=False)
    http: httpx.Client = field(
        default_factory=lambda: httpx.Client(follow_redirects=False, mounts=transport.DIRECT)
    )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str, **asked: Any) -> dict[str, Any]:
        """An object. Raises `MusterError`."""
        return self.ask("GET", path, params=_said(asked)).object()

    def text(self, path: str, **asked: Any) -> str:
        """A text. Raises `MusterError`."""
        try:
            found = self.ask("GET", path, params=_said(asked), timeout=LONG)
            return found.body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Unavailable("The answer is no text.") from error

    def post(self, path: str, body: Any = None, *, timeout: float = TIMEOUT) -> dict[str, Any]:
        """What became of it. Raises `MusterError`."""
        content = b"" if body is None else json.dumps(body).encode()
        return self.ask(
            "POST", path, content=content, kind="application/json", timeout=timeout
        ).object()

    def form(self, path: str, **fields: str) -> Answer:
        """The answer to a form, whatever its status: OAuth says more in it than others."""
        content = str(httpx.QueryParams(fields)).encode()
        return self.send("POST", path, content=content, kind="application/x-www-form-urlencoded")

    def pages(self, path: str, **asked: Any) -> Iterator[dict[str, Any]]:
        """Every row of a paged list. Raises `MusterError`."""
        number = 1
        while True:
            told = self.get(path, page=number, page_size=PAGE, **asked)
            rows = told.get("results")
            if not isinstance(rows, list):
                raise Unavailable("The answer is none that Muster gives.")
            yield from (row for row in rows if isinstance(row, dict))
            if not told.get("next"):
                return
            number += 1

    def ask(self, method: str, path: str, **more: Any) -> Answer:
        """An answer that is a success. Raises `MusterError` with Muster's own sentence."""
        answer = self.send(method, path, **more)
        if not 200 <= answer.status < 300:
            raise _refusal(answer)
        return answer

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        content: bytes = b"",
        kind: str = "",
        timeout: float = TIMEOUT,
    ) -> Answer:
        """Any answer at all. Raises `Unavailable` where none came."""
        headers = dict(transport.PLAIN)
        headers["Accept"] = "application/json, application/problem+json, text/plain, */*;q=0.1"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if kind:
            headers["Content-Type"] = kind
        request = httpx.Request(
            method, self.url + path, params=params or None, content=content, headers=headers
        )
        try:
            response = self.http.send(transport.timed(request, timeout), stream=True)
            try:
                return Answer(response.status_code, _read(response, timeout))
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise Unavailable(
                f"Muster could not be reached at {self.url}: {type(error).__name__}."
            ) from error


def _read(response: httpx.Response, seconds: float) -> bytes:
    transport.check_head(response)
    until, chunks, length = time.monotonic() + seconds, [], 0
    for chunk in response.iter_raw():
        chunks.append(chunk)
        length += len(chunk)
        if length > MAX_ANSWER:
            raise Unavailable("Muster's answer is too long.")
        if time.monotonic() > until:
            raise Unavailable("Muster's answer took too long.", passing=True)
    return b"".join(chunks)


def _said(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value not in (None, "", ())}


def _refusal(answer: Answer) -> MusterError:
    """The error of a problem (RFC 9457), by its status; `Unavailable` for any other answer."""
    kind = _ERRORS.get(answer.status)
    if kind is None:
        return Unavailable(f"Muster answered with status {answer.status}.", status=answer.status)
    try:
        told = answer.object()
    except Unavailable:
        told = {}
    said, code = str(told.get("detail") or ""), str(told.get("code") or "")
    fields = told.get("errors")
    if isinstance(fields, dict):
        said = "\n".join([said, *(f"{name}: {_sentences(each)}" for name, each in fields.items())])
    if code == "second_factor":
        said = f"{said}\n{WITH_SECOND_FACTOR}"
    return kind(said or f"Refused with status {answer.status}.", code=code, status=answer.status)


def _sentences(errors: Any) -> str:
    return " ".join(map(str, errors)) if isinstance(errors, list) else str(errors)


def chosen(url: str, *, allow_http: bool = False) -> Remote:
    """The Muster that is meant, with the token for it.

    `url`, else MUSTER_URL, else where one signed in. MUSTER_TOKEN, else the token that is kept,
    which is shown to nobody but who gave it. Raises `BadRequest`, `NotSignedIn`.
    """
    known = kept.read()
    wanted = base_of(url or os.environ.get("MUSTER_URL", "") or known.url, allow_http=allow_http)
    token = os.environ.get("MUSTER_TOKEN", "") or (known.token if wanted == known.url else "")
    if not token:
        raise NotSignedIn(f"You are not signed in at {wanted}. Sign in with: muster login {wanted}")
    return Remote(wanted, token)


def base_of(url: str, *, allow_http: bool = False) -> str:
    """The address as it is used. Raises `BadRequest`."""
    if not url:
        raise BadRequest("Say where Muster is: --url, MUSTER_URL, or muster login ADDRESS.")
    try:
        return questions.base_of(url, allow_http=allow_http)
    except ValueError as error:
        raise BadRequest(str(error).replace("say allow_http", "say --allow-http")) from error


def where(command: Any) -> Any:
    """The options that every command has which asks Muster: where it is."""
    allow = click.option("--allow-http", is_flag=True, help="Without TLS, to another machine.")
    url = click.option("--url", default="", metavar="URL", help="Which Muster; else MUSTER_URL.")
    return url(allow(command))
