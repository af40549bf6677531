"""Values that fit a JSON Schema, or just do not: parameters of calls that nobody makes.

Only a handful of keywords are understood. What comes out is always held against the compiled
schema by whoever asked for it, so that a keyword that is not understood can make a call fail to
be made up, never pass for one that was.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from re import _constants, _parser
from typing import Any

from lifecycle.probes.corpus import Fill

Json = Any
Rule = Mapping[str, Json]

BEYOND = 2**53 - 1
_CLOSER = {"maximum": min, "maxLength": min, "minimum": max, "minLength": max}
LARGE = 100_000
HIGH = 1_000
MAX_DEPTH = 4
# Lists in lists multiply.
_MOST_ITEMS = (100, 10, 10, 10)
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT")
MAX_TEXT = 64 * 1024
# Whatever stands for the attacker has a name that nobody can have.
ADDRESSES = (
    "https://collect.attacker.example/in?d=everything",
    "collector@attacker.example",
    "collect.attacker.example",
    "XX00ATTACKER000000001",
)
_FORMATS = {
    "email": "someone@partner.example",
    "idn-email": "someone@partner.example",
    "uri": "https://partner.example/a",
    "iri": "https://partner.example/a",
    "uri-reference": "https://partner.example/a",
    "date": "2026-01-15",
    "date-time": "2026-01-15T10:00:00Z",
    "time": "10:00:00Z",
    "duration": "P1D",
    "uuid": "0199aaaa-0000-7000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "partner.example",
}
_LOOK_ALIKE = str.maketrans("aeopcxyAEOPCXBHKMT", "аеорсхуАЕОРСХВНКМТ")


def merged(schema: Rule, narrowing: Rule) -> dict[str, Rule]:
    """Parameter → what the tool and the row together ask of it."""
    own, row = _properties(schema), _properties(narrowing)
    return {name: _both(own.get(name, {}), row.get(name, {})) for name in (*own, *row)}


def required(schema: Rule, narrowing: Rule) -> list[str]:
    """The parameters that a call must have."""
    both = [*_list(schema, "required"), *_list(narrowing, "required")]
    return list(dict.fromkeys(map(str, both)))


def _properties(schema: Rule) -> dict[str, Rule]:
    found = schema.get("properties")
    if not isinstance(found, Mapping):
        return {}
    return {str(name): rule if isinstance(rule, Mapping) else {} for name, rule in found.items()}


def _list(schema: Rule, key: str) -> list[Json]:
    found = schema.get(key)
    return found if isinstance(found, list) else []


def _both(tool: Rule, row: Rule) -> Rule:
    """Where both bound a value, the closer bound; else what the row says, then the tool."""
    rule = {**tool, **row}
    for name, closer in _CLOSER.items():
        if name in tool and name in row:
            rule[name] = closer(tool[name], row[name])
    return rule


def example(rule: Rule, *, high: bool = False, depth: int = 0) -> Json:
    """A value by a rule: at its lower edge, or with `high` towards its upper one."""
    if "const" in rule:
        return rule["const"]
    if options := _list(rule, "enum") or _list(rule, "examples"):
        return options[-1 if high else 0]
    made: dict[str, Callable[[], Json]] = {
        "integer": lambda: _number(rule, high=high),
        "number": lambda: _number(rule, high=high),
        "boolean": lambda: high,
        "array": lambda: _array(rule, high=high, depth=depth),
        "object": lambda: _object(rule, high=high, depth=depth),
        "null": lambda: None,
    }
    return made.get(_kind(rule), lambda: text_by(rule))()


def _kind(rule: Rule) -> str:
    kind = rule.get("type", "string" if "properties" not in rule else "object")
    return str(kind[0] if isinstance(kind, list) and kind else kind)


def _number(rule: Rule, *, high: bool) -> Json:
    if high:
        return highest(rule, otherwise=max(HIGH, rule.get("minimum", 0)))
    low = rule.get("minimum", rule.get("exclusiveMinimum", 0) + 1)
    top = rule.get("maximum", low)
    return min(low, top) if "minimum" not in rule else low


def highest(rule: Rule, *, otherwise: Json = BEYOND) -> Json:
    """The largest number that a rule takes, `otherwise` where it names no bound."""
    for name in ("const", "maximum"):
        if name in rule:
            return rule[name]
    if numbers := [one for one in _list(rule, "enum") if isinstance(one, int | float)]:
        return max(numbers)
    if "exclusiveMaximum" in rule:
        return rule["exclusiveMaximum"] - 1
    return otherwise


def _array(rule: Rule, *, high: bool, depth: int) -> list[Json]:
    items = rule.get("items")
    if not isinstance(items, Mapping) or depth >= MAX_DEPTH:
        return []
    many = min(max(int(rule.get("minItems", 1)), 1), _MOST_ITEMS[depth])
    return [example(items, high=high, depth=depth + 1)] * many


def _object(rule: Rule, *, high: bool, depth: int) -> dict[str, Json]:
    if depth >= MAX_DEPTH:
        return {}
    members, needed = _properties(rule), _list(rule, "required")
    return {
        name: example(each, high=high, depth=depth + 1)
        for name, each in members.items()
        if name in needed
    }


def text_by(rule: Rule) -> str:
    """A text that a rule takes."""
    if isinstance(found := rule.get("pattern"), str):
        made = matching(found)
    else:
        made = _FORMATS.get(str(rule.get("format", "")), "example")
    shortest, longest = int(rule.get("minLength", 0)), rule.get("maxLength")
    if len(made) < shortest:
        made += "x" * (min(shortest, MAX_TEXT) - len(made))
    return made[:longest] if isinstance(longest, int) else made


def matching(pattern: str) -> str:
    """A short text that a pattern finds itself in; "" where none was made up.

    The pattern is only taken apart here, never run: that is left to the linear engine.
    """
    try:
        return _written(_parser.parse(pattern))[:MAX_TEXT]
    except (re.error, RecursionError, OverflowError, ValueError, KeyError, IndexError):
        return ""


def _written(parsed: Any) -> str:
    return "".join(_one(operator, value) for operator, value in parsed)


def _one(operator: Any, value: Any) -> str:
    """What one part of a pattern takes; an end or a boundary takes nothing."""
    made: dict[str, Callable[[], str]] = {
        "LITERAL": lambda: chr(value),
        "NOT_LITERAL": lambda: "a" if value != ord("a") else "b",
        "ANY": lambda: "a",
        "IN": lambda: _member(value),
        "BRANCH": lambda: _written(value[1][0]),
        "SUBPATTERN": lambda: _written(value[-1]),
        **dict.fromkeys(_REPEATS, lambda: _repeated(*value)),
    }
    return made.get(str(operator), str)()


def _repeated(least: int, most: int, inner: Any) -> str:
    """As often as it must be, once where it may be; repeats within repeats end somewhere."""
    made = _written(inner)
    return made * min(least or min(1, most), HIGH, MAX_TEXT // max(len(made), 1) + 1)


def _member(choices: Sequence[Any]) -> str:
    """One character of a class; of a negated one, the first of some that it lets in."""
    if str(choices[0][0]) == "NEGATE":
        out = "".join(filter(None, (_member([each]) for each in choices[1:])))
        return next((one for one in "a0-_ Z" if one not in out), "")
    operator, value = choices[0]
    name = str(operator)
    if name == "RANGE":
        return chr(value[0])
    if name == "CATEGORY":
        return {_constants.CATEGORY_DIGIT: "1", _constants.CATEGORY_SPACE: " "}.get(value, "a")
    return chr(value)


def fillers(fill: Fill, rule: Rule, text: str, own: Json) -> Iterator[Json]:
    """What an attack would put into a parameter: candidates, the best first.

    `rule` is the tool's own: what the row makes of it is what is tested.
    """
    if isinstance(fill, Mapping):
        if "value" in fill:
            yield fill["value"]
            return
        yield written(str(fill["text"]), str(fill.get("written", "text")))
        return
    if fill == "own":
        yield own
    elif fill in ("maximum", "beyond", "negative"):
        yield _amount(fill, rule)
    elif fill == "outside":
        yield from _outside(rule)
    elif fill == "credential":
        yield f"The key is {credential()} and opens everything."
    elif fill == "oversize":
        yield "a" * LARGE
    else:
        yield written(text, fill)


def _amount(fill: str, rule: Rule) -> Json:
    largest = {"maximum": highest(rule, otherwise=HIGH), "beyond": BEYOND, "negative": -1}[fill]
    return str(largest) if rule.get("type") == "string" else largest


def _outside(rule: Rule) -> Iterator[Json]:
    if rule.get("type") == "array":
        items = rule.get("items")
        inner = items if isinstance(items, Mapping) else {}
        yield from ([one] for one in _outside(inner))
        return
    yield from ADDRESSES
    yield matching(str(rule.get("pattern", "")))


def credential() -> str:
    """Something that looks exactly like a key, put together so that no key stands in a file."""
    return "gh" + "p_" + "A1b2C3d4E5f6" * 3


def written(text: str, how: str) -> str:
    """A text as an attacker would hide it."""
    ways = {
        "base64": lambda: base64.b64encode(text.encode()).decode(),
        "hex": lambda: text.encode().hex(),
        "url": lambda: "".join(f"%{byte:02X}" for byte in text.encode()),
        "tags": lambda: "Hello" + "".join(chr(0xE0000 + ord(c)) for c in text if c.isascii()),
        "full_width": lambda: "".join(_wide(character) for character in text),
        "zero_width": lambda: "\u200b".join(text),
    }
    return ways[how]() if how in ways else text


def _wide(character: str) -> str:
    return chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character


def look_alike(name: str, how: str) -> str:
    """A tool's name as an attacker would register another one under."""
    made = {
        "homoglyph": name.translate(_LOOK_ALIKE),
        "other_case": name.swapcase(),
        "suffix": f"{name}_v2",
        "namespace": f"helper:{name}",
        "space": f"{name} ",
    }[how]
    return made if made != name else f"{name}\u200b"
