"""Money in minor units: one currency in another, by the table that the installation sets."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any


class UnknownCurrency(ValueError):
    """The table has no rate for this currency."""

    def __init__(self, currency: str) -> None:
        super().__init__(currency)
        self.currency = currency


def worth_in(currency: str, rates: Mapping[str, str]) -> dict[str, str]:
    """Currency → how many minor units of `currency` one of its own is, for all that are known."""
    if currency not in rates:
        return {currency: "1"}
    mine = Decimal(rates[currency])
    return {other: f"{Decimal(rate) / mine:f}" for other, rate in rates.items()}


def rates_of(world: Mapping[str, Any]) -> Mapping[str, str]:
    """What each currency is worth; nothing where the installation has set no rate."""
    rates: Mapping[str, str] = world.get("rates") or {}
    return rates


def currency_of(tool: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """The currency of what a call moves: as it says itself, else the tool's; "" for none."""
    named = str(tool.get("currency") or "")
    value = parameters.get(named) if named else None
    if value is None:
        return str(tool.get("money") or "")
    return value if isinstance(value, str) else ""


def convert(amount: int, currency: str, into: str, rates: Mapping[str, str]) -> int:
    """As `exchange`; nothing is nothing in every currency, known or not."""
    return exchange(amount, currency, into, rates) if amount else 0


def exchange(amount: int, currency: str, into: str, rates: Mapping[str, str]) -> int:
    """`amount` in minor units of `into`, rounded up: a cap is never passed by a fraction.

    Raises `UnknownCurrency`.
    """
    if currency == into:
        return amount
    for each in (currency, into):
        if each not in rates:
            raise UnknownCurrency(each)
    whole = Decimal(amount) * Decimal(rates[currency]) / Decimal(rates[into])
    return int(whole.to_integral_value(rounding=ROUND_CEILING))
