"""Every write about rotation: what Muster rotates by itself, and what it asks people for.

Run twice, at once or days late it comes to the same: a key is rotated once for each time that it
falls due, under the day on which it was due, and its owner hears of it once.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from audit import services as audit
from audit.enums import Kind
from governance.kernel import clock
from governance.kernel.errors import Conflict, GovernanceError, Invalid, NotFound
from lifecycle.models import KeptScope, Rotation, RotationState
from lifecycle.models.rotation import OPEN
from lifecycle.notices import Severity, notify
from lifecycle.rotation import rules, selectors
from lifecycle.rotation.selectors import Due
from registry import guard, permissions, vault
from registry import services as register
from registry.enums import AgentState
from registry.identity import clients
from registry.identity.clients import Issued
from registry.models import Agent, Client, CredentialReference, Person, Tool
from registry.models.credentials import OVER
from registry.permissions import Automatic
from registry.selectors import answering_for
from registry.services.saving import locked

ACTOR = Automatic("rotation")
S = RotationState
# A rotation that takes longer has died, and is taken up again.
CLAIM = timedelta(minutes=10)
STEP = "step:"
GONE = "It is gone."


# The sweep


def due(now: datetime) -> list[str]:
    """Keys that fell due, and rotations that go on."""
    steps = [f"{STEP}{pk}" for pk in selectors.steps_due(now)]
    return [*(each.handle for each in selectors.due_keys(now)), *steps]


def handle(key: str | int, now: datetime) -> bool:
    """One of them. A vault may be waited for, so it may not run inside a transaction."""
    said = str(key)
    if said.startswith(STEP):
        return _go_on(int(said.removeprefix(STEP)), now)
    agent_id, name, _ = said.split(" ", 2)
    rotation = _open(int(agent_id), name, now)
    if rotation is None:
        return False
    if rotation.state == S.RUNNING:
        _rotate_in_vault(rotation.pk, now)
    return True


@transaction.atomic(durable=True)
def _open(agent_id: int, key: str, now: datetime) -> Rotation | None:
    """Begin the rotation of a key that is due still; the agent's lock keeps a second one off."""
    agent = locked(Agent, "agent", pk=agent_id)
    if guard.refusal(agent) is not None:
        return None
    found = selectors.one_due(agent, key)
    if found is None or found.due_on > now.astimezone(UTC).date():
        return None
    if Rotation.objects.filter(agent=agent, key=key, state__in=OPEN).exists():
        return None
    if Rotation.objects.filter(agent=agent, key=key, due_on=found.due_on).exists():
        return None
    rotation = Rotation(
        agent=agent, key=key, due_on=found.due_on, opened_at=now, next_at=now, state=S.RUNNING
    )
    if key == rules.CLIENT:
        _rotate_client(rotation, now)
    else:
        _begin_credential(rotation, found, now)
    return rotation


def _rotate_client(rotation: Rotation, now: datetime) -> None:
    """The agent's own secret: a new one, and the earlier one for a while."""
    until = now + timedelta(days=settings.MUSTER_ROTATION_OVERLAP_DAYS)
    client = Client.objects.get(agent=rotation.agent)
    clients.rotate_with_overlap(client=client, by=ACTOR, until=until)
    rotation.state, rotation.rotated_at, rotation.overlap_until = S.OVERLAP, now, until
    rotation.save()
    _record("rotation_begun", rotation)
    _tell(rotation, "rotation.fetch", until=f"{until:%Y-%m-%d %H:%M} UTC")


def _begin_credential(rotation: Rotation, found: Due, now: datetime) -> None:
    """Claimed here; the vault is asked after the commit."""
    rotation.next_at = now + CLAIM
    rotation.save()
    _record("rotation_begun", rotation)


def _rotate_in_vault(rotation_id: int, now: datetime) -> None:
    rotation = Rotation.objects.select_related("agent").get(pk=rotation_id)
    credential = _credential_of(rotation)
    if credential is None:
        _finish(rotation_id, now, GONE)
        return
    if sentence := vault.can_rotate(credential):
        _ask_people(rotation_id, sentence)
        return
    overlap = timedelta(hours=settings.MUSTER_OVERLAP_HOURS)
    try:
        vault.rotate(credential.reference, by=ACTOR, overlap=overlap)
    except GovernanceError as error:
        _failed(rotation_id, error.message, now)
        return
    _rotated(rotation_id, now, now + overlap)


def _go_on(rotation_id: int, now: datetime) -> bool:
    """The next step of a rotation that is open."""
    rotation = Rotation.objects.select_related("agent").filter(pk=rotation_id).first()
    if rotation is None or rotation.state == S.DONE:
        return False
    if rotation.state == S.OVERLAP:
        return _watch_overlap(rotation_id, now)
    if _is_answered(rotation):
        return _finish(rotation_id, now)
    if rotation.state == S.WAITING or not _claim(rotation, now):
        return False
    _rotate_in_vault(rotation_id, now)
    return True


