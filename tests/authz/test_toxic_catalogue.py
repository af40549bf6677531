"""The catalogue of toxic combinations: one adds, two take away, and the database says so too."""

from __future__ import annotations

import json

import pytest
from django.core import serializers
from django.db import IntegrityError, connection, transaction

from authz import services
from authz.models import ToxicCombination
from authz.rules import toxic_widens
from governance.kernel.errors import Invalid, NotAllowed
from registry import changes
from registry.errors import ChangeOutdated
from registry.models import ProposedChange
from tests.factories.registry import make_person, security

pytestmark = pytest.mark.django_db

SLUG = "salary-per-person"
BASE = {
    "categories": ["a", "b"],
    "effects": ["financial"],
    "implied_tier": "confidential",
    "only_listed": False,
    "is_active": True,
}


def row(slug: str = SLUG) -> ToxicCombination:
    return ToxicCombination.objects.get(slug=slug)


@pytest.fixture
def guarded() -> None:
    """As after the first policy, of an earlier transaction: nobody acts alone any more."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE NONE")
        cursor.execute("SET LOCAL ROLE muster_audit")
        cursor.execute(
            "INSERT INTO audit.mark (name, at) VALUES ('first_policy', now() - interval '1 day')"
        )
        cursor.execute("SET LOCAL ROLE muster_web")


def test_one_person_adds_one_and_it_counts_at_once() -> None:
    by = security()

    saved = services.save_toxic(
        slug="who-is-ill",
        by=by,
        categories=["sick-leave", "hr-directory", "sick-leave"],
        implied_tier="restricted",
        reason="It tells who is ill.",
        reference="A near miss of ours.",
    )

    assert (saved.created, saved.proposed) == (True, ())
    assert row("who-is-ill").categories == ["hr-directory", "sick-leave"]


@pytest.mark.parametrize(
    ("change", "widens"),
    [
        ({"categories": ["a", "b", "c"]}, True),
        ({"categories": ["a"]}, False),
        ({"effects": ["financial", "write"]}, True),
        ({"effects": []}, False),
        ({"implied_tier": "internal"}, True),
        ({"implied_tier": "restricted"}, False),
        ({"only_listed": True}, True),
        ({"is_active": False}, True),
        ({}, False),
    ],
)
def test_what_guards_less_widens(change, widens) -> None:
    assert toxic_widens(BASE, BASE | change) is widens
    assert toxic_widens(BASE | {"is_active": False}, BASE | change) is False


def test_guarding_less_waits_and_another_person_lets_it_take_effect(guarded) -> None:
    by, other = security(), security()

    saved = services.save_toxic(slug=SLUG, by=by, implied_tier="confidential", reason="Less.")
    before = row()
    (change,) = saved.proposed
    with pytest.raises(NotAllowed):
        changes.agree(change_id=change.pk, by=by)
    changes.agree(change_id=change.pk, by=other)

    assert (before.implied_tier, before.reason, before.version) == ("restricted", "Less.", 2)
    assert (row().implied_tier, row().version) == ("confidential", 3)
    assert [one.version for one in row().history.order_by("history_id")] == [1, 2, 3]


def test_taking_one_out_waits_for_a_second_person(guarded) -> None:
    by, other = security(), security()

    (change,) = services.remove_toxic(slug=SLUG, by=by).proposed
    still = row().is_active
    changes.agree(change_id=change.pk, by=other)

    assert (still, ToxicCombination.objects.filter(slug=SLUG).exists()) == (True, False)


def test_what_changed_since_it_was_proposed_is_not_agreed_to(guarded) -> None:
    by, other = security(), security()
    (change,) = services.remove_toxic(slug=SLUG, by=by).proposed
    services.save_toxic(slug=SLUG, by=by, reference="Looked up once more.")

    with pytest.raises(ChangeOutdated):
        changes.agree(change_id=change.pk, by=other)


@pytest.mark.parametrize(
    "fields",
    [
        {"is_active": False},
        {"only_listed": True},
        {"implied_tier": "internal"},
        {"categories": ["hr-directory", "compensation", "never"]},
        {"effects": ["financial"]},
        {"slug": "another-name"},
    ],
)
def test_the_database_refuses_to_guard_less(guarded, fields) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ToxicCombination.objects.filter(slug=SLUG).update(**fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        ToxicCombination.objects.filter(slug=SLUG).delete()


def test_a_fixture_cannot_loosen_one(guarded) -> None:
    text = json.loads(serializers.serialize("json", [row()]))
    text[0]["fields"]["implied_tier"] = "public"

    (loaded,) = serializers.deserialize("json", json.dumps(text))
    with pytest.raises(IntegrityError), transaction.atomic():
        loaded.save()


def test_an_agreement_does_not_count_twice(guarded) -> None:
    by, other = security(), security()
    (change,) = services.save_toxic(slug=SLUG, by=by, implied_tier="confidential").proposed
    changes.agree(change_id=change.pk, by=other)
    services.save_toxic(slug=SLUG, by=by, implied_tier="restricted")

    with pytest.raises(IntegrityError), transaction.atomic():
        ToxicCombination.objects.filter(slug=SLUG).update(implied_tier="confidential", version=9)


def test_the_database_lets_it_guard_more(guarded) -> None:
    ToxicCombination.objects.filter(slug="lethal-trifecta").update(
        only_listed=False, implied_tier="restricted"
    )

    assert row("lethal-trifecta").only_listed is False


def test_one_part_is_no_combination() -> None:
    with pytest.raises(Invalid):
        services.save_toxic(
            slug="alone", by=security(), categories=["a"], implied_tier="internal", reason="No."
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        ToxicCombination.objects.create(
            slug="alone", categories=["a"], implied_tier="internal", reason="No."
        )


def test_only_security_and_platform_admins_change_it() -> None:
    with pytest.raises(NotAllowed):
        services.save_toxic(slug=SLUG, by=make_person(), reason="Mine.")
    with pytest.raises(NotAllowed):
        services.remove_toxic(slug=SLUG, by=make_person())
    assert ProposedChange.objects.count() == 0
