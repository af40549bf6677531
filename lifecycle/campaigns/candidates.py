"""Rows and unregistered callers, looked up: who would own each, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from lifecycle.campaigns.reading import Row
from lifecycle.forms import RESERVED
from lifecycle.imports import Proposed
from lifecycle.imports.proposed import slug_of
from lifecycle.models.campaigns import CandidateState
from registry import rules
from registry.enums import CallerState
from registry.models import Agent, Person, UnregisteredCaller

CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Looked:
    """One candidate before it is kept: what the preview shows."""

    place: str
    proposed: Proposed
    problems: tuple[str, ...]
    owner: Person | None
    state: CandidateState
    agent: Agent | None = None
    caller: UnregisteredCaller | None = None

    @property
    def found(self) -> dict[str, object]:
        """What is kept of it."""
        kept = asdict(self.proposed)
        return {name: kept[name] for name in ("facts", "servers", "tools", "told")}


def look_up(rows: Sequence[Row], *, with_callers: bool = False) -> list[Looked]:
    """Every row with its proposed owner; in a fixed number of queries."""
    callers = _open_callers() if with_callers else []
    proposed = [*(row.proposed for row in rows), *(_of_caller(each) for each in callers)]
    slugs = Counter(each.slug for each in proposed)
    known = {agent.slug: agent for agent in Agent.objects.filter(slug__in=slugs)}
    people = _people({each.owner.lower() for each in proposed if each.owner})
    found = [_looked(row, slugs, known, people) for row in rows]
    places = zip(callers, proposed[len(rows) :], strict=True)
    return found + [_looked_caller(each, made, known) for each, made in places]


def _open_callers() -> list[UnregisteredCaller]:
    named = UnregisteredCaller.objects.filter(state=CallerState.OPEN).exclude(claimed="")
    return list(named.order_by("-count", "pk")[:1_000])


def _of_caller(caller: UnregisteredCaller) -> Proposed:
    told = f"It asked {caller.count:,} times, from {caller.source}."
    return Proposed(CALLER, slug_of(caller.claimed), caller.claimed, told=(told,))


def _people(emails: Iterable[str]) -> dict[str, Person]:
    return {person.email.lower(): person for person in Person.objects.filter(email__in=emails)}


def _looked(
    row: Row, slugs: Counter[str], known: dict[str, Agent], people: dict[str, Person]
) -> Looked:
    proposed = row.proposed
    if agent := known.get(proposed.slug):
        said = (*row.problems, f"{proposed.slug} is on the register, owned by {agent.owner}.")
        return Looked(row.place, proposed, said, None, CandidateState.KNOWN, agent)
    problems = (*row.problems, *_wrong_with(proposed, slugs))
    owner = people.get(proposed.owner.lower()) if proposed.owner else None
    if sentence := _why_not_owner(proposed, owner):
        return Looked(row.place, proposed, (*problems, sentence), None, CandidateState.UNOWNED)
    state = CandidateState.ASKED if owner else CandidateState.UNOWNED
    return Looked(row.place, proposed, problems, owner, state)


def _looked_caller(
    caller: UnregisteredCaller, proposed: Proposed, known: dict[str, Agent]
) -> Looked:
    taken = proposed.slug in known
    said = (f"{proposed.slug} is the name of an agent: who accepts it chooses another.",) * taken
    place = f"caller {caller.pk}"
    return Looked(place, proposed, said, None, CandidateState.UNOWNED, caller=caller)


def _wrong_with(proposed: Proposed, slugs: Counter[str]) -> list[str]:
    if not proposed.slug:
        return ["It has no name that the register takes: who accepts it gives it one."]
    if proposed.slug in RESERVED:
        return [f"{proposed.slug} stands for a page: who accepts it gives it another name."]
    if slugs[proposed.slug] > 1:
        return [f"{proposed.slug} stands {slugs[proposed.slug]} times in this list."]
    return []


def _why_not_owner(proposed: Proposed, owner: Person | None) -> str:
    if owner is not None:
        return rules.cannot_answer(owner) if not owner.may_act else ""
    if not proposed.owner:
        return "It names no owner. Security names one."
    return f"{proposed.owner[:120]} is nobody on the register. Security names an owner."
