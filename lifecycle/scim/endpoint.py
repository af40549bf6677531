"""`/scim/v2`: one view around the protocol. It reads, authenticates, asks and answers."""

from __future__ import annotations

import json
import logging
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from scim2_models import InvalidSyntaxException, PayloadTooLargeException, SCIMException
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation

from governance.kernel import clock, strict_json
from lifecycle.models import Source
from lifecycle.scim import log
from lifecycle.scim.dialects import standard
from lifecycle.scim.errors import Unavailable, told_as_scim
from lifecycle.scim.narrow import named_members
from lifecycle.scim.protocol import MAX_BYTES, base_url, service
from lifecycle.scim.storage import SourceStorage
from lifecycle.scim.tokens import authenticate

CONTENT_TYPE = "application/scim+json"
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# How many say what is wrong, where pydantic's own list of it is passed on.
LINES_OF_A_LIST = 3

logger = logging.getLogger(__name__)


@csrf_exempt
def scim(request: HttpRequest, path: str = "") -> HttpResponse:
    """Answer in SCIM's words, whatever comes."""
    source: Source | None = None
    try:
        with told_as_scim():
            source = authenticate(
                request.headers.get("Authorization", ""), _address(request), clock.now()
            )
            with transaction.atomic():
                answer = _handled(request, path, source)
    except SCIMException as error:
        answer = service().error_response(error)
        if answer.body is not None:
            answer.body["detail"] = _readable(error.detail)
        _note_refusal(source, request, path, error)
    except DatabaseError:
        logger.exception("A request of a source could not be answered.")
        answer = service().error_response(Unavailable())
    response = _as_response(answer)
    if request.method == "HEAD":
        response.content = b""
    return response


class Handler(ScimHandler):
    """The protocol; a creation too is told with those attributes alone that are asked for."""

    def create(self, request: ScimRequest) -> ScimResponse:
        """Create a resource (RFC 7644 sections 3.3 and 3.9)."""
        with self.service.provider:
            target = self.service.route(request, Operation.create)
            kind = self.service.resource_type_at(str(target.endpoint))
            wanted = self.service.read_response_parameters(kind, request.query)
        whole = super().create(request)
        if wanted.model_fields_set and isinstance(whole.body, dict):
            with self.service.provider:
                made = self.storage.get(kind, whole.body["id"], response_parameters=wanted)
                part = self.service.replacement_response(request.base_url, made, wanted)
            return ScimResponse(whole.status, part.body, headers=whole.headers)
        return whole


def _handled(request: HttpRequest, path: str, source: Source) -> ScimResponse:
    storage = SourceStorage(source, _address(request))
    body, value = _body(request) if request.method in _WRITES else (b"", None)
    if request.method == "PATCH" and value is not None:
        body = _patch(request, path, storage, body, value)
    asked = ScimRequest(
        # HEAD is GET without the body, which is left out at the end.
        method="GET" if request.method == "HEAD" else str(request.method),
        base_url=base_url(),
        path="/" + path,
        query=request.GET.dict(),
        headers=dict(request.headers),
        body=body,
        subject=source,
    )
    return Handler(service(), storage).handle(asked)


def _body(request: HttpRequest) -> tuple[bytes, dict[str, Any] | None]:
    """The body, once it is JSON that has only one reading, and that; None where there is none."""
    try:
        raw = request.body
    except RequestDataTooBig as error:
        raise PayloadTooLargeException(
            detail=f"The body is larger than {MAX_BYTES} bytes."
        ) from error
    if not raw.strip():
        return raw, None
    value = strict_json.loads(raw, max_bytes=MAX_BYTES)
    if not isinstance(value, dict):
        raise InvalidSyntaxException(detail="The body must be a JSON object.")
    return raw, value


def _patch(
    request: HttpRequest, path: str, storage: SourceStorage, raw: bytes, value: dict[str, Any]
) -> bytes:
    """A PATCH in the standard's words; the storage learns which members alone it is about."""
    said = standard(value, storage.said_at(path))
    # Without these the answer is 204 and says nothing of the members.
    if not {"attributes", "excludedAttributes"} & request.GET.keys():
        storage.named = named_members(said)
    return raw if said == value else json.dumps(said).encode()


def _note_refusal(
    source: Source | None, request: HttpRequest, path: str, error: SCIMException
) -> None:
    """A write that was refused stands in the log as well."""
    if source is None or request.method not in _WRITES:
        return
    kind, _, subject = path.strip("/").partition("/")
    log.note(
        source=source,
        did=f"{str(request.method).lower()} {kind}",
        subject=subject,
        status=error.status,
        outcome=error.detail,
        address=_address(request),
    )


def _readable(detail: str) -> str:
    """A sentence, where a library lists what it found: without its name, its codes and links."""
    lines = detail.splitlines()
    if len(lines) < LINES_OF_A_LIST or "validation error" not in lines[0]:
        return detail
    return f"{lines[1].strip()}: {lines[2].partition(' [type=')[0].strip()}"


def _address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _as_response(answer: ScimResponse) -> HttpResponse:
    body: Any = b"" if answer.body is None else json.dumps(answer.body)
    response = HttpResponse(body, status=int(answer.status), content_type=CONTENT_TYPE)
    if answer.body is None:
        del response["Content-Type"]
    for name, value in answer.headers.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    return response
