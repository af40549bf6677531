"""A file of people: what it comes to is shown, and exactly that is done."""

from datetime import date, time, timedelta
from typing import Any

import pytest

from governance.kernel import clock
from governance.kernel.business_days import instant_of
from governance.kernel.errors import Conflict, GovernanceError, Invalid
from lifecycle.models import ImportRow, Notice, PeopleImport
from lifecycle.people import importing, planning, sources, sweep
from lifecycle.people.errors import ImportOutdated, ImportOver, ManyLeavers
from lifecycle.sweeps import run_sweep as run_sweep_of
from registry import services
from registry.enums import GroupName
from registry.models import Person
from tests.factories.registry import make_person
from tests.lifecycle import worlds_people

pytestmark = pytest.mark.django_db
LATER = "2126-12-31"
YESTERDAY = clock.now().date() - timedelta(days=1)


@pytest.fixture
def admin() -> Person:
    return make_person(GroupName.PLATFORM_ADMIN, name="Admin", email="admin@example.org")


def preview(by: Person, text: str) -> PeopleImport:
    return importing.keep_preview(raw=text.encode(), file_name="hr.csv", source="hr", by=by)


def apply(kept: PeopleImport, by: Person, **how: Any) -> PeopleImport:
    importing.begin_import(import_id=kept.pk, by=by, **how)
    run_sweep()
    return PeopleImport.objects.get(pk=kept.pk)


def run_sweep() -> None:
    now = clock.now()
    for key in sweep.due(now):
        sweep.handle(key, now)


def shown(kept: PeopleImport) -> list[tuple[int, str, list[list[str]]]]:
    return [(row.line, row.kind, row.changes) for row in kept.rows.order_by("line")]


def whole(by: Person, text: str, **how: Any) -> PeopleImport:
    return apply(preview(by, text), by, **how)


HR = """id,email,name,department,manager,status,last day
1,ada@example.org,Ada,Legal,2,,
2,bob@example.org,Bob,Sales,,,
"""


def test_people_join_managers_first(admin: Person) -> None:
    kept = preview(admin, HR)

    assert shown(kept) == [
        (
            2,
            "joins",
            [
                ["name", "", "Ada"],
                ["email", "", "ada@example.org"],
                ["department", "", "Legal"],
                ["manager", "", "Bob"],
            ],
        ),
        (
            3,
            "joins",
            [["name", "", "Bob"], ["email", "", "bob@example.org"], ["department", "", "Sales"]],
        ),
    ]
    assert Person.objects.count() == 1

    done = apply(kept, admin)

    ada = Person.objects.get(email="ada@example.org")
    assert (ada.name, ada.department, str(ada.manager)) == ("Ada", "Legal", "Bob")
    assert (done.state, done.counts) == ("done", {"joins": 2, "done": 2, "refused": 0})


def test_the_same_file_again_changes_nothing(admin: Person) -> None:
    whole(admin, HR)

    kept = preview(admin, HR)

    assert [row[1:] for row in shown(kept)] == [("unchanged", []), ("unchanged", [])]


@pytest.mark.parametrize(
    ("line", "kind", "changes"),
    [
        ("1,ada@example.org,Ada,Data,2,,", "changes", [["department", "Legal", "Data"]]),
        (
            f"1,,,,,leaving,{LATER}",
            "leaving",
            [["employment", "employed", "leaving"], ["last day", "", LATER]],
        ),
        (
            "1,,,,,,2020-01-01",
            "left",
            [["employment", "employed", "left"], ["last day", "", "2020-01-01"]],
        ),
        ("1,bob@example.org,,,,,", "wrong", []),
        ("9,bob@example.org,,,,,", "wrong", []),
        (",bob@example.org,,Data,,,", "changes", [["department", "Sales", "Data"]]),
        ("8,new@example.org,,,,left,", "unchanged", []),
        ("1,,,,7,,", "unchanged", []),
        ("1,,,,1,,", "unchanged", []),
        ("p_00000000000000000000,,,,,,", "wrong", []),
        ("1,ADA@example.org,Ada,Legal,bob@EXAMPLE.org,employed,none", "unchanged", []),
    ],
)
def test_what_a_line_comes_to(
    admin: Person, line: str, kind: str, changes: list[list[str]]
) -> None:
    whole(admin, HR)

    kept = preview(admin, f"{HR.splitlines()[0]}\n{line}\n")

    assert [row[1:] for row in shown(kept) if row[0]] == [(kind, changes)]


def test_someone_by_hand_is_recognised_by_their_address(admin: Person) -> None:
    known = make_person(email="Ada@example.org".lower(), name="Ada")

    whole(admin, HR)

    assert known.identities.get().external_id == "1"
    assert Person.objects.filter(email="ada@example.org").count() == 1


def test_an_address_used_again_inherits_nothing(admin: Person) -> None:
    whole(admin, HR)
    old = Person.objects.get(email="ada@example.org")
    whole(admin, "id,status\n1,left\n")

    kept = preview(admin, "id,email,name\n3,ada@example.org,Ada Two\n")

    (row,) = kept.rows.filter(line=2)
    assert (row.kind, row.told) == (
        "joins",
        ["Someone who left had this address. Nothing of theirs goes to the newcomer."],
    )
    apply(kept, admin)
    assert Person.objects.get(email="ada@example.org").pk != old.pk


