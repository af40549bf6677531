"""JSON as people write it, TOML and YAML: read as data, or not at all."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from typing import Any

import yaml

# A string, or what is to be dropped outside of one: comments, and commas before a closing bracket.
# What has no end is taken up to the last character, so that none is looked at twice.
_JSONC = re.compile(
    r'"(?:[^"\\\n]|\\.)*"?|(?P<drop>//[^\n]*|/\*.*?(?:\*/|\Z))|,(?=\s*[}\]])', re.DOTALL
)
MOST_DEPTH = 50
MOST_EVENTS = 100_000
MOST_DOTS = 200


class Unreadable(Exception):
    """This is not what it is called."""


def text_of(raw: bytes) -> str:
    """UTF-8. Raises `Unreadable`."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("it is not UTF-8") from error


def json_of(raw: bytes) -> Any:
    """JSON, with the comments and last commas that editors allow. Raises `Unreadable`."""
    text = text_of(raw)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    plain = _JSONC.sub(lambda each: each[0] if each[0][:1] == '"' else "", text)
    # A comment may have stood between a comma and its bracket.
    plain = _JSONC.sub(lambda each: each[0] if each[0][:1] == '"' else "", plain)
    try:
        return json.loads(plain)
    except (ValueError, RecursionError) as error:
        raise Unreadable("it is no JSON") from error


def toml_of(raw: bytes) -> dict[str, Any]:
    """TOML. Raises `Unreadable`."""
    text = text_of(raw)
    # The parser's time grows with the square of the parts that a key has.
    if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
        raise Unreadable("a line of it has too many dots")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("it is no TOML") from error


def yaml_of(raw: bytes) -> Any:
    """YAML, without tags and without aliases, which could make it grow. Raises `Unreadable`."""
    text = text_of(raw)
    try:
        _check_events(yaml.parse(text, Loader=yaml.SafeLoader))
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable("it is no YAML") from error


def _check_events(events: Iterable[Any]) -> None:
    depth = 0
    for number, event in enumerate(events):
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable("it refers to itself")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH or number > MOST_EVENTS:
            raise Unreadable("it is too deep or too long")


def front_matter(raw: bytes) -> dict[str, Any]:
    """What stands between the two lines of dashes at the beginning; empty where nothing does."""
    text = text_of(raw).replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return {}
    head, found, _ = text[4:].partition("\n---")
    try:
        value = yaml_of(head.encode()) if found else {}
    except Unreadable:
        # Descriptions often hold a colon, which makes the block no YAML: take its plain lines.
        pairs = (line.partition(":") for line in head.split("\n") if line[:1].isalpha())
        value = {name.strip(): rest.strip() for name, _, rest in pairs}
    return value if isinstance(value, dict) else {}
