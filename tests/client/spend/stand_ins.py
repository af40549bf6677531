"""A provider of both shapes and a Muster that keeps accounts, both on this machine."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from client.muster_client.spend.app import make_app
from client.muster_client.spend.config import Config, Provider
from client.muster_client.spend.prices import MILLION, Prices, read_prices, up
from tests.client.muster_double import allow, deny

TABLE = {
    "currency": "EUR",
    "models": {
        "openai": {
            "small": {"input": "1", "output": "4", "cached_input": "0.5", "max_output_tokens": 100},
            # A whole euro for a thousand tokens of output.
            "dear": {"input": "1", "output": "1000", "max_output_tokens": 100},
            "vectors": {"input": "0.1"},
        },
        "anthropic": {
            "small": {
                "input": "3",
                "output": "15",
                "cached_input": "0.3",
                "cache_write": "3.75",
                "max_output_tokens": 100,
                "image_tokens": 1600,
            },
        },
    },
}
PRICES = read_prices(TABLE)
TOKEN = "the-agents-own-token"
KEYS = {"openai": "sk-of-the-proxy", "anthropic": "sk-ant-of-the-proxy"}


@contextmanager
def served(app: Any) -> Iterator[str]:
    """An ASGI application on a port of its own, until the end; its address."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=5)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [line]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{line.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


# The provider


@dataclass
class Standing:
    """A provider: what it got, what it billed in micro-units, and how it answers the next call.

    `said` is what it answers instead, `usage` what it says of usage instead, `cut` after how many
    events it breaks off, `pad` how many comments of a kilobyte come first.
    """

    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    billed: int = 0
    output: int = 7
    usage: Any = None
    said: Response | None = None
    cut: int | None = None
    pad: int = 0

    async def answer(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.got.append((request.url.path, dict(request.headers), body))
        if self.said is not None:
            return self.said
        shape = "anthropic" if request.url.path.startswith("/v1/messages") else "openai"
        tokens = len(json.dumps(body.get("messages", body.get("input"))))
        price = PRICES.models[shape][body["model"]]
        if request.url.path.endswith("count_tokens"):
            return JSONResponse({"input_tokens": tokens})
        output = 0 if request.url.path == "/v1/embeddings" else self.output
        self.billed += up(tokens * price.input + output * price.output, MILLION)
        made = {
            "/v1/chat/completions": chat,
            "/v1/responses": response,
            "/v1/embeddings": embeddings,
            "/v1/messages": message,
        }[request.url.path]
        whole, events = made(body, tokens, output, self.usage)
        if body.get("stream"):
            return StreamingResponse(self._streamed(events), media_type="text/event-stream")
        return JSONResponse(whole)

    async def _streamed(self, events: list[bytes]) -> Any:
        for _ in range(self.pad):
            yield b": " + b"x" * 1024 + b"\n\n"
        for number, event in enumerate(events):
            if number == self.cut:
                raise RuntimeError("cut")
            yield event

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=["POST"])])


def sse(data: Any, name: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def chat(body: Any, tokens: int, output: int, usage: Any) -> tuple[Any, list[bytes]]:
    told = usage or {
        "prompt_tokens": tokens,
        "completion_tokens": output,
        "total_tokens": tokens + output,
    }
    common = {"id": "chat-1", "created": 1, "model": body["model"]}
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hi"},
    }
    whole = {**common, "object": "chat.completion", "choices": [choice], "usage": told}
    chunk = {**common, "object": "chat.completion.chunk"}
    deltas = [{"role": "assistant", "content": "H"}, {"content": "i"}, {}]
    events = [
        sse({**chunk, "choices": [{"index": 0, "delta": d, "finish_reason": None}], "usage": None})
        for d in deltas
    ]
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append(sse({**chunk, "choices": [], "usage": told}))
    return whole, [*events, sse("[DONE]")]


def response(body: Any, tokens: int, output: int, usage: Any) -> tuple[Any, list[bytes]]:
    told = usage or {
        "input_tokens": tokens,
        "output_tokens": output,
        "total_tokens": tokens + output,
    }
    item = {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
    }
    whole = {
        "id": "resp-1",
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "status": "completed",
        "output": [item],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": told,
    }
    events = [
        sse({"type": "response.output_text.delta", "delta": "Hi"}, "response.output_text.delta"),
        sse({"type": "response.completed", "response": whole}, "response.completed"),
    ]
    return whole, events


