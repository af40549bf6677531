"""The address that a proxy asks before it lets a request through: nginx and Envoy alike.

A proxy reads no JSON, so the question comes in headers and the answer goes as a status. What is
asked becomes the body of an evaluation and is read like one: the tool that the proxy names, with
the method, host, path and query of the request as its parameters, for the tool's schema to judge.
See docs/reference/decision-api.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings

from authz import access, wire
from authz.asks import Ask, Caller
from authz.decide import Answer
from authz.engine import codes
from authz.errors import BadRequest
from authz.present import output_tier
from governance.kernel import strict_json
from governance.kernel.api import PROBLEM, problem

PATH = "/ext-authz"
OWN = "muster-"
MAX_URI = 8000
MAX_FIELDS = 100
FORBIDDEN = 403
# What only a client sends: where it comes along, so would a client's word for the proxy's.
CLIENTS_OWN = ("accept", "cookie", "user-agent")
# A proxy can do no more for an answer than hand on its tier.
FULFILLED = frozenset({"label"})
UNFULFILLED = "obligation_unfulfilled"

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_METHOD = re.compile(r"[A-Z]{1,16}(?:-[A-Z]{1,16})?")
_HOST = re.compile(r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,=:@/%]*")
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# In a part of a path, encoded: what one server takes for a letter and the next for a sign.
_SIGNS = frozenset("/\\;%?#")
_DOTS = frozenset({".", ".."})

Json = Any
Parts = tuple[Json, int, dict[str, str]]


def is_asked(path: str) -> bool:
    """Is this the address? Envoy puts the path that it was asked for behind it."""
    return path == PATH or path.startswith(PATH + "/")


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers as they came, names in lower case; one said twice is joined by a line feed.

    No header can hold a line feed, so nothing that was said twice is read as a value. Names of
    ours that are spelled with underscores count as the name that a gateway would make of them.
    """
    found: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        meant = name.replace("_", "-")
        if meant != name:
            if not meant.startswith(OWN):
                continue
            name, value = meant, "\n"
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return found


def read(headers: Mapping[str, str], body: bytes, caller: Caller) -> Ask:
    """The question that a proxy asks. Raises `Invalid`, which says what is missing or unclear."""
    leaked = [name for name in CLIENTS_OWN if headers.get(name)]
    if leaked:
        raise BadRequest(f"The proxy passes on its client's headers ({', '.join(leaked)}).")
    if body:
        raise BadRequest("A body is not judged here, so the proxy must not send it.")
    tool = _said(headers, "tool")
    asked: dict[str, Json] = {
        "subject": {"type": wire.AGENT, "id": _agent(headers, caller)},
        "action": {"name": tool, "properties": _parameters(headers)},
        "resource": {"type": wire.TOOL, "id": tool},
    }
    if headers.get(OWN + "approval"):
        asked["context"] = {"approval": {"id": headers[OWN + "approval"]}}
    # Read as if it had come as JSON, so that nothing gets in here that would not get in there.
    return wire.read_evaluation(strict_json.loads(json.dumps(asked).encode()))


def _agent(headers: Mapping[str, str], caller: Caller) -> str:
    """Whom the proxy asks for; an agent's own token speaks for itself."""
    if OWN + "agent" in headers or caller.is_gateway:
        return _said(headers, "agent")
    return caller.slug


def _said(headers: Mapping[str, str], name: str, longest: int = wire.MAX_NAME_BYTES) -> str:
    """What the proxy said once, in visible ASCII."""
    value = headers.get(OWN + name, "")
    if not value:
        raise BadRequest(f"The header Muster-{name.title()} is missing.")
    if len(value) > longest or not _VISIBLE.fullmatch(value):
        raise BadRequest(
            f"The header Muster-{name.title()} must come once, "
            f"in at most {longest} visible ASCII characters."
        )
    return value


