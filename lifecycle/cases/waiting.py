"""What of cases waits for a person: one kind of entry for each kind of case."""

from __future__ import annotations

from governance.kernel import clock
from governance.kernel.waiting import Waiting
from lifecycle.cases import kinds, rules
from lifecycle.models.cases import Case, CaseKind
from registry.models import Person

# What the inbox calls them.
KINDS = tuple(str(kind) for kind in CaseKind)


def waiting_for(person: Person) -> list[Waiting]:
    """Each open case that concerns this person, as an entry of the inbox."""
    if not person.may_act:
        return []
    return [_entry(case, person) for case in kinds.open_for(person)]


def _entry(case: Case, person: Person) -> Waiting:
    kind = kinds.of(case)
    return Waiting(
        key=f"{kind.kind}:{case.pk}",
        kind=str(kind.kind),
        title=kind.question(case),
        text=f"{kind.because(case)} {rules.sentence_of(case, clock.now())}",
        since=case.opened_at,
        expires_at=case.due_at,
        on_expiry=kind.on_expiry,
        agent=case.agent.slug,
        why_not=kind.why_not(case, person),
    )


def found_for(kind_name: str, pk: str, person: Person) -> Case | None:
    """One of them by its key, if it concerns this person."""
    if not pk.isdecimal() or len(pk) > 18:
        return None
    return kinds.open_for(person).filter(kind=kind_name, pk=int(pk)).first()
