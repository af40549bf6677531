"""Text in exports: nothing in it ends a line, turns it round, stays unseen or is taken for markup.

Every such character is written as its code point, `\\u202e` or `\\U000e0041`, and a backslash that
would be taken for the beginning of one as `\\u005c`. So what is read back is what was written.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from typing import Any

MARKUP = "<>"
_CODE = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")
_LINE_ENDS = frozenset({"Zl", "Zp"})
# JSON's own way to write what a page would take for the beginning or the end of a tag.
_TAGS = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in MARKUP})


def plain(text: str) -> str:
    """One line of visible characters; `read_plain` gives the text back."""
    if text.isascii() and text.isprintable() and not any(mark in text for mark in ("\\", "<", ">")):
        return text
    return "".join(
        _code(each) if _is_told(each) or _begins_code(text, place) else each
        for place, each in enumerate(text)
    )


def read_plain(text: str) -> str:
    """What `plain` was given."""
    return _CODE.sub(lambda found: chr(int(found[1] or found[2], 16)), text)


def written(value: Any) -> str:
    """One line of ASCII JSON without markup; any reader of JSON gives the value back."""
    return json.dumps(value, separators=(",", ":")).translate(_TAGS)


def _begins_code(text: str, place: int) -> bool:
    return text[place] == "\\" and text[place + 1 : place + 2] in ("u", "U")


@lru_cache(maxsize=4096)
def _is_told(character: str) -> bool:
    """Controls, bidi marks, joiners, line ends, what nobody assigned, and markup."""
    category = unicodedata.category(character)
    return category[0] == "C" or category in _LINE_ENDS or character in MARKUP


def _code(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