def _parameters(headers: Mapping[str, str]) -> dict[str, Json]:
    """The request that is to be let through, as its server will read it."""
    method, host = _said(headers, "method"), _said(headers, "host").lower()
    if not _METHOD.fullmatch(method):
        raise BadRequest("Muster-Method must be a method in capital letters, such as GET.")
    if not _HOST.fullmatch(host):
        raise BadRequest("Muster-Host must be a host, with its port where it has one.")
    path, _, query = _said(headers, "uri", MAX_URI).partition("?")
    return {"method": method, "host": host, "path": _path(path), "query": _query(query)}


def _path(raw: str) -> str:
    """The path, decoded once. Raises `BadRequest` where two servers may read it differently."""
    if not _PATH.fullmatch(raw):
        raise BadRequest("Muster-Uri must be a path from /, with its query, and nothing before it.")
    parts = [_decoded(part) for part in raw.split("/")[1:]]
    if not all(parts[:-1]) or not _DOTS.isdisjoint(parts):
        raise BadRequest("The path has an empty part, or one of dots alone.")
    if any(not _SIGNS.isdisjoint(part) for part in parts):
        raise BadRequest("The path has an encoded sign (/ \\ ; % ? #) in one of its parts.")
    return "/" + "/".join(parts)


def _query(raw: str) -> dict[str, str]:
    """The fields of a query, each at most once: servers differ in which of two they read."""
    if not raw:
        return {}
    fields = raw.split("&")
    if len(fields) > MAX_FIELDS or ";" in raw or "#" in raw:
        raise BadRequest(f"The query has ; or # in it, or more than {MAX_FIELDS} fields.")
    found: dict[str, str] = {}
    for field in fields:
        name, _, value = (_decoded(each) for each in field.replace("+", " ").partition("="))
        if not name or name in found:
            raise BadRequest("The query has a field without a name, or one that comes twice.")
        found[name] = value
    return found


def _decoded(raw: str) -> str:
    """Percent-decoded once. Raises `BadRequest` for anything but printable text in UTF-8."""
    try:
        text = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise BadRequest("Muster-Uri must be UTF-8 where it is decoded.") from error
    if _NO_ESCAPE.search(raw) or not text.isprintable():
        raise BadRequest("Muster-Uri has a broken escape, or a control character.")
    return text


def told(answer: Answer) -> Parts:
    """Body, status and headers: 200 for an allow that a proxy can keep, else 403."""
    decision = answer.decision
    headers = {"Muster-Decision-Id": str(answer.id)}
    if not answer.allowed:
        detail = codes.message(decision.code, decision.detail)
        return _forbidden(answer, decision.code, detail, headers | _requestable(answer))
    if any(each["kind"] not in FULFILLED for each in decision.obligations):
        detail = "This is allowed with obligations that a proxy cannot fulfil, so it may not go on."
        return _forbidden(answer, UNFULFILLED, detail, headers)
    if tier := output_tier(decision):
        headers["Muster-Classification"] = tier
    return {"decision": True, "decision_id": str(answer.id)}, 200, headers


def unreadable(answer: Answer, why: str) -> Parts:
    """The denial of what was no question; `why` is a sentence."""
    return _forbidden(answer, answer.decision.code, why, {"Muster-Decision-Id": str(answer.id)})


def _forbidden(answer: Answer, code: str, detail: str, headers: dict[str, str]) -> Parts:
    more: dict[str, Json] = {"decision": False, "decision_id": str(answer.id)}
    if "hold" in answer.settled:
        more |= access.told(answer)
    body = problem(status_code=FORBIDDEN, code=code, detail=detail, **more)
    return body, FORBIDDEN, {"Content-Type": PROBLEM, "Muster-Code": code, **headers}


def _requestable(answer: Answer) -> dict[str, str]:
    """Where a human is asked about a held call, and the approval that waits for it."""
    hold = answer.settled.get("hold")
    if not hold:
        return {}
    found = {
        "Muster-Access-Request": settings.MUSTER_BASE_URL + access.PATH,
        "Muster-Hold": str(hold["id"]),
    }
    if "release" in hold:
        found["Muster-Approval"] = str(hold["release"])
    return found
