"""The search operations of the decision API: a body and a caller, to what is told."""

from __future__ import annotations

from typing import Any

from authz.asks import Caller
from authz.search import Found, Searched, read_question, search

PATHS = {f"/access/v1/search/{searched}": searched for searched in Searched}
# By the names that the metadata gives them.
ENDPOINTS = {f"search_{searched}_endpoint": path for path, searched in PATHS.items()}

Json = Any


def found(path: str, body: Json, caller: Caller, *, bare: bool) -> Json:
    """One page of the search at `path`."""
    question = read_question(PATHS[path], body)
    return _told(search(question, caller), paged="page" in body, bare=bare)


def _told(found: Found, *, paged: bool, bare: bool) -> dict[str, Json]:
    """`page` where one was asked for or more is to come, `context` where something is open."""
    told: dict[str, Json] = {}
    if paged or found.next_token:
        told["page"] = {"next_token": found.next_token, "count": len(found.results)}
    if found.open and not bare:
        told["context"] = {"open_parameters": dict(found.open)}
    return {**told, "results": list(found.results)}
