"""What a reference to a credential looks like, and what looks like the credential itself."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

from audit.redactor import find_secret

MAX_LENGTH = 255
# Our own fixed patterns, without nesting; the length is bounded before they run.
_SHAPE = re.compile(r"(?:[a-z][a-z0-9+-]{1,20}:(?://)?)?[A-Za-z0-9._~/:@+=#-]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RUN = re.compile(r"[A-Za-z0-9]{16,}")

LOOKS_RANDOM = "This looks like a secret. Store it in the vault and enter the path to it here."
NO_ARN = "Write a secret of AWS as aws-sm://region/name: its ARN reads like an assignment."
NO_PATH = "Enter where the credential lies, such as vault://payments/refund-desk."


def wrong_with(reference: str) -> str:
    """Why this may not stand as a reference, as a sentence; empty if it may.

    A reference has a scheme or a path, and no part that is long and random.
    """
    if len(reference) > MAX_LENGTH:
        return f"A reference has at most {MAX_LENGTH} characters."
    if reference.startswith("arn:"):
        return NO_ARN
    if find_secret(reference) is not None or _has_random_part(reference):
        return LOOKS_RANDOM
    return "" if _is_path(reference) else NO_PATH


def _is_path(reference: str) -> bool:
    scheme, _, rest = reference.partition(":")
    has_place = (bool(rest) and scheme.islower()) or "/" in reference.strip("/")
    return bool(_SHAPE.fullmatch(reference)) and has_place


def _has_random_part(reference: str) -> bool:
    return any(_is_random(part) for part in re.split(r"[/:#@]", reference))


def _is_random(part: str) -> bool:
    if _UUID.fullmatch(part):
        return False
    runs = _RUN.findall(part)
    return any(map(_looks_random, runs)) or (len(part) >= 24 and _is_mixed(part))


def _looks_random(run: str) -> bool:
    """Letters and digits through each other, as no word has them."""
    turns = sum(a.isdigit() != b.isdigit() for a, b in pairwise(run))
    return turns >= 3 and _entropy(run) >= 3


def _is_mixed(part: str) -> bool:
    """Large and small letters and digits together, or letters whose case jumps as in no name."""
    if not (any(map(str.isupper, part)) and any(map(str.islower, part))):
        return False
    jumps = sum(a.isupper() != b.isupper() for a, b in pairwise(part))
    jumpy = jumps >= 0.35 * len(part) and _entropy(part) >= 4.2
    return jumpy or (any(map(str.isdigit, part)) and _entropy(part) >= 4)


def _entropy(text: str) -> float:
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)