def embeddings(body: Any, tokens: int, output: int, usage: Any) -> tuple[Any, list[bytes]]:
    data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
    told = usage or {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": body["model"], "data": data, "usage": told}, []


def message(body: Any, tokens: int, output: int, usage: Any) -> tuple[Any, list[bytes]]:
    told = usage or {"input_tokens": tokens, "output_tokens": output}
    whole = {
        "id": "msg-1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "usage": told,
    }
    started = {**whole, "content": [], "usage": {**told, "output_tokens": 1}}
    events = [
        sse({"type": "message_start", "message": started}, "message_start"),
        sse({"type": "content_block_delta", "index": 0, "delta": {"text": "Hi"}}),
        sse({"type": "message_delta", "delta": {}, "usage": told}, "message_delta"),
        sse({"type": "message_stop"}, "message_stop"),
    ]
    return whole, events


# Muster


@dataclass
class Accounts:
    """A Muster with one agent and one cap in minor units, that reserves and settles."""

    cap: int = 100
    spent: int = 0
    said: dict[str, Any] | None = None
    active: dict[str, Any] = field(default_factory=lambda: {"active": True, "sub": "desk"})
    away: bool = False
    lost_reports: int = 0
    questions: list[Any] = field(default_factory=list)
    reports: list[Any] = field(default_factory=list)
    reserved: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        given = self._given(request)
        return httpx.Response(
            given[0],
            headers={"content-type": "application/json"},
            stream=httpx.ByteStream(json.dumps(given[1]).encode()),
        )

    def _given(self, request: httpx.Request) -> tuple[int, Any]:
        path = request.url.path
        if self.away:
            raise httpx.ConnectError("away")
        if path == "/oauth/token":
            return 200, {"access_token": "t", "token_type": "Bearer", "expires_in": 600}
        if path == "/oauth/introspect":
            return 200, self.active if f"token={TOKEN}".encode() in request.content else {
                "active": False
            }
        with self._lock:
            if path == "/access/v1/evaluation":
                return 200, self._decided(json.loads(request.content))
            return self._settled(path.split("/")[4], json.loads(request.content))

    def _decided(self, body: Any) -> Any:
        self.questions.append(body)
        if self.said is not None:
            return self.said
        cost = body["context"]["estimate"]["cost_minor"]
        if self.spent + cost > self.cap:
            return deny(
                check="spend",
                code="spend.cap",
                message="The cap of the day is used up.",
                remedies=[{"kind": "wait", "message": "Wait for tomorrow."}],
            )
        self.spent += cost
        decision = str(UUID(int=len(self.questions)))
        self.reserved[decision] = cost
        return allow(decision_id=decision)

    def _settled(self, decision: str, body: Any) -> tuple[int, Any]:
        if self.lost_reports:
            self.lost_reports -= 1
            return 503, {"code": "busy"}
        self.reports.append(body)
        self.spent += body["cost_minor"] - self.reserved.get(decision, 0)
        return 201, {"outcome_id": str(UUID(int=99))}


def config_of(provider: str, *, prices: Prices = PRICES, **more: Any) -> Config:
    """A proxy before one stand-in that answers for both providers."""
    providers = {
        name: Provider(name, name, provider, key, "llm.{provider}.{model}", prices.models[name])
        for name, key in KEYS.items()
    }
    given = {"muster_url": "https://muster.example", "client_id": "proxy", "client_secret": "s"}
    return Config(**{**given, "prices": prices, "providers": providers, **more})


@dataclass
class Scene:
    """A proxy that runs, with what stands on both sides of it."""

    url: str
    provider: Standing
    muster: Accounts

    def post(self, path: str, body: Any, **given: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"} | given.pop("headers", {})
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        if isinstance(body, bytes):
            headers = {"Content-Type": "application/json"} | headers
        return httpx.post(self.url + path, headers=headers, timeout=30, **content, **given)

    def chat(self, text: str = "Hello", **more: Any) -> httpx.Response:
        return self.post("/v1/chat/completions", a_chat(text, **more))

    def message(self, text: str = "Hello", **more: Any) -> httpx.Response:
        return self.post("/v1/messages", a_chat(text, **more))

    @property
    def sent(self) -> list[Any]:
        return [body for _, _, body in self.provider.got]


def a_chat(text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"model": "small", "messages": [{"role": "user", "content": text}], **more}


@contextmanager
def scene(**more: Any) -> Iterator[Scene]:
    provider, muster = Standing(), Accounts()
    with served(provider.app) as upstream:
        app = make_app(config_of(upstream, **more), to_muster=httpx.MockTransport(muster))
        with served(app) as url:
            yield Scene(url, provider, muster)