def test_without_an_id_nobody_who_left_is_hired_by_their_address(admin: Person) -> None:
    gone = make_person(email="ada@example.org", name="Ada")
    services.set_employment(person_id=gone.pk, employment="left", last_day=YESTERDAY, by=admin)

    (row,) = preview(admin, "email,status\nada@example.org,employed\n").rows.all()

    assert row.problem == (
        "Ada, who left, had this address. Give the file a column id, or say on their page that "
        "they are back."
    )


def test_who_is_back_needs_a_word(admin: Person) -> None:
    whole(admin, HR)
    ada = Person.objects.get(email="ada@example.org")
    services.set_employment(person_id=ada.pk, employment="left", last_day=YESTERDAY, by=admin)
    back = "id,status\n1,employed\n"

    assert preview(admin, back).rows.get(line=2).kind == "returns"
    whole(admin, back)
    ada.refresh_from_db()
    assert ada.employment == "left"

    whole(admin, back, returns=True)
    ada.refresh_from_db()
    assert (ada.employment, ada.is_active) == ("employed", True)


# Who is not in the file


def test_who_is_not_in_the_file_stays_unless_it_is_the_whole_company(admin: Person) -> None:
    whole(admin, HR)
    by_hand = make_person()

    kept = preview(admin, HR.replace("2,bob", "3,eve").replace("bob@", "eve@"))
    missing = kept.rows.get(kind="missing")
    assert (missing.person.email, missing.line) == ("bob@example.org", 0)
    apply(kept, admin)
    assert Person.objects.get(email="bob@example.org").employment == "employed"

    whole(admin, HR.replace("2,bob@", "3,eve@"), whole=True)
    assert Person.objects.get(email="bob@example.org").employment == "left"
    by_hand.refresh_from_db()
    assert by_hand.employment == "employed"


def test_with_rows_that_cannot_be_read_nobody_is_missing(admin: Person) -> None:
    whole(admin, HR)
    kept = preview(admin, "id,last day\n1,\n2,tomorrow\n")

    with pytest.raises(Invalid) as refused:
        importing.begin_import(import_id=kept.pk, by=admin, whole=True)

    assert refused.value.code == "whole_with_errors"
    assert not kept.rows.filter(kind="missing").exists()


def test_many_leavers_are_typed(admin: Person) -> None:
    lines = "".join(f"{each},p{each}@example.com\n" for each in range(30, 40))
    whole(admin, "id,email\n" + lines)
    kept = preview(admin, "id,status\n" + "".join(f"{each},left\n" for each in range(30, 34)))

    with pytest.raises(ManyLeavers) as refused:
        importing.begin_import(import_id=kept.pk, by=admin, typed="5")
    assert refused.value.message == "4 people leave by this file. Type 4 to go on."

    apply(kept, admin, typed="4")
    assert Person.objects.filter(employment="left").count() == 4


@pytest.mark.parametrize(
    ("leavers", "working", "many"),
    [
        (0, 0, False),
        (2, 3, False),
        (3, 3, True),
        (3, 30, False),
        (4, 30, True),
        (20, 999, False),
        (21, 999_999, True),
    ],
)
def test_when_leavers_are_many(leavers: int, working: int, many: bool) -> None:
    assert planning.has_many_leavers(leavers, working) is many


# Exactly what was shown


def test_a_preview_of_another_register_is_refused_and_shown_anew(admin: Person) -> None:
    ada = make_person(email="ada@example.org", name="Ada", department="Legal")
    kept = preview(admin, HR)
    services.update_person(person_id=ada.pk, by=admin, department="Data")

    with pytest.raises(ImportOutdated):
        importing.begin_import(import_id=kept.pk, by=admin)

    importing.look_again(import_id=kept.pk, by=admin)
    assert ["department", "Data", "Legal"] in kept.rows.get(line=2).changes
    apply(kept, admin)
    ada.refresh_from_db()
    assert ada.department == "Legal"


def test_a_row_that_changed_meanwhile_is_refused_alone(admin: Person) -> None:
    ada = make_person(email="ada@example.org", name="Ada", department="Legal")
    kept = preview(admin, HR)
    importing.begin_import(import_id=kept.pk, by=admin)
    services.update_person(person_id=ada.pk, by=admin, department="Data")

    run_sweep()

    kept.refresh_from_db()
    row = kept.rows.get(line=2)
    assert (row.state, row.problem) == ("refused", importing.CHANGED_SINCE)
    assert kept.counts == {"changes": 1, "joins": 1, "done": 1, "refused": 1}
    assert not ada.identities.exists()


