"""Elements of a picture, with every attribute and text escaped."""

from __future__ import annotations

from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString

TIERS = ("restricted", "confidential", "internal", "public")


def number(value: float) -> str:
    """One decimal at most, as short as it goes."""
    return f"{value:.1f}".removesuffix(".0")


def element(name: str, content: str = "", /, **attributes: object) -> SafeString:
    """`<name …>content</name>`; `class_` is class, other underscores become hyphens."""
    written = format_html_join(
        "",
        ' {}="{}"',
        (
            (key.rstrip("_").replace("_", "-"), _written(value))
            for key, value in attributes.items()
            if value is not None
        ),
    )
    return format_html("<{0}{1}>{2}</{0}>", name, written, conditional_escape(content))


def joined(parts: list[SafeString]) -> SafeString:
    """Elements after each other."""
    return format_html_join("", "{}", ((part,) for part in parts))


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


def _written(value: object) -> object:
    return number(value) if isinstance(value, int | float) else value