def _is_answered(rotation: Rotation) -> bool:
    """Whether the key was changed since, by whomever, or is none any more."""
    if rotation.agent.state == AgentState.DECOMMISSIONED:
        return True
    found = selectors.one_due(rotation.agent, rotation.key)
    return found is None or found.due_on > rotation.due_on


def _claim(rotation: Rotation, now: datetime) -> bool:
    """Of several that would try it again, one does."""
    ready = Rotation.objects.filter(
        pk=rotation.pk, state__in=[S.RUNNING, S.FAILED], next_at__lte=now
    )
    return bool(ready.update(state=S.RUNNING, next_at=now + CLAIM))


@transaction.atomic(durable=True)
def _watch_overlap(rotation_id: int, now: datetime) -> bool:
    """Tell again while nobody has fetched the new secret; end the earlier one in time."""
    rotation = locked(Rotation, "rotation", pk=rotation_id)
    if rotation.state != S.OVERLAP or rotation.overlap_until is None:
        return False
    fetched = not is_unfetched(rotation)
    if now < rotation.overlap_until:
        if fetched or rotation.reminded:
            return False
        rotation.reminded = True
        rotation.save(update_fields=["reminded"])
        return _tell(
            rotation, "rotation.remind", until=f"{rotation.overlap_until:%Y-%m-%d %H:%M} UTC"
        )
    if rotation.key == rules.CLIENT:
        clients.end_overlap(client=Client.objects.get(agent=rotation.agent), by=ACTOR)
    _close(rotation, now, "" if fetched else "Nobody fetched the new secret in time.")
    if not fetched:
        _tell(rotation, "rotation.not_fetched")
    return True


def is_unfetched(rotation: Rotation) -> bool:
    """Whether the new secret of an agent still lies here, for its owner or itself."""
    if rotation.key != rules.CLIENT:
        return False
    client = Client.objects.filter(agent=rotation.agent).first()
    return bool(client and client.sealed_secret)


@transaction.atomic(durable=True)
def _rotated(rotation_id: int, now: datetime, until: datetime) -> None:
    rotation = locked(Rotation, "rotation", pk=rotation_id)
    rotation.state, rotation.rotated_at, rotation.overlap_until = S.OVERLAP, now, until
    rotation.attempts, rotation.failure = rotation.attempts + 1, ""
    rotation.save()
    _record("rotation_done", rotation)


@transaction.atomic(durable=True)
def _failed(rotation_id: int, why: str, now: datetime) -> None:
    rotation = locked(Rotation, "rotation", pk=rotation_id)
    rotation.attempts += 1
    rotation.state, rotation.failure = S.FAILED, why[:300]
    rotation.next_at = now + rules.pause_after(rotation.attempts)
    rotation.save()
    _record("rotation_failed", rotation, attempts=rotation.attempts)
    _tell(rotation, "rotation.failed", why=why)


@transaction.atomic(durable=True)
def _ask_people(rotation_id: int, why: str) -> None:
    rotation = locked(Rotation, "rotation", pk=rotation_id)
    rotation.state, rotation.failure = S.WAITING, why[:300]
    rotation.save()
    _tell(rotation, "rotation.by_hand", why=why)


@transaction.atomic(durable=True)
def _finish(rotation_id: int, now: datetime, why: str = "") -> bool:
    rotation = locked(Rotation, "rotation", pk=rotation_id)
    if rotation.state == S.DONE:
        return False
    _close(rotation, now, why)
    return True


def _close(rotation: Rotation, now: datetime, why: str = "", by: Person | None = None) -> None:
    rotation.state, rotation.done_at, rotation.done_by = S.DONE, now, by
    rotation.failure = why
    rotation.save()
    _record("rotation_closed", rotation, by)


@transaction.atomic
def close_of_agent(*, agent: Agent, why: str) -> int:
    """Close what goes on for an agent that has ended; how many. Done twice, it is done once."""
    rows = Rotation.objects.select_for_update(of=("self",), no_key=True).select_related("agent")
    still = list(rows.filter(agent=agent, state__in=OPEN).order_by("pk"))
    for rotation in still:
        _close(rotation, clock.now(), why)
    return len(still)


# People


