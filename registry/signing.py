"""Who must sign a row before it runs: computed from what it reaches, never chosen. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.conf import settings

from governance.kernel import tiers
from registry.enums import AgreementKind, Tier

if TYPE_CHECKING:
    from registry.reach import Combination, Place, Reach

OWNER, SECURITY, DPO, SOURCE_OWNER = "owner", "security", "dpo", "source_owner"
DAYS = {Tier.PUBLIC: 0, Tier.INTERNAL: 0, Tier.CONFIDENTIAL: 2, Tier.RESTRICTED: 5}
# What others than the owner look at takes at least as long as what is confidential.
DAYS_OF_OTHERS = DAYS[Tier.CONFIDENTIAL]
# A category with one of these words is data about people, with one of those about their health.
ABOUT_PEOPLE = frozenset({
    "customer", "customers", "employee", "employees", "personal", "pii", "hr", "compensation",
})  # fmt: skip
ABOUT_HEALTH = frozenset({"phi", "patient", "patients", "health", "medical", "diagnosis"})


@dataclass(frozen=True, slots=True)
class Step:
    """One signature: by whom, for which systems where it is their owners', in how many days."""

    role: str
    systems: tuple[str, ...] = ()
    days: int = 0
    why: tuple[str, ...] = ()


def steps_for(reach: Reach, *, over_ceiling: bool = False) -> tuple[Step, ...]:
    """Whose word a row needs, in the order in which pages name them."""
    why: dict[str, list[str]] = {}
    for role, sentence in (*_by_tier(reach), *_by_limits(reach, over_ceiling), *_by_data(reach)):
        why.setdefault(role, []).append(sentence)
    if not why:
        return (Step(OWNER, days=0, why=(f"It is {reach.tier}.",)),)
    sources = sources_of(reach)
    days = days_of(reach, others=True)
    return tuple(
        Step(role, sources if role == SOURCE_OWNER else (), days, tuple(why[role]))
        for role in (SECURITY, DPO, SOURCE_OWNER)
        if role in why
    )


def days_of(reach: Reach, *, others: bool) -> int:
    """In how many business days: the longest that anything about the row asks for."""
    if reach.combinations:
        return DAYS[Tier.RESTRICTED]
    return max(DAYS[reach.tier], DAYS_OF_OTHERS if others else 0)


def sources_of(reach: Reach) -> tuple[str, ...]:
    """The systems whose data the toxic combinations are made of."""
    found = {name for each in reach.combinations for name in _sources(reach, each)}
    return tuple(sorted(found))


def _sources(reach: Reach, combination: Combination) -> set[str]:
    places = (*reach.reads, *reach.writes)
    read = {one.system for one in reach.reads if combination.categories & set(one.categories)}
    any_way = {one.system for one in places if combination.categories & set(one.categories)}
    return read or any_way or {one.system for one in reach.reads}


def _by_tier(reach: Reach) -> Iterator[tuple[str, str]]:
    for each in reach.combinations:
        together = " and ".join(sorted(each.categories)).replace("-", " ").replace("_", " ")
        for role in (SECURITY, DPO, SOURCE_OWNER):
            yield role, f"It brings {together} together, which is {each.tier}."
    if reach.combinations or reach.tier == Tier.RESTRICTED:
        for role in (SECURITY, DPO):
            yield role, f"It is {reach.tier}."
    elif reach.tier == Tier.CONFIDENTIAL:
        yield SECURITY, f"It is {reach.tier}."


def _by_limits(reach: Reach, over_ceiling: bool) -> Iterator[tuple[str, str]]:
    over = reach.over_ceiling or (("limits above the ceilings",) if over_ceiling else ())
    if over:
        yield SECURITY, f"It asks for {', '.join(over)}."


def _by_data(reach: Reach) -> Iterator[tuple[str, str]]:
    for place, categories in providers_reached(reach):
        for sentence in _missing(place, categories):
            yield DPO, sentence


