"""In whose name a call was made: the user, the agents that handed it on, the one that called.

It is one line from left to right, and its height means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString

from governance import unseen
from governance.pictures.svg import crossed, element, number, picture, rect, shortened, text

_WIDTH, _NODE, _TOP = 864.0, 40.0, 26.0
_MOST, _GAP = 190.0, 104.0
_KINDS = {"person": "user", "agent": "agent", "named": "as said", "tool": "tool"}
# Where a name holds a character that is not seen, or passes for another one.
_UNSEEN = "▯"


@dataclass(frozen=True)
class Part:
    """One who is behind a call, and what it does towards the next: `stopped` where it refused."""

    kind: str
    name: str
    does: str = ""
    stopped: bool = False

    @property
    def said(self) -> str:
        """What it does towards the next, where it does not stand on the way between them."""
        return f"stopped here: {self.does}" if self.stopped else self.does

    @property
    def word(self) -> str:
        """What kind of part it is, in words."""
        return _KINDS.get(self.kind, self.kind)


def chain_sentence(parts: Sequence[Part]) -> str:
    """`Ana Friis lets it act, crm-copilot calls, crm.contact.update`."""
    return ", ".join(f"{_seen(part.name)} {part.said}".strip() for part in parts)


def chain_picture(parts: Sequence[Part], *, key: str = "chain") -> SafeString:
    """The picture. `key` makes the id of its title unique on a page."""
    many = max(len(parts), 1)
    gap = _GAP if many < 6 else _GAP * 0.72
    width = min(_MOST, (_WIDTH - 2 - gap * (many - 1)) / many)
    drawn = [
        each
        for place, part in enumerate(parts)
        for each in _part(part, 1 + place * (width + gap), width, gap, last=place == many - 1)
    ]
    return picture(
        key, chain_sentence(parts), drawn, class_="reach", width=_WIDTH, height=_TOP + _NODE + 8
    )


def _part(part: Part, x: float, width: float, gap: float, *, last: bool) -> Iterator[SafeString]:
    middle = _TOP + _NODE / 2
    is_me = part.kind == "agent"
    rounded = _NODE / 2 if part.kind == "person" else 5
    yield text(part.word, x + width / 2, _TOP - 9, "cap mid")
    yield rect(x, _TOP, width, _NODE, rx=rounded, class_="me" if is_me else "node")
    name = shortened(_seen(part.name), width - 14)
    yield text(name, x + width / 2, middle + 4, "mid on-me" if is_me else "mid")
    if not last:
        yield from _arrow(part, x + width, x + width + gap, middle)


def _seen(name: str) -> str:
    return "".join(_UNSEEN if piece.name else piece.text for piece in unseen.pieces(name))


def _arrow(part: Part, start: float, end: float, y: float) -> Iterator[SafeString]:
    """Solid where it was let through, crossed where it stopped, dotted beyond that."""
    look = "flow sinks" if part.stopped else "flow internal" if part.does else "flow public"
    line = f"M{number(start + 5)} {number(y)}H{number(end - 9)}"
    yield element("path", class_=look, d=line)
    head = f"M{number(end - 13)} {number(y - 5)}L{number(end - 6)} {number(y)}L{number(end - 13)} "
    yield element("path", class_=look, d=f"{head}{number(y + 5)}")
    middle = (start + end) / 2
    if part.stopped:
        yield from crossed(middle, y, 6)
    said = shortened(part.does, end - start - 6, 6.2)
    yield text(said, middle, y - 11, "refused mid" if part.stopped else "cap mid")
