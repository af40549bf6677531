"""The pages of roles and relationships."""

import re

import pytest
from django.test import Client

from authz import services
from authz.models import Policy, Relationship, Role
from governance.kernel import clock
from registry import sign_in
from registry.models import ProposedChange
from tests.factories.authz import make_person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_factor")]


def signed_in(person):
    client = Client()
    client.force_login(person, backend=sign_in.BACKEND)
    return client


def body(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", answer.content.decode()))


def test_role_is_made_and_what_gives_more_waits_for_a_second_person(desk, ann, ben):
    client = signed_in(ann)

    client.post("/roles/new/", {"slug": "clerks", "description": "Clerks"})
    client.post("/roles/clerks/add/", {"kind": "tools", "name": desk.tool.name})
    client.post("/roles/clerks/add/", {"kind": "agents", "name": desk.agent.slug})
    waits = body(client.get("/roles/clerks/"))
    before = list(Role.objects.get(slug="clerks").agents.all())
    change = ProposedChange.objects.get()
    client.post(f"/roles/changes/{change.pk}/agree/")
    own = list(Role.objects.get(slug="clerks").agents.all())
    signed_in(ben).post(f"/roles/changes/{change.pk}/agree/")

    role = Role.objects.get(slug="clerks")
    assert "Waits for a second person" in waits
    assert f"More agents: {desk.agent.slug}" in waits
    assert "You proposed this, so someone else must agree to it." in waits
    assert (before, own) == ([], [])
    assert (list(role.tools.all()), list(role.agents.all())) == ([desk.tool], [desk.agent])


def test_taking_away_is_at_once(desk, ann):
    client = signed_in(ann)
    desk.role.people.add(ann)

    for kind, name in (
        ("tools", desk.tool.name),
        ("agents", desk.agent.slug),
        ("people", ann.email),
    ):
        client.post(f"/roles/{desk.role.slug}/remove/", {"kind": kind, "name": name})

    left = [getattr(desk.role, kind).count() for kind in ("tools", "agents", "people")]
    assert left == [0, 0, 0]


@pytest.mark.parametrize("name", ["no.such", "", "\0", "<script>", "x" * 300])
@pytest.mark.parametrize("kind", ["tools", "agents", "people"])
def test_unknown_names_are_told_and_change_nothing(desk, ann, kind, name):
    answer = signed_in(ann).post(
        f"/roles/{desk.role.slug}/add/", {"kind": kind, "name": name}, follow=True
    )

    assert "There is no" in body(answer)
    assert "<script>alert" not in answer.content.decode()
    assert desk.role.tools.count() == 1


def test_two_people_who_change_a_role_do_not_undo_each_other(desk, ann, ben):
    empty = services.save_role(slug="clerks", by=ann).row

    services.change_role(slug="clerks", add={"tools": [desk.tool.name]}, by=ann)
    services.change_role(slug="clerks", add={"people": [ben.pid]}, by=ben)

    assert [tool.name for tool in empty.tools.all()] == [desk.tool.name]


def test_who_may_not_sees_the_sentence_and_no_button(desk):
    said = body(signed_in(make_person()).get(f"/roles/{desk.role.slug}/"))

    assert "Only security and platform admins may change roles." in said
    assert "Remove" not in said


def tuple_of(person, **more):
    return {
        "resource_type": "document",
        "resource_id": "17",
        "relation": "owner",
        "subject_type": "person",
        "subject_id": person.email,
    } | more


def test_relationship_is_added_shown_by_name_and_removed(ann):
    client = signed_in(ann)

    client.post("/relationships/new/", tuple_of(ann))
    row = Relationship.objects.get()
    said = body(client.get("/relationships/?q=17&relation=owner"))
    other = body(client.get("/relationships/?relation=member"))
    client.post(f"/relationships/{row.pk}/remove/")

    assert row.subject_id == ann.pid
    assert "person Ann" in said
    assert "No relationship fits" in other
    assert Relationship.objects.count() == 0


def test_relationship_that_a_policy_reads_waits(desk, ann, ben):
    Policy.objects.create(
        slug="owned",
        text="forbid(principal, action, resource) unless { resource has owner };",
        state="active",
        activated_at=clock.now(),
    )
    carl = make_person(name="Carl")

    signed_in(ann).post("/relationships/new/", tuple_of(carl))
    change = ProposedChange.objects.get()
    waits = body(signed_in(ben).get("/relationships/"))
    none = Relationship.objects.count()
    signed_in(ben).post(f"/roles/changes/{change.pk}/agree/")

    assert none == 0
    assert f"Add document:17#owner@person:{carl.pid}" in waits
    assert Relationship.objects.get().subject_id == carl.pid


def test_nobody_agrees_to_what_is_about_themselves(desk, ann, ben):
    Policy.objects.create(
        slug="owned",
        text="forbid(principal, action, resource) unless { resource has owner };",
        state="active",
        activated_at=clock.now(),
    )
    signed_in(ann).post("/relationships/new/", tuple_of(ben))
    change = ProposedChange.objects.get()

    answer = signed_in(ben).post(f"/roles/changes/{change.pk}/agree/", follow=True)

    assert "This is your own matter" in body(answer)
    assert Relationship.objects.count() == 0


def test_ids_of_things_stay_out_of_the_readable_record(desk, ann, mark, records_after):
    Policy.objects.create(
        slug="owned",
        text="forbid(principal, action, resource) unless { resource has owner };",
        state="active",
        activated_at=clock.now(),
    )
    before = mark()

    signed_in(ann).post("/relationships/new/", tuple_of(ann, resource_id="jane@halvern.example"))

    bodies = [bytes(one["body"]) for one in records_after(before, kind="policy")]
    assert len(bodies) == 1
    assert b"jane@halvern.example" not in bodies[0]


@pytest.mark.parametrize("pk", [0, 2**40])
def test_answers_to_what_does_not_wait_are_not_found(ann, pk):
    assert signed_in(ann).post(f"/roles/changes/{pk}/agree/").status_code == 404
    assert signed_in(ann).post(f"/relationships/{pk}/remove/").status_code == 404
