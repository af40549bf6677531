"""The key-encryption key: read, rotated, lost, found again."""

from __future__ import annotations

import base64
import os
import stat

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from registry import vault
from registry.checks import check_vault_key, check_vault_opens
from registry.models import StoredSecret
from registry.vault import back_ends, embedded, envelope, keyring
from registry.vault.errors import SecretDamaged, WrongVaultKey
from registry.vault.types import Place
from tests.factories.identity import make_agent
from tests.registry.vault.conftest import ring

pytestmark = pytest.mark.django_db


def encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def fresh() -> bytes:
    return os.urandom(32)


@pytest.fixture
def places(vault_key) -> list[Place]:
    """Three secrets of an agent."""
    agent = make_agent()
    found = [Place(agent.slug, f"vault://care/desk/{n}", f"care/desk/{n}") for n in range(3)]
    for place in found:
        vault.create(place.reference, f"value of {place.path}", agent=agent, by=agent.owner)
    return found


def read_all(places: list[Place]) -> list[str]:
    return [back_ends.of(each.reference).read(each)[0].reveal() for each in places]


def values(places: list[Place]) -> list[str]:
    return [f"value of {each.path}" for each in places]


def faults(check, process: str, settings) -> list[str]:
    settings.MUSTER_PROCESS = process
    return [f"{each.id}: {each.msg}" for each in check(None, databases=["default"])]


def test_a_rotation_wraps_everything_anew_and_drops_the_old_key(places) -> None:
    old, wrapped = ring(), {each.pk: bytes(each.wrapped_key) for each in _stored()}

    call_command("rotate_vault_key")

    assert len(ring()) == 1
    assert ring() != old
    assert {each.key_id for each in _stored()} == {envelope.vault_key(ring()[0]).id}
    assert all(bytes(each.wrapped_key) != wrapped[each.pk] for each in _stored())
    assert read_all(places) == values(places)


def test_a_rotation_is_recorded(places, mark, records_after) -> None:
    marked = mark()

    call_command("rotate_vault_key")

    bodies = [bytes(each["body"]) for each in records_after(marked, kind="admin")]
    assert [b"rotation_begun" in bodies[0], b"vault_key_rotated" in bodies[1]] == [True, True]
    assert not any(encoded(ring()[0]).encode() in each for each in bodies)


@pytest.mark.parametrize("survive", [0, 1, 2])
def test_a_rotation_that_is_killed_goes_on_where_it_was(places, monkeypatch, survive) -> None:
    rewrap, done = embedded.rewrap, []

    def killed(stored: StoredSecret) -> bool:
        if len(done) == survive:
            raise KeyboardInterrupt
        done.append(stored)
        return rewrap(stored)

    monkeypatch.setattr(embedded, "rewrap", killed)
    with pytest.raises(KeyboardInterrupt):
        call_command("rotate_vault_key")
    assert len(ring()) == 2
    assert read_all(places) == values(places)
    monkeypatch.setattr(embedded, "rewrap", rewrap)
    half = ring()

    call_command("rotate_vault_key")

    assert ring() == half[:1]
    assert read_all(places) == values(places)


def test_a_rotation_keeps_the_old_key_while_anything_needs_it(places, capsys) -> None:
    StoredSecret.objects.filter(reference=places[0].reference).update(wrapped_key=b"x" * 60)

    with pytest.raises(CommandError):
        call_command("rotate_vault_key")

    assert len(ring()) == 2
    assert read_all(places[1:]) == values(places[1:])


def test_what_is_stored_during_a_rotation_is_wrapped_under_the_new_key(places) -> None:
    keyring.write((fresh(), *ring()))
    agent = make_agent()

    vault.create("vault://care/late", "late", agent=agent, by=agent.owner)

    stored = StoredSecret.objects.get(reference="vault://care/late")
    assert stored.key_id == envelope.vault_key(ring()[0]).id


def test_the_key_file_is_for_its_owner_alone(places) -> None:
    call_command("rotate_vault_key")

    assert stat.S_IMODE(keyring.path().stat().st_mode) == 0o600


def test_a_key_from_the_environment(places, settings) -> None:
    settings.MUSTER_VAULT_KEY = encoded(ring()[0])
    keyring.path().unlink()
    assert read_all(places) == values(places)
    with pytest.raises(CommandError):
        call_command("rotate_vault_key")
    new = fresh()
    settings.MUSTER_VAULT_KEY = f"{encoded(new)},{settings.MUSTER_VAULT_KEY}"

    call_command("rotate_vault_key")

    settings.MUSTER_VAULT_KEY = encoded(new)
    assert read_all(places) == values(places)


# A database and a key that do not belong together


def test_another_key_is_told_before_anything_serves(places, settings) -> None:
    keyring.path().write_text(encoded(fresh()))

    (told,) = faults(check_vault_opens, "web", settings)

    assert told.startswith("muster.E010: Secrets are wrapped under a key that is not here")
    assert "Put back the key file" in told
    assert "Put back the key file" in vault.health()["vault"]
    with pytest.raises(WrongVaultKey):
        read_all(places)
    with pytest.raises(CommandError):
        call_command("rotate_vault_key")


def test_the_right_key_is_no_fault(places, settings) -> None:
    assert faults(check_vault_opens, "web", settings) == []
    assert faults(check_vault_key, "web", settings) == []
    assert vault.health() == {"vault": ""}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "holds no key"),
        ("not base64!", "must hold 32 bytes"),
        (encoded(b"short"), "must hold 32 bytes"),
        (encoded(bytes(32)), "its bytes are not random"),
        (encoded(bytes(range(32))), "not random"),
        (encoded(b"correct horse battery staple 32b"), "not random"),
    ],
)
def test_a_bad_key_is_told_before_anything_serves(vault_key, settings, text, told) -> None:
    keyring.path().unlink()
    if text is not None:
        keyring.path().write_text(text)

    (found,) = faults(check_vault_key, "web", settings)

    assert found.startswith("muster.E009: The vault")
    assert told in found
    assert not text or text not in found


def test_without_the_embedded_vault_no_key_is_asked_for(vault_key, settings) -> None:
    keyring.path().unlink()
    settings.MUSTER_VAULTS = ["kv"]

    assert faults(check_vault_key, "web", settings) == []
    assert faults(check_vault_opens, "web", settings) == []


def test_a_row_that_was_moved_does_not_open(places) -> None:
    """Whoever can write the table cannot hand one agent another's secret."""
    first, second = _stored()[:2]
    for one, other in ((first, second),):
        version = one.versions.get()
        other.versions.all().delete()
        version.secret, version.pk = other, None
        version.save()

    with pytest.raises(SecretDamaged):
        read_all(places[1:2])


def test_a_row_that_was_renamed_does_not_open(places) -> None:
    stored = _stored()[0]
    StoredSecret.objects.filter(pk=stored.pk).update(agent="other", reference="vault://care/o")

    with pytest.raises(SecretDamaged):
        read_all([Place("other", "vault://care/o", "care/o")])


def test_a_key_that_is_no_key_is_named_and_not_shown(vault_key) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        keyring.read("c2VjcmV0", "MUSTER_VAULT_KEY")

    assert str(refused.value).startswith("MUSTER_VAULT_KEY must hold 32 bytes")
    assert "c2VjcmV0" not in str(refused.value)


def _stored() -> list[StoredSecret]:
    return list(StoredSecret.objects.order_by("reference"))
