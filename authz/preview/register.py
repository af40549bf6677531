"""The register as it stands now, and as it would stand after a change, slice by slice.

Read straight from the database, past the slices that this process keeps for deciding, and read
once: both sides of a comparison rest on the same facts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from audit.payloads import canonical
from authz import slices
from authz.engine.types import Document, Json, Request, Slice, Snapshot
from authz.preview.changes import Change
from authz.replay import Kept, Question, held_by
from authz.resolve import OWN_SOURCE, snapshot_of
from authz.slices import WORLD
from authz.snapshot import Held
from registry.models import ExternalIdentity

# What the register says; whatever else a decision rested on was so at its time and stays so.
STANDING = frozenset({"global", "agent", "user", "gateway"})
# What stands in those slices and is no fact of the register, so that it stays as it was then: what
# an agent had read before, and what a person had consented to.
STAYS = {"agent": "carried", "user": "grants"}
LONGEST_SLUG = 60
PID_LENGTH = 22
MAX_HELD = 20_000


@dataclass(frozen=True, slots=True)
class Sides:
    """One request with the facts of both sides."""

    request: Request
    before: Snapshot
    after: Snapshot


@dataclass(frozen=True, slots=True)
class _Pair:
    """One slice as it is and as it would be."""

    before: Held
    after: Held


class Register:
    """Slices on both sides of `change`, read as they are asked for."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._pairs: dict[str, _Pair] = {}
        self._people: dict[tuple[str, str], str] = {}
        self._kept = Kept()
        self._read([WORLD])

    def load(self, questions: Iterable[Question]) -> None:
        """Read what these questions need, in a fixed number of queries."""
        asked = list(questions)
        if len(self._pairs) > MAX_HELD:
            self._pairs = {WORLD: self._pairs[WORLD]}
            self._people.clear()
        self._read(_key("gateway", each.request.gateway) for each in asked)
        self._read_people({one for each in asked for one in self._names(each.request)})
        self._read(key for each in asked for key in self._keys(each))

    def sides(self, question: Question) -> Sides:
        """A question of today with the facts of both sides; it must have been loaded."""
        request = self._named(question.request)
        named = question.said["judged"]["slices"]
        kept = {key: at for key, at in named.items() if key.partition(":")[0] not in STANDING}
        used = held_by(question, kept, self._kept)
        then = self._stayed(question)
        before = {key: _with(pair.before, then) for key, pair in self._of(question)}
        after = {key: _with(pair.after, then) for key, pair in self._of(question)}
        return Sides(
            request,
            snapshot_of(request, {**used, **before}),
            snapshot_of(request, {**used, **after}),
        )

    def _stayed(self, question: Question) -> Mapping[str, Mapping[str, Json]]:
        """Of each slice what it said then of `STAYS`, by the slice's key."""
        found = {}
        for key, (_, digest) in question.said["judged"]["slices"].items():
            name = STAYS.get(key.partition(":")[0])
            if name and digest:
                found[key] = {name: self._kept.document(digest).get(name) or {}}
        return found

    def _of(self, question: Question) -> Iterable[tuple[str, _Pair]]:
        gateway = _key("gateway", question.request.gateway)
        for key in {WORLD, gateway, *self._keys(question)} - {""}:
            yield key, self._pairs[key]

    def _named(self, request: Request) -> Request:
        """Who is meant now by the names that were sent."""
        agent = request.agent or self._known("agent", request.agent_claimed)
        return replace(
            request,
            agent=agent,
            person=self._person(request, request.person_claimed),
            user=self._person(request, request.user_claimed),
        )

    def _known(self, kind: str, name: str) -> str:
        pair = self._pairs.get(_key(kind, name))
        return name if pair and pair.before.slice else ""

    def _person(self, request: Request, claimed: str) -> str:
        source = self._source(request)
        pid = claimed if source == OWN_SOURCE else self._people.get((source, claimed), "")
        return self._known("user", pid) if pid else ""

    def _source(self, request: Request) -> str:
        pair = self._pairs.get(_key("gateway", request.gateway))
        facts = pair.before.slice if pair else None
        return str(facts.document["source"] if facts else "") or OWN_SOURCE

    def _names(self, request: Request) -> Iterable[tuple[str, str]]:
        source = self._source(request)
        if source != OWN_SOURCE:
            claimed = (request.person_claimed, request.user_claimed)
            yield from ((source, name) for name in claimed if name)

    def _keys(self, question: Question) -> Iterable[str]:
        """Who asks and is meant, and every agent of the chain that it came through."""
        request = question.request
        if request.delegation:
            named = question.said["judged"]["slices"]
            yield from (key for key in named if key.startswith("agent:"))
        source = self._source(request)
        yield _key("agent", request.agent or request.agent_claimed)
        for claimed in (request.person_claimed, request.user_claimed):
            pid = claimed if source == OWN_SOURCE else self._people.get((source, claimed), "")
            yield _key("user", pid)

    def _read_people(self, names: set[tuple[str, str]]) -> None:
        missing = names - self._people.keys()
        if not missing:
            return
        sources, claimed = ({name[part] for name in missing} for part in (0, 1))
        rows = ExternalIdentity.objects.filter(source__in=sources, external_id__in=claimed)
        found = rows.values_list("source", "external_id", "person__pid")
        self._people |= dict.fromkeys(missing, "")
        self._people |= {(source, name): pid for source, name, pid in found}

    def _read(self, keys: Iterable[str]) -> None:
        missing = {key for key in keys if key} - self._pairs.keys()
        for each in slices.read(sorted(missing)):
            self._pairs[each.key] = self._pair(each)

    def _pair(self, each: slices.Read) -> _Pair:
        before = _held(each.key, each.revision, each.document)
        if each.document is None:
            return _Pair(before, before)
        changed = self._changed(each.key, each.document)
        if changed is each.document:
            return _Pair(before, before)
        return _Pair(before, _held(each.key, each.revision, changed))

    def _changed(self, key: str, document: Document) -> Document:
        kind = key.partition(":")[0]
        apply = {
            WORLD: self._change.world,
            "agent": self._change.agent,
            "user": self._change.person,
        }.get(kind)
        return apply(document) if apply else document


def _with(held: Held, then: Mapping[str, Mapping[str, Json]]) -> Held:
    """A slice with what stays as it was; any other as it is."""
    part, stays = held.slice, then.get(held.key)
    if part is None or stays is None or stays.items() <= part.document.items():
        return held
    return _held(held.key, held.revision, {**part.document, **stays})


def _key(kind: str, name: str) -> str:
    """The slice of a name; "" for none, and for what can be no name of that kind."""
    longest = PID_LENGTH if kind == "user" else LONGEST_SLUG
    return f"{kind}:{name}" if name and len(name) <= longest and "\0" not in name else ""


def _held(key: str, revision: int, document: Document | None) -> Held:
    if document is None:
        return Held(key, revision, None)
    digest = hashlib.sha256(canonical(document)).hexdigest()
    return Held(key, revision, Slice(key, revision, digest, document))
