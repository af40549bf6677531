"""The state before runs on beside a database that was migrated already: nothing it needs goes.

Looks at each migration that came since. What takes away, renames or newly demands something of a
table that the state before writes belongs into the release after: see docs/howto/upgrade.md.
"""

import re
import subprocess
from collections.abc import Iterator

import pytest
from django.db import migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from governance.runner.places import PROJECT

# The release before, or the commit that stands for it until there is one.
BEFORE = ("v0.1.0", "8ab444f")
OURS = ("governance", "compliance", "lifecycle", "authz", "registry", "audit")
# `app.name: what` of those that are safe all the same, and why.
EXCUSED: dict[str, str] = {}
TAKING = re.compile(
    r"\bDROP\s+(?:TABLE|COLUMN|SCHEMA|VIEW)\b|\bRENAME\b|\bSET\s+NOT\s+NULL\b"
    r"|\bALTER\s+COLUMN\s+\S+\s+(?:SET\s+DATA\s+)?TYPE\b"
    r"|(?<!AFTER )(?<!BEFORE )\bTRUNCATE\b|\bACCESS\s+EXCLUSIVE\b",
    re.I,
)


def known_before() -> set[str]:
    """The migrations of the state before, as `app.name`. Skips without its history."""
    for name in BEFORE:
        git = ["git", "-C", str(PROJECT)]
        ancestor = [*git, "merge-base", "--is-ancestor", name, "HEAD"]
        if subprocess.run(ancestor, check=False, capture_output=True).returncode == 0:
            tree = [*git, "ls-tree", "-r", "--name-only", name]
            paths = subprocess.run(tree, check=True, capture_output=True, text=True).stdout
            found = re.findall(r"^(\w+)/migrations/(\d\w+)\.py$", paths, re.M)
            return {f"{app}.{name}" for app, name in found}
    pytest.skip(f"none of {', '.join(BEFORE)} is in the history of this checkout")


def faults(operation: Operation, old: ModelState | None) -> Iterator[str]:
    """What the state before would miss; `old` is the model as it knows it, None for a new one."""
    if isinstance(operation, migrations.RunSQL):
        statements = operation.sql if isinstance(operation.sql, str) else str(operation.sql)
        yield from (f"SQL {found.group().upper()}" for found in TAKING.finditer(statements))
    elif old is not None:
        yield from _of_model(operation, old)


def _of_model(operation: Operation, old: ModelState) -> Iterator[str]:
    name = old.name
    match operation:
        case migrations.DeleteModel() | migrations.RenameModel() | migrations.AlterModelTable():
            yield f"{type(operation).__name__} {name}"
        case migrations.RemoveField():
            yield f"RemoveField {name}.{operation.name}"
        case migrations.RenameField():
            yield f"RenameField {name}.{operation.old_name}"
        case migrations.AddField() if _is_demanded(operation.field):
            # Django takes its default away from the column again once the rows have it.
            yield f"AddField {name}.{operation.name}, which is required and has no db_default"
        case migrations.AlterField() if operation.name in old.fields:
            if old.fields[operation.name].null and not operation.field.null:
                yield f"AlterField {name}.{operation.name}, which is required from now on"


def _is_demanded(field: "models.Field[object, object]") -> bool:
    if field.many_to_many:
        return False
    return not field.null and field.db_default is models.NOT_PROVIDED


def of_migration(
    migration: migrations.Migration, state: ProjectState, new: set[tuple[str, str]]
) -> Iterator[str]:
    for operation in migration.operations:
        label = migration.app_label
        name = getattr(operation, "model_name", None) or getattr(operation, "name", "") or ""
        if isinstance(operation, migrations.RenameModel):
            name = operation.old_name
        key = (label, str(name).lower())
        if isinstance(operation, migrations.CreateModel):
            new.add(key)
        old = None if key in new else state.models.get(key)
        yield from faults(operation, old)
        operation.state_forwards(label, state)


def test_what_the_state_before_needs_stays() -> None:
    before, new = known_before(), set[tuple[str, str]]()
    loader = MigrationLoader(None)
    state, found, seen = ProjectState(real_apps=loader.unmigrated_apps), [], 0

    for node in loader.graph._generate_plan(loader.graph.leaf_nodes(), at_end=True):
        migration = loader.graph.nodes[node]
        label = f"{migration.app_label}.{migration.name}"
        if migration.app_label not in OURS or label in before:
            seen += label in before
            state = migration.mutate_state(state, preserve=False)
            continue
        found += [f"{label}: {each}" for each in of_migration(migration, state, new)]

    assert seen == len(before)
    assert sorted(set(found) - EXCUSED.keys()) == []


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (migrations.DeleteModel("Kept"), ["DeleteModel Kept"]),
        (migrations.RenameModel("Kept", "Other"), ["RenameModel Kept"]),
        (migrations.RemoveField("Kept", "word"), ["RemoveField Kept.word"]),
        (migrations.RenameField("Kept", "word", "term"), ["RenameField Kept.word"]),
        (
            migrations.AddField("Kept", "more", models.TextField(default="x")),
            ["AddField Kept.more, which is required and has no db_default"],
        ),
        (migrations.AddField("Kept", "more", models.TextField(null=True)), []),
        (migrations.AddField("Kept", "more", models.TextField(db_default="x")), []),
        (
            migrations.AlterField("Kept", "word", models.TextField()),
            ["AlterField Kept.word, which is required from now on"],
        ),
        (migrations.RunSQL("ALTER TABLE kept DROP COLUMN word"), ["SQL DROP COLUMN"]),
        (migrations.RunSQL("ALTER TABLE kept ADD COLUMN word text"), []),
        (migrations.AddField("New", "more", models.TextField()), []),
    ],
)
def test_what_takes_something_away_is_named(operation: Operation, said: list[str]) -> None:
    state, new = ProjectState(), set[tuple[str, str]]()
    fields = [("id", models.AutoField(primary_key=True)), ("word", models.TextField(null=True))]
    state.add_model(ModelState("governance", "Kept", fields))
    migration = migrations.Migration("0099_later", "governance")
    made = migrations.CreateModel("New", [("id", models.AutoField(primary_key=True))])
    migration.operations = [made, operation]

    assert list(of_migration(migration, state, new)) == said
