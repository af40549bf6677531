"""What is wrong with a policy's text, and where: for editors and for loading from files.

The policy engine says what is wrong and not where. A syntax error is found as the first token at
which the text, cut off behind it, is wrong for another reason than being cut off; an error of
meaning is placed on the name that it quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import cedarpy

from authz.engine import names
from authz.engine.cedar_text import PolicyError, PolicyTooLarge, Span, statements, tokens
from authz.engine.obligations import fault_in
from authz.engine.policies import parse
from authz.engine.types import Json
from authz.engine.world import World

_CUT_OFF = "unexpected end of input"
_QUOTED = re.compile(r"`([^`]+)`")
_LAST_WORD = re.compile(r": (\w+)\Z")
_ABOUT_POLICY = re.compile(r"^for policy `policy\d+`, ")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A sentence and the place that it is about; lines and columns count from 1."""

    line: int
    column: int
    message: str


def validate_policies(world: World, text: str) -> list[Problem]:
    """The problems of a policy's text against the register, in reading order; [] for none."""
    try:
        sources = parse(text)
    except PolicyError as error:
        return [_syntax_problem(text, error)]
    problems = {
        *_unknown_roles(world, text, sources),
        *_annotation_problems(text, sources),
        *_meaning_problems(world, text),
    }
    return sorted(problems)


def _problem(text: str, offset: int, message: str) -> Problem:
    before = text[:offset]
    return Problem(before.count("\n") + 1, offset - before.rfind("\n"), message)


def _syntax_problem(text: str, error: PolicyError) -> Problem:
    if isinstance(error, PolicyTooLarge):
        return Problem(1, 1, error.message)
    wrong = _first_wrong(text, [Span(*match.span()) for match in tokens(text)])
    if wrong is None:
        return _problem(text, len(text.rstrip()), error.message)
    fault = _fault(text[: wrong.end])
    statement = next(one for one in statements(text) if wrong.start < one.end)
    offset = _locate(text, statement, fault, wrong.start)
    return _problem(text, offset, f"The policy cannot be read: {fault}.")


def _first_wrong(text: str, spans: list[Span]) -> Span | None:
    """The first token that makes the text wrong, whatever follows. Found by halving."""
    low, high = 0, len(spans)
    while low < high:
        middle = (low + high) // 2
        if _fault(text[: spans[middle].end]):
            high = middle
        else:
            low = middle + 1
    return spans[low] if low < len(spans) else None


def _fault(text: str) -> str:
    """What the engine finds wrong with `text`, "" if it is right or merely incomplete."""
    try:
        cedarpy.policies_to_json_str(text)
    except ValueError as error:
        return "" if _CUT_OFF in str(error) else str(error)
    return ""


def _meaning_problems(world: World, text: str) -> Iterator[Problem]:
    spans = statements(text)
    result = cedarpy.validate_policies(text, world.cedar_schema())
    for error in result.errors:
        span = spans[int(error.policy_id.removeprefix("policy"))]
        message = _ABOUT_POLICY.sub("", error.error)
        yield _problem(text, _locate(text, span, message, span.start), _sentence(message))


def _sentence(message: str) -> str:
    return f"{message[:1].upper()}{message[1:]}."


def _locate(text: str, span: Span, message: str, otherwise: int) -> int:
    """The offset of the name that a message quotes, within a statement."""
    quoted = [*_QUOTED.findall(message), *_LAST_WORD.findall(message)]
    for name in quoted:
        for spelling in (name, name.rpartition(".")[2]):
            offset = text.find(spelling, span.start, span.end)
            if offset >= 0:
                return offset
    return otherwise


def _annotation_problems(text: str, sources: tuple[Json, ...]) -> Iterator[Problem]:
    """Annotations that are unknown or not right, and those of a forbid, which nobody follows."""
    for span, source in zip(statements(text), sources, strict=True):
        for name, value in source.get("annotations", {}).items():
            fault = fault_in(name, value)
            if source["effect"] == "forbid":
                fault = fault or f"@{name} stands at a forbid, which lets nobody go on."
            if fault:
                yield _problem(text, _annotation_at(text, span, name), fault)


def _annotation_at(text: str, span: Span, name: str) -> int:
    """Where the sign of an annotation stands."""
    words = [match for match in tokens(text) if span.start <= match.start() < span.end]
    places = (
        sign.start()
        for sign, word in pairwise(words)
        if (sign.group(), word.group()) == ("@", name)
    )
    return next(places, span.start)


def _unknown_roles(world: World, text: str, sources: tuple[Json, ...]) -> Iterator[Problem]:
    """Roles that are named and not loaded: the engine takes any name for one."""
    known = world.document.get("roles") or {}
    for role in sorted({role for source in sources for role in _roles_named(source)} - set(known)):
        offset = max(text.find(f'Role::"{role}"'), 0)
        yield _problem(text, offset, f"There is no role {role}. Load it, or correct the name.")


def _roles_named(source: Json) -> Iterator[str]:
    waiting: list[Json] = [source]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            if item.get("type") == names.ROLE and "id" in item:
                yield str(item["id"])
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
