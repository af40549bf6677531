"""From the names in a question to the slices that hold their facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from authz import snapshot
from authz.asks import Ask, Caller, adopted
from authz.engine.acting import givers_in
from authz.engine.types import Request, Slice, Snapshot
from authz.snapshot import WORLD, Held
from registry.models import Client, ExternalIdentity

# People have this id without any directory having given them one: their pseudonymous id.
OWN_SOURCE = "muster"

_SLUG = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_PID = re.compile(r"p_[0-9a-f]{20}")
_OPENED = re.compile(r"s-[0-9a-f]{32}")
_MAX_SLUG = 60


@dataclass(frozen=True, slots=True)
class Resolved:
    """A question with its facts: what the engine is given, and every slice that it rests on."""

    request: Request
    snapshot: Snapshot
    used: Mapping[str, Held]

    @property
    def revisions(self) -> dict[str, int]:
        """What the record's transaction compares."""
        return {key: held.revision for key, held in self.used.items()}


def is_opened(session: str) -> bool:
    """Is this a name that Muster gives to the sessions that it opens?"""
    return bool(_OPENED.fullmatch(session))


def resolve(ask: Ask, caller: Caller, *, secret_path: str = "") -> Resolved:
    """Look up who and what is named. A name that stands for nothing stays as a claim alone."""
    ask = adopted(ask, caller)
    used = snapshot.load([WORLD, caller.key])
    agent, claimed = _agent(ask, caller, used)
    source = _source(caller, used)
    opened = is_opened(ask.session)
    if opened:
        _use(f"session:{ask.session}", used)
    if ask.delegation:
        _use_chain(ask.delegation, used)
    request = Request(
        kind=ask.kind,
        tool=ask.tool,
        agent=agent,
        agent_claimed=claimed,
        person=_person(ask.person, source, used),
        person_claimed=ask.person,
        user=_person(ask.user, source, used),
        user_claimed=ask.user,
        gateway=caller.slug if caller.is_gateway else "",
        token=caller.token,
        parameters=ask.parameters,
        resource_type=ask.resource_type,
        resource_id=ask.resource_id,
        subject_type=ask.subject_type,
        subject_properties=ask.subject_properties,
        resource_properties=ask.resource_properties,
        session=ask.session,
        session_opened=opened,
        prompt_digest=ask.prompt_digest,
        code_reference=ask.code_reference,
        secret_path=secret_path,
        delegation=ask.delegation,
        chain=ask.chain,
        inputs=ask.read,
        untrusted=ask.untrusted,
        estimate=ask.estimate,
        approval=ask.approval,
    )
    return Resolved(request, snapshot_of(request, used), used)


def snapshot_of(request: Request, used: Mapping[str, Held]) -> Snapshot:
    """The slices that belong to a request, out of those that were loaded or kept for it."""

    def of(kind: str, name: str) -> Slice | None:
        return used[f"{kind}:{name}"].slice if name else None

    world = used[WORLD].slice
    assert world is not None  # noqa: S101 (its statement has a row whatever the tables hold)
    chain = of("chain", request.delegation)
    return Snapshot(
        world=world,
        agent=of("agent", request.agent),
        person=of("user", request.person),
        user=of("user", request.user),
        gateway=of("gateway", request.gateway),
        session=of("session", request.session if request.session_opened else ""),
        chain=chain,
        givers=tuple(of("agent", giver) for giver in givers_in(chain)),
    )


def _agent(ask: Ask, caller: Caller, used: dict[str, Held]) -> tuple[str, str]:
    """The agent's slug, "" where no row has it, and the name that was claimed for it.

    A client id names its agent as well; an agent's own token says which one asks.
    """
    claimed = ask.agent
    found = _agent_named(claimed, used) if claimed else ""
    if caller.is_gateway:
        return found, found or claimed
    return caller.slug, found or claimed or caller.slug


def _agent_named(claimed: str, used: dict[str, Held]) -> str:
    if len(claimed) <= _MAX_SLUG and _SLUG.fullmatch(claimed) and _use(f"agent:{claimed}", used):
        return claimed
    # A client never changes hands, so this needs no slice.
    known = Client.objects.filter(client_id=claimed, agent__isnull=False)
    slug = known.values_list("agent__slug", flat=True).first() or ""
    return slug if slug and _use(f"agent:{slug}", used) else ""


def _source(caller: Caller, used: Mapping[str, Held]) -> str:
    """The directory by whose ids the caller names people."""
    facts = used[caller.key].slice
    return str(facts.document["source"] if facts and caller.is_gateway else "") or OWN_SOURCE


def _person(claimed: str, source: str, used: dict[str, Held]) -> str:
    """The pseudonymous id of the person who goes by this name in that directory, or ""."""
    if not claimed:
        return ""
    pid = claimed if source == OWN_SOURCE else _pid_of(source, claimed)
    if not _PID.fullmatch(pid) or not _use(f"user:{pid}", used):
        return ""
    if source == OWN_SOURCE or _is_known_as(used[f"user:{pid}"], source, claimed):
        return pid
    # The slice is older than the name that was just found: read it again, once.
    snapshot.drop([f"user:{pid}"])
    _use(f"user:{pid}", used)
    return pid if _is_known_as(used[f"user:{pid}"], source, claimed) else ""


def _pid_of(source: str, claimed: str) -> str:
    known = ExternalIdentity.objects.filter(source=source, external_id=claimed)
    return known.values_list("person__pid", flat=True).first() or ""


def _is_known_as(held: Held, source: str, claimed: str) -> bool:
    personal = held.slice.document["personal"] if held.slice else {"identities": []}
    return [source, claimed] in personal["identities"]


def _use_chain(delegation: str, used: dict[str, Held]) -> None:
    _use(f"chain:{delegation}", used)
    for giver in givers_in(used[f"chain:{delegation}"].slice):
        _use(f"agent:{giver}", used)


def _use(key: str, used: dict[str, Held]) -> bool:
    """Load a slice into those that are used; is there such a row?"""
    used.update(snapshot.load([key]))
    return used[key].slice is not None
