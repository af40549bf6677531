"""What people do with a credential: stored, rotated, revoked, confirmed, and what is refused."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotAllowed
from registry import services, vault
from registry.enums import CredentialState as S
from registry.errors import Incomplete, LooksLikeSecret, WrongState
from registry.models import CredentialReference, StoredSecret, StoredVersion
from registry.permissions import Automatic
from registry.vault import back_ends
from registry.vault.errors import (
    AlreadyStored,
    BadSecret,
    BeingRotated,
    CannotRotate,
    CredentialRevoked,
    NoBackEnd,
    VaultUnavailable,
)
from registry.vault.types import Place
from tests.factories.identity import make_agent, make_person

pytestmark = pytest.mark.django_db

REF = "vault://care/refund-desk/helpdesk"
HOUR = timedelta(hours=1)


@pytest.fixture
def agent(vault_key):
    return make_agent()


@pytest.fixture
def stored(agent):
    return vault.create(REF, "s3cret-value", agent=agent, by=agent.owner)


def now_of(reference: str = REF) -> CredentialReference:
    return CredentialReference.objects.get(reference=reference)


def value_of(agent, reference: str = REF) -> str:
    place = Place(agent.slug, reference, reference.partition("://")[2])
    return back_ends.of(reference).read(place)[0].reveal()


def was_read(reference: str = REF) -> None:
    CredentialReference.objects.filter(reference=reference).update(last_read_at=clock.now())


def test_a_stored_secret_is_active_with_its_version(agent, stored, mark, records_after) -> None:
    assert (stored.state, stored.kind, stored.version) == (S.ACTIVE, "here", "1")
    assert value_of(agent) == "s3cret-value"


def test_storing_is_recorded_and_never_with_the_value(agent, mark, records_after) -> None:
    marked = mark()

    vault.create(REF, "s3cret-value", agent=agent, by=agent.owner)

    found = records_after(marked)
    assert [each["resource"] for each in found] == [f"credential:{REF}"] * 2
    assert not any(b"s3cret-value" in bytes(each["body"]) for each in found)


def test_what_is_stored_already_is_not_overwritten(agent, stored) -> None:
    with pytest.raises(AlreadyStored):
        vault.create(REF, "another", agent=agent, by=agent.owner)

    assert value_of(agent) == "s3cret-value"


def test_a_credential_belongs_to_one_row(agent, stored) -> None:
    other = make_agent()

    with pytest.raises(Conflict):
        vault.create(REF, "mine", agent=other, by=other.owner)
    with pytest.raises(IntegrityError), transaction.atomic():
        CredentialReference.objects.create(agent=other, reference=REF)


def test_only_who_may_change_the_agent_stores_and_rotates(agent, stored) -> None:
    stranger = make_person()

    with pytest.raises(NotAllowed):
        vault.create("vault://care/new", "mine", agent=agent, by=stranger)
    with pytest.raises(NotAllowed):
        vault.rotate(REF, value="mine", by=stranger)
    with pytest.raises(NotAllowed):
        vault.revoke(REF, reason="because", by=stranger)
    was_read()
    vault.revoke(REF, reason="leaked", by=agent.owner)
    with pytest.raises(NotAllowed):
        vault.confirm_ended(REF, reason="trust me", by=stranger)
    with pytest.raises(NotAllowed):
        vault.destroy(REF, by=stranger)


@pytest.mark.parametrize(
    "reference",
    [
        "vault://care/../other/secret",
        "vault://../x",
        "vault://care//x",
        "vault://care/./x",
        "vault:///x",
        "vault://care/x/",
        "vault://care/.hidden",
        "vault://care/x#",
        "vault://care/x#a#b",
    ],
)
def test_a_reference_that_could_lead_elsewhere_is_no_place(agent, reference) -> None:
    with pytest.raises((NoBackEnd, LooksLikeSecret)):
        vault.create(reference, "value", agent=agent, by=agent.owner)

    assert not StoredSecret.objects.exists()


@pytest.mark.parametrize(
    "reference", ["kv://secret/care", "aws-sm://eu/care", "https://a/b", "a/b"]
)
def test_a_vault_that_is_not_switched_on_keeps_nothing(agent, reference) -> None:
    with pytest.raises(NoBackEnd):
        vault.create(reference, "value", agent=agent, by=agent.owner)

    assert not CredentialReference.objects.exists()


@pytest.mark.parametrize("value", ["", "x" * 65_537, 12, b"bytes", ["list"], "\ud800"])
def test_what_is_no_text_is_refused_without_being_told(agent, value) -> None:
    with pytest.raises(BadSecret) as refused:
        vault.create(REF, value, agent=agent, by=agent.owner)

    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
    assert str(refused.value) == BadSecret.__doc__


def test_a_rotation_keeps_the_former_value_for_the_overlap_and_no_longer(agent, stored) -> None:
    vault.rotate(REF, value="second", by=agent.owner, overlap=HOUR)

    assert value_of(agent) == "second"
    assert [(each.name, each.current) for each in vault.versions(REF)] == [
        ("2", True),
        ("1", False),
    ]
    assert vault.wipe_ended(clock.now()) == 0
    assert vault.wipe_ended(clock.now() + 2 * HOUR) == 1
    assert [each.number for each in StoredVersion.objects.all()] == [2]


def test_without_an_overlap_the_former_value_goes_at_once(agent, stored) -> None:
    vault.rotate(REF, value="second", by=agent.owner, overlap=timedelta(0))

    assert [each.number for each in StoredVersion.objects.all()] == [2]


def test_muster_rotates_by_itself_only_what_it_made(agent, stored) -> None:
    made = vault.create("vault://care/made", None, agent=agent, by=agent.owner)
    before = value_of(agent, made.reference)

    vault.rotate(made.reference, by=Automatic("rotation"))

    assert value_of(agent, made.reference) != before
    assert vault.can_rotate(now_of(made.reference)) == ""
    assert vault.can_rotate(now_of()) == CannotRotate.__doc__
    with pytest.raises(CannotRotate):
        vault.rotate(REF, by=Automatic("rotation"))
    assert now_of().rotating_since is None


def test_a_failed_rotation_changes_nothing_and_is_recorded(
    agent, stored, monkeypatch, mark, records_after
) -> None:
    marked = mark()

    def broken(*_: object) -> str:
        raise VaultUnavailable()

    monkeypatch.setattr(type(back_ends.of(REF)), "rotate", broken)
    with pytest.raises(VaultUnavailable):
        vault.rotate(REF, value="second", by=agent.owner)

    assert value_of(agent) == "s3cret-value"
    assert (now_of().version, now_of().rotating_since) == ("1", None)
    assert b"credential_rotation_failed" in bytes(records_after(marked)[-1]["body"])


def test_a_second_rotation_at_the_same_time_is_refused(agent, stored, monkeypatch) -> None:
    embedded = type(back_ends.of(REF))
    rotate = embedded.rotate

    def slow(self: object, *given: object) -> str:
        with pytest.raises(BeingRotated):
            vault.rotate(REF, value="third", by=agent.owner)
        return rotate(self, *given)

    monkeypatch.setattr(embedded, "rotate", slow)
    vault.rotate(REF, value="second", by=agent.owner)

    assert value_of(agent) == "second"


def test_a_rotation_that_died_is_taken_up_later(agent, stored) -> None:
    CredentialReference.objects.update(rotating_since=clock.now() - timedelta(minutes=6))

    vault.rotate(REF, value="second", by=agent.owner)

    assert value_of(agent) == "second"


def test_what_is_revoked_during_a_rotation_stays_revoked(agent, stored, monkeypatch) -> None:
    embedded = type(back_ends.of(REF))
    rotate = embedded.rotate

    def interrupted(self: object, *given: object) -> str:
        version = rotate(self, *given)
        vault.revoke(REF, by=agent.owner, reason="leaked")
        StoredVersion.objects.all().delete()
        return version

    monkeypatch.setattr(embedded, "rotate", interrupted)
    with pytest.raises(CredentialRevoked):
        vault.rotate(REF, value="second", by=agent.owner)

    assert now_of().state == S.REVOKED
    assert not StoredVersion.objects.exists()


def test_a_revoked_secret_is_wiped_at_once(agent, stored) -> None:
    revoked = vault.revoke(REF, by=agent.owner, reason="leaked")

    assert revoked.state == S.REVOKED
    assert revoked.settled_at is not None
    assert not StoredVersion.objects.exists()
    assert bytes(StoredSecret.objects.get().wrapped_key) == b""


def test_what_an_agent_read_is_still_live_at_its_source_until_someone_confirms(
    agent, stored, mark, records_after
) -> None:
    was_read()

    vault.revoke(REF, by=agent.owner, reason="leaked")

    assert now_of().live_at_source
    with pytest.raises(Invalid):
        vault.confirm_ended(REF, by=agent.owner, reason="  ")
    marked = mark()
    vault.confirm_ended(REF, by=agent.owner, reason="Deleted in the helpdesk's own console.")
    assert not now_of().live_at_source
    assert now_of().ended_by == agent.owner
    assert [each["resource"] for each in records_after(marked)] == [f"credential:{REF}"]


def test_what_muster_made_and_nobody_read_is_live_nowhere(agent) -> None:
    vault.create(REF, None, agent=agent, by=agent.owner)

    vault.revoke(REF, by=agent.owner, reason="not needed")

    assert not now_of().live_at_source


def test_revoking_needs_a_reason_and_twice_is_once(agent, stored, mark, records_after) -> None:
    with pytest.raises(Invalid):
        vault.revoke(REF, by=agent.owner, reason=" ")
    first = vault.revoke(REF, by=agent.owner, reason="leaked")

    again = vault.revoke(REF, by=agent.owner, reason="leaked again")

    assert (again.revoked_at, again.revoked_why) == (first.revoked_at, "leaked")


def test_who_may_suspend_the_agent_may_revoke(agent, stored) -> None:
    security = make_person(groups=("security",))

    vault.revoke(REF, by=security, reason="leaked")

    assert now_of().state == S.REVOKED


def test_a_revoked_reference_is_used_up(agent, stored) -> None:
    vault.revoke(REF, by=agent.owner, reason="leaked")

    with pytest.raises(CredentialRevoked):
        vault.create(REF, "again", agent=agent, by=agent.owner)
    with pytest.raises(CredentialRevoked):
        vault.rotate(REF, value="again", by=agent.owner)


def test_revoking_holds_while_the_vault_is_away_and_is_settled_later(agent, kv, settings) -> None:
    reference = "kv://secret/care/helpdesk"
    vault.create(reference, "known", agent=agent, by=agent.owner)
    kv.peer.sealed = True

    revoked = vault.revoke(reference, by=agent.owner, reason="leaked")

    assert (revoked.state, revoked.settled_at, revoked.live_at_source) == (S.REVOKED, None, True)
    assert vault.unsettled(clock.now()) == [revoked.pk]
    kv.peer.sealed = False
    assert vault.settle(revoked.pk)
    assert vault.unsettled(clock.now()) == []
    assert vault.versions(reference) == []


def test_destroying_is_for_what_was_revoked(agent, stored) -> None:
    with pytest.raises(WrongState):
        vault.destroy(REF, by=agent.owner)
    vault.revoke(REF, by=agent.owner, reason="leaked")

    assert vault.destroy(REF, by=agent.owner).state == S.DESTROYED
    assert vault.destroy(REF, by=agent.owner).state == S.DESTROYED


def test_a_number_is_never_given_twice(agent, stored) -> None:
    back_end, place = back_ends.of(REF), Place(agent.slug, REF, "care/refund-desk/helpdesk")
    back_end.destroy(place)

    from registry.vault.types import Secret

    assert back_end.create(place, Secret("again")) == "2"


@pytest.mark.parametrize("holder", ["personal", "shared"])
def test_a_foreign_account_does_not_go_live(vault_key, holder) -> None:
    agent = make_agent(state="draft")
    services.add_credential_reference(
        agent_id=agent.pk, reference=REF, by=agent.owner, holder=holder
    )
    agent.owner.chat_handle = "@owner"
    agent.owner.save()

    with pytest.raises(Incomplete) as refused:
        services.submit_for_review(agent_id=agent.pk, by=agent.owner)

    assert "credentials" in refused.value.fields
    services.add_credential_reference(
        agent_id=agent.pk, reference=REF, by=agent.owner, holder="own"
    )
    services.submit_for_review(agent_id=agent.pk, by=agent.owner)


def test_a_foreign_account_is_not_named_of_a_live_row(agent) -> None:
    with pytest.raises(Conflict):
        services.add_credential_reference(
            agent_id=agent.pk, reference=REF, by=agent.owner, holder="shared"
        )


def test_a_reference_that_is_kept_or_live_is_not_forgotten(agent, stored) -> None:
    forget = {"agent_id": agent.pk, "reference": REF, "by": agent.owner}
    with pytest.raises(Conflict):
        services.remove_credential_reference(**forget)
    was_read()
    vault.revoke(REF, by=agent.owner, reason="leaked")
    with pytest.raises(Conflict):
        services.remove_credential_reference(**forget)
    vault.confirm_ended(REF, by=agent.owner, reason="Deleted there.")

    services.remove_credential_reference(**forget)

    assert not CredentialReference.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_rotations_at_once_one_is_refused(agent, stored) -> None:
    start, came = threading.Barrier(2), []

    def rotate(value: str) -> None:
        start.wait()
        try:
            vault.rotate(REF, value=value, by=agent.owner, overlap=timedelta(0))
            came.append(value)
        except (BeingRotated, Conflict):
            came.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=rotate, args=(value,)) for value in ("one", "two")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    values = [each for each in came if each != "refused"]
    assert value_of(agent) in values
    assert now_of().version == str(1 + len(values))
