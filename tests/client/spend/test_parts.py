"""The parts of the proxy that are pure: events, prices, bounds, rounding, the configuration."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from client.muster_client.errors import Unavailable
from client.muster_client.spend import calls, events, usage
from client.muster_client.spend.asking import Rounding
from client.muster_client.spend.command import command
from client.muster_client.spend.config import Provider, load, read_config
from client.muster_client.spend.keys import Keys
from client.muster_client.spend.prices import BadTable, Price, Usage, read_prices
from tests.client.spend.stand_ins import PRICES, TABLE, chat, config_of, message, response

ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.sampled_from([b"data: 1", b"data:{}", b": still here", b"event: x", b"data", b"id: 7"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """Events with the ends of their lines, and what comes behind the last."""
    whole = []
    for _ in range(draw(st.integers(0, 5))):
        end = draw(ENDS)
        lines = draw(st.lists(LINES, min_size=1, max_size=4))
        whole.append(b"".join(line + end for line in lines) + end)
    return whole, draw(st.sampled_from([b"", b"data: cut", b"data: cut\n"]))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(marks)]


@given(streams(), st.lists(st.integers(0, 10_000), max_size=12))
def test_events_are_the_same_however_the_bytes_are_cut(
    made: tuple[list[bytes], bytes], places: list[int]
) -> None:
    whole, rest = made
    splitter = events.Splitter()

    found = [e for part in cut(b"".join(whole) + rest, places) for e in splitter.feed(part)]
    left = splitter.rest()

    assert b"".join(found) + left == b"".join(whole) + rest
    # The last event may end in a carriage return, whose line feed may still come.
    assert [*found, left] in ([*whole, rest], [*whole[:-1], whole[-1] if whole else b""])


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=12))
def test_no_byte_is_lost_or_changed(data: bytes, places: list[int]) -> None:
    cuts, single = events.Splitter(), events.Splitter()

    parts = [e for part in cut(data, places) for e in cuts.feed(part)]
    once = list(single.feed(data))

    assert (parts, cuts.rest()) == (once, single.rest())
    assert b"".join(once).startswith(b"".join(parts))


def test_an_event_without_an_end() -> None:
    splitter = events.Splitter()
    assert list(splitter.feed(b"x" * events.MAX_EVENT)) == []

    with pytest.raises(events.TooLong):
        list(splitter.feed(b"x"))


FOLLOWED: list[tuple[Any, Any, Any]] = [
    (chat, usage.FollowingChat, usage.of_openai),
    (response, usage.FollowingResponse, usage.of_openai),
    (message, usage.FollowingMessage, usage.of_anthropic),
]


@pytest.mark.parametrize(("made", "following", "read"), FOLLOWED)
def test_usage_is_known_when_all_has_come_and_not_before(
    made: Any, following: Any, read: Any
) -> None:
    body = {"model": "small", "stream_options": {"include_usage": True}}
    _, told = made(body, 11, 7, None)
    reader = following(read)

    known = []
    for event in told:
        reader.event(event)
        known.append(reader.used)

    first = next(number for number, used in enumerate(known) if used)
    assert first >= len(told) - 2
    assert known[first:] == [Usage(input=11, output=7)] * (len(told) - first)


def test_a_count_in_a_stream_never_falls() -> None:
    reader = usage.FollowingMessage(usage.of_anthropic)
    told = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "message_delta", "usage": {"output_tokens": 50}},
        {"type": "message_delta", "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]

    for each in told:
        reader.event(f"data: {json.dumps(each)}\n\n".encode())

    assert reader.used == Usage(input=9, output=50)


@pytest.mark.parametrize(
    ("told", "used"),
    [
        (
            {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3},
            Usage(input=1, output=2, cached=3),
        ),
        (
            {
                "input_tokens": 1,
                "output_tokens": 2,
                "cache_creation_input_tokens": 5,
                "cache_creation": {"ephemeral_1h_input_tokens": 4},
            },
            Usage(input=1, output=2, written=1, written_1h=4),
        ),
        ({"input_tokens": 1, "output_tokens": -2}, None),
        ({"cost": 1}, None),
    ],
)
def test_anthropic_s_usage(told: Any, used: Usage | None) -> None:
    assert usage.of_anthropic(told) == used


def test_reasoning_that_stands_in_the_total_alone_is_output() -> None:
    told = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}

    assert usage.of_openai(told) == Usage(input=10, output=30)


# Prices


def test_prices_are_micro_units_and_rounded_up() -> None:
    price = PRICES.models["openai"]["small"]

    assert (price.input, price.output, price.cached_input) == (1_000_000, 4_000_000, 500_000)
    assert price.cost(Usage(input=3, output=2, cached=1)) == 12
    assert (PRICES.in_minor(1), PRICES.in_minor(10_000), PRICES.in_minor(10_001)) == (1, 1, 2)


def test_a_use_without_a_price_has_no_cost() -> None:
    assert Price(input=1, output=1).cost(Usage(written=1)) is None
    assert Price(input=1, output=1, cache_write=2).cost(Usage(written_1h=1)) is None


@given(
    st.tuples(*[st.integers(0, 10**7)] * 5),
    st.tuples(*[st.integers(0, 10**6)] * 4),
)
def test_what_is_reserved_is_never_less_than_what_is_used(
    rates: tuple[int, ...], tokens: tuple[int, ...]
) -> None:
    into, out, cached, write, hour = rates
    price = Price(into, out, cached, write, hour)
    one, other, third, fourth = tokens
    used = Usage(input=one, cached=other, written=third, written_1h=fourth, output=one)

    cost = price.cost(used)

    assert cost is not None
    assert cost <= price.most(one + other + third + fourth, one)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"currency": "euro", "models": {}},
        {"currency": "EUR", "models": []},
        {"currency": "EUR", "models": {"o": {"m": {"output": 1, "max_output_tokens": 1}}}},
        {"currency": "EUR", "models": {"o": {"m": {"input": 1, "output": 1}}}},
        {"currency": "EUR", "models": {"o": {"m": {"input": -1}}}},
        {"currency": "EUR", "models": {"o": {"m": {"input": "NaN"}}}},
        {"currency": "EUR", "models": {"o": {"m": {"input": "free"}}}},
        {"currency": "EUR", "models": {"o": {"m": {"input": True}}}},
        {"currency": "EUR", "models": {"o": {"m": {"input": "0.0000001"}}}},
        {"currency": "EUR", "models": {"o": {"m": {"input": 1, "inptu": 1}}}},
        {"currency": "EUR", "models": {"o": {"../m": {"input": 1}}}},
        {"currency": "EUR", "models": {"o": {"m": {"input": 1, "image_tokens": 0}}}},
    ],
)
def test_a_table_that_cannot_be_meant(table: Any) -> None:
    with pytest.raises(BadTable):
        read_prices(table)


@pytest.mark.parametrize(("currency", "minor"), [("EUR", 10_000), ("JPY", 10**6), ("KWD", 1000)])
def test_minor_units_of_currencies(currency: str, minor: int) -> None:
    assert read_prices({"currency": currency, "models": {}}).minor == minor


# Rounding


@given(st.lists(st.integers(0, 50_000), max_size=40))
def test_what_is_told_is_what_was_billed_rounded_up_once(costs: list[int]) -> None:
    rounding = Rounding(PRICES, lambda: "2026-01-01")
    told = 0
    for number, cost in enumerate(costs):
        minor, over, key = rounding.take("desk", cost)
        rounding.give(key, over)
        told += minor

        assert told == PRICES.in_minor(sum(costs[: number + 1]))


@given(st.lists(st.tuples(st.integers(0, 50_000), st.booleans()), max_size=40))
def test_a_lost_report_never_makes_it_less(costs: list[tuple[int, bool]]) -> None:
    """A report that may not have come leaves what was reserved, at least what was told."""
    rounding = Rounding(PRICES, lambda: "2026-01-01")
    told = 0
    for cost, came in costs:
        minor, over, key = rounding.take("desk", cost)
        told += minor if came else PRICES.in_minor(cost)
        if came:
            rounding.give(key, over)

    assert told * PRICES.minor >= sum(cost for cost, _ in costs)


def test_rounding_is_not_carried_to_another_day_or_agent() -> None:
    days = iter(["1", "1", "2"])
    rounding = Rounding(PRICES, lambda: next(days))
    _, over, key = rounding.take("desk", 1)
    rounding.give(key, over)

    assert rounding.take("other", 1)[0] == 1
    assert rounding.take("desk", 1)[0] == 1


# Bounds


def call_of(body: dict[str, Any], shape: str, path: str) -> calls.Call:
    operation = calls.OPERATIONS[shape, path]
    return calls.read_call(json.dumps(body).encode(), operation, shape, PRICES.models[shape])


@given(st.text(max_size=200))
def test_a_text_counts_at_least_its_bytes(text: str) -> None:
    body = {"model": "small", "messages": [{"role": "user", "content": text}]}

    made = call_of(body, "openai", "/v1/chat/completions")

    assert made.input_tokens >= len(text.encode()) + calls.OVERHEAD


def test_a_picture_counts_as_the_table_says_and_not_by_its_bytes() -> None:
    def body(size: int, kind: str = "image") -> dict[str, Any]:
        source = {"type": "base64", "media_type": "image/png", "data": "A" * size}
        return {
            "model": "small",
            "messages": [{"role": "user", "content": [{"type": kind, "source": source}]}],
        }

    small, large = (call_of(body(size), "anthropic", "/v1/messages") for size in (4, 40_000))

    assert small.input_tokens == large.input_tokens > 1600 + calls.OVERHEAD
    with pytest.raises(calls.BadCall):
        call_of(body(4, "document"), "anthropic", "/v1/messages")


def test_the_caller_s_own_json_in_a_tool_is_text() -> None:
    """What a tool was called with may look like a picture, and counts by its bytes."""
    looks = {"type": "image", "source": {"type": "base64", "data": "A" * 5000}}
    content = [{"type": "tool_use", "id": "t", "name": "x", "input": looks}]
    body = {"model": "small", "messages": [{"role": "assistant", "content": content}]}

    assert call_of(body, "anthropic", "/v1/messages").input_tokens > 5000 + calls.OVERHEAD


def test_a_price_ends_where_the_table_says() -> None:
    price = {"small": Price(1, 1, max_output_tokens=5, max_input_tokens=1500)}
    operation = calls.OPERATIONS["openai", "/v1/chat/completions"]
    body = {"model": "small", "messages": [{"role": "user", "content": "x" * 1000}]}

    with pytest.raises(calls.BadCall) as raised:
        calls.read_call(json.dumps(body).encode(), operation, "openai", price)

    assert raised.value.status == 413


# Configuration


def files(folder: Path, **changed: Any) -> Path:
    (folder / "prices.yaml").write_text(yaml.safe_dump(TABLE))
    (folder / "key").write_text("sk-1\n")
    whole = {
        "muster": {
            "url": "https://muster.example",
            "client_id": "proxy",
            "client_secret_file": "key",
        },
        "prices": "prices.yaml",
        "providers": {
            "openai": {"shape": "openai", "url": "https://api.example", "key_file": "key"}
        },
        **changed,
    }
    path = folder / "proxy.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


def test_a_configuration_is_read(tmp_path: Path) -> None:
    found = load(files(tmp_path, listen="[::1]:9000"))

    assert (found.host, found.port, found.client_secret) == ("::1", 9000, "sk-1")
    assert found.providers["openai"].tool == "llm.{provider}.{model}"
    assert "sk-1" not in repr(found)


OPENAI = {"shape": "openai", "url": "https://api.example", "key_file": "key"}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"muster": {"url": "http://muster.example", "client_id": "p"}}, "muster.url"),
        ({"listen": "0.0.0.0:80"}, "tls"),
        ({"listen": "80"}, "listen"),
        ({"tls": {"certificate": "c"}}, "tls"),
        ({"surplus": 1}, "surplus"),
        ({"max_body": 0}, "max_body"),
        ({"providers": {}}, "providers"),
        ({"providers": {"v1": OPENAI}}, "providers.v1"),
        ({"providers": {"openai": OPENAI | {"shape": "other"}}}, "shape"),
        ({"providers": {"openai": OPENAI | {"url": "http://api.example"}}}, "providers.openai.url"),
        ({"providers": {"openai": OPENAI | {"key_env": "NOT_SET"}}}, "key_env"),
        ({"providers": {"openai": OPENAI | {"tool": "{key}"}}}, "tool"),
        ({"providers": {"nobody": OPENAI}}, "nobody"),
    ],
)
def test_a_configuration_that_is_wrong_says_where(
    changed: dict[str, Any], named: str, tmp_path: Path
) -> None:
    path = files(tmp_path, **changed)

    told = CliRunner().invoke(command, ["--config", str(path), "--check"])

    assert (told.exit_code, named in told.output) == (1, True), told.output


def test_the_command_checks_a_configuration(tmp_path: Path) -> None:
    told = CliRunner().invoke(command, ["--config", str(files(tmp_path)), "--check"])

    assert (told.exit_code, told.output) == (0, "openai: 3 models in EUR\n")


def leasing(**answer: Any) -> tuple[Keys, list[httpx.Request], list[datetime]]:
    """Keys of a proxy whose key lies in a vault that answers so, what was asked, and the time."""
    asked: list[httpx.Request] = []
    clock = [datetime(2026, 1, 1, tzinfo=UTC)]

    def told(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            body: Any = {"access_token": "t", "token_type": "Bearer", "expires_in": 600}
            return httpx.Response(
                200,
                stream=httpx.ByteStream(json.dumps(body).encode()),
                headers={"content-type": "application/json"},
            )
        asked.append(request)
        until = (clock[0] + timedelta(minutes=5)).isoformat()
        body = {"value": f"sk-{len(asked)}", "expires_at": until} | answer
        return httpx.Response(
            answer.get("status", 201),
            stream=httpx.ByteStream(json.dumps(body).encode()),
            headers={"content-type": "application/json"},
        )

    config = config_of("https://api.example", lessee=("desk-1", "mst_x"))
    return Keys(config, httpx.MockTransport(told), lambda: clock[0]), asked, clock


LEASED = Provider("o", "openai", "https://x", "", "llm", {}, lease="vault:openai/main")


def test_a_key_is_leased_once_and_anew_before_it_ends() -> None:
    keys, asked, clock = leasing()

    async def go() -> list[str]:
        first = await asyncio.gather(*(keys.key(LEASED) for _ in range(3)))
        clock[0] += timedelta(minutes=4, seconds=31)
        return [*first, await keys.key(LEASED)]

    assert asyncio.run(go()) == ["sk-1", "sk-1", "sk-1", "sk-2"]
    assert asked[0].url.path == "/api/v1/credentials/vault:openai/main/lease"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 403, "code": "identity.not_active"},
        {"value": "a\nb"},
        {"value": 7},
        {"expires_at": "soon"},
        {"expires_at": "2026-01-01T00:00:00"},
    ],
)
def test_a_lease_that_is_none_is_no_key(answer: dict[str, Any]) -> None:
    keys, _, _ = leasing(**answer)

    with pytest.raises(Unavailable):
        asyncio.run(keys.key(LEASED))


def test_a_leased_key_needs_somebody_who_leases_it(tmp_path: Path) -> None:
    provider = {"shape": "openai", "url": "https://api.example", "key_lease": "vault:openai/main"}
    who = {"lessee_id": "desk-1", "lessee_secret_file": "key"}
    alone = yaml.safe_load(files(tmp_path, providers={"openai": provider}).read_text())
    both = {**alone, "muster": alone["muster"] | who}
    twice = {**both, "providers": {"openai": provider | {"key_file": "key"}}}

    assert read_config(both, tmp_path).lessee == ("desk-1", "sk-1")
    for wrong in (alone, twice, {**both, "providers": {"openai": OPENAI}}):
        with pytest.raises(BadTable):
            read_config(wrong, tmp_path)


def test_a_key_is_never_in_the_file(tmp_path: Path) -> None:
    whole = yaml.safe_load(files(tmp_path).read_text())
    whole["providers"]["openai"]["key"] = "sk-1"

    with pytest.raises(BadTable):
        read_config(whole, tmp_path)
