"""What the inbox shows of one thing that waits, by its kind. Nothing is changed here."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.urls import reverse

from governance import unseen
from governance.kernel.errors import NotFound
from governance.kernel.waiting import Waiting
from lifecycle.inbox import holds
from lifecycle.inbox.editing import fields_of
from lifecycle.inbox.entries import split
from lifecycle.reviews import page as review_page
from lifecycle.reviews import waiting as reviews
from lifecycle.rotation import services as rotations
from lifecycle.rotation import waiting as rotation
from registry import changes
from registry import waiting as register
from registry.models import Agent, Person, ProposedChange
from registry.pictures import picture_of
from registry.reach import PREFETCH, reach_of

MOST_CHARACTERS = 2_000
MOST_LINES = 40
MOST_TOLD = 60


def shown(waiting: Waiting, person: Person) -> dict[str, Any]:
    """Everything that the article of one thing shows."""
    kind, name = split(waiting.key)
    return {"waiting": waiting, "template": f"lifecycle/inbox/_{kind}.html"} | _SHOWN[kind](
        name, person
    )


def _change(name: str, person: Person) -> dict[str, Any]:
    found = register.answerable(person).filter(pk=int(name)).first()
    if found is None:
        raise NotFound()
    return {
        "change": found,
        "asked": review_page.of_change(found, person),
        "differences": differences(found),
        "own": found.proposed_by_id == person.pk,
        "why_not": changes.can_agree(found, person),
        "page": page_of(found),
        **_agent(found.agent),
    }


def differences(change: ProposedChange) -> list[tuple[str, str, str]]:
    """What differs, field by field, as text."""
    # Who must sign stands beside it, and is no part of the change.
    keys = sorted({*change.before, *change.after} - {"signs", "reach"})
    return [
        (key, _text(change.before.get(key)), _text(change.after.get(key)))
        for key in keys
        if change.before.get(key) != change.after.get(key)
    ]


def _text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=None, sort_keys=True)


def page_of(change: ProposedChange) -> tuple[str, str] | None:
    """Where the thing that changes is seen whole: its address and a word for it."""
    if change.kind.startswith("policy."):
        return reverse("policy", args=[change.target]), f"policy {change.target}"
    if change.agent:
        return reverse("agent", args=[change.agent]), change.agent
    if change.kind.startswith("system."):
        return reverse("system", args=[change.target.split("/")[0]]), change.target
    return None


def _review(name: str, person: Person) -> dict[str, Any]:
    review = reviews.open_for(person).filter(agent__slug=name).first()
    if review is None:
        raise NotFound()
    return review_page.page_of(review, person)


def clipped(words: str) -> tuple[str, bool]:
    """Words of an agent as far as a page shows them, and whether something was left out."""
    lines = "\n".join(words.split("\n")[:MOST_LINES])
    text = unseen.beginning(lines, characters=MOST_CHARACTERS, told=MOST_TOLD)
    return text, text != words


def _hold(name: str, person: Person) -> dict[str, Any]:
    found = holds.one(name, person)
    words, cut = clipped(found["held"].reasoning)
    return found | {
        "words": words,
        "cut": cut,
        "fields": fields_of(found["held"].parameters, found["tool"]),
        **_agent(found["hold"].agent),
    }


def _batch(name: str, person: Person) -> dict[str, Any]:
    found = holds.batch(name, person)
    said = [(*clipped(words), many) for words, many in found["words"]]
    return found | {"words": said, **_agent(found["holds"][0].agent)}


def _agent(slug: str) -> dict[str, Any]:
    agent = (
        Agent.objects.select_related("owner").filter(slug=slug).prefetch_related(*PREFETCH).first()
    )
    if agent is None:
        return {}
    reach = reach_of(agent)
    return {"agent": agent, "reach": reach, "picture": picture_of(agent.slug, reach)}


def _rotation(name: str, person: Person) -> dict[str, Any]:
    found = next((each for each in rotation.open_for(person) if str(each.pk) == name), None)
    if found is None:
        raise NotFound()
    return {
        "rotation": found,
        "name": rotations.name_of(found),
        "fetch": rotations.is_unfetched(found),
        "agent": found.agent,
    }


_SHOWN: dict[str, Callable[[str, Person], dict[str, Any]]] = {
    holds.HOLD: _hold,
    holds.BATCH: _batch,
    rotation.ROTATION: _rotation,
    register.CHANGE: _change,
    reviews.REVIEW: _review,
}
