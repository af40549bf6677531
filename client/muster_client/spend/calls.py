"""Requests to a model, read so that what they may cost is known before they are sent.

A member that is not listed here is refused: it may cost what nobody counts, such as a search of
the provider's own, a text that the provider keeps, or a dearer service tier. The shapes are those
of OpenAI's API reference (chat completions, responses, embeddings) and of Anthropic's (messages,
count tokens).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import strict_json
from . import usage
from .prices import Price

Json = Any

OPENAI, ANTHROPIC = "openai", "anthropic"
SHAPES = (OPENAI, ANTHROPIC)
MAX_MANY = 16
# What a provider adds by itself: marks around each message, and its own words about tools.
OVERHEAD = 1000
_DATA = "data:"
# Tiers that cost no more than the table says.
_TIERS = ("default", "flex", "standard_only")


class BadCall(Exception):
    """A request that does not go on. `status` and `param` are for the answer."""

    def __init__(self, message: str, *, status: int = 400, param: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.param = param


@dataclass(frozen=True, slots=True)
class Operation:
    """One address of an API. `limits` are the members that bound the output, first the one put in.

    `images` are the types of content that hold a picture, `texts` all others that may be sent,
    `tools` the types of tools that the caller runs itself.
    """

    name: str
    path: str
    shape: str
    members: frozenset[str]
    limits: tuple[str, ...]
    read: usage.Reader
    following: Callable[[usage.Reader], usage.Following] | None
    texts: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()
    free: bool = False


def _members(words: str) -> frozenset[str]:
    return frozenset(words.split())


_CHAT = Operation(
    name="chat.completions",
    path="/v1/chat/completions",
    shape=OPENAI,
    members=_members(
        "model messages max_tokens max_completion_tokens n stream stream_options temperature top_p "
        "stop seed user tools tool_choice parallel_tool_calls response_format frequency_penalty "
        "presence_penalty logit_bias logprobs top_logprobs reasoning_effort verbosity metadata "
        "store service_tier modalities safety_identifier prompt_cache_key"
    ),
    limits=("max_completion_tokens", "max_tokens"),
    read=usage.of_openai,
    following=usage.FollowingChat,
    texts=_members("text refusal"),
    images=_members("image_url"),
    tools=_members("function custom"),
)
_RESPONSES = Operation(
    name="responses",
    path="/v1/responses",
    shape=OPENAI,
    members=_members(
        "model input instructions max_output_tokens stream temperature top_p text tools "
        "tool_choice parallel_tool_calls reasoning include metadata store user truncation "
        "service_tier max_tool_calls top_logprobs safety_identifier prompt_cache_key stream_options"
    ),
    limits=("max_output_tokens",),
    read=usage.of_openai,
    following=usage.FollowingResponse,
    texts=_members(
        "message input_text output_text refusal function_call function_call_output reasoning "
        "reasoning_text summary_text custom_tool_call custom_tool_call_output"
    ),
    images=_members("input_image"),
    tools=_members("function custom"),
)
_EMBEDDINGS = Operation(
    name="embeddings",
    path="/v1/embeddings",
    shape=OPENAI,
    members=_members("model input dimensions encoding_format user"),
    limits=(),
    read=usage.of_openai,
    following=None,
)
_TOLD = "model messages system tools tool_choice thinking output_config cache_control"
_CONTENT = _members("text tool_use tool_result thinking redacted_thinking ephemeral")
# What stands for something that the provider keeps, of a size that nobody knows here.
_KEPT = ("file_id", "audio", "input_audio", "file")
_MESSAGES = Operation(
    name="messages",
    path="/v1/messages",
    shape=ANTHROPIC,
    members=_members(
        _TOLD + " max_tokens stream temperature top_p top_k stop_sequences metadata service_tier"
    ),
    limits=("max_tokens",),
    read=usage.of_anthropic,
    following=usage.FollowingMessage,
    texts=_CONTENT,
    images=_members("image"),
    tools=_members("custom"),
)
_COUNT = Operation(
    name="messages.count_tokens",
    path="/v1/messages/count_tokens",
    shape=ANTHROPIC,
    members=_members(_TOLD),
    limits=(),
    read=usage.of_anthropic,
    following=None,
    texts=_CONTENT,
    images=_members("image"),
    tools=_members("custom"),
    free=True,
)
OPERATIONS: Mapping[tuple[str, str], Operation] = {
    (one.shape, one.path): one for one in (_CHAT, _RESPONSES, _EMBEDDINGS, _MESSAGES, _COUNT)
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it will be sent, and what it may use at the most."""

    operation: Operation
    provider: str
    model: str
    price: Price
    body: bytes = field(repr=False)
    input_tokens: int
    output_tokens: int
    streamed: bool
    hides_usage: bool

    @property
    def most(self) -> int:
        """Micro-units that it may cost at the most."""
        if self.operation.free:
            return 0
        return self.price.most(self.input_tokens, self.output_tokens)

    @property
    def digest(self) -> str:
        """SHA-256 of what is sent, in hex: what a human approves is this request and no other."""
        return hashlib.sha256(self.body).hexdigest()


