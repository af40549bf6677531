"""What a provider says that a call used: believed where it can be true, else not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .events import data_of
from .prices import MOST_TOKENS, Usage

Json = Any
Reader = Callable[[Json], Usage | None]

_MARK = b'"usage"'
_DONE = b"[DONE]"


def _count(whole: Mapping[str, Json], name: str) -> int:
    """A number of tokens; nothing said is none. Raises `ValueError` for what is no number."""
    value = whole.get(name)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_TOKENS:
        raise ValueError(f"{name} is no number of tokens.")
    return value


def _part(whole: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    value = whole.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no object.")
    return value


def of_openai(told: Json) -> Usage | None:
    """The `usage` of a chat completion, of embeddings, or of a response; None where it is none.

    Cached tokens are part of the prompt, as OpenAI counts them; what stands for reasoning is part
    of the output.
    """
    if not isinstance(told, dict):
        return None
    chat = "prompt_tokens" in told
    given, written = ("prompt", "completion") if chat else ("input", "output")
    if f"{given}_tokens" not in told:
        return None
    try:
        tokens, output = _count(told, f"{given}_tokens"), _count(told, f"{written}_tokens")
        cached = _count(_part(told, f"{given}_tokens_details"), "cached_tokens")
        total = _count(told, "total_tokens")
    except ValueError:
        return None
    if cached > tokens:
        return None
    # Some count what was reasoned beside the completion, in the total alone.
    return Usage(input=tokens - cached, output=max(output, total - tokens), cached=cached)


def of_anthropic(told: Json) -> Usage | None:
    """The `usage` of a message; None where it is none. Its parts lie beside each other."""
    if not isinstance(told, dict) or not {"input_tokens", "output_tokens"} & set(told):
        return None
    try:
        written = _count(told, "cache_creation_input_tokens")
        hour = _count(_part(told, "cache_creation"), "ephemeral_1h_input_tokens")
        used = Usage(
            input=_count(told, "input_tokens"),
            output=_count(told, "output_tokens"),
            cached=_count(told, "cache_read_input_tokens"),
            written=max(0, written - hour),
            written_1h=hour,
        )
    except ValueError:
        return None
    return used


def of_body(body: bytes, read: Reader) -> Usage | None:
    """What a whole answer says."""
    told = _parsed(body)
    return read(told.get("usage")) if isinstance(told, dict) else None


def _parsed(data: bytes) -> Json:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def most(one: Usage | None, other: Usage) -> Usage:
    """The larger of each part: what is counted up in a stream never falls."""
    if one is None:
        return other
    return Usage(
        *(max(getattr(one, name), getattr(other, name)) for name in Usage.__dataclass_fields__)
    )


@dataclass(slots=True)
class Following:
    """Reads usage on the way, event by event. `used` is what is known when all has come."""

    read: Reader
    seen: Usage | None = None
    whole: bool = False
    broken: bool = False

    @property
    def used(self) -> Usage | None:
        """None where the stream ended before its usage, or said what cannot be true."""
        return self.seen if self.whole and not self.broken else None

    def _take(self, told: Json) -> None:
        if told is None:
            return
        used = self.read(told)
        if used is None:
            self.broken = True
        else:
            self.seen = most(self.seen, used)

    def event(self, event: bytes) -> bool:
        """Look at one event. Whether it tells of usage alone, and of nothing else."""
        raise NotImplementedError


class FollowingChat(Following):
    """Chat completions: the usage stands in a chunk without choices, or in the last with any."""

    def event(self, event: bytes) -> bool:
        data = data_of(event)
        if data.strip() == _DONE:
            self.whole = self.whole or self.seen is not None
            return False
        told = _parsed(data) if _MARK in data else None
        if not isinstance(told, dict) or told.get("usage") is None:
            return False
        self._take(told["usage"])
        alone = told.get("choices") == []
        self.whole = self.whole or alone
        return alone


class FollowingResponse(Following):
    """Responses: the event that ends one has it whole, with its usage."""

    _ENDS = ("response.completed", "response.incomplete", "response.failed")

    def event(self, event: bytes) -> bool:
        data = data_of(event)
        told = _parsed(data) if _MARK in data else None
        if not isinstance(told, dict) or told.get("type") not in self._ENDS:
            return False
        response = told.get("response")
        if isinstance(response, dict) and response.get("usage") is not None:
            self._take(response["usage"])
            self.whole = True
        return False


@dataclass(slots=True)
class FollowingMessage(Following):
    """Messages: the input is told at the start, the output is counted up until the stop."""

    counted: bool = False

    def event(self, event: bytes) -> bool:
        told = _parsed(data_of(event))
        kind = told.get("type") if isinstance(told, dict) else None
        if kind == "message_start":
            message = told.get("message")
            self._take(message.get("usage") if isinstance(message, dict) else None)
        elif kind == "message_delta":
            self._take(told.get("usage"))
            self.counted = self.counted or told.get("usage") is not None
        elif kind == "message_stop":
            self.whole = self.counted
        return False