def providers_reached(reach: Reach) -> Iterator[tuple[Place, set[str]]]:
    """Providers, each once, with the categories that lie there or that may flow there."""
    found: dict[str, tuple[Place, set[str]]] = {}
    homes = [reach.home] if reach.home else []
    for place in (*reach.reads, *reach.writes, *homes):
        if place.provider:
            _, categories = found.setdefault(place.system, (place, set()))
            categories.update(place.categories)
            if place not in reach.reads:
                categories.update(_flowing(reach, place))
    yield from (found[name] for name in sorted(found))


def _flowing(reach: Reach, to: Place) -> set[str]:
    """What is read no higher than `to`: anything above it is refused on its way there."""
    limit = tiers.rank(to.tier)
    return {name for one in reach.reads if tiers.rank(one.tier) <= limit for name in one.categories}


def _missing(place: Place, categories: Collection[str]) -> Iterator[str]:
    approved: frozenset[str] = settings.MUSTER_APPROVED_COUNTRIES
    if place.country not in approved:
        where = f"in {place.country}" if place.country else "in a country that is not said"
        yield f"{place.provider} ({place.system}) is {where}, outside the approved countries."
    if has_words(categories, ABOUT_HEALTH) and AgreementKind.BAA not in place.agreements:
        yield f"Health data reaches {place.provider} ({place.system}) without a BAA."
    about_people = has_words(categories, ABOUT_PEOPLE | ABOUT_HEALTH)
    if about_people and AgreementKind.DPA not in place.agreements:
        yield f"Personal data reaches {place.provider} ({place.system}) without a DPA."


def has_words(categories: Collection[str], words: frozenset[str]) -> bool:
    """Whether a category has one of these words in its name."""
    parts = (name.replace("_", "-").replace(".", "-").split("-") for name in categories)
    return any(words.intersection(each) for each in parts)


@dataclass(frozen=True, slots=True)
class Word:
    """Who gave their word in which role, and for which system where it is of its owner."""

    role: str
    person: int
    system: str = ""


def unsigned(steps: Sequence[Step], words: Sequence[Word]) -> tuple[Step, ...]:
    """The steps that lack a word where everyone counts in one role: two hats are one head.

    A source step is narrowed to the systems whose owners have not given theirs.
    """
    slots = [(step.role, system) for step in steps for system in step.systems or ("",)]
    open_slots = set(_unfilled(slots, words, {}))
    left = []
    for step in steps:
        systems = tuple(each for each in step.systems if (step.role, each) in open_slots)
        if systems or (step.role, "") in open_slots:
            left.append(replace(step, systems=systems))
    return tuple(left)


Slot = tuple[str, str]


def _unfilled(
    slots: Sequence[Slot], words: Sequence[Word], roles: Mapping[int, str]
) -> tuple[Slot, ...]:
    """The fewest slots that stay open, given who counts in which role already."""
    if not slots:
        return ()
    (role, system), rest = slots[0], slots[1:]
    people = sorted(
        {
            word.person
            for word in words
            if (word.role, word.system) == (role, system) and roles.get(word.person, role) == role
        }
    )
    best: tuple[Slot, ...] = ((role, system), *_unfilled(rest, words, roles))
    for person in people:
        found = _unfilled(rest, words, {**roles, person: role})
        if len(found) < len(best):
            best = found
        if not best:
            break
    return best


NAMES = {
    OWNER: "its owner",
    SECURITY: "security",
    DPO: "the data protection officer",
    SOURCE_OWNER: "the owner of",
}


def who(step: Step) -> str:
    """Who a step waits for, as it stands in a sentence."""
    return " ".join([NAMES[step.role], ", ".join(step.systems)]).strip()


def whom(steps: Sequence[Step]) -> str:
    """The same for several."""
    names = [who(step) for step in steps]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def by_tier_alone(reach: Reach) -> bool:
    """Whether nothing but its tier asks for signatures: what a template may stand in for."""
    others = (*_by_limits(reach, False), *_by_data(reach))
    return not reach.combinations and not others


def roles_of(steps: Sequence[Step]) -> tuple[str, ...]:
    """The roles alone."""
    return tuple(step.role for step in steps)