@transaction.atomic
def confirm_rotated(*, rotation_id: int, by: Person) -> Rotation:
    """Someone's word that they changed a credential where it lies."""
    rotation = locked(Rotation, "rotation", pk=rotation_id)
    permissions.check_can_change_agent(rotation.agent, by)
    credential = _credential_of(rotation)
    if rotation.state not in {S.WAITING, S.FAILED} or credential is None:
        raise Conflict("This rotation does not wait for anybody.")
    today = clock.now().date()
    register.add_credential_reference(
        agent_id=rotation.agent_id,
        reference=credential.reference,
        by=by,
        system=credential.system,
        scope=credential.scope,
        rotated_on=today,
    )
    _close(rotation, clock.now(), by=by)
    return rotation


def fetch_secret(*, rotation_id: int, by: Person) -> Issued:
    """The new secret of an agent, shown to its owner this once."""
    rotation = Rotation.objects.filter(pk=rotation_id, key=rules.CLIENT).first()
    client = Client.objects.filter(agent=rotation.agent_id).first() if rotation else None
    if client is None:
        raise NotFound()
    return clients.fetch_secret(client=client, by=by)


def narrow_scope(
    *,
    agent_id: int,
    narrow: Collection[str],
    keep: Collection[str],
    by: Person,
    reason: str = "",
) -> int:
    """Take away what is not used, and note what stays although it is not; how much went.

    Only what is unused now can be answered so. A credential is revoked, which may ask its vault.
    """
    agent = _locked_for(agent_id, by)
    unused = {each.name: each for each in selectors.scopes_of(agent, clock.now()) if each.unused}
    if unknown := {*narrow, *keep} - unused.keys():
        raise Conflict(f"{min(unknown)} is in use by now, or gone. Look again.")
    if keep and not reason.strip():
        raise Invalid("Say why it keeps what it does not use.", fields={"reason": ["Say why."]})
    _answer(agent, [unused[name] for name in narrow], sorted(keep), by, reason)
    for name in narrow:
        if unused[name].kind == rules.CREDENTIAL:
            days = settings.MUSTER_SCOPE_DAYS
            vault.revoke(name, by=by, reason=f"Not used for {days} days.")
    return len(narrow)


def _locked_for(agent_id: int, by: Person) -> Agent:
    agent = Agent.objects.select_related("owner").filter(pk=agent_id).first()
    if agent is None:
        raise NotFound("There is no such agent.")
    permissions.check_can_change_agent(agent, by)
    return agent


@transaction.atomic
def _answer(
    agent: Agent, narrow: list[selectors.Scope], keep: list[str], by: Person, reason: str
) -> None:
    now = clock.now()
    for scope in narrow:
        if scope.kind != rules.CREDENTIAL:
            tool = Tool.objects.get(name=scope.name)
            register.remove_allowlist_entry(agent_id=agent.pk, tool=tool, by=by)
    until = now + timedelta(days=settings.MUSTER_SCOPE_DAYS)
    for name in keep:
        KeptScope.objects.update_or_create(
            agent=agent,
            tool=name,
            defaults={"until": until, "reason": reason.strip()[:300], "by": by, "at": now},
        )
    audit.record(
        kind=Kind.REGISTRY,
        actor=by.pid,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        asked={
            "did": "scope_answered",
            "narrowed": [each.name for each in narrow],
            "kept": keep,
            "days": settings.MUSTER_SCOPE_DAYS,
        },
        payload={"reason": reason} if reason.strip() else {},
    )


# Parts


def _credential_of(rotation: Rotation) -> CredentialReference | None:
    pk = int(rotation.key.partition("-")[2] or 0)
    found = CredentialReference.objects.select_related("agent", "system").filter(pk=pk)
    return found.exclude(state__in=OVER).first()


def name_of(rotation: Rotation) -> str:
    """What a person calls the key."""
    if rotation.key == rules.CLIENT:
        return "its own secret"
    pk = int(rotation.key.partition("-")[2] or 0)
    found = CredentialReference.objects.filter(pk=pk).values_list("reference", flat=True).first()
    return found or "a credential that is gone"


def _tell(rotation: Rotation, code: str, **more: str) -> bool:
    """Whoever answers for the agent, once for each thing that happened to this rotation."""
    context: dict[str, Any] = {"agent": rotation.agent.slug, "key": name_of(rotation), **more}
    told = [
        notify(
            person=person,
            severity=Severity.INFO,
            code=code,
            context=context,
            event=f"{code}:{rotation.pk}",
        )
        for person in answering_for(rotation.agent)
    ]
    return any(told)


def _record(did: str, rotation: Rotation, by: Person | None = None, **more: Any) -> None:
    audit.record(
        kind=Kind.REGISTRY,
        actor=by.pid if by else ACTOR.pid,
        agent=rotation.agent.slug,
        resource=f"agent:{rotation.agent.slug}",
        asked={
            "did": did,
            "what": rotation.key,
            "due_on": rotation.due_on.isoformat(),
            **more,
        },
    )
