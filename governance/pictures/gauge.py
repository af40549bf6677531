"""A limit as a gauge: solid is used, hatched is reserved."""

from __future__ import annotations

from django.utils.safestring import SafeString

from governance.pictures.svg import element, joined, number


def gauge(used: float, limit: float, *, label: str, reserved: float = 0) -> SafeString:
    """The gauge of a limit; amber from 80 %, red at 100 %. `label` says it in words."""
    share = _percent(used, limit)
    held = min(_percent(reserved, limit) if limit > 0 else 0.0, 100 - share)
    bars = [_bar("track", 0, 100), _bar("used", 0, share)]
    if held > 0:
        bars.append(_bar("reserved", share, held, fill="url(#hatch-accent)"))
    return element(
        "svg", joined(bars), class_=f"gauge {_state(share)}".strip(), role="img", aria_label=label
    )


def _percent(amount: float, limit: float) -> float:
    """A limit of nothing is used up from the start."""
    return min(max(amount, 0) / limit * 100, 100.0) if limit > 0 else 100.0


def _state(share: float) -> str:
    if share >= 100:
        return "full"
    return "near" if share >= 80 else ""


def _bar(class_: str, start: float, share: float, **attributes: object) -> SafeString:
    x = f"{number(start)}%" if start else None
    return element("rect", class_=class_, x=x, width=f"{number(share)}%", height=8, **attributes)
