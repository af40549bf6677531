"""Who lets a directory in, its tokens, and what its groups mean here."""

from datetime import timedelta

import pytest
from django.db import transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotAllowed
from lifecycle import asking
from lifecycle.models import Source, SourceEvent
from lifecycle.scim import log, sources, tokens
from registry import changes, services
from registry.enums import GroupName
from registry.models import ClaimedGroup, GivenGroup, Person, Way
from registry.permissions import Automatic
from registry.services.people import put_in_groups
from tests.factories.registry import make_person, security
from tests.factories.scim import GROUP, Directory

pytestmark = pytest.mark.django_db


def refused(error: type[GovernanceError], act) -> str:
    with pytest.raises(error) as caught, transaction.atomic():
        act()
    return caught.value.sentences


def admin() -> Person:
    return make_person(GroupName.PLATFORM_ADMIN)


def opened(by: Person, slug: str = "okta") -> tuple[Source, Directory]:
    source, token = sources.open_source(slug=slug, title="Okta", by=by)
    return source, Directory(token)


def groups_of(person: Person) -> set[str]:
    return set(person.groups.values_list("name", flat=True))


@pytest.fixture(autouse=True)
def _forget() -> None:
    asking.forget()
    log.forget_refused()


@pytest.mark.parametrize("group", [*GroupName, None])
def test_only_platform_admins_let_a_directory_in(group: GroupName | None) -> None:
    by = make_person(*([group] if group else []))

    if group == GroupName.PLATFORM_ADMIN:
        source, _ = sources.open_source(slug="okta", title="Okta", by=by)
        assert source.is_open
    else:
        refused(NotAllowed, lambda: sources.open_source(slug="okta", title="Okta", by=by))
        assert not Source.objects.exists()


def test_a_token_is_kept_as_a_digest_alone(mark, records_after) -> None:
    by, marked = admin(), mark()

    source, token = sources.open_source(slug="okta", title="Okta", by=by)

    kept = [str(value) for value in Source.objects.values_list().get()]
    assert not any(token in value for value in kept)
    assert not any(token.encode() in bytes(each["body"]) for each in records_after(marked))
    assert tokens.digest_of(token) == source.token_digest


def test_a_rotated_token_works_on_for_a_while(settings) -> None:
    by = admin()
    source, old = opened(by)
    source, token = sources.rotate_token(source_id=source.pk, by=by)
    new, overlap = Directory(token), timedelta(hours=settings.MUSTER_SOURCE_OVERLAP_HOURS)

    both = [each.get("/Users").status_code for each in (old, new)]
    # The moment at which it was to end has come.
    until = source.previous_until
    Source.objects.update(previous_until=clock.now())
    later = [each.get("/Users").status_code for each in (old, new)]

    assert (both, later) == ([200, 200], [401, 200])
    assert until == source.token_made_at + overlap


def test_an_earlier_token_and_a_whole_directory_end_at_once() -> None:
    by = admin()
    source, old = opened(by)
    _, token = sources.rotate_token(source_id=source.pk, by=by)
    new = Directory(token)

    sources.revoke_earlier_token(source_id=source.pk, by=by)
    revoked = [each.get("/Users").status_code for each in (old, new)]
    sources.end_source(source_id=source.pk, by=by)

    assert (revoked, new.get("/Users").status_code) == ([401, 200], 401)
    refused(Conflict, lambda: sources.rotate_token(source_id=source.pk, by=by))
    refused(Conflict, lambda: sources.open_source(slug="okta", title="Again", by=by))


def test_networks_are_networks() -> None:
    by = admin()
    source, _ = opened(by)

    sentence = refused(
        Invalid, lambda: sources.set_networks(source_id=source.pk, networks=["10.0.0.1/8"], by=by)
    )
    sources.set_networks(source_id=source.pk, networks=["10.0.0.0/8", " ::1 "], by=by)

    assert "10.0.0.1/8 is no network" in sentence
    assert Source.objects.get().networks == ["10.0.0.0/8", "::1/128"]


def mapped(by: Person, group: str = "auditor") -> tuple[Source, Directory, dict, Person]:
    """A directory whose group Audit means one here, with Ann in it."""
    source, directory = opened(by)
    ann = directory.create("ann@halvern.example")
    theirs = directory.ask(
        "POST",
        "/Groups",
        {"schemas": [GROUP], "displayName": "Audit", "members": [{"value": ann["id"]}]},
    ).json()
    change = services.propose_claimed_group(
        source=source.slug, claim=theirs["id"], group=group, by=by
    )
    person = services.person_of("okta", ann["id"])
    assert person is not None
    assert groups_of(person) == set()
    refused(NotAllowed, lambda: changes.agree(change_id=change.pk, by=by))
    changes.agree(change_id=change.pk, by=security())
    return source, directory, {"group": theirs["id"], "ann": ann["id"]}, person


def test_a_mapping_takes_two_people_and_membership_then_follows_both_ways() -> None:
    _, directory, ids, ann = mapped(admin())
    bob = directory.create("bob@halvern.example")
    at = f"/Groups/{ids['group']}"
    joined = groups_of(ann)

    directory.patch(at, {"op": "add", "path": "members", "value": [{"value": bob["id"]}]})
    came = groups_of(services.person_of("okta", bob["id"]))
    directory.patch(at, {"op": "remove", "path": f'members[value eq "{ids["ann"]}"]'})

    assert (joined, came, groups_of(ann)) == ({"auditor"}, {"auditor"}, set())