def test_nothing_is_half_applied(admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the middle of a person undoes that person; the row stays due."""
    kept = preview(admin, HR)
    importing.begin_import(import_id=kept.pk, by=admin)
    first = kept.rows.get(place=0)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as broke:
        broke.setattr(services.joining, "_employ", broken)
        with pytest.raises(RuntimeError):
            importing.apply_row(first.pk)

    assert not Person.objects.filter(email="bob@example.org").exists()
    run_sweep()
    assert Person.objects.filter(email="bob@example.org").exists()


@pytest.mark.parametrize("times", [1, 2, 5])
def test_the_sweep_run_again_changes_nothing(admin: Person, times: int) -> None:
    kept = preview(admin, HR)
    importing.begin_import(import_id=kept.pk, by=admin)
    now = clock.now()
    keys = sweep.due(now)

    done = [sum(sweep.handle(key, now) for key in keys) for _ in range(times)]

    assert done == [3] + [0] * (times - 1)
    assert Person.objects.filter(identities__source="hr").count() == 2


def test_a_preview_is_good_for_a_day_and_for_its_maker(admin: Person) -> None:
    kept = preview(admin, HR)
    other = make_person(GroupName.PLATFORM_ADMIN)
    for by, error in ((other, GovernanceError), (make_person(), GovernanceError)):
        with pytest.raises(error):
            importing.begin_import(import_id=kept.pk, by=by)
    PeopleImport.objects.update(expires_at=clock.now())

    with pytest.raises(ImportOver):
        importing.begin_import(import_id=kept.pk, by=admin)
    run_sweep()
    kept.refresh_from_db()
    assert (kept.state, kept.rows.count()) == ("dropped", 0)


def test_one_file_of_a_source_at_a_time(admin: Person) -> None:
    kept, other = preview(admin, HR), preview(admin, HR)
    importing.begin_import(import_id=kept.pk, by=admin)

    with pytest.raises(Conflict):
        importing.begin_import(import_id=other.pk, by=admin)
    with pytest.raises(ImportOver):
        importing.begin_import(import_id=kept.pk, by=admin)


def test_who_may_not_change_people_any_more_applies_nothing(admin: Person) -> None:
    kept = preview(admin, HR)
    importing.begin_import(import_id=kept.pk, by=admin)
    admin.groups.clear()

    run_sweep()

    assert set(ImportRow.objects.values_list("state", flat=True)) == {"refused"}
    assert Person.objects.count() == 1


def test_nobody_says_by_a_file_that_they_left_themself(admin: Person) -> None:
    kept = preview(admin, "id,email,status\n1,admin@example.org,left\n")

    assert kept.rows.get().problem == "This is you. Someone else has to say that you have left."


# The rest of the sweep


def test_who_is_leaving_has_left_after_midnight_where_they_are(admin: Person) -> None:
    person = make_person(zone="Pacific/Auckland")
    day = date(2126, 5, 4)
    services.set_employment(person_id=person.pk, employment="leaving", last_day=day, by=admin)
    midnight = instant_of(day + timedelta(days=1), person.zone, time(0))

    assert sweep.due(midnight - timedelta(seconds=1)) == []
    (key,) = sweep.due(midnight)
    assert [sweep.handle(key, midnight) for _ in range(2)] == [True, False]
    person.refresh_from_db()
    assert (person.employment, person.last_day, person.is_active) == ("left", day, False)


def test_of_a_silent_source_admins_hear_once(admin: Person) -> None:
    source, _ = sources.open_webhook(slug="workday", title="Workday", by=admin, silent_days=2)
    later = clock.now() + timedelta(days=3)
    key = f"silent:{source.pk}"

    assert sweep.due(clock.now()) == []
    assert [sweep.due(later), sweep.handle(key, later), sweep.handle(key, later)] == [
        [key],
        True,
        False,
    ]
    assert Notice.objects.filter(code="people.silent", person=admin).count() == 1
    source.last_seen_at = later
    source.save()
    again = later + timedelta(days=3)
    assert (sweep.due(later), sweep.due(again)) == ([], [key])


def test_what_files_and_messages_said_is_forgotten(admin: Person) -> None:
    kept = whole(admin, HR)
    later = clock.now() + timedelta(days=31)
    PeopleImport.objects.update(ended_at=clock.now() - timedelta(days=31))

    assert sweep.due(clock.now()) == [f"forget:{kept.pk}"]
    assert [sweep.handle(f"forget:{kept.pk}", later) for _ in range(2)] == [True, False]
    kept.refresh_from_db()
    assert (kept.rows.count(), kept.counts["done"]) == (0, 2)


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_due_of_people_is_done_once(times: int) -> None:
    world = worlds_people.WORLDS["people"]
    kept = world["make"]()

    for _ in range(times):
        run_sweep_of("people")

    assert kept() == world["after"]


def test_a_file_does_not_change_the_address_of_someone_with_rights(admin: Person) -> None:
    holder = make_person(GroupName.SECURITY, email="sec@example.org")
    whole(admin, "id,email\n7,sec@example.org\n")

    done = whole(admin, "id,email\n7,mine@example.org\n")

    assert [(row.state, row.person) for row in done.rows.all()] == [("refused", holder)]
    assert Person.objects.get(pk=holder.pk).email == "sec@example.org"
