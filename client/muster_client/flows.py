"""What a client does, without doing it: each flow yields the requests it wants sent.

`Muster` and `AsyncMuster` drive the same flows, one by blocking and one by awaiting, so what is
refused, renewed or asked again is the same in both. Whoever drives sends a `Send` and hands back a
`Reply` or throws `Unavailable`; for a `Pause` it waits.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode

from . import answers, questions
from .answers import Decision, Json, Object, Run, Task
from .errors import (
    BadRequest,
    Conflict,
    Held,
    MusterError,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Unavailable,
)
from .questions import Question

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
EVALUATION = "/access/v1/evaluation"
REQUESTS = "/access/v1/requests"
SESSIONS = "/api/v1/sessions"
TOKEN = "/oauth/token"  # noqa: S105 - an address

MAX_ANSWER = 1024 * 1024
RENEWED_BEFORE = 30
LOOK_EVERY = 15
TOKEN_ENDED = ("identity.token_outdated", "identity.token_revoked")
PASSING = (429, 502, 503, 504)
_ERRORS: Mapping[int, type[MusterError]] = {
    400: BadRequest,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: Conflict,
    413: BadRequest,
    422: BadRequest,
}


@dataclass(frozen=True, slots=True)
class Send:
    """One HTTP request. Its headers hold a secret."""

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What came. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Told = TypeVar("Told")
Flow = Generator[Send | Pause, Reply, Told]


@dataclass(slots=True)
class Signing:
    """How a client proves itself: with a token of its own, or a secret that gets tokens."""

    client_id: str = ""
    secret: str = field(default="", repr=False)
    fixed: str = field(default="", repr=False)
    clock: Callable[[], float] = time.monotonic
    _held: tuple[str, float] = field(default=("", 0.0), repr=False)

    def __post_init__(self) -> None:
        if bool(self.fixed) is bool(self.client_id and self.secret):
            raise ValueError("Say token, or client_id and client_secret.")

    def token(self) -> Flow[str]:
        """A token that is good for a while yet; fetched where there is none."""
        if self.fixed:
            return self.fixed
        value, until = self._held
        if value and self.clock() < until:
            return value
        asked_at = self.clock()
        reply = yield Send("POST", TOKEN, self._form(), self._basic())
        told = answers.read_token(_body(reply, 200))
        early = min(RENEWED_BEFORE, told.expires_in / 2)
        self._held = told.value, asked_at + told.expires_in - early
        return told.value

    def forget(self) -> bool:
        """Drop a token that was refused; is there any hope of another?"""
        self._held = ("", 0.0)
        return not self.fixed

    def _form(self) -> bytes:
        return urlencode({"grant_type": "client_credentials"}).encode()

    def _basic(self) -> dict[str, str]:
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}".encode()
        return {
            "Authorization": f"Basic {base64.b64encode(pair).decode()}",
            "Content-Type": FORM,
        }


@dataclass(frozen=True, slots=True)
class Flows:
    """Every operation of a client, as flows."""

    base_url: str
    signing: Signing
    agent: str = ""
    retries: int = 2
    clock: Callable[[], float] = time.monotonic

    def check(self, question: Question, key: str = "") -> Flow[Decision]:
        """Ask; again under the same key, where nothing came and there is one."""
        if not self.agent:
            token = yield from self.signing.token()
            question = question.about(questions.agent_in(token))
        return (yield from self.ask(question, key))

    def ask(self, question: Question, key: str = "") -> Flow[Decision]:
        """One decision. A denial of the token itself has the next question fetch another."""
        body = yield from self._call("POST", EVALUATION, question.body, key=key)
        decision = answers.read_decision(body, question, self.base_url)
        if decision.code in TOKEN_ENDED:
            self.signing.forget()
        return decision

    # Holds

    def request(self, decision: Decision, why: str = "") -> Flow[Task]:
        """Ask a human about a held call. Twice about one decision is once."""
        held = decision.access_request
        if held is None:
            raise BadRequest("Nobody can be asked about this decision.", code="not_requestable")
        body = decision.question.asking_a_human(decision.decision_id, held.expires_at, why)
        key = f"hold-{decision.decision_id}"
        return answers.read_task(
            (yield from self._call("POST", REQUESTS, body, key=key, wanted=(201, 202)))
        )

    def task(self, task_id: str) -> Flow[Task]:
        return answers.read_task((yield from self._call("GET", f"{REQUESTS}/{_one(task_id)}")))

    def wait(
        self, decision: Decision, seconds: float, why: str = "", key: str = ""
    ) -> Flow[Decision]:
        """Ask a human, look until they have said something, and ask Muster again.

        Asked again under `key`, or one of this call alone: under a shared one, two alike calls
        that run at once would both be told the one yes.

        Raises `Held` where nobody has said yes after `seconds`, or somebody said no.
        """
        until = self.clock() + seconds
        task = yield from self.request(decision, why)
        while task.pending and (left := until - self.clock()) > 0:
            yield Pause(min(LOOK_EVERY, left))
            task = yield from self.task(task.task_id)
        if not task.approval:
            raise Held(decision, _unapproved(task))
        question = decision.question.with_approval(task.approval, task.parameters)
        return (yield from self.ask(question, key or f"approved-{uuid.uuid4()}"))

    # Afterwards

    def report(self, decision: Decision, body: str) -> Flow[str]:
        path = f"/api/v1/decisions/{_one(decision.decision_id)}/outcome"
        return answers.read_outcome((yield from self._call("POST", path, body, wanted=(201,))))

    # Sessions

    def open_session(self, agent: str, clean: bool, plan: Json) -> Flow[Run]:
        given = {"agent": agent or self.agent, "clean": clean, "plan": plan}
        body = questions.encode({name: value for name, value in given.items() if value})
        return answers.read_run((yield from self._call("POST", SESSIONS, body, wanted=(201,))))

    def show_session(self, session_id: str) -> Flow[Run]:
        return answers.read_run((yield from self._call("GET", f"{SESSIONS}/{_one(session_id)}")))

    def in_session(self, session_id: str, verb: str, given: Object | None = None) -> Flow[Run]:
        """`plan`, `inputs` or `end`."""
        return answers.read_run((yield from self._in_session(session_id, verb, given)))

    def extract(self, session_id: str, given: Object) -> Flow[Json]:
        return answers.read_handed((yield from self._in_session(session_id, "extract", given)))

    def _in_session(self, session_id: str, verb: str, given: Object | None) -> Flow[Json]:
        body = "" if given is None else questions.encode(given)
        return (yield from self._call("POST", f"{SESSIONS}/{_one(session_id)}/{verb}", body))

    # Calls

    def post(self, path: str, given: Object) -> Flow[Json]:
        """What came of sending this to an address of the API, once."""
        return (yield from self._call("POST", path, questions.encode(given)))

    def _call(
        self,
        method: str,
        path: str,
        body: str = "",
        *,
        key: str = "",
        wanted: tuple[int, ...] = (200,),
    ) -> Flow[Json]:
        """What came of one call, as parsed JSON.

        Tried again only where that is harmless: with a key, or where it only looks.
        """
        headers = {"Content-Type": JSON, **({"Idempotency-Key": _key(key)} if key else {})}
        send = Send(method, path, body.encode(), headers)
        left = self.retries if key or method == "GET" else 0
        while True:
            try:
                return _body((yield from self._signed(send)), *wanted)
            except Unavailable as error:
                if not (left and error.passing):
                    raise
            yield Pause(0.2 * 2 ** (self.retries - left))
            left -= 1

    def _signed(self, send: Send) -> Flow[Reply]:
        """Sent with a token; once more with a new one, where it was refused and nothing decided."""
        token = yield from self.signing.token()
        reply = yield _with_token(send, token)
        if reply.status == 401 and self.signing.forget():
            token = yield from self.signing.token()
            reply = yield _with_token(send, token)
        return reply


def _with_token(send: Send, token: str) -> Send:
    return replace(send, headers={**send.headers, "Authorization": f"Bearer {token}"})


def _unapproved(task: Task) -> str:
    if task.pending:
        return "Nobody has decided in the time that was waited."
    return task.description or f"It was not approved: {task.status}."


def _key(key: str) -> str:
    if not 1 <= len(key) <= 128 or not (key.isascii() and key.isprintable()):
        raise BadRequest("An idempotency key is 1 to 128 printable ASCII characters.")
    return key


def _one(name: str) -> str:
    """A name as one part of an address: nothing in it leads elsewhere."""
    if not name or not all(
        letter.isascii() and (letter.isalnum() or letter == "-") for letter in name
    ):
        raise BadRequest(f"{name!r} is no id of Muster.")
    return name


# Replies


def _body(reply: Reply, *wanted: int) -> Json:
    """The JSON of a reply of a wanted status. Raises what any other reply means."""
    if reply.status not in wanted:
        raise _error(reply)
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Unavailable(f"Muster answered {kind or 'nothing'} and not {JSON}.")
    return answers.parse(reply.body)


def _error(reply: Reply) -> MusterError:
    code, message = _told(reply)
    message = message or f"Muster answered {reply.status}."
    error = _ERRORS.get(reply.status)
    if code in ("unauthorized_client", "invalid_client") and reply.status != 429:
        error = NotSignedIn
    if error is None:
        passing = reply.status in PASSING
        return Unavailable(message, code=code, status=reply.status, passing=passing)
    return error(message, code=code, status=reply.status)


def _told(reply: Reply) -> tuple[str, str]:
    """Code and sentence of a problem (RFC 9457) or of an OAuth error, "" where there are none."""
    try:
        body: Any = answers.parse(reply.body)
    except Unavailable:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    found = (body.get("code", body.get("error")), body.get("detail", body.get("error_description")))
    code, message = (each if isinstance(each, str) else "" for each in found)
    return code, message
