"""What the database itself holds of policies, whoever writes: ORM, fixture, admin, API, apply."""

import io
import json
import tempfile
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client

from authz import services
from authz.enums import PolicyState
from authz.models import Policy
from authz.rules import may_move
from governance.kernel import clock
from lifecycle.apply.document import read_inventory
from lifecycle.apply.execute import apply_inventory
from registry import changes, sign_in
from registry.models import ProposedChange

pytestmark = pytest.mark.django_db

FORBID = "forbid(principal, action, resource);"


@pytest.fixture
def started(db):
    """An installation whose first policy came into force yesterday."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute("SET LOCAL ROLE muster_audit")
        cursor.execute(
            "INSERT INTO audit.mark (name, at) VALUES ('first_policy', now() - interval '1 day')"
        )
        cursor.execute("SET LOCAL ROLE muster_web")


def permit(desk):
    return f'permit(principal, action == Muster::Action::"{desk.tool.name}", resource);'


def refused(do):
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        do()
    return str(caught.value).splitlines()[0]


def active(text, **more):
    given = {"slug": "cap", "text": text, "state": "active", "activated_at": clock.now()}
    return Policy.objects.create(**(given | more))


# Permits


def test_permit_written_past_the_services_is_refused(started, desk, ann, ben):
    said = refused(lambda: active(permit(desk)))
    named = refused(lambda: active(permit(desk), proposed_by=ann, agreed_by=ben))

    assert said == "cap@v1 permits something: a second person must agree to it first."
    assert named == said


def test_loaded_fixture_is_refused(started, desk, ann, ben, tmp_path):
    fields = {"slug": "cap", "text": permit(desk), "state": "active", "agreed_by": ben.pk}
    fields |= {"created_at": "2026-11-23T12:00:00Z", "activated_at": "2026-11-23T12:00:00Z"}
    place = tmp_path / "policies.json"
    place.write_text(json.dumps([{"model": "authz.policy", "pk": 1, "fields": fields}]))

    said = refused(lambda: call_command("loaddata", str(place), stdout=io.StringIO()))

    assert "a second person must agree to it first." in said
    assert Policy.objects.count() == 0


@pytest.mark.parametrize(
    "text",
    [
        "// permit(\nforbid(principal, action, resource);",
        'forbid(principal, action, resource) when { context.effect == "permit(" };',
    ],
)
def test_what_only_mentions_a_permit_is_none(started, desk, ann, text):
    done = services.propose_policy(slug="cap", text=text, by=ann)

    assert done.state == PolicyState.ACTIVE


@pytest.mark.parametrize(
    "text",
    [
        "permit /* x */ (",
        "permit // so\n (principal, action, resource);",
        'forbid(principal, action, resource) when { "" == "\\\\" };permit(principal, action, r);',
        "permit(principal, action, resource);//",
    ],
)
def test_permits_are_found_however_they_are_written(started, text):
    with connection.cursor() as cursor:
        cursor.execute("SELECT authz_says(%s, 'permit')", [text])
        (found,) = cursor.fetchone()

    assert found is (text != "permit /* x */ (")


def test_log_only_permit_needs_nobody(started, desk):
    assert active(permit(desk), log_only=True).pk


def test_first_policies_need_nobody(desk, ann):
    services.bootstrap_policies(policies=[services.PolicyDraft("cap", permit(desk))], by=ann)

    assert active(permit(desk), slug="other").pk


def test_agreement_is_for_one_text_by_one_person(started, desk, ann, ben):
    proposed = services.propose_policy(slug="cap", text=permit(desk), by=ann)
    services.agree_policy(policy_id=proposed.pk, by=ben)

    again = refused(lambda: active(permit(desk), slug="cap2", agreed_by=ben))

    assert Policy.objects.get().state == PolicyState.ACTIVE
    assert again.startswith("cap2@v1 permits something")


# Forbids, states, texts


def test_forbid_cannot_be_ended_past_the_services(started, desk, ann):
    policy = services.propose_policy(slug="freeze", text=FORBID, by=ann)

    def end(state):
        policy.state, policy.ended_at = state, clock.now()
        policy.save()

    told = [refused(lambda state=state: end(state)) for state in ("retired", "superseded")]

    assert told == ["freeze@v1 forbids something: a second person must agree that it ends."] * 2


def test_forbid_ends_when_a_second_person_agrees(started, desk, ann, ben):
    services.propose_policy(slug="freeze", text=FORBID, by=ann)
    services.retire_policy(slug="freeze", by=ann)
    change = ProposedChange.objects.get()

    changes.agree(change_id=change.pk, by=ben)

    assert Policy.objects.get().state == PolicyState.RETIRED


@pytest.mark.parametrize(
    "changed", [{"text": FORBID + " "}, {"cases": [1]}, {"log_only": True}, {"slug": "b"}]
)
def test_what_was_proposed_never_changes(started, desk, ann, changed):
    policy = services.propose_policy(slug="freeze", text=FORBID, by=ann)

    said = refused(lambda: Policy.objects.filter(pk=policy.pk).update(**changed))

    assert said.endswith("is no draft any more, so it does not change.")


def test_nothing_that_was_proposed_is_deleted(started, desk, ann):
    policy = services.propose_policy(slug="freeze", text=FORBID, by=ann)

    assert refused(policy.delete) == "What was proposed is never deleted, so freeze@v1 stays."


@pytest.mark.parametrize("source", PolicyState)
@pytest.mark.parametrize("target", PolicyState)
def test_database_knows_the_same_moves(source, target):
    policy = Policy.objects.create(
        slug="cap",
        text=FORBID,
        state=source,
        activated_at=clock.now(),
        ended_at=clock.now() if source in {"superseded", "retired"} else None,
    )

    def move():
        ended = clock.now() if target in {"superseded", "retired"} else None
        Policy.objects.filter(pk=policy.pk).update(state=target, ended_at=ended)

    if source == target or may_move(source, target):
        move()
    else:
        assert " cannot become " in refused(move)


# One account, every way in


def signed_in(person):
    client = Client()
    client.force_login(person, backend=sign_in.BACKEND)
    return client


def _by_page(client, desk, ann):
    form = {"slug": "cap", "text": permit(desk), "seen": 0, "do": "save"}
    client.post("/policies/new/", form | {"case-TOTAL_FORMS": 0, "case-INITIAL_FORMS": 0})
    client.post("/policies/cap/1/propose/", {"seen": 1})
    client.post("/policies/cap/1/agree/")


def _by_api(client, desk, ann):
    def call(method, path, body):
        client.generic(method, f"/api/v1/{path}", json.dumps(body), "application/json")

    call("PUT", "policies/cap/draft", {"text": permit(desk)})
    call("POST", "policies/cap/versions/1/propose", {"seen": 1})
    call("POST", "policies/cap/versions/1/agree", {})


def _by_admin(client, desk, ann):
    client.post("/admin/authz/policy/add/", {"slug": "cap", "text": permit(desk), "cases": "[]"})
    policy = Policy.objects.get()
    client.post(f"/admin/authz/policy/{policy.pk}/agree/")
    change = ProposedChange.objects.get()
    client.post(f"/admin/registry/proposedchange/{change.pk}/agree/")


def _by_apply(client, desk, ann):
    policy = {"slug": "cap", "text": permit(desk)}
    text = json.dumps({"muster": 1, "policies": [policy]})
    for _ in range(2):
        apply_inventory(_inventory(text), by_email=ann.email)


def _inventory(text):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "policies.yaml"
        place.write_text(text)
        return read_inventory(str(place))


@pytest.mark.parametrize("way", [_by_page, _by_api, _by_admin, _by_apply])
def test_one_person_brings_no_permit_into_force_by_any_way(started, settings, desk, ann, way):
    settings.MUSTER_APPROVER_MFA = False

    way(signed_in(ann), desk, ann)

    policy = Policy.objects.get()
    assert (policy.slug, policy.state, policy.proposed_by) == ("cap", PolicyState.PROPOSED, ann)
    assert ProposedChange.objects.get().state == "proposed"


def test_second_person_agrees_in_the_admin(started, settings, desk, ann, ben):
    settings.MUSTER_APPROVER_MFA = False
    policy = services.propose_policy(slug="cap", text=permit(desk), by=ann)
    client = signed_in(ben)

    page = client.get(f"/admin/authz/policy/{policy.pk}/change/").content.decode()
    read = client.get(f"/admin/authz/policy/{policy.pk}/agree/").status_code
    client.post(f"/admin/authz/policy/{policy.pk}/agree/", {"answer": "Fine."})

    policy.refresh_from_db()
    assert "Agree: it comes into force" in page
    assert read == 405
    assert (policy.state, policy.agreed_by) == (PolicyState.ACTIVE, ben)
