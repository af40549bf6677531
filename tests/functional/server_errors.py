"""What a fuzzer sends beside its own inventions, and what it takes for a fault of the server.

It loads this by `SCHEMATHESIS_HOOKS`. Its own values are right or wrong in shape; these are right
in shape, and break calendars, columns and sums.
"""

import random
from collections.abc import Iterator
from typing import Any

import requests
import schemathesis

SECONDS = 30
SEED = 1
TEXTS = [
    *("a\x99b", "a\x00b", "\x7f", "a\u202eb", "a\nb", "  ", "\U0001f600", "=1+1", "%00", "../.."),
    *("x" * 99, "x" * 254, "x" * 3000, "9" * 40, "-1", "1e999", "NaN", "Infinity", "{}", "null"),
    *("0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"),
    *("http://[", "https://a.example/\x99", "a@b.c", "refund-desk"),
]
NUMBERS = [0, -1, 0.1, 1e308, 10**18, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400]
OFTEN = 0.75  # of what is sent
_chance = random.Random(SEED)

Place = tuple[str | int, ...]


@schemathesis.hook
def map_body(_: schemathesis.HookContext, body: Any) -> Any:
    """The same body, most often with one hostile value in it."""
    return _spoiled(body)


@schemathesis.hook
def map_query(_: schemathesis.HookContext, query: Any) -> Any:
    """The same query, most often with one hostile value in it."""
    return _spoiled(query)


def _spoiled(given: Any) -> Any:
    found = list(_leaves(given))
    if found and _chance.random() < OFTEN:
        (*way, last), values = _chance.choice(found)
        holder = given
        for step in way:
            holder = holder[step]
        holder[last] = _chance.choice(values)
    return given


def _leaves(given: Any, place: Place = ()) -> Iterator[tuple[Place, list[Any]]]:
    """Where a single value stands, and what may stand there instead."""
    match given:
        case dict():
            for name, each in given.items():
                yield from _leaves(each, (*place, name))
        case list():
            for number, each in enumerate(given):
                yield from _leaves(each, (*place, number))
        case str() if place:
            yield place, TEXTS
        case int() | float() if place and not isinstance(given, bool):
            yield place, NUMBERS


@schemathesis.check
def no_fault(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: "schemathesis.Case[Any]"
) -> None:
    """500 and its like; and 503, "ask again", where asking again gives 503 again.

    A busy machine may once be too slow to write the record down, and says so. What always
    answers so for one input is a fault that calls itself an outage.
    """
    status = response.status_code
    if status == 503:
        with requests.Session() as session:
            status = session.send(
                response.request, timeout=SECONDS, allow_redirects=False
            ).status_code
    assert status < 500, f"{case.operation.label} answered {response.status_code}, then {status}"
