"""What Muster refuses, in the words of SCIM (RFC 7644 section 3.12)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scim2_models import (
    ConflictException,
    ForbiddenException,
    InvalidSyntaxException,
    InvalidValueException,
    NotFoundException,
    PayloadTooLargeException,
    SCIMException,
)

from governance.kernel.errors import (
    Conflict,
    GovernanceError,
    Invalid,
    NotAllowed,
    NotFound,
)
from governance.kernel.strict_json import BadJson


class TooManyRequests(SCIMException):
    """Too many requests failed to authenticate; wait a minute."""

    status = 429
    _default_detail = "Too many requests from this address failed to authenticate. Wait a minute."


class Unavailable(SCIMException):
    """Muster cannot answer at the moment."""

    status = 503
    _default_detail = "Muster cannot answer at the moment. Nothing was done; try again."


_WORDS: tuple[tuple[type[GovernanceError], type[SCIMException]], ...] = (
    (BadJson, InvalidSyntaxException),
    (Invalid, InvalidValueException),
    (NotAllowed, ForbiddenException),
    (NotFound, NotFoundException),
    (Conflict, ConflictException),
)


def as_scim(error: GovernanceError) -> SCIMException:
    """The same refusal as SCIM has it."""
    if error.code == "too_large":
        return PayloadTooLargeException(detail=error.message)
    for ours, theirs in _WORDS:
        if isinstance(error, ours):
            return theirs(detail=error.sentences)
    if error.status == TooManyRequests.status:
        return TooManyRequests()
    if error.status >= 500:
        return Unavailable(detail=error.message)
    return InvalidValueException(detail=error.message)


@contextmanager
def told_as_scim() -> Iterator[None]:
    """Turn what Muster refuses in here into SCIM's exceptions."""
    try:
        yield
    except GovernanceError as error:
        raise as_scim(error) from error
