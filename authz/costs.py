"""What a call has cost: what was told as money, tokens by the price of their model, meters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from authz.engine.money import UnknownCurrency, convert
from authz.errors import UnknownPrice
from authz.models import CurrencyRate, Meter, ModelPrice
from registry.models import Agent

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a call used of a language model."""

    provider: str
    model: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Units:
    """What a call used of something that is paid by the unit; thousandths of a unit count."""

    meter: str
    thousandths: int


@dataclass(frozen=True, slots=True)
class Spent:
    """Everything that a report says of the cost of a call; `money` is minor units, currency."""

    money: tuple[int, str] | None = None
    tokens: Sequence[Tokens] = ()
    units: Sequence[Units] = ()

    def __bool__(self) -> bool:
        return self.money is not None or bool(self.tokens or self.units)


def cost_of(spent: Spent, agent: str, now: datetime) -> int:
    """In minor units of the agent's currency, each part rounded up. Raises `UnknownPrice`."""
    into = Agent.objects.values_list("currency", flat=True).get(slug=agent)
    parts = [
        *([spent.money] if spent.money else []),
        *(_of_tokens(each, now) for each in spent.tokens),
        *(_of_units(each) for each in spent.units),
    ]
    rates = {one.currency: str(one.worth) for one in CurrencyRate.objects.all()}
    try:
        return sum(convert(minor, currency or into, into, rates) for minor, currency in parts)
    except UnknownCurrency as error:
        raise UnknownPrice(
            f"No rate is set for {error.currency}. Ask security to set one."
        ) from error


def _of_tokens(used: Tokens, now: datetime) -> tuple[int, str]:
    """By the price that was valid at the time: a later one changes nothing before it."""
    prices = ModelPrice.objects.filter(provider=used.provider, model=used.model)
    price = prices.filter(valid_from__lte=now).order_by("-valid_from").first()
    if price is None:
        raise UnknownPrice(
            f"No price is set for the model {used.model!r} of {used.provider!r}. "
            "Ask security to set one, and report again."
        )
    cost = price.input_minor * used.input_tokens + price.output_minor * used.output_tokens
    return _up(cost / MILLION), price.currency


def _of_units(used: Units) -> tuple[int, str]:
    meter = Meter.objects.filter(slug=used.meter).first()
    if meter is None:
        raise UnknownPrice(
            f"There is no meter {used.meter!r}. Ask security to set one, and report again."
        )
    return _up(meter.unit_minor * used.thousandths / 1000), meter.currency


def _up(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_CEILING))
