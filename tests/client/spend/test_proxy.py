"""The proxy between a client and a provider: reserved before, settled after, in any case."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from starlette.responses import Response

from client.muster_client.spend.calls import OVERHEAD
from tests.client.muster_double import HOLD, allow, deny, hold
from tests.client.spend.stand_ins import KEYS, PRICES, TOKEN, Scene, a_chat, scene, sse


@pytest.fixture(scope="module")
def running() -> Iterator[Scene]:
    with scene() as made:
        yield made


@pytest.fixture
def front(running: Scene) -> Scene:
    """The one proxy of this module, with nothing left of the test before."""
    for side in (running.provider, running.muster):
        fresh = type(side)()
        for name in vars(fresh):
            setattr(side, name, getattr(fresh, name))
    running.muster.cap = 10_000
    return running


@pytest.fixture
def client(front: Scene) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{front.url}/openai/v1", api_key=TOKEN, max_retries=0, http_client=httpx.Client()
    ) as made:
        yield made


def settled(front: Scene, count: int = 1) -> list[int]:
    """What was settled in micro-units, once there are so many reports; None is what is unknown."""
    for _ in range(1000):
        if len(front.muster.reports) >= count:
            break
        time.sleep(0.01)
    return [report["output"]["cost_micro"] for report in front.muster.reports]


# OpenAI's own library as the client


def test_a_chat(front: Scene, client: openai.OpenAI) -> None:
    told = client.chat.completions.create(**a_chat())

    assert told.choices[0].message.content == "Hi"
    assert settled(front) == [front.provider.billed]
    assert front.muster.reports[0]["outcome"] == "success"


def test_a_streamed_chat_hides_the_usage_that_nobody_asked_for(
    front: Scene, client: openai.OpenAI
) -> None:
    chunks = list(client.chat.completions.create(**a_chat(), stream=True))

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hi"
    assert front.sent[0]["stream_options"] == {"include_usage": True}
    assert settled(front) == [front.provider.billed]


def test_a_streamed_chat_shows_the_usage_that_was_asked_for(
    front: Scene, client: openai.OpenAI
) -> None:
    chunks = list(
        client.chat.completions.create(
            **a_chat(), stream=True, stream_options={"include_usage": True}
        )
    )

    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [7]
    assert settled(front) == [front.provider.billed]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_response(streamed: bool, front: Scene, client: openai.OpenAI) -> None:
    told = client.responses.create(model="small", input="Hello", stream=streamed)

    if streamed:
        kinds = [event.type for event in told]
        assert kinds == ["response.output_text.delta", "response.completed"]
    else:
        assert told.output_text == "Hi"
    assert settled(front) == [front.provider.billed]
    assert front.sent[0]["store"] is False


def test_embeddings(front: Scene, client: openai.OpenAI) -> None:
    told = client.embeddings.create(model="vectors", input="Hello", encoding_format="float")

    assert told.data[0].embedding == [0.5]
    assert settled(front) == [front.provider.billed]


def test_models_are_those_with_a_price(front: Scene, client: openai.OpenAI) -> None:
    assert [each.id for each in client.models.list()] == ["dear", "small", "vectors"]
    assert front.provider.got == []


def test_the_cap_is_told_as_a_quota(front: Scene, client: openai.OpenAI) -> None:
    front.muster.cap = 0

    with pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(**a_chat())

    assert raised.value.code == "insufficient_quota"
    assert raised.value.body["message"] == "The cap of the day is used up. Wait for tomorrow."
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert front.provider.got == []


def test_a_library_does_not_ask_again_at_the_cap(front: Scene) -> None:
    front.muster.cap = 0
    with (
        openai.OpenAI(
            base_url=f"{front.url}/v1", api_key=TOKEN, max_retries=2, http_client=httpx.Client()
        ) as client,
        pytest.raises(openai.RateLimitError),
    ):
        client.chat.completions.create(**a_chat())

    assert len(front.muster.questions) == 1


def test_a_hold_has_a_link(front: Scene, client: openai.OpenAI) -> None:
    front.muster.said = hold()

    with pytest.raises(openai.PermissionDeniedError) as raised:
        client.chat.completions.create(**a_chat())

    assert f"https://muster.example/inbox/?item=hold:{HOLD}" in raised.value.body["message"]
    assert front.provider.got == []


def test_a_stream_that_breaks_off_is_an_error(front: Scene, client: openai.OpenAI) -> None:
    front.provider.cut = 2

    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(**a_chat(), stream=True))

    assert settled(front) == [None]
    assert front.muster.spent == next(iter(front.muster.reserved.values())) > 0


# Anthropic's shape


@pytest.mark.parametrize("streamed", [False, True])
def test_a_message(streamed: bool, front: Scene) -> None:
    told = front.post(
        "/anthropic/v1/messages",
        a_chat(stream=streamed),
        headers={"x-api-key": TOKEN, "anthropic-version": "2023-06-01"},
    )

    assert told.status_code == 200
    if streamed:
        assert told.content.endswith(sse({"type": "message_stop"}, "message_stop"))
    else:
        assert told.json()["content"] == [{"type": "text", "text": "Hi"}]
    assert settled(front) == [front.provider.billed]
    assert front.sent[0]["max_tokens"] == 100


def test_counting_tokens_is_asked_about_and_costs_nothing(front: Scene) -> None:
    told = front.post("/v1/messages/count_tokens", a_chat())

    assert told.json()["input_tokens"] > 0
    assert front.muster.questions[0]["context"]["estimate"] == {
        "cost_minor": 0,
        "currency": "EUR",
    }
    assert settled(front) == [0]


def test_the_cap_in_anthropic_s_words(front: Scene) -> None:
    front.muster.cap = 0

    told = front.message()

    assert (told.status_code, told.json()) == (
        402,
        {
            "type": "error",
            "error": {
                "type": "billing_error",
                "message": "The cap of the day is used up. Wait for tomorrow.",
            },
        },
    )


def test_models_in_anthropic_s_words(front: Scene) -> None:
    told = httpx.get(
        f"{front.url}/v1/models", headers={"x-api-key": TOKEN, "anthropic-version": "2023-06-01"}
    )

    assert [each["id"] for each in told.json()["data"]] == ["small"]


# What is asked, and what is sent


def test_the_question(front: Scene) -> None:
    front.chat("Hello", max_tokens=50, n=2)

    (question,) = front.muster.questions
    body = json.dumps(front.sent[0], separators=(",", ":")).encode()
    price = PRICES.models["openai"]["small"]
    most = PRICES.in_minor(price.most(len(body) + OVERHEAD, 100))
    asked = question["action"]["properties"]
    assert (question["subject"]["id"], question["action"]["name"]) == ("desk", "llm.openai.small")
    assert question["context"]["estimate"] == {"cost_minor": most, "currency": "EUR"}
    assert (asked["input_tokens"], asked["output_tokens"]) == (len(body) + OVERHEAD, 100)
    assert (asked["amount"], asked["operation"]) == (most / 100, "chat.completions")


@pytest.mark.parametrize(("path", "shape"), [("/v1/messages", "anthropic"), (None, "openai")])
def test_only_the_proxy_s_headers_go_on(path: str | None, shape: str, front: Scene) -> None:
    front.post(
        path or "/v1/chat/completions",
        a_chat(),
        headers={"X-Forwarded-For": "1.2.3.4", "OpenAI-Organization": "o", "Cookie": "a=b"},
    )

    ((_, headers, _),) = front.provider.got
    key = "x-api-key" if shape == "anthropic" else "authorization"
    assert headers[key].removeprefix("Bearer ") == KEYS[shape]
    assert headers["accept-encoding"] == "identity"
    assert set(headers) <= {
        *("host", "content-type", "accept", "accept-encoding", "content-length", "user-agent"),
        *("connection", "anthropic-version", key),
    }
    assert TOKEN not in str(headers)


@pytest.mark.parametrize(
    ("path", "name"),
    [("/v1/chat/completions", "max_completion_tokens"), ("/v1/messages", "max_tokens")],
)
def test_a_ceiling_is_put_in(path: str, name: str, front: Scene) -> None:
    assert front.post(path, a_chat()).status_code == 200

    assert front.sent[0][name] == 100


# What is not settled by what was said


LIES = [
    {"prompt_tokens": -5, "completion_tokens": 1},
    {"prompt_tokens": 10**18, "completion_tokens": 1},
    {"prompt_tokens": 1.5, "completion_tokens": 1},
    {"prompt_tokens": True, "completion_tokens": 1},
    {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}},
    {"prompt_tokens": 5, "prompt_tokens_details": [6]},
    "much",
    {},
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("lie", LIES)
def test_a_lie_counts_as_the_most(lie: Any, streamed: bool, front: Scene) -> None:
    front.provider.usage = lie or {"nothing": 1}

    assert front.chat(stream=streamed).status_code == 200

    assert settled(front) == [None]
    assert front.muster.spent == next(iter(front.muster.reserved.values())) > 0


def test_more_than_was_reserved_is_settled_as_it_is(front: Scene) -> None:
    front.provider.usage = {"prompt_tokens": 10**6, "completion_tokens": 10**6}

    front.chat()

    assert settled(front) == [5_000_000]
    assert front.muster.spent == 500


BROKEN: dict[str, Response] = {
    "compressed": Response(b"\x1f\x8b", headers={"content-encoding": "gzip"}),
    "a redirect": Response(status_code=307, headers={"location": "http://127.0.0.1:1/"}),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_cannot_be_read_counts_as_the_most(kind: str, front: Scene) -> None:
    front.provider.said = BROKEN[kind]

    assert front.chat().status_code == 502
    assert settled(front) == [None]


@pytest.mark.parametrize(("status", "cost"), [(400, 0), (429, 0), (500, None), (529, None)])
def test_what_a_provider_refuses_is_free_and_what_it_breaks_is_not(
    status: int, cost: int | None, front: Scene
) -> None:
    front.provider.said = Response(
        b'{"error": 1}', status, {"set-cookie": "a=b", "retry-after": "7"}, "application/json"
    )

    told = front.chat()

    assert (told.status_code, told.content) == (status, b'{"error": 1}')
    assert (told.headers.get("retry-after"), "set-cookie" in told.headers) == ("7", False)
    assert settled(front) == [cost]
    assert front.muster.reports[0]["outcome"] == "failure"
    front.chat()
    assert "cookie" not in front.provider.got[-1][1]


def test_a_caller_who_hangs_up_is_settled_by_what_came(front: Scene) -> None:
    front.provider.pad = 5000
    host, port = front.url.removeprefix("http://").split(":")
    body = json.dumps(a_chat(stream=True)).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(head.encode() + body)
        line.recv(20)

    assert settled(front) == [front.provider.billed]


def test_a_report_that_is_lost_is_sent_again(front: Scene) -> None:
    front.muster.lost_reports = 1

    front.chat()

    assert settled(front) == [front.provider.billed]


def test_rounding_is_carried_to_the_next_call(front: Scene) -> None:
    """Eight calls of less than a cent each come to what they come to, rounded up once."""
    front.muster.active = {"active": True, "sub": "another-desk"}
    for _ in range(8):
        assert front.chat().status_code == 200

    settled(front, 8)
    assert sum(r["cost_minor"] for r in front.muster.reports) == PRICES.in_minor(
        front.provider.billed
    )


# Who may call


WAYS: dict[str, Callable[[Scene], None]] = {
    "not active": lambda s: setattr(s.muster, "active", {"active": False}),
    "a gateway": lambda s: setattr(s.muster, "active", {"active": True, "sub": "gateway:edge"}),
    "for a person": lambda s: setattr(
        s.muster, "active", {"active": True, "sub": "p", "act": {"sub": "desk"}}
    ),
    "true as text": lambda s: setattr(s.muster, "active", {"active": "true", "sub": "desk"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_another_token_than_an_agent_s_own(way: str, front: Scene) -> None:
    WAYS[way](front)

    assert front.chat().status_code == 401
    assert (front.muster.questions, front.provider.got) == ([], [])


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {KEYS['openai']}"},
        {"x-api-key": "another"},
    ],
)
def test_a_token_that_is_missing_or_unclear(headers: dict[str, str], front: Scene) -> None:
    told = front.post("/v1/chat/completions", a_chat(), headers=headers)

    assert (told.status_code, told.json()["error"]["type"]) == (401, "authentication_error")
    assert front.provider.got == []


def test_muster_is_away(front: Scene) -> None:
    front.muster.away = True

    assert front.chat().status_code == 503
    assert front.provider.got == []


@pytest.mark.parametrize(
    "said",
    [
        deny(),
        {"decision": True},
        {"decision": "true", "context": allow()["context"]},
        allow(obligations=[{"kind": "redact", "paths": ["/choices"]}]),
        allow(obligations=[{"kind": "notify", "who": "someone"}]),
    ],
)
def test_nothing_but_a_yes_that_can_be_kept_is_one(said: Any, front: Scene) -> None:
    front.muster.said = said

    assert front.chat().status_code in (403, 503)
    assert front.provider.got == []


# What is refused before anything is asked


def test_what_is_refused_is_never_asked_about(front: Scene) -> None:
    for path, body, headers, status in REFUSED:
        told = front.post(path, body, headers=headers)
        assert (path, body, told.status_code) == (path, body, status)

    assert (front.muster.questions, front.provider.got) == ([], [])


CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}]
REFUSED: list[tuple[str, Any, dict[str, str], int]] = [
    ("/v1/completions", a_chat(), {}, 404),
    ("/v1/chat/completions/", a_chat(), {}, 404),
    ("/v1//chat/completions", a_chat(), {}, 404),
    ("/v1/%63hat/completions", a_chat(), {}, 404),
    ("/nobody/v1/chat/completions", a_chat(), {}, 404),
    (f"{CHAT}?api-version=1", a_chat(), {}, 400),
    (CHAT, a_chat(model="unpriced"), {}, 404),
    (CHAT, a_chat(model="vectors"), {}, 404),
    (CHAT, a_chat(model=["small"]), {}, 400),
    (CHAT, a_chat(max_tokens=101), {}, 400),
    (CHAT, a_chat(max_tokens=-1), {}, 400),
    (CHAT, a_chat(max_tokens=True), {}, 400),
    (CHAT, a_chat(max_tokens=5, max_completion_tokens=5), {}, 400),
    (CHAT, a_chat(n=17), {}, 400),
    (CHAT, a_chat(n=0), {}, 400),
    (CHAT, a_chat(stream="yes"), {}, 400),
    (CHAT, a_chat(web_search_options={}), {}, 400),
    (CHAT, a_chat(prediction={"type": "content", "content": "x"}), {}, 400),
    (CHAT, a_chat(service_tier="priority"), {}, 400),
    (CHAT, a_chat(modalities=["text", "audio"]), {}, 400),
    (CHAT, a_chat(tools=[{"type": "web_search"}]), {}, 400),
    (CHAT, a_chat(messages=IMAGE), {}, 400),
    (CHAT, {"model": "small", "messages": [{"type": ["text"]}]}, {}, 400),
    (CHAT, b'{"model": "small", "model": "dear", "messages": []}', {}, 400),
    (CHAT, b'{"model": "small", "messages": [NaN]}', {}, 400),
    (CHAT, b'{"model": "small", "messages": ["\\ud800"]}', {}, 400),
    (CHAT, b"[" * 100_000, {}, 400),
    (CHAT, b"[]", {}, 400),
    (CHAT, b"\xff", {}, 400),
    (CHAT, b"x" * (8 * 1024 * 1024 + 1), {}, 413),
    (CHAT, a_chat(), {"Content-Type": "text/plain"}, 400),
    (CHAT, a_chat(), {"Content-Encoding": "gzip"}, 400),
    (RESPONSES, {"model": "small", "input": "x", "previous_response_id": "r"}, {}, 400),
    (RESPONSES, {"model": "small", "input": "x", "store": True}, {}, 400),
    (RESPONSES, {"model": "small", "input": [{"id": "msg_1"}]}, {}, 400),
    (RESPONSES, {"model": "small", "input": [{"type": "item_reference", "id": "m"}]}, {}, 400),
    (RESPONSES, {"model": "small", "input": "x", "tools": [{"type": "code_interpreter"}]}, {}, 400),
    (MESSAGES, a_chat(tools=[{"type": "web_search_20250305", "name": "w"}]), {}, 400),
    (MESSAGES, a_chat(mcp_servers=[]), {}, 400),
    (MESSAGES, a_chat(), {"anthropic-beta": "context-1m-2025-08-07"}, 400),
    (MESSAGES, a_chat(), {"anthropic-version": "x"}, 400),
]
