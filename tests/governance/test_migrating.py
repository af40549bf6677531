"""Migrations that render only what they touch come to the same as Django's own."""

from collections.abc import Sequence

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import get_commands, load_command_class
from django.core.management.commands import migrate
from django.db import connection, models
from django.db.migrations import Migration
from django.db.migrations import operations as are
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from governance.migrating import LEAN, Executor, LeanState, is_lean, points_to, suited

A, B, C = (("shelf", name) for name in ("a", "b", "c"))


def key() -> tuple[str, models.Field]:
    return "id", models.BigAutoField(primary_key=True)


def to(name: str) -> models.ForeignKey:
    return models.ForeignKey(f"shelf.{name}", models.PROTECT, related_name="+")


CHAIN = [
    are.CreateModel("A", [key(), ("word", models.CharField(max_length=5))]),
    are.CreateModel("B", [key(), ("a", to("A"))]),
    are.CreateModel("C", [key(), ("b", to("B"))]),
    are.CreateModel("D", [key()]),
]


def made(state: ProjectState, operations: Sequence[Operation] = CHAIN) -> ProjectState:
    for each in operations:
        each.state_forwards("shelf", state)
    return state


def rendered(state: LeanState) -> list[str]:
    return sorted(name for _, name in state.apps.rendered)


def test_a_model_is_rendered_with_what_it_leads_to_alone() -> None:
    state = made(LeanState())
    before = rendered(state)

    b = state.apps.get_model("shelf.B")

    assert (before, rendered(state)) == ([], ["a", "b"])
    assert b._meta.get_field("a").related_model is state.apps.get_model(*A)


def test_what_leads_to_a_changed_model_is_rendered_anew() -> None:
    state = made(LeanState())
    state.apps.get_model(*C)
    state.apps.get_model("shelf", "d")

    made(state, [are.AddField("a", "more", models.IntegerField())])

    left = rendered(state)
    c = state.apps.get_model(*C)
    a = c._meta.get_field("b").related_model._meta.get_field("a").related_model
    assert (left, a._meta.get_field("more").column) == (["d"], "more")


def test_a_clone_stays_as_it_was() -> None:
    state = made(LeanState())
    old = state.apps.get_model(*A)
    clone = state.clone()

    made(state, [are.AddField("a", "more", models.IntegerField()), are.DeleteModel("C")])

    names = [field.name for field in state.apps.get_model(*A)._meta.fields]
    assert (clone.apps.get_model(*A), names) == (old, ["id", "word", "more"])
    assert [each.apps.is_installed("shelf") for each in (clone, state)] == [True, True]
    assert clone.apps.get_model(*C)._meta.label == "shelf.C"
    with pytest.raises(LookupError):
        state.apps.get_model(*C)


def test_bases_and_tables_between_are_pointed_to() -> None:
    state = made(
        ProjectState(),
        [
            *CHAIN,
            are.CreateModel(
                "E", [("many", models.ManyToManyField("A", through="C"))], bases=("shelf.d",)
            ),
        ],
    )

    assert sorted(points_to(state.models["shelf", "e"])) == [A, C, ("shelf", "d")]


@pytest.mark.parametrize(
    ("operation", "lean"),
    [
        (are.AddField("a", "more", to("B")), True),
        (are.RunSQL("SELECT 1"), True),
        (are.AlterField("a", "word", models.CharField(max_length=9)), True),
        (are.AlterField("b", "a", to("C")), True),
        # Whose columns refer to such a field is changed with it.
        (are.AlterField("a", "id", models.IntegerField(primary_key=True)), False),
        (are.AlterField("a", "word", models.CharField(max_length=9, unique=True)), False),
        (are.AlterField("a", "many", models.ManyToManyField("B")), False),
        (are.RenameField("a", "word", "words"), False),
        (are.RenameModel("A", "Z"), False),
        (are.RunPython(are.RunPython.noop), False),
        (are.SeparateDatabaseAndState(), False),
        # Nothing is known of a kind that somebody made from another.
        (AddIndexConcurrently("a", models.Index(fields=["word"], name="word")), False),
    ],
)
def test_what_asks_who_points_to_it_goes_djangos_way(operation: Operation, lean: bool) -> None:
    migration = Migration("0001", "shelf")
    migration.operations = [are.RunSQL("SELECT 1"), operation]
    states = [made(ProjectState()), made(LeanState())]

    found = [suited(state, migration) for state in states]

    assert is_lean(operation) == lean
    assert [type(each) for each in found] == [LeanState if lean else ProjectState] * 2
    assert [each.models for each in found] == [state.models for state in states]


@pytest.mark.django_db
def test_the_same_statements_are_made() -> None:
    migration = Migration("0001", "shelf")
    migration.operations = [
        *CHAIN,
        are.AddField("d", "cs", models.ManyToManyField("C")),
        are.AddField("a", "more", models.IntegerField(default=3), preserve_default=False),
        are.AddField("a", "c", models.ForeignKey("shelf.C", models.CASCADE, null=True)),
        are.AddIndex("c", models.Index(fields=["b"], name="c_b")),
        are.AlterField("a", "word", models.TextField(null=True)),
        are.AddConstraint(
            "a", models.CheckConstraint(condition=models.Q(more__gt=0), name="more_than_none")
        ),
        are.AlterUniqueTogether("a", {("word", "more")}),
        are.AlterModelOptions("a", {"ordering": ["word"]}),
        are.AlterModelManagers("a", [("all_of_them", models.Manager())]),
        are.RunSQL("CREATE VIEW words AS SELECT word FROM shelf_a"),
        are.RemoveConstraint("a", "more_than_none"),
        are.RemoveIndex("c", "c_b"),
        are.RemoveField("b", "a"),
        are.DeleteModel("D"),
    ]

    said = []
    for state in (ProjectState(), LeanState()):
        with connection.schema_editor(collect_sql=True, atomic=False) as editor:
            migration.apply(state, editor, collect_sql=True)
        said.append(editor.collected_sql)

    assert said[0] == said[1]
    assert sum(line.startswith(("CREATE", "ALTER", "DROP")) for line in said[0]) == 21
    assert {type(each) for each in migration.operations} == {*LEAN, are.AlterField}


def test_migrate_is_ours() -> None:
    load_command_class(get_commands()["migrate"], "migrate")

    assert (get_commands()["migrate"], migrate.MigrationExecutor) == ("governance", Executor)