def read_call(raw: bytes, operation: Operation, provider: str, models: Mapping[str, Price]) -> Call:
    """The request in a body. Raises `BadCall`, which says what to change."""
    asked = _parsed(raw)
    model = asked.get("model")
    if not isinstance(model, str):
        raise BadCall("model must be the name of a model.", param="model")
    price = models.get(model)
    if price is None or (operation.limits and price.max_output_tokens is None):
        raise BadCall(
            f"{model[:100]!r} has no price here, so it cannot be called. "
            "Ask whoever keeps the table of prices.",
            status=404,
            param="model",
        )
    _check_members(asked, operation)
    _check_content(asked, operation, price)
    output = _bounded(asked, operation, price)
    if operation is _RESPONSES:
        asked["store"] = False
    hides = _ask_usage(asked, operation)
    body = _encoded(asked)
    return Call(
        operation=operation,
        provider=provider,
        model=model,
        price=price,
        body=body,
        input_tokens=_input_bound(asked, body, operation, price),
        output_tokens=output,
        streamed=asked.get("stream") is True,
        hides_usage=hides,
    )


# JSON


def _parsed(raw: bytes) -> dict[str, Json]:
    """Read so that two readers cannot disagree about it."""
    try:
        whole = strict_json.read(raw)
    except ValueError as error:
        raise BadCall(f"The body is not JSON: {str(error)[:200]}.") from error
    if not isinstance(whole, dict):
        raise BadCall("The body must be a JSON object.")
    return whole


def _encoded(asked: Mapping[str, Json]) -> bytes:
    try:
        text = json.dumps(asked, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()
    except (ValueError, RecursionError) as error:
        raise BadCall("The body holds text or a number that cannot be sent on.") from error


# What may be asked


def _check_members(asked: Mapping[str, Json], operation: Operation) -> None:
    for name in asked:
        if name not in operation.members:
            raise BadCall(
                f"{name[:100]} is not passed on: what it costs is not counted here. Leave it out.",
                param=name[:100],
            )
    if not isinstance(asked.get("stream", False), bool | None):
        raise BadCall("stream must be true or false.", param="stream")
    if asked.get("service_tier") not in (None, *_TIERS):
        raise BadCall(
            f"service_tier must be one of {', '.join(_TIERS)}: others have other prices.",
            param="service_tier",
        )
    if asked.get("modalities") not in (None, ["text"]):
        raise BadCall("modalities must be text alone.", param="modalities")
    if operation is _RESPONSES:
        _keep_nothing(asked)
    _check_tools(asked, operation)


def _keep_nothing(asked: Mapping[str, Json]) -> None:
    """A response is read from its request alone, not from what the provider has kept of others."""
    if asked.get("store") not in (None, False):
        raise BadCall("store must be false: what is kept is read later without being counted.")
    items = asked.get("input")
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict) or not {"role", "type"} & set(item):
            raise BadCall("Each item of the input needs a role or a type.", param="input")


def _check_tools(asked: Mapping[str, Json], operation: Operation) -> None:
    """Only tools that the caller runs itself: the provider's own cost what is not counted."""
    tools = asked.get("tools")
    if tools is None:
        return
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise BadCall("tools must be an array of objects.", param="tools")
    # Anthropic's have no type where they are the caller's own.
    default = "custom" if operation.shape == ANTHROPIC else None
    for tool in tools:
        kind = tool.get("type", default)
        if not isinstance(kind, str) or kind not in operation.tools:
            raise BadCall(
                f"Tools of the type {str(kind)[:100]!r} are run by the provider, "
                "and what that costs is not counted here.",
                param="tools",
            )


