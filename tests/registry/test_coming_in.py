"""Who comes in through a provider: by the one rule of `joining`, without a provider."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from governance.kernel import clock
from governance.kernel.errors import NotAllowed
from lifecycle.people import sources
from registry import services
from registry.enums import GroupName
from registry.models import ExternalIdentity, Person
from registry.oidc import views
from registry.oidc.errors import SignInRefused
from registry.oidc.listed import Provider
from registry.oidc.tokens import Claims
from registry.permissions import Automatic
from tests.factories.registry import make_person, security

pytestmark = pytest.mark.django_db
BY = Automatic("source:house")


def claims(subject: str, email: str, *, verified: bool = True, **provider: Any) -> Claims:
    house = Provider("house", "House", "https://idp.example", "muster", source="house", **provider)
    return Claims(house, {"sub": subject, "email": email, "email_verified": verified})


def left(person: Person) -> Person:
    today = clock.now().date()
    return services.set_employment(
        person_id=person.pk, employment="left", last_day=today, by=security()
    )


def named(person: Person, source: str, external_id: str) -> None:
    ExternalIdentity.objects.create(person=person, source=source, external_id=external_id)


def test_whom_a_directory_of_this_source_named_is_who_signs_in() -> None:
    facts = services.Facts(email="ada@example.org", name="Ada")
    made = services.sync_person(source="house", external_id="u1", facts=facts, by=BY).person

    assert services.let_in(claims("u1", "another@example.org", verified=False)) == made


def test_whoever_signed_in_is_whom_a_directory_of_this_source_means() -> None:
    person = make_person(email="ada@example.org")
    services.let_in(claims("u1", "ADA@example.org"))

    facts = services.Facts(email="new@example.org")
    synced = services.sync_person(source="house", external_id="u1", facts=facts, by=BY)

    assert (synced.person, synced.created, synced.linked) == (person, False, False)


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("case", ["left", "named", "unverified", "off"])
def test_nobody_takes_over_another_by_an_address(case: str, create: bool) -> None:
    person = make_person(email="ada@example.org")
    if case == "left":
        left(person)
    elif case == "named":
        named(person, "house", "u0")
    elif case == "off":
        Person.objects.update(is_active=False)
    before = ExternalIdentity.objects.count()

    with pytest.raises(SignInRefused):
        services.let_in(
            claims("u1", "ada@example.org", verified=case != "unverified", create_people=create)
        )

    assert ExternalIdentity.objects.count() == before
    assert Person.objects.filter(email="ada@example.org").count() == 1


def test_someone_of_another_source_is_recognised_here_once() -> None:
    person = make_person(email="ada@example.org")
    named(person, "hr", "7")

    assert services.let_in(claims("u1", "ada@example.org")) == person
    assert person.identities.get(source="house").external_id == "u1"


def test_nobody_alone_says_who_comes_in_as_whom(settings: Any) -> None:
    by, victim = make_person(GroupName.PLATFORM_ADMIN), make_person(GroupName.SECURITY)
    entry = {"id": "corp", "name": "Corp", "issuer": "https://idp.example", "client_id": "muster"}
    entry |= {"secret": "of-the-house-4711-and-nobody-else", "source": "house"}
    settings.MUSTER_SIGN_IN_PROVIDERS = [entry]
    known = {"person_id": victim.pk, "external_id": "u1", "by": by}

    with pytest.raises(NotAllowed):
        services.add_external_identity(source="house", **known)
    with pytest.raises(NotAllowed):
        sources.file_source(slug="house", by=by)
    with pytest.raises(NotAllowed):
        sources.open_webhook(slug="house", title="HR", by=by)

    assert services.add_external_identity(source="hr", **known).person == victim


def test_a_stranger_does_not_fill_the_record(
    client: Client, settings: Any, mark: Any, records_after: Any
) -> None:
    entry = {"id": "corp", "name": "Corp", "issuer": "https://idp.example", "client_id": "muster"}
    settings.MUSTER_SIGN_IN_PROVIDERS = [entry | {"secret": "of-the-house-4711-and-nobody-else"}]
    views.forget()
    before = mark()

    answers = {client.get("/sign-in/with/corp/back/").status_code for _ in range(30)}

    assert (answers, len(records_after(before, kind="access"))) == ({403}, 20)
