"""Elements of a picture, with every attribute and text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable

from django.utils.html import format_html_join
from django.utils.safestring import SafeString

TIERS = ("restricted", "confidential", "internal", "public")


def number(value: float) -> str:
    """One decimal at most, as short as it goes."""
    return f"{value:.1f}".removesuffix(".0")


def element(name: str, content: str = "", /, **attributes: object) -> SafeString:
    """`<name …>content</name>`; `class_` is class, other underscores become hyphens."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(_written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return SafeString(f"<{name}{written}>{_escaped(content)}</{name}>")


def _escaped(value: object) -> str:
    """A picture has thousands of these: what Django's own does, without its detours."""
    return value if isinstance(value, SafeString) else html.escape(str(value))


def joined(parts: list[SafeString]) -> SafeString:
    """Elements after each other."""
    return format_html_join("", "{}", ((part,) for part in parts))


def picture(
    key: str,
    sentence: str,
    parts: Iterable[SafeString],
    *,
    class_: str,
    width: float,
    height: float,
) -> SafeString:
    """The whole: `sentence` is its title, whose id `key` makes unique on a page."""
    return element(
        "svg",
        joined([element("title", sentence, id=f"{key}-t"), *parts]),
        class_=class_,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_labelledby=f"{key}-t",
    )


def text(content: str, x: float, y: float, class_: str | None = None) -> SafeString:
    """A text at a point."""
    return element("text", content, class_=class_, x=x, y=y)


def rect(x: float, y: float, width: float, height: float, **attributes: object) -> SafeString:
    """A rectangle."""
    return element("rect", x=x, y=y, width=width, height=height, **attributes)


def tier_at(tier: str, x: float, y: float) -> SafeString:
    """The mark of a tier inside another picture: shape and letter."""
    shape = element("use", href=f"#t-{tier}", width=18, height=18)
    letter = text(tier[0].upper(), 9, 12.2, f"tier-text {tier}")
    return element(
        "g",
        joined([shape, letter]),
        class_=f"tier-{tier}",
        transform=f"translate({number(x)} {number(y)})",
    )


def shortened(content: str, room: float, per_character: float = 7.2) -> str:
    """The text, cut with an ellipsis where it would not fit into that many pixels."""
    fits = max(int(room / per_character), 1)
    return content if len(content) <= fits else content[: fits - 1] + "…"


def curve(x1: float, y1: float, x2: float, y2: float, bend: float | None = None) -> str:
    """A flow from left to right, level at both ends."""
    by = (x1 + x2) / 2 if bend is None else bend
    return (
        f"M{number(x1)} {number(y1)}C{number(by)} {number(y1)} "
        f"{number(by)} {number(y2)} {number(x2)} {number(y2)}"
    )


def crossing(start: tuple[float, float], end: tuple[float, float], bend: float, y: float) -> float:
    """Where the curve crosses a height, found by halving."""
    low, high = 0.0, 1.0
    for _ in range(24):
        t = (low + high) / 2
        if start[1] + (end[1] - start[1]) * (3 * t**2 - 2 * t**3) < y:
            low = t
        else:
            high = t
    t = (low + high) / 2
    return (1 - t) ** 3 * start[0] + 3 * (1 - t) * t * bend + t**3 * end[0]


def crossed(x: float, y: float, radius: float) -> list[SafeString]:
    """The cross on the line that a flow may not cross."""
    arm = radius * 0.375
    strokes = (
        f"M{number(x - arm)} {number(y - arm)}"
        f"l{number(2 * arm)} {number(2 * arm)}m0 {number(-2 * arm)}"
        f"l{number(-2 * arm)} {number(2 * arm)}"
    )
    return [
        element("circle", class_="cross-ground", cx=x, cy=y, r=radius),
        element("path", class_="cross", d=strokes),
    ]


def _written(value: object) -> object:
    return number(value) if isinstance(value, int | float) else value
