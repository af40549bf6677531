"""The reference page of the settings, written from their declarations.

`python -m governance.configuration.reference docs/reference` writes it; a test fails when it
differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from governance.configuration.declared import SECTIONS
from governance.configuration.setting import Kind, Setting

PAGE = "settings.md"
_NOTE = (
    "<!-- Written by `python -m governance.configuration.reference docs/reference`. "
    "Do not edit. -->"
)
_OPENING = """\
Every setting is an environment variable. `./muster up` sets what it says it sets, for the
processes that it starts. Each value is read strictly: what is no number, out of its range, no word
that there is, or in contradiction to another setting stops `up` and every process, with one
sentence for each that names the setting and says what would be right. A variable that begins with
`MUSTER_` and is none of these is warned about, with the nearest name. An empty number or switch
counts as not set; an empty list is a list of nothing. Lists are separated by commas. No message
repeats a value. [`./muster doctor`](../howto/check-an-installation.md) says how the settings that
matter most stand."""
_CLOSING = """\
Keys shorter than they should be, a vault key that the secrets in the database are not wrapped
under, well-known ones, `MUSTER_DEBUG`, a web login that owns tables or may write the record's
tables, and a database without `synchronous_commit` each stop the start and are named."""
_HEAD = "| variable | type | default | meaning |\n|---|---|---|---|"


def page() -> str:
    """The whole page, as Markdown."""
    parts = [f"# Settings\n\n{_NOTE}\n\n{_OPENING}"]
    for title, settings in SECTIONS.items():
        rows = "\n".join(map(_row, _families(settings)))
        parts.append(f"## {title}\n\n{_HEAD}\n{rows}")
    return "\n\n".join([*parts, _CLOSING]) + "\n"


def _families(settings: Iterable[Setting]) -> Iterator[list[Setting]]:
    for _, together in groupby(settings, key=lambda each: each.family or each.name):
        yield list(together)


def _row(together: list[Setting]) -> str:
    first, *rest = together
    names = [f"`{first.name}`", *(f"`…{each.name.removeprefix(first.family)}`" for each in rest)]
    defaults = list(dict.fromkeys(map(_default, together)))
    said = defaults if len(defaults) == 1 else list(map(_default, together))
    return f"| {', '.join(names)} | {_type(together)} | {', '.join(said)} | {first.meaning} |"


def _type(together: list[Setting]) -> str:
    first = together[0]
    words = [first.kind.value, *([f"of {first.unit}"] if first.unit else [])]
    if first.choices and first.kind in (Kind.CHOICE, Kind.WORDS):
        words.append(
            ("of " if first.kind is Kind.WORDS else "")
            + ", ".join(f"`{choice}`" for choice in first.choices)
        )
    ranges = list(dict.fromkeys(each.range for each in together))
    # Bounds that differ by the tier stand in the order of the names.
    bounds = "; ".join(filter(None, ranges))
    return " ".join(words) + (f", {bounds}" if bounds else "")


def _default(setting: Setting) -> str:
    if setting.said:
        return setting.said
    if setting.kind is Kind.SWITCH:
        return "on" if setting.default else "off"
    if isinstance(setting.default, list):
        return ", ".join(f"`{each}`" for each in setting.default)
    return f"`{setting.default:g}`" if setting.kind is Kind.DECIMAL else f"`{setting.default}`"


def main(arguments: list[str]) -> int:
    """Write the page into the folder that is named."""
    (Path(arguments[0]) / PAGE).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
