"""Rates of currencies, prices of models, meters: what limits on money count by.

Two people set each of them, since a lower one lets more through.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import models, transaction

from authz import permissions
from authz.models import CurrencyRate, Meter, ModelPrice
from authz.services.recording import record
from governance.kernel import clock
from registry import changes
from registry.errors import ChangeOutdated
from registry.models import Person, ProposedChange
from registry.services.saving import Saved, assign, check, check_alone, keep

PRICE_KIND = "price"

Row = CurrencyRate | ModelPrice | Meter
Facts = Mapping[str, Any]


def set_rate(
    *, currency: str, worth: Decimal, by: Person, alone: bool = False
) -> Saved[CurrencyRate]:
    """Say how many minor units of the base currency one minor unit of this one is worth."""
    return _set("rate", {"currency": currency}, {"worth": worth}, by, alone)


def set_model_price(
    *,
    provider: str,
    model: str,
    input_minor: Decimal,
    output_minor: Decimal,
    currency: str,
    by: Person,
    alone: bool = False,
) -> Saved[ModelPrice]:
    """Say what a provider takes for a million tokens from now on; older calls keep their price."""
    wanted = {"input_minor": input_minor, "output_minor": output_minor, "currency": currency}
    return _set("model", {"provider": provider, "model": model}, wanted, by, alone)


def set_meter(
    *,
    slug: str,
    unit_minor: Decimal,
    currency: str,
    by: Person,
    title: str = "",
    alone: bool = False,
) -> Saved[Meter]:
    """Say what one unit costs of something that is paid by the unit."""
    wanted = {"title": title, "unit_minor": unit_minor, "currency": currency}
    return _set("meter", {"slug": slug}, wanted, by, alone)


_MODELS: Mapping[str, type[models.Model]] = {
    "rate": CurrencyRate,
    "model": ModelPrice,
    "meter": Meter,
}


@transaction.atomic
def _set(what: str, key: Facts, wanted: Facts, by: Person, alone: bool) -> Saved[Any]:
    permissions.check_can_change_prices(by)
    check_alone(alone)
    row = _current(what, key)
    before = _plain(row, wanted) if row else {}
    fresh = _MODELS[what](**key, **wanted)
    check(fresh, unique=False)
    after = _plain(fresh, wanted)
    if before == after:
        return Saved(row)
    if alone:
        return Saved(_write(what, key, after, by), created=row is None, changed=tuple(wanted))
    change = changes.propose(
        kind=PRICE_KIND,
        target=f"{what}:{'/'.join(key.values())}",
        summary=f"{what} {'/'.join(key.values())}: {_words(before)} becomes {_words(after)}",
        before={"row": before},
        after={"what": what, "key": dict(key), "row": after},
        by=by,
    )
    return Saved(row, proposed=(change,))


def apply_price(change: ProposedChange, by: Person) -> None:
    """Let what was agreed count from now on."""
    what, key, after = (change.after[name] for name in ("what", "key", "row"))
    row = _current(what, key)
    if (_plain(row, after) if row else {}) != change.before["row"]:
        raise ChangeOutdated()
    _write(what, key, after, by)


def _current(what: str, key: Facts) -> Any:
    """The row that counts now, locked; of a model's prices the newest."""
    rows = _MODELS[what]._default_manager.select_for_update(no_key=True).filter(**key)
    return (rows.order_by("-valid_from") if what == "model" else rows).first()


def _write(what: str, key: Facts, after: Facts, by: Person) -> Any:
    """A price of a model is never changed: the new one follows it."""
    row = None if what == "model" else _current(what, key)
    row = row or _MODELS[what](**key)
    changed = assign(row, {name: _value(row, name, value) for name, value in after.items()})
    if what != "model":
        assign(row, {"changed_at": clock.now()})
    keep(row, by)
    record(
        "price_set",
        by=by,
        resource=f"{what}:{'/'.join(key.values())}",
        told={"changed": sorted(changed), **after},
    )
    return row


def _value(row: models.Model, name: str, value: str) -> Any:
    field: Any = row._meta.get_field(name)
    return field.to_python(value)


def _plain(row: Any, names: Facts) -> dict[str, str]:
    return {name: plain_number(getattr(row, name)) for name in names}


def plain_number(value: Any) -> str:
    """A number as it is written, without zeros at its end; a text as it is."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return str(value)


def _words(facts: Facts) -> str:
    return ", ".join(value for value in facts.values() if value) or "nothing"
