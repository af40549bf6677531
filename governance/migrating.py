"""Migrates as Django does, but renders only the models that an operation touches.

Django renders each model that is related to a changed one in any number of steps, and its
neighbours' neighbours, again with every operation; where people are referred to from everywhere,
that is all of them. Here a model is rendered when an operation asks for it, with what it points
to. What needs to know who points to a model, or runs Python, is left to Django's own way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.db import models
from django.db.migrations import operations as are
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import AppConfigStub, ModelState, ProjectState, StateApps
from django.db.migrations.utils import resolve_relation
from django.utils.functional import cached_property

Key = tuple[str, str]

# Each looks at its own model and at what that points to, and at nothing else.
LEAN: tuple[type[Operation], ...] = (
    are.CreateModel,
    are.DeleteModel,
    are.AddField,
    are.RemoveField,
    are.AddConstraint,
    are.RemoveConstraint,
    are.AddIndex,
    are.RemoveIndex,
    are.AlterUniqueTogether,
    are.AlterModelOptions,
    are.AlterModelManagers,
    are.RunSQL,
)


class LeanApps(StateApps):
    """The models of a state, each rendered once somebody asks for it."""

    def __init__(self, real_apps: set[str], states: dict[Key, ModelState]) -> None:
        super().__init__(real_apps, {})  # type: ignore[arg-type]
        self.states = states
        # What each rendered model points to.
        self.rendered: dict[Key, set[Key]] = {}

    def get_model(
        self, app_label: str, model_name: str | None = None, require_ready: bool = True
    ) -> type[models.Model]:
        if model_name is None:
            app_label, model_name = app_label.split(".")
        self._render((app_label, model_name.lower()))
        return super().get_model(app_label, model_name, require_ready)

    def _render(self, key: Key) -> None:
        """Render a model and all that it leads to, where they are not."""
        found, unseen = [], [key]
        while unseen:
            key = unseen.pop()
            if key in self.states and key not in self.rendered:
                self.rendered[key] = set(points_to(self.states[key]))
                found.append(self.states[key])
                unseen += self.rendered[key]
        self.render_multiple(found)

    def unregister_model(self, app_label: str, model_name: str) -> None:
        """Forget a model, and all that lead to it: their classes hold the old one's."""
        gone, more = set[Key](), {(app_label, model_name)}
        while more:
            gone |= more
            more = {each for each, to in self.rendered.items() if each not in gone and to & more}
        for each in gone:
            self.rendered.pop(each, None)
            super().unregister_model(*each)

    def copied(self, states: dict[Key, ModelState]) -> LeanApps:
        """Another with the same classes, as `StateApps.clone` makes it; `states` are its own."""
        copied = LeanApps(set(), states)
        copied.real_models = self.real_models
        copied.rendered = dict(self.rendered)
        copied.all_models = defaultdict(
            dict, {label: dict(classes) for label, classes in self.all_models.items()}
        )
        for label in self.app_configs:
            stub = copied.app_configs[label] = AppConfigStub(label)
            stub.apps = copied
            stub.import_models()
        return copied


class LeanState(ProjectState):
    """A state whose models are rendered one by one."""

    @cached_property
    def apps(self) -> LeanApps:
        return LeanApps(self.real_apps, self.models)

    def clone(self) -> LeanState:
        cloned = LeanState({key: each.clone() for key, each in self.models.items()}, self.real_apps)
        if "apps" in self.__dict__:
            cloned.apps = self.apps.copied(cloned.models)
        return cloned

    def reload_model(self, app_label: str, model_name: str, delay: bool = False) -> None:
        self.apps.unregister_model(app_label, model_name)

    def reload_models(self, models: list[Any], delay: bool = True) -> None:
        for app_label, model_name in models:
            self.reload_model(app_label, model_name)


class Executor(MigrationExecutor):
    """Takes a lean state for each migration that can do with one."""

    def apply_migration(
        self,
        state: ProjectState,
        migration: Migration,
        fake: bool = False,
        fake_initial: bool = False,
    ) -> ProjectState:
        return super().apply_migration(suited(state, migration), migration, fake, fake_initial)

    def migrate(self, *args: Any, **kwargs: Any) -> ProjectState:
        """Migrate, and end with a state like Django's, for those who wait for the end."""
        state = super().migrate(*args, **kwargs)
        if isinstance(state, LeanState):
            return ProjectState(state.models, state.real_apps)
        return state


def suited(state: ProjectState, migration: Migration) -> ProjectState:
    """The same models, in a state that the migration can be applied to."""
    wanted = LeanState if all(map(is_lean, migration.operations)) else ProjectState
    if type(state) is not wanted:
        state = wanted(state.models, state.real_apps)
        # Django keeps up what is rendered; what is not, it renders anew with each operation.
        state.apps  # noqa: B018
    return state


def is_lean(operation: Operation) -> bool:
    """Whether it does not ask who points to its model."""
    if isinstance(operation, are.AlterField):
        return not _may_be_pointed_to(operation.field)
    return type(operation) in LEAN


def _may_be_pointed_to(field: models.Field[Any, Any]) -> bool:
    """Only a change of such a column changes those that refer to it as well."""
    return field.primary_key or field.unique or field.many_to_many is True


def points_to(state: ModelState) -> Iterator[Key]:
    """The models that this one's bases and fields name."""
    key = (state.app_label, state.name_lower)
    for base in state.bases:
        if isinstance(base, str):
            yield resolve_relation(base, *key)
    for field in state.fields.values():
        if field.remote_field:
            yield resolve_relation(field.remote_field.model, *key)
            through = getattr(field.remote_field, "through", None)
            if through:
                yield resolve_relation(through, *key)
