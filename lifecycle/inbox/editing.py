"""Editing what is held: each parameter as a field, and what comes back as values again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from governance import unseen
from governance.kernel.errors import Invalid
from governance.kernel.strict_json import BadJson, loads
from governance.words import minor_digits
from lifecycle.inbox.holds import Row, currency_of, is_minor, rows_of, written
from registry.models import Tool

PREFIX = "p:"
MOST_LINES = 12
MOST_MINOR = 2**53 - 1

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter to edit. `kind` is what the value is: a currency, text, or JSON."""

    name: str
    value: str
    kind: str
    lines: int = 1

    @property
    def short_name(self) -> str:
        """The name, as far as a label shows it."""
        return unseen.beginning(self.name, characters=80, told=6)

    @property
    def key(self) -> str:
        """The field's name in the form."""
        return PREFIX + self.name


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter before and after, as they are shown."""

    name: str
    before: str
    after: str


def fields_of(parameters: Facts, tool: Tool | None) -> list[Field]:
    """The fields of the form, in the order in which the parameters are shown."""
    currency = currency_of(parameters, tool)
    return [_field(row, tool, currency) for row in rows_of(parameters, tool)]


def _field(row: Row, tool: Tool | None, currency: str) -> Field:
    if _is_money(row.name, row.value, tool):
        digits = minor_digits(currency)
        return Field(row.name, f"{Decimal(row.value).scaleb(-digits):.{digits}f}", currency)
    if isinstance(row.value, str):
        lines = min(MOST_LINES, row.value.count("\n") + len(row.value) // 80 + 1)
        return Field(row.name, row.value, "text", lines)
    text = json.dumps(row.value, ensure_ascii=False)
    return Field(row.name, text, "json", min(MOST_LINES, len(text) // 80 + 1))


def _is_money(name: str, value: Any, tool: Tool | None) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and tool is not None and name == tool.amount_parameter and is_minor(tool, name)


def edited(parameters: Facts, given: Mapping[str, str], tool: Tool | None) -> dict[str, Any]:
    """The parameters as the form says. What is not in it stays; `Invalid` names the field."""
    digits, after = minor_digits(currency_of(parameters, tool)), dict(parameters)
    for name, value in parameters.items():
        if (text := given.get(PREFIX + name)) is None:
            continue
        money = _is_money(name, value, tool)
        after[name] = _minor(name, text, digits) if money else _value(name, value, text)
    return after


def _value(name: str, before: Any, text: str) -> Any:
    if isinstance(before, str):
        # A browser sends line ends its own way; what was not touched stays as it was.
        return before if _lines(before) == _lines(text) else text.replace("\r\n", "\n")
    try:
        return loads(text.encode())
    except BadJson as error:
        raise Invalid(f"{name} is not a value: write a number, true, false, or JSON.") from error


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _minor(name: str, text: str, digits: int) -> int:
    try:
        minor = Decimal(text.strip()).scaleb(digits)
    except ArithmeticError as error:
        raise Invalid(f"{name} is not an amount: write it as 750.00.") from error
    if not minor.is_finite() or abs(minor) > MOST_MINOR:
        raise Invalid(f"{name} is not an amount: write it as 750.00.")
    if minor != int(minor):
        raise Invalid(f"{name} has at most {digits} digits after the point.")
    return int(minor)


def compared(before: Facts, after: Facts, tool: Tool | None) -> list[Change]:
    """What an edit changes, as it is shown before it is approved."""
    old, new = (_shown(each, tool) for each in (before, after))
    return [
        Change(name, old.get(name, ""), new.get(name, ""))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
        or type(before.get(name)) is not type(after.get(name))
    ]


def _differ(before: Any, after: Any) -> bool:
    """Python takes 1 for True."""
    return before != after or isinstance(before, bool) != isinstance(after, bool)


def _shown(parameters: Facts, tool: Tool | None) -> dict[str, str]:
    return {row.name: row.written or written(row.value) for row in rows_of(parameters, tool)}
