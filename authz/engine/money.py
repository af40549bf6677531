"""Money in minor units: one currency in another, by the table that the installation sets."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal


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


def convert(amount: int, currency: str, into: str, rates: Mapping[str, str]) -> int:
    """`amount` in minor units of `into`, rounded up: a cap is never passed by a fraction."""
    if currency == into or not amount:
        return amount
    for each in (currency, into):
        if each not in rates:
            raise UnknownCurrency(each)
    whole = Decimal(amount) * Decimal(rates[currency]) / Decimal(rates[into])
    return int(whole.to_integral_value(rounding=ROUND_CEILING))
