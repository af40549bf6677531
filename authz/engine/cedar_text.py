"""The text of a policy as tokens: where its statements are, and whether it is safe to read.

The policy engine reads recursively: a thousand brackets in one another end the process, not the
call. So a text is measured before the engine sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from governance.kernel.errors import Invalid

MAX_TEXT = 64 * 1024
MAX_DEPTH = 32
MAX_TOKENS = 1500

# No alternative can fail once it has begun, so that this takes linear time.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|//[^\n]*|\w+|[^\w\s]', re.DOTALL)


class PolicyError(Invalid):
    """This is not a policy that Muster can read."""

    code = "bad_policy"


class PolicyTooLarge(PolicyError):
    """This policy is larger than Muster reads."""

    code = "policy_too_large"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the text."""

    start: int
    end: int


def tokens_and_comments(text: str) -> Iterator[re.Match[str]]:
    """The tokens of the text and its comments, in order."""
    return _TOKEN.finditer(text)


def tokens(text: str) -> Iterator[re.Match[str]]:
    """The tokens of the text without its comments."""
    return (match for match in _TOKEN.finditer(text) if not match.group().startswith("//"))


def statements(text: str) -> list[Span]:
    """Where each statement stands, up to its semicolon; the last one to the end of the text."""
    starts, fresh = [], True
    for match in tokens(text):
        if fresh:
            starts.append(match.start())
        fresh = match.group() == ";"
    return [Span(*pair) for pair in pairwise([*(starts or [0]), len(text) + 1])]


def measure(text: str) -> None:
    """Raise `PolicyTooLarge` for a text that the engine should not be given."""
    if len(text) > MAX_TEXT:
        raise PolicyTooLarge(f"A policy may be at most {MAX_TEXT} characters long.")
    depth = count = 0
    for match in tokens(text):
        word = match.group()
        depth = max(depth + (word in "([{") - (word in ")]}"), 0)
        count = 0 if word == ";" else count + 1
        if depth > MAX_DEPTH:
            raise PolicyTooLarge(f"Brackets may stand at most {MAX_DEPTH} deep in one another.")
        if count > MAX_TOKENS:
            raise PolicyTooLarge(f"A statement may be at most {MAX_TOKENS} words and signs long.")
