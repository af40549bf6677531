"""Rows of which one person adds one, while what would refuse less waits for a second.

Denied signatures and the decision points of others are kept so: `save`, `remove`, and `apply` once
somebody has agreed. Each call is made within the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from authz.models import ExternalPDP, Signature
from authz.services.recording import record
from registry import changes
from registry.errors import ChangeOutdated
from registry.models import Person, ProposedChange
from registry.services.saving import (
    Saved,
    assign,
    check_alone,
    found,
    keep,
    locked,
    plain,
    remove,
)

Terms = Mapping[str, Any]
R = TypeVar("R", Signature, ExternalPDP)


@dataclass(frozen=True, slots=True)
class Guarded(Generic[R]):
    """One kind of such rows.

    `what` names one to people, `word` in the record (`signature_added`, `signature:SLUG`), `kind`
    among proposed changes. `terms` are the fields by which it refuses; `waiting` says which of the
    new ones wait, given those in force. `told` stays readable in the record, `sealed` is payload.
    """

    model: type[R]
    what: str
    word: str
    kind: str
    terms: Sequence[str]
    check: Callable[[R], None]
    waiting: Callable[[Terms, Terms], Terms]
    summary: Callable[[R, Terms], str]
    told: Callable[[R], Terms]
    sealed: Callable[[R], Terms]

    def save(
        self, made: Callable[[], R], *, slug: str, by: Person, alone: bool, fields: Terms
    ) -> Saved[R]:
        """Change the row of this slug, or the one that `made` makes."""
        check_alone(alone)
        row = found(self.model, self.what, slug=slug)
        created = row is None
        row = row or made()
        before = self.terms_of(row)
        changed = assign(row, fields)
        self.check(row)
        new = {name: plain(changed[name][1]) for name in self.terms if name in changed}
        at_once = created or alone or not before["is_active"]
        waiting = {} if at_once else self.waiting(before, new)
        for name in waiting:
            setattr(row, name, before[name])
        kept = sorted(set(changed) - set(waiting))
        if created or kept:
            keep(row, by)
            self._record("added" if created else "changed", row, by, kept)
        proposed = (self._propose(row, waiting, by),) if waiting else ()
        return Saved(row, created=created, changed=tuple(kept), proposed=proposed)

    def remove(self, *, slug: str, by: Person, alone: bool) -> Saved[R]:
        """Take a row out. One in force stays until a second person agrees."""
        check_alone(alone)
        row = locked(self.model, self.what, slug=slug)
        if row.is_active and not alone:
            return Saved(row, proposed=(self._propose(row, {}, by),))
        self._remove(row, by)
        return Saved(row, changed=("removed",))

    def apply(self, change: ProposedChange, by: Person) -> None:
        """Change or remove a row as was agreed, if it still is as it was shown."""
        row = locked(self.model, self.what, slug=change.target)
        if self.terms_of(row) != change.before:
            raise ChangeOutdated()
        if change.after == {"removed": True}:
            self._remove(row, by)
            return
        assign(row, change.after)
        self.check(row)
        keep(row, by)
        self._record("changed", row, by, sorted(change.after), proposed_by=change.proposed_by)

    def terms_of(self, row: R) -> dict[str, Any]:
        """What the row says of each term, as plain data."""
        return {name: plain(getattr(row, name)) for name in self.terms}

    def _propose(self, row: R, after: Terms, by: Person) -> ProposedChange:
        return changes.propose(
            kind=self.kind,
            target=row.slug,
            summary=self.summary(row, after),
            before=self.terms_of(row),
            after=after or {"removed": True},
            by=by,
        )

    def _remove(self, row: R, by: Person) -> None:
        self._record("removed", row, by, [])
        remove(row, by)

    def _record(
        self,
        did: str,
        row: R,
        by: Person,
        changed: Sequence[str],
        proposed_by: Person | None = None,
    ) -> None:
        record(
            f"{self.word}_{did}",
            by=by,
            resource=f"{self.word}:{row.slug}",
            told={
                **self.told(row),
                **({"changed": list(changed)} if changed else {}),
                **({"proposed_by": proposed_by.pid} if proposed_by else {}),
            },
            sealed=self.sealed(row),
        )
