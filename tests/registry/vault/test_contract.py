"""What every vault keeps, whichever it is: one contract, run over all of them."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from registry.vault.errors import NothingStored, NotYours
from registry.vault.types import AtSource, Secret

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
VALUES = ["s3cret-value", "ünïcode ✓ \n second line", "x" * 65_536, '{"user": "a", "pass": "b"}']


def value_at(vault, place) -> str:
    return vault.back_end.read(place)[0].reveal()


@pytest.mark.parametrize("value", VALUES, ids=["plain", "unicode", "long", "json"])
def test_what_is_stored_is_read_as_it_was(each_vault, value: str) -> None:
    place = each_vault.place()

    version = each_vault.back_end.create(place, Secret(value))

    secret, read = each_vault.back_end.read(place)
    assert (secret.reveal(), read) == (value, version)


def test_nothing_is_read_where_nothing_is_stored(each_vault) -> None:
    with pytest.raises(NothingStored):
        each_vault.back_end.read(each_vault.place())


def test_a_rotation_makes_the_new_value_the_current_one(each_vault) -> None:
    place = each_vault.place()
    first = each_vault.back_end.create(place, Secret("first"))

    second = each_vault.back_end.rotate(place, Secret("second"), HOUR)

    assert first != second
    assert value_at(each_vault, place) == "second"
    held = each_vault.back_end.versions(place)
    assert [(each.name, each.current) for each in held] == [(second, True), (first, False)]


def test_what_was_never_stored_is_not_rotated(each_vault) -> None:
    with pytest.raises(NothingStored):
        each_vault.back_end.rotate(each_vault.place(), Secret("new"), HOUR)


def test_storing_again_after_a_crash_is_done_once(each_vault) -> None:
    place = each_vault.place()
    each_vault.back_end.create(place, Secret("first try"))

    each_vault.back_end.create(place, Secret("second try"))

    assert value_at(each_vault, place) == "second try"


def test_another_agents_secret_is_never_overwritten(each_vault) -> None:
    place = each_vault.place()
    each_vault.back_end.create(place, Secret("theirs"))

    with pytest.raises(NotYours):
        each_vault.back_end.create(dataclasses.replace(place, agent="other"), Secret("mine"))

    assert value_at(each_vault, place) == "theirs"


def test_a_revoked_secret_is_gone_from_the_vault_but_not_from_the_world(each_vault) -> None:
    place = each_vault.place()
    each_vault.back_end.create(place, Secret("known to an agent"))

    assert each_vault.back_end.revoke(place, ours=True) is AtSource.REMOVED

    with pytest.raises(NothingStored):
        each_vault.back_end.read(place)


def test_revoking_and_destroying_twice_is_once(each_vault) -> None:
    place = each_vault.place()
    each_vault.back_end.create(place, Secret("known"))

    for _ in range(2):
        each_vault.back_end.revoke(place, ours=True)
    for _ in range(2):
        each_vault.back_end.destroy(place)

    with pytest.raises(NothingStored):
        each_vault.back_end.read(place)
    assert each_vault.back_end.versions(place) == []


def test_a_vault_that_answers_is_well(each_vault) -> None:
    assert each_vault.back_end.health() == ""
