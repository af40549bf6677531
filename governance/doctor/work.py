"""What goes on in the background, and what people and keys are missing for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.core.exceptions import ImproperlyConfigured

from audit.anchors import selectors as anchors_at
from audit.siem import selectors as streams_at
from authz import selectors as access
from governance import health
from governance.doctor.verdict import Here, Verdict, fail, ok, warn
from governance.kernel import keys
from governance.kernel.database_clock import database_now
from governance.kernel.errors import GovernanceError
from lifecycle.models import Rotation
from lifecycle.models.rotation import OPEN
from lifecycle.notices import selectors as notices_of
from registry import selectors, vault
from registry.identity.keys import keyring as token_keys
from registry.vault import keyring

OLD = timedelta(days=365)
TOKENS, VAULT = "tokens", "the vault"
ROTATE = {TOKENS: "rotate_token_key", VAULT: "rotate_vault_key"}


def _part(name: str, well: str, todo: str) -> Callable[[Here], Verdict]:
    """The check of a part that `/readyz` looks at as well."""

    def look(here: Here) -> Verdict:
        state = health.state_of(name)
        return ok(well) if state == health.OK else fail(state, todo)

    return look


beat = _part(
    "beat",
    "Beat, the queue and a worker do their work.",
    "See that ./muster up runs; worker.log and beat.log in logs/ say why one of them does not.",
)
sweeps = _part(
    "sweeps",
    "Every sweep ended a run in time.",
    "Its page /sweeps/ and worker.log in logs/ say what it failed on.",
)
sealer = _part(
    "sealer",
    "The record is sealed to its end.",
    "See that the sealer runs; docs/howto/seal.md says what each alarm asks for.",
)


def anchors(here: Here) -> Verdict:
    """Whether a place outside has taken the newest of the record in time."""
    try:
        found = anchors_at.standing()
    except (GovernanceError, ImproperlyConfigured) as error:
        return fail(str(error), "Put MUSTER_ANCHORS right: docs/reference/anchors.md.")
    last = (
        f" The last was taken at {found.anchored_at:%Y-%m-%d %H:%M:%S}Z."
        if (found.anchored_at)
        else ""
    )
    said = f"{found.sentence}{last}"
    if found.late:
        return fail(said, "Try each of them: ./muster anchors try NAME.")
    if not found.outside:
        return warn(said, "Set up a place outside in MUSTER_ANCHORS: docs/reference/anchors.md.")
    return ok(said)


def streams(here: Here) -> Verdict:
    """Whether each receiver takes the record in time, and where its cursor is."""
    try:
        found = streams_at.standing()
    except (GovernanceError, ImproperlyConfigured) as error:
        return fail(str(error), "Put MUSTER_STREAMS right: docs/reference/exports.md.")
    late = [each.sentence for each in found if each.late]
    if late:
        return fail(" ".join(late), "Try it: ./muster streams try NAME. A cursor: … move NAME.")
    if not found:
        return ok("No stream is set up.")
    return ok(" ".join(f"{each.stream.name}: {each.position} of {each.size}." for each in found))


def decision_points(here: Here) -> Verdict:
    """Whether a decision point outside, which calls have to ask, kept silent when last seen."""
    silent = access.silent_pdps()
    if silent:
        said = [
            f"{each.pdp.slug} is silent ({each.cause}) since {each.since:%Y-%m-%d %H:%M}Z."
            for each in silent
        ]
        return fail(
            " ".join([*said, "Every call that has to ask it is refused."]),
            "Send a sample from its page, and tell who answers for it: "
            + ", ".join(sorted({str(each.pdp.owner) for each in silent}))
            + ".",
        )
    count = access.pdps_in_force()
    return ok(f"{count} in force, and no silence was seen." if count else "None is asked.")


def notices(here: Here) -> Verdict:
    """Whether something that somebody should have been told could not be sent."""
    many = notices_of.not_sent().count()
    if not many:
        return ok("Every notice was sent.")
    said = "1 notice was not sent." if many == 1 else f"{many} notices were not sent."
    return warn(said, "The page /sweeps/ says why; a mail server is named in MUSTER_EMAIL_URL.")


def vaults(here: Here) -> Verdict:
    """Whether each vault answers; asked here alone, as some lie far away."""
    found = vault.health()
    faults = [f"{scheme}:// {fault}" for scheme, fault in found.items() if fault]
    if faults:
        return fail(" ".join(faults), "See docs/reference/vault.md.")
    return ok(f"{', '.join(f'{scheme}://' for scheme in found)} answers.")


def key_ages(here: Here) -> Verdict:
    """How old the keys are that have a command to rotate them, and which agents' are overdue."""
    now = datetime.now(UTC)
    ages = {name: now - at for name, at in _made_at().items()}
    overdue = Rotation.objects.filter(state__in=OPEN, due_on__lt=database_now().date()).count()
    said = " ".join(f"The key of {name} is {age.days} days old." for name, age in ages.items())
    todo = [f"Rotate it: ./muster {ROTATE[name]}." for name, age in ages.items() if age > OLD]
    if overdue:
        one = overdue == 1
        said += f" {overdue} {'key of an agent is' if one else 'keys of agents are'} overdue."
        todo.append("See /rotation/ for whom each waits for.")
    return warn(said.strip(), " ".join(todo)) if todo else ok(said)


def _made_at() -> dict[str, datetime]:
    """When each of them was made, as far as it is known."""
    found = {}
    if ours := token_keys(keys.folder()).current()[1]:
        found[TOKENS] = datetime.fromtimestamp(ours[-1].made_at, UTC)
    if keyring.path().is_file():
        found[VAULT] = datetime.fromtimestamp(keyring.path().stat().st_mtime, UTC)
    return found


def security(here: Here) -> Verdict:
    """Whether two people can agree to each other's changes."""
    if selectors.has_separation_of_duties():
        return ok("Two people or more are in security.")
    return warn(
        "Fewer than two people are in security, so nothing that widens can be agreed to.",
        "Put a second person into the group security.",
    )
