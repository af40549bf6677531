"""What an environment says of the settings, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from governance.configuration.contradictions import contradictions
from governance.configuration.declared import ELSEWHERE, SETTINGS
from governance.configuration.setting import Wrong

PREFIX = "MUSTER_"


class WrongSettings(ImproperlyConfigured):
    """Settings that no process starts with: one sentence for each, which names it."""


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    """Each setting's value by its name. Raises `WrongSettings` with every fault at once."""
    values, wrong = _values(environment)
    if wrong := wrong or list(contradictions(values)):
        raise WrongSettings(" ".join(wrong))
    return values


def faults(environment: Mapping[str, str]) -> list[str]:
    """What is wrong, in sentences, before `./muster up` has set what it sets itself."""
    ours = {
        each.name: value
        for each in SETTINGS
        if not each.told and (value := environment.get(each.name)) is not None
    }
    values, wrong = _values(ours, required=False)
    return wrong or list(contradictions(values))


def _values(
    environment: Mapping[str, str], *, required: bool = True
) -> tuple[dict[str, Any], list[str]]:
    values, wrong = {}, []
    for each in SETTINGS:
        if each.required and not required and not environment.get(each.name):
            values[each.name] = each.default
            continue
        try:
            values[each.name] = each.read(environment)
        except Wrong as error:
            wrong.append(str(error))
    return values, wrong


def unknown_names(environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable that begins as ours do and is none, with the nearest name."""
    known = {each.name for each in SETTINGS}.union(ELSEWHERE)
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            near = get_close_matches(name, sorted(known), n=1)
            meant = f" Is {near[0]} meant?" if near else ""
            yield f"{name} is no setting of Muster, and does nothing.{meant}"
