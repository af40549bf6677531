"""Form bodies, read strictly: one text, one reading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from authz.oauth.errors import InvalidRequest

MEDIA_TYPE = "application/x-www-form-urlencoded"
MAX_BYTES = 16 * 1024
MAX_FIELDS = 20
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

Form = Mapping[str, str]


def read_form(*, content_type: str, query: str, body: bytes) -> Form:
    """The parameters of a request. Raises `InvalidRequest`.

    What has no value counts as absent (RFC 6749 section 3.2), what stands twice is refused, and
    so is anything in the query string, because addresses end up in logs.
    """
    if content_type.split(";", maxsplit=1)[0].strip().lower() != MEDIA_TYPE:
        raise InvalidRequest(f"Send parameters as {MEDIA_TYPE}.")
    if query:
        raise InvalidRequest("Send parameters in the body, never in the address.")
    if len(body) > MAX_BYTES:
        raise InvalidRequest(f"The body is larger than {MAX_BYTES} bytes.")
    form: dict[str, str] = {}
    for name, value in _pairs(body):
        if name in form:
            raise InvalidRequest("A parameter stands twice.")
        form[name] = value
    return {name: value for name, value in form.items() if value}


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        text = body.decode("ascii")
        if _BROKEN_ESCAPE.search(text):
            raise ValueError("broken escape")
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:
        raise InvalidRequest("The body is not a form in UTF-8.") from error
    if not all(_is_text(name) and _is_text(value) for name, value in pairs):
        raise InvalidRequest("Control characters are not allowed in parameters.")
    return pairs


def _is_text(value: str) -> bool:
    return not any(ord(character) < 32 or ord(character) == 127 for character in value)
