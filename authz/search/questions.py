"""What a search asks, read from its body."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from audit.payloads import canonical
from authz import wire
from authz.asks import Ask
from authz.errors import BadRequest

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_TOKEN = 4096
ENTITIES = ("subject", "action", "resource", "context")
# Stands where a candidate will stand. Nothing on the register holds a control character.
PLACEHOLDER = "\x01"

Json = Any


class Searched(StrEnum):
    """What is looked for; the word under which a body holds it."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"

    @property
    def key(self) -> str:
        """The member by which a result goes."""
        return "name" if self is Searched.ACTION else "id"


@dataclass(frozen=True, slots=True)
class Question:
    """`entities` as they were sent, of what is searched for only its type.

    `limit` is None where none was sent.
    """

    searched: Searched
    entities: Mapping[str, Json]
    limit: int | None = None
    token: str = ""

    @property
    def type(self) -> str:
        """The type of what is searched for, "" for actions."""
        return str(self.entities[self.searched].get("type", ""))

    @property
    def searches_tools(self) -> bool:
        """Are tools the candidates? A gateway's shape has them as resources that are called."""
        if self.searched is Searched.RESOURCE:
            return self.type == wire.TOOL and self.entities["action"]["name"] in wire.TOOL_ACTIONS
        return self.searched is Searched.ACTION

    @property
    def names_tool(self) -> bool:
        """Does an action search ask about one tool, as evaluations may name it?"""
        return self.searched is Searched.ACTION and self.entities["resource"]["type"] == wire.TOOL

    @property
    def digest(self) -> str:
        """What a page token is bound to."""
        asked = {"searched": self.searched, "entities": self.entities}
        return hashlib.sha256(canonical(asked)).hexdigest()

    def ask(self, name: str) -> Ask:
        """The evaluation that this search asks of one candidate. Raises `BadRequest`."""
        return wire.read_evaluation(self._about(name))

    def result(self, name: str) -> dict[str, str]:
        """A candidate as it is told."""
        return {**self.entities[self.searched], self.searched.key: name}

    def _about(self, name: str) -> Mapping[str, Json]:
        found = self.entities.get(self.searched)
        if not isinstance(found, dict):
            return self.entities
        return {**self.entities, self.searched: {**found, self.searched.key: name}}


def read_question(searched: Searched, body: Json) -> Question:
    """The question in a search request. Raises `BadRequest`, which says what is missing.

    What is searched for is known by its type alone: an id and properties of it are ignored, and
    so is an action that an action search sends.
    """
    if not isinstance(body, dict):
        raise BadRequest("The body must be an object.")
    entities = {name: body[name] for name in ENTITIES if name in body}
    if searched is Searched.ACTION:
        entities["action"] = {}
    elif isinstance(sent := entities.get(searched), dict):
        entities[searched] = {name: sent[name] for name in ("type",) if name in sent}
    limit, token = _page(body.get("page", {}))
    question = Question(searched, entities, limit, token)
    question.ask(PLACEHOLDER)
    return question


def _page(page: Json) -> tuple[int | None, str]:
    if not isinstance(page, dict):
        raise BadRequest("page must be an object.")
    limit, token = page.get("limit"), page.get("token", "")
    if limit is not None and (type(limit) is not int or limit < 0):
        raise BadRequest("page.limit must be a whole number, 0 or more.")
    if not isinstance(token, str) or len(token) > MAX_TOKEN:
        raise BadRequest(f"page.token must be a string of at most {MAX_TOKEN} characters.")
    return None if limit is None else min(limit, MAX_LIMIT), token
