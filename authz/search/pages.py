"""Page tokens: where a search goes on. Whoever holds one can neither read nor make one.

A token is encrypted, since the place where a page ended may be a candidate that nobody was told
of. It is bound to the question and to the caller, and to nothing that a renewed token changes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.utils.crypto import salted_hmac

from authz.asks import Caller
from authz.errors import BadPageToken
from authz.search.questions import DEFAULT_LIMIT, Question


@dataclass(frozen=True, slots=True)
class Place:
    """How far a search has come: `after` is the last candidate that was judged, "" for none."""

    after: str
    limit: int


@dataclass(frozen=True, slots=True)
class Found:
    """One page. `open` names, by tool, the required parameters that its results leave open."""

    results: Sequence[Mapping[str, str]]
    next_token: str = ""
    judged: int = 0
    open: Mapping[str, Sequence[str]] = field(default_factory=dict)


def place_of(question: Question, caller: Caller) -> Place:
    """Where the page that is asked for begins. Raises `BadPageToken`."""
    if not question.token:
        return Place("", DEFAULT_LIMIT if question.limit is None else question.limit)
    told = _opened(question.token)
    place = Place(told["after"], told["limit"])
    if (told["question"], told["caller"]) != (question.digest, caller.key):
        raise BadPageToken()
    if question.limit not in (None, place.limit):
        raise BadPageToken("The limit differs from the first page's. Leave it out or keep it.")
    return place


def token_of(place: Place, question: Question, caller: Caller) -> str:
    """The token that leads on from `place`."""
    told = {
        "question": question.digest,
        "caller": caller.key,
        "after": place.after,
        "limit": place.limit,
    }
    return _box().encrypt(json.dumps(told).encode()).decode()


def _opened(token: str) -> Any:
    try:
        return json.loads(_box().decrypt(token.encode()))
    except InvalidToken as error:
        raise BadPageToken() from error


def _box() -> Fernet:
    key = salted_hmac("authz.search.pages", "", algorithm="sha256").digest()
    return Fernet(base64.urlsafe_b64encode(key))
