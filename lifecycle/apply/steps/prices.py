"""Rates of currencies, prices of models, meters."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from authz import services
from lifecycle.apply.plan import Step
from lifecycle.apply.steps.run import Run, wait

_NUMBERS = ("worth", "input_minor", "output_minor", "unit_minor")


def save_rate(run: Run, step: Step) -> None:
    """What a currency is worth."""
    wait(step, services.set_rate(by=run.by, alone=run.alone, **_said(step)).proposed)


def save_model_price(run: Run, step: Step) -> None:
    """What the tokens of a model cost."""
    wait(step, services.set_model_price(by=run.by, alone=run.alone, **_said(step)).proposed)


def save_meter(run: Run, step: Step) -> None:
    """What one unit of a meter costs."""
    wait(step, services.set_meter(by=run.by, alone=run.alone, **_said(step)).proposed)


def _said(step: Step) -> dict[str, Any]:
    """All of the item: what it does not say stays as it is."""
    said = {**step.current, **step.item.fields}
    if "worth" not in said:
        said.setdefault("currency", "EUR")
    return {name: Decimal(value) if name in _NUMBERS else value for name, value in said.items()}