def _places(asked: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """Every object in what the model reads, at any depth; tools and their results included."""
    left: list[Json] = [asked[name] for name in ("messages", "input", "system") if name in asked]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            yield here
            # What a tool was called with is the caller's own JSON, and text to the model.
            left.extend(value for name, value in here.items() if not _is_own(here, name))
        elif isinstance(here, list):
            left.extend(here)


def _is_own(here: Mapping[str, Json], name: str) -> bool:
    return here.get("type") == "tool_use" and name == "input"


def _check_content(asked: Mapping[str, Json], operation: Operation, price: Price) -> None:
    """Content that stands in the body itself, and pictures where they are priced."""
    for here in _places(asked):
        kind = here.get("type", "text")
        if kind in ("base64", "url") and operation.shape == ANTHROPIC:
            continue
        if not isinstance(kind, str) or kind not in operation.texts | operation.images | {
            "text",
            *operation.tools,
        }:
            raise BadCall(
                f"Content of the type {str(kind)[:100]!r} is not passed on: "
                "how many tokens it is cannot be known here.",
                param="messages",
            )
        if not set(_KEPT).isdisjoint(here):
            raise BadCall("What the provider keeps, or hears, has tokens that nobody counts here.")
        if kind in operation.images and not price.image_tokens:
            raise BadCall("The table of prices does not say what an image counts for this model.")
    if _caches(asked) and price.cache_write is None:
        raise BadCall(
            "cache_control is not passed on: the table has no price for writing into the cache.",
            param="cache_control",
        )


def _caches(asked: Json) -> bool:
    left: list[Json] = [asked]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            if here.get("cache_control") is not None:
                return True
            left.extend(here.values())
        elif isinstance(here, list):
            left.extend(here)
    return False


# What it may use


def _bounded(asked: dict[str, Json], operation: Operation, price: Price) -> int:
    """Output tokens at the most; put into the request where it names none."""
    if not operation.limits:
        return 0
    most = price.max_output_tokens or 0
    named = [name for name in operation.limits if asked.get(name) is not None]
    if len(named) > 1:
        raise BadCall(f"Say one of {', '.join(named)}.", param=named[1])
    name = named[0] if named else operation.limits[0]
    wanted = _whole(asked.get(name), name, most) if named else most
    asked[name] = wanted
    return wanted * _whole(asked.get("n") if asked.get("n") is not None else 1, "n", MAX_MANY)


def _whole(value: Json, name: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise BadCall(f"{name} must be a whole number from 1 to {most}.", param=name)
    return value


def _ask_usage(asked: dict[str, Json], operation: Operation) -> bool:
    """Have a streamed chat tell its usage; whether the caller did not ask for that."""
    if operation is not _CHAT or asked.get("stream") is not True:
        return False
    options = asked.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise BadCall("stream_options must be an object.", param="stream_options")
    asked_for = (options or {}).get("include_usage") is True
    asked["stream_options"] = {**(options or {}), "include_usage": True}
    return not asked_for


def _input_bound(asked: Mapping[str, Json], body: bytes, operation: Operation, price: Price) -> int:
    """Input tokens at the most: a token is at least one byte of the body.

    A picture counts as the table says, and its bytes do not count besides.
    """
    images = [here for here in _places(asked) if here.get("type") in operation.images]
    inline = sum(len(text) for image in images for text in _inline(image))
    bound = len(body) - inline + len(images) * price.image_tokens + OVERHEAD
    if price.max_input_tokens is not None and bound > price.max_input_tokens:
        raise BadCall(
            f"The request may come to {bound} tokens, and the price of this model is known up to "
            f"{price.max_input_tokens}.",
            status=413,
        )
    return bound


def _inline(image: Mapping[str, Json]) -> Iterator[str]:
    """The pictures that stand in the body: data addresses, or base64 as Anthropic has it."""
    for place in (image.get("image_url"), image.get("source")):
        held = place if isinstance(place, dict) else {"url": place}
        url, data = held.get("url"), held.get("data")
        if isinstance(url, str) and url.startswith(_DATA):
            yield url
        elif held.get("type") == "base64" and isinstance(data, str):
            yield data
