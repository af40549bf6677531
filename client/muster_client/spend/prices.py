"""What models cost, by the operator's own table, in integer micro-units of one currency.

A micro-unit is a millionth of a major unit: 0.000001 USD. Muster counts in minor units (cents), so
what is told to it is rounded up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

Json = Any

MILLION = 1_000_000
# More than a provider can use in one call: what says more is no usage.
MOST_TOKENS = 10**9
_MOST_PRICE = Decimal(10) ** 6
_CURRENCY = re.compile(r"[A-Z]{3}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}")
# ISO 4217: currencies whose minor unit is not a hundredth.
_PLACES = {
    **dict.fromkeys(["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"], 0),
    **dict.fromkeys(["PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"], 0),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}
_PRICES = ("input", "output", "cached_input", "cache_write", "cache_write_1h")
_LIMITS = ("max_output_tokens", "max_input_tokens", "image_tokens")


class BadTable(ValueError):
    """The table of prices, or the configuration, cannot be read; the message says where."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one call used, each counted in one place alone.

    `input` is what was neither read from a cache nor written into one.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    written_1h: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """One model: micro-units for a million tokens, and the ceilings of one call.

    `max_output_tokens` is put into a request that names none, and one that asks for more is
    refused; None is for a model that writes nothing (embeddings). `image_tokens` is what one image
    counts at the most; 0 where none may be sent. `max_input_tokens` is where this price ends.
    """

    input: int
    output: int = 0
    cached_input: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    max_output_tokens: int | None = None
    max_input_tokens: int | None = None
    image_tokens: int = 0

    @property
    def dearest_input(self) -> int:
        """What an input token costs at the most, wherever the provider counts it."""
        known = (self.input, self.cached_input, self.cache_write, self.cache_write_1h)
        return max(each for each in known if each is not None)

    def most(self, input_tokens: int, output_tokens: int) -> int:
        """Micro-units that a call costs at the most, rounded up."""
        return up(self.dearest_input * input_tokens + self.output * output_tokens, MILLION)

    def cost(self, used: Usage) -> int | None:
        """Micro-units that a call has cost, rounded up; None where a price of it is missing."""
        if (used.written and self.cache_write is None) or (
            used.written_1h and self.cache_write_1h is None
        ):
            return None
        cached = self.input if self.cached_input is None else self.cached_input
        parts = (
            (used.input, self.input),
            (used.output, self.output),
            (used.cached, cached),
            (used.written, self.cache_write or 0),
            (used.written_1h, self.cache_write_1h or 0),
        )
        return up(sum(tokens * price for tokens, price in parts), MILLION)


@dataclass(frozen=True, slots=True)
class Prices:
    """The table: provider to model to price, in one currency."""

    currency: str
    models: Mapping[str, Mapping[str, Price]] = field(default_factory=dict)

    @property
    def minor(self) -> int:
        """How many micro-units one minor unit of the currency is."""
        places: int = 10 ** (6 - _PLACES.get(self.currency, 2))
        return places

    def in_minor(self, micro: int) -> int:
        """Micro-units as minor units, rounded up."""
        return up(micro, self.minor)

    def major(self, minor: int) -> float:
        """Minor units as the number that Muster reads in an amount: cents as euros."""
        return minor * self.minor / MILLION


def up(value: int, by: int) -> int:
    """The quotient, rounded up.

    >>> up(1, 1000000), up(1000000, 1000000), up(0, 1000000)
    (1, 1, 0)
    """
    return -(-value // by)


def read_prices(given: Json) -> Prices:
    """The table of a file that was parsed: `{"currency", "models": {provider: {model: …}}}`.

    Prices are in major units for a million tokens, as providers print them. Raises `BadTable`.
    """
    if not isinstance(given, dict) or set(given) != {"currency", "models"}:
        raise BadTable("The table of prices must have currency and models, and nothing else.")
    currency = given["currency"]
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise BadTable("The currency of the prices must be three capital letters, such as USD.")
    providers = given["models"]
    if not isinstance(providers, dict) or not all(
        isinstance(one, dict) for one in providers.values()
    ):
        raise BadTable("models must be an object of providers, each an object of models.")
    return Prices(
        currency,
        {
            str(provider): {
                _name(model): _price(price, f"{provider}.{model}")
                for model, price in models.items()
            }
            for provider, models in providers.items()
        },
    )


def _name(model: Json) -> str:
    if not isinstance(model, str) or not _MODEL.fullmatch(model):
        raise BadTable(f"{model!r} is no name of a model.")
    return model


def _price(given: Json, where: str) -> Price:
    if not isinstance(given, dict) or not set(given) <= {*_PRICES, *_LIMITS}:
        raise BadTable(f"The price of {where} may have {', '.join((*_PRICES, *_LIMITS))} alone.")
    if "input" not in given:
        raise BadTable(f"The price of {where} has no input.")
    if ("output" in given) is not ("max_output_tokens" in given):
        raise BadTable(f"The price of {where} needs both output and max_output_tokens, or neither.")
    money = {name: _micro(given[name], f"{where}.{name}") for name in _PRICES if name in given}
    limits = {name: _tokens(given[name], f"{where}.{name}") for name in _LIMITS if name in given}
    return Price(**money, **limits)


def _micro(value: Json, where: str) -> int:
    """A price in major units for a million tokens, as micro-units for a million."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadTable(f"{where} must be a price, such as 2.50.")
    try:
        price = Decimal(str(value))
    except InvalidOperation as error:
        raise BadTable(f"{where} must be a price, such as 2.50.") from error
    if not price.is_finite() or not 0 <= price <= _MOST_PRICE:
        raise BadTable(f"{where} must be a price from 0 to {_MOST_PRICE}.")
    micro = price * MILLION
    if micro != micro.to_integral_value():
        raise BadTable(f"{where} has more than six decimals.")
    return int(micro)


def _tokens(value: Json, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MOST_TOKENS:
        raise BadTable(f"{where} must be a number of tokens, from 1 to {MOST_TOKENS}.")
    return value