def test_a_group_given_by_hand_stays() -> None:
    by = admin()
    source, directory = opened(by)
    ann = directory.create("ann@halvern.example")
    person = services.person_of("okta", ann["id"])
    assert person is not None
    put_in_groups(person, {"auditor"}, Automatic("hand"))
    body = {"schemas": [GROUP], "displayName": "A", "members": [{"value": ann["id"]}]}
    theirs = directory.ask("POST", "/Groups", body).json()
    change = services.propose_claimed_group(
        source=source.slug, claim=theirs["id"], group="auditor", by=by
    )
    changes.agree(change_id=change.pk, by=security())

    directory.ask("DELETE", f"/Groups/{theirs['id']}")

    assert (groups_of(person), GivenGroup.objects.count()) == ({"auditor"}, 0)
    assert not ClaimedGroup.objects.exists()


def test_who_left_is_in_no_group_and_back_in_it_when_hired_again() -> None:
    _, directory, ids, ann = mapped(admin())
    at = f"/Users/{ids['ann']}"

    directory.patch(at, {"op": "replace", "path": "active", "value": False})
    gone = groups_of(ann)
    directory.patch(at, {"op": "replace", "path": "active", "value": True})

    assert (gone, groups_of(ann)) == (set(), {"auditor"})


@pytest.mark.parametrize("how", ["unmap", "end", "delete the group", "delete the user"])
def test_what_a_source_gave_ends_with_it(how: str) -> None:
    by = admin()
    source, directory, ids, ann = mapped(by)

    if how == "unmap":
        services.remove_claimed_group(pk=ClaimedGroup.objects.get().pk, by=by)
    elif how == "end":
        sources.end_source(source_id=source.pk, by=by)
    elif how == "delete the group":
        directory.ask("DELETE", f"/Groups/{ids['group']}")
    else:
        directory.ask("DELETE", f"/Users/{ids['ann']}")

    assert (groups_of(ann), GivenGroup.objects.count()) == (set(), 0)


def test_the_log_is_shortened(settings) -> None:
    source, _ = opened(admin())
    event = log.note(source=source, did="user_changed")
    assert event is not None

    now = clock.now() + timedelta(days=settings.MUSTER_SOURCE_LOG_DAYS + 1)

    assert (log.due(clock.now()), log.due(now)) == ([], [event.pk])
    assert (log.forget(event.pk, now), log.forget(event.pk, now)) == (True, False)
    assert not SourceEvent.objects.exists()


def test_a_source_that_says_nothing_is_called_silent(settings) -> None:
    source, directory = opened(admin())
    directory.get("/Users")
    source.refresh_from_db()
    late = clock.now() + timedelta(days=settings.MUSTER_SOURCE_SILENT_DAYS, minutes=1)

    assert (source.is_silent(clock.now()), source.is_silent(late)) == (False, True)


def test_a_group_that_a_directory_and_a_sign_in_give_ends_with_the_last_of_them() -> None:
    _, directory, ids, ann = mapped(admin())
    by = Automatic("sign_in")
    claims = [ids["group"]]
    services.follow_claims(person_id=ann.pk, source="okta", way=Way.SIGN_IN, claims=claims, by=by)

    directory.ask("DELETE", f"/Users/{ids['ann']}")
    services.set_employment(person_id=ann.pk, employment="employed", by=security())
    left = groups_of(ann)
    services.follow_claims(person_id=ann.pk, source="okta", way=Way.SIGN_IN, claims=claims, by=by)
    signed_in = groups_of(ann)
    services.follow_claims(person_id=ann.pk, source="okta", way=Way.SIGN_IN, claims=[], by=by)

    assert (left, signed_in, groups_of(ann)) == (set(), {"auditor"}, set())


def test_a_group_is_meant_by_the_directorys_own_id_as_well() -> None:
    by = admin()
    source, directory = opened(by)
    ann = directory.create("ann@halvern.example")
    body = {"schemas": [GROUP], "displayName": "A", "externalId": "object-1"}
    theirs = directory.ask("POST", "/Groups", {**body, "members": [{"value": ann["id"]}]}).json()
    change = services.propose_claimed_group(
        source=source.slug, claim="object-1", group="auditor", by=by
    )
    person = services.person_of("okta", ann["id"])
    assert person is not None

    changes.agree(change_id=change.pk, by=security())
    joined = groups_of(person)
    at = f"/Groups/{theirs['id']}"
    directory.patch(at, {"op": "replace", "path": "externalId", "value": "object-2"})

    assert (joined, groups_of(person)) == ({"auditor"}, set())


def test_who_may_say_what_a_group_means_and_what_is_nothing() -> None:
    by = make_person(GroupName.AUDITOR)
    given = {"source": "okta", "claim": "sec", "group": "security"}

    refused(NotAllowed, lambda: services.propose_claimed_group(**given, by=by))
    refused(Invalid, lambda: services.propose_claimed_group(**given | {"claim": " "}, by=admin()))
    refused(Invalid, lambda: services.propose_claimed_group(**given | {"group": "x"}, by=admin()))
