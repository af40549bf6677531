"""Carrying an inventory out: everything in one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection, transaction

from governance.kernel.errors import GovernanceError, Invalid, NotAllowed, Unavailable
from lifecycle.apply.current import names_on_register, read_register
from lifecycle.apply.document import REFERRED, Inventory, dangling
from lifecycle.apply.plan import Step, Verb, incomplete, make_plan
from lifecycle.apply.problems import BadInventory, Problem
from lifecycle.apply.secret_file import SecretFile
from lifecycle.apply.steps import agents, authorization, clients, people, prices, systems
from lifecycle.apply.steps.run import Run, Skipped
from registry import selectors, services
from registry.enums import GroupName
from registry.errors import ChangeOpen, NotBootstrapping
from registry.models import Person

Carry = Callable[[Run, Step], None]
Around = Callable[[Step], AbstractContextManager[object]]

# The order in which things come to be. Policies stand at the end, since nobody acts alone any
# more from the first active one on, and who applies keeps their own groups until then.
PHASES: tuple[tuple[str, Carry], ...] = (
    ("people", people.save_person),
    ("people", people.finish_person),
    ("people", people.set_groups),
    ("gateways", people.save_gateway),
    ("resource_types", systems.save_resource_type),
    ("systems", systems.save_system),
    ("tools", systems.save_tool),
    ("roles", authorization.save_role),
    ("agents", agents.save_agent),
    ("agents", agents.finish_agent),
    ("agents", authorization.set_roles),
    ("relationships", authorization.save_relationship),
    ("agents", agents.bring_to_state),
    ("agents", clients.issue_for_agent),
    ("gateways", clients.issue_for_gateway),
    ("signatures", authorization.save_signature),
    ("toxic_combinations", authorization.save_toxic),
    ("currencies", prices.save_rate),
    ("model_prices", prices.save_model_price),
    ("meters", prices.save_meter),
    ("policies", authorization.save_policy),
    ("agents", agents.probe_loaded),
    ("people", people.leave_own_groups),
)
# These look at what an item says nothing new about as well.
ALWAYS = frozenset({agents.bring_to_state, clients.issue_for_agent, clients.issue_for_gateway})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an inventory."""

    steps: Sequence[Step]
    by: str
    dry_run: bool
    secrets: str = ""
    issued: Sequence[str] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to do, and nothing waits either."""
        return all(step.verb == Verb.KEEP and not step.waits for step in self.steps)


def apply_inventory(
    inventory: Inventory,
    *,
    by_email: str = "",
    bootstrap: bool = False,
    dry_run: bool = False,
    secrets: SecretFile | None = None,
    around: Around = nullcontext,
) -> Outcome:
    """Make the register say what `inventory` says, as far as `by_email` may.

    With `dry_run` all is done and undone again, so that the plan is what would really happen.
    Each step is carried out within `around(step)`.
    Raises BadInventory with every item that was refused, and then nothing was changed.
    """
    with secrets or nullcontext(), transaction.atomic():
        _wait_for_others()
        plan = _plan(inventory)
        actor = _actor(inventory, by_email, bootstrap)
        alone = bootstrap and _has_changes(plan)
        if alone and not selectors.is_bootstrapping():
            raise NotBootstrapping()
        run = Run(actor, alone, secrets)
        _carry_out(run, plan, around)
        if dry_run:
            transaction.set_rollback(True)
        elif secrets:
            secrets.write()
        return _outcome(run, plan, dry_run=dry_run)


def _wait_for_others() -> None:
    """One application at a time: two that start from one state would each half undo the other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('muster apply'))")


def _plan(inventory: Inventory) -> list[Step]:
    problems = dangling(inventory, names_on_register(REFERRED))
    kinds = [kind for kind, items in inventory.items.items() if items]
    plan = make_plan(inventory, read_register(kinds))
    if problems := [*problems, *incomplete(plan)]:
        raise BadInventory(problems)
    return plan


def _has_changes(plan: Sequence[Step]) -> bool:
    return any(step.verb != Verb.KEEP for step in plan)


def _actor(inventory: Inventory, email: str, bootstrap: bool) -> Person:
    """Who applies: the named person, or into an empty installation someone from the file."""
    if Person.objects.exists():
        return _known_actor(email)
    if not bootstrap:
        raise NotAllowed("Nobody is on the register yet. Add --bootstrap to load the first people.")
    first = email.lower() or _first_of(inventory)
    if (first,) not in inventory.of("people"):
        raise Invalid("Nobody is on the register yet, so --as must name someone in the inventory.")
    return services.create_first_administrator(email=first)


def _known_actor(email: str) -> Person:
    if not email:
        raise Invalid("Say who applies this: --as EMAIL.")
    person = Person.objects.filter(email__iexact=email).first()
    if person is None:
        raise Invalid(f"Nobody on the register has the address {email[:254]}.")
    return person


def _first_of(inventory: Inventory) -> str:
    """Whoever will administer the installation, else whoever stands first."""
    people = list(inventory.of("people").values())
    operators = {GroupName.PLATFORM_ADMIN, GroupName.SECURITY}
    able = [item for item in people if operators & set(item.fields.get("groups", ()))]
    both = [item for item in able if operators <= set(item.fields["groups"])]
    chosen = next(iter([*both, *able, *people]), None)
    return chosen.label if chosen else ""


def _carry_out(run: Run, plan: Sequence[Step], around: Around) -> None:
    """Every phase for every step; what is refused is gathered, and then refused together."""
    problems: list[Problem] = []
    for kind, carry in PHASES:
        for step in plan:
            if step.item.kind != kind or (step.verb == Verb.KEEP and carry not in ALWAYS):
                continue
            if (kind, step.item.label) not in run.failed:
                with around(step):
                    problems += _carry_step(run, carry, step)
        if kind == "policies" and run.drafts and not problems:
            problems += _activate_policies(run)
    if problems:
        raise BadInventory(problems)


def _activate_policies(run: Run) -> list[Problem]:
    try:
        with transaction.atomic():
            authorization.activate_policies(run)
    except Unavailable:
        raise
    except GovernanceError as error:
        return _problems(run.drafts[0][0], error)
    return []


def _carry_step(run: Run, carry: Carry, step: Step) -> list[Problem]:
    try:
        with transaction.atomic():
            carry(run, step)
    except Unavailable:
        raise
    except ChangeOpen as error:
        step.waits.append(error.message)
    except Skipped:
        run.failed.add((step.item.kind, step.item.label))
    except GovernanceError as error:
        run.failed.add((step.item.kind, step.item.label))
        return _problems(step, error)
    return []


def _problems(step: Step, error: GovernanceError) -> list[Problem]:
    """The refusal beside the fields that it names, else beside the item."""
    label = f"{step.item.kind} {step.item.label}"
    found = [
        Problem(step.item.places.get(name, step.item.place), f"{label}: {sentence}")
        for name, sentences in error.fields.items()
        for sentence in sentences
    ]
    return found or [Problem(step.item.place, f"{label}: {error.message}")]


def _outcome(run: Run, plan: Sequence[Step], *, dry_run: bool) -> Outcome:
    added = run.secrets.added if run.secrets else []
    return Outcome(
        steps=plan,
        by=run.by.email,
        dry_run=dry_run,
        secrets=str(run.secrets.path) if run.secrets and added else "",
        issued=[entry["id"] for _, entry in added],
    )


def secret_file(path: str, *, append: bool = False) -> SecretFile | None:
    """Where new secrets go; None where nobody asked for them."""
    base_url = str(settings.MUSTER_BASE_URL)
    return SecretFile(path, base_url=base_url, append=append) if path else None
