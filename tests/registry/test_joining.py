"""How someone whom a source tells of becomes ours: by the source's id, and by nothing of ours."""

from datetime import date, timedelta

import pytest
from allauth.account.models import EmailAddress
from django.db import transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid
from registry import services
from registry.enums import Employment
from registry.models import ExternalIdentity, Person
from registry.permissions import Automatic
from registry.services.joining import Facts, employment_after
from registry.signals import person_changed
from tests.factories.registry import make_person, security

BY = Automatic("source:okta")
TODAY = date(2026, 11, 27)
EARLIER, LATER = TODAY - timedelta(days=3), TODAY + timedelta(days=3)

E, G, L = Employment.EMPLOYED, Employment.LEAVING, Employment.LEFT


@pytest.mark.parametrize(
    ("before", "had", "facts", "wanted"),
    [
        (E, None, {}, (E, None)),
        (E, None, {"active": True}, (E, None)),
        (E, None, {"active": False}, (L, TODAY)),
        (E, None, {"active": False, "last_day": EARLIER}, (L, EARLIER)),
        (E, None, {"active": False, "last_day": LATER}, (L, TODAY)),
        (E, None, {"last_day": TODAY}, (G, TODAY)),
        (E, None, {"last_day": LATER}, (G, LATER)),
        (E, None, {"last_day": EARLIER}, (L, EARLIER)),
        (G, LATER, {}, (G, LATER)),
        (G, EARLIER, {}, (L, EARLIER)),
        (G, LATER, {"active": True}, (G, LATER)),
        (G, LATER, {"active": False}, (L, TODAY)),
        (G, LATER, {"last_day": None}, (E, None)),
        (L, EARLIER, {}, (L, EARLIER)),
        (L, EARLIER, {"last_day": None}, (L, EARLIER)),
        (L, EARLIER, {"last_day": LATER}, (L, EARLIER)),
        (L, EARLIER, {"active": False}, (L, EARLIER)),
        (L, EARLIER, {"active": True}, (E, None)),
        (L, EARLIER, {"active": True, "last_day": LATER}, (G, LATER)),
        (L, EARLIER, {"active": True, "last_day": EARLIER}, (L, EARLIER)),
    ],
)
def test_employment_follows_what_was_said(
    before: Employment, had: date | None, facts: Facts, wanted: tuple[Employment, date | None]
) -> None:
    assert employment_after(before, had, facts, TODAY) == wanted


def sync(external_id: str = "e1", source: str = "okta", **facts) -> services.Synced:
    return services.sync_person(source=source, external_id=external_id, facts=facts, by=BY)


def refused(error: type[GovernanceError], *args, **facts) -> None:
    with pytest.raises(error), transaction.atomic():
        sync(*args, **facts)


@pytest.mark.django_db
def test_a_new_person_is_known_by_the_id_of_the_source_alone(mark, records_after) -> None:
    marked = mark()

    new = sync("e1", name="Jane Doe", email=" Jane@Example.org ", active=True)
    again = sync("e1", name="Jane Doe", email="jane@example.org", active=True)

    assert (new.created, new.linked, again.created, again.changed) == (True, False, False, ())
    assert again.person == new.person == services.person_of("okta", "e1")
    assert (new.person.email, new.person.has_usable_password()) == ("jane@example.org", False)
    bodies = b"".join(bytes(r["body"]) for r in records_after(marked))
    assert (b"person_created" in bodies, b"identity_added" in bodies) == (True, True)
    assert b"ane" not in bodies.replace(b"Muster", b"")


@pytest.mark.django_db
def test_our_ids_never_name_anyone_to_a_source() -> None:
    other = make_person()

    new = sync(str(other.pk), name="New", email="new@example.org")

    assert new.created is True
    assert new.person != other
    refused(Invalid, other.pid, name="New")
    assert services.person_of("okta", other.pid) is None


@pytest.mark.django_db
def test_the_same_id_of_another_source_is_another_person() -> None:
    first = sync("7", source="okta", email="a@example.org").person

    second = sync("7", source="entra", email="b@example.org").person

    assert first != second


@pytest.mark.django_db
def test_an_address_links_at_first_sight_in_any_case_and_only_then() -> None:
    person = make_person(email="jane@example.org")

    linked = sync("e1", email="JANE@Example.org", name="Jane")
    other = sync("e2", email="jane@example.org", name="Other Jane")

    assert (linked.person, linked.linked, linked.created) == (person, True, False)
    assert (other.created, other.person.email) == (True, f"{other.person.pid}@nowhere.invalid")
    assert Person.objects.get(pk=person.pk).email == "jane@example.org"


@pytest.mark.django_db
def test_a_reused_address_inherits_nothing() -> None:
    old = sync("e1", email="jane@example.org", name="Jane Old", active=True).person
    EmailAddress.objects.create(user=old, email="jane@example.org", verified=True, primary=True)
    sync("e1", active=False)

    new = sync("e2", email="Jane@example.org", name="Jane New", active=True)

    old.refresh_from_db()
    assert (new.created, new.person.email) == (True, "jane@example.org")
    assert (old.email, old.employment) == (f"jane.{old.pid}@left.invalid", Employment.LEFT)
    assert not EmailAddress.objects.filter(email__iexact="jane@example.org").exists()


@pytest.mark.django_db
def test_a_change_to_the_address_of_someone_employed_changes_none() -> None:
    sync("e1", email="a@example.org")
    second = sync("e2", email="b@example.org")

    moved = sync("e2", email="A@example.org", name="Bea")

    moved.person.refresh_from_db()
    assert (moved.person, moved.person.email, moved.person.name) == (
        second.person,
        "b@example.org",
        "Bea",
    )


@pytest.mark.django_db
def test_a_leaver_is_out_and_the_same_person_when_hired_again() -> None:
    person = sync("e1", email="a@example.org", active=True).person
    today = clock.now().date()

    sync("e1", active=False)
    gone = Person.objects.get(pk=person.pk)
    back = sync("e1", active=True, email="a@example.org")

    assert (gone.employment, gone.last_day, gone.is_active) == (Employment.LEFT, today, False)
    assert (back.person, back.person.employment, back.person.is_active) == (
        person,
        "employed",
        True,
    )
    assert back.changed == ("employment",)


@pytest.mark.django_db
def test_an_id_may_change_but_not_to_one_that_is_taken() -> None:
    person = sync("e1").person
    sync("e2")

    services.rename_identity(source="okta", before="e1", after="e3", by=BY)

    assert services.person_of("okta", "e3") == person
    assert services.person_of("okta", "e1") is None
    with pytest.raises(Conflict):
        services.rename_identity(source="okta", before="e3", after="e2", by=BY)


@pytest.mark.django_db
def test_what_changed_is_told_with_what_it_was() -> None:
    person = sync("e1", name="A", department="Claims").person
    heard = []

    def listen(*, person, changed, before, by, **_) -> None:
        heard.append((person.pk, changed, before, str(by)))

    person_changed.connect(listen)
    try:
        sync("e1", name="A", department="Sales")
        services.update_person(person_id=person.pk, by=security(), calendar="DK")
    finally:
        person_changed.disconnect(listen)

    assert [each[:3] for each in heard] == [
        (person.pk, frozenset({"department"}), {"department": "Claims"}),
        (person.pk, frozenset({"calendar"}), {"calendar": ""}),
    ]


@pytest.mark.django_db
def test_nobody_is_their_own_manager_and_bad_facts_leave_nothing() -> None:
    person = sync("e1").person

    refused(Invalid, "e1", manager=person)
    refused(Invalid, "e2", name="a\x07b")
    refused(Invalid, "e\x073", name="a")

    assert list(ExternalIdentity.objects.values_list("external_id", flat=True)) == ["e1"]


@pytest.mark.django_db
def test_the_address_of_who_left_links_to_nobody_in_a_source_that_never_named_them() -> None:
    old = make_person(email="jane@example.org")
    services.set_employment(person_id=old.pk, employment=Employment.LEFT, last_day=TODAY, by=BY)

    new = sync("e1", email="jane@example.org", name="Jane New", active=True)

    old.refresh_from_db()
    assert (new.created, new.linked, new.person.email) == (True, False, "jane@example.org")
    assert (old.employment, old.email) == (Employment.LEFT, f"jane.{old.pid}@left.invalid")
