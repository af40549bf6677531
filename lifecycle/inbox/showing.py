"""What the inbox shows of one thing that waits, by its kind. Nothing is changed here."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from django.urls import reverse

from authz.services.pdps import PDP_KIND
from authz.services.toxic import TOXIC_KIND
from governance import unseen
from governance.kernel.errors import NotFound
from governance.kernel.waiting import Waiting
from governance.pictures import combined_picture
from lifecycle.break_glass import waiting as emergencies
from lifecycle.campaigns import selectors as campaigns
from lifecycle.cases import kinds
from lifecycle.cases import waiting as cases
from lifecycle.decommissioning import waiting as ending
from lifecycle.inbox import added, holds
from lifecycle.inbox.editing import fields_of
from lifecycle.inbox.entries import split
from lifecycle.reviews import page as review_page
from lifecycle.reviews import waiting as reviews
from lifecycle.reviews.periodic import waiting as periodic
from lifecycle.rotation import services as rotations
from lifecycle.rotation import waiting as rotation
from lifecycle.toxic import selectors
from lifecycle.toxic import waiting as toxic
from registry import changes
from registry import waiting as register
from registry.models import Agent, Person, ProposedChange
from registry.pictures import picture_of
from registry.reach import PREFETCH, reach_of

MOST_CHARACTERS = 2_000
MOST_LINES = 40
MOST_TOLD = 60
MOST_CANDIDATES = 200


def shown(waiting: Waiting, person: Person) -> dict[str, Any]:
    """Everything that the article of one thing shows."""
    kind, name = split(waiting.key)
    if kind in (brought := added.kinds()):
        return {"waiting": waiting} | brought[kind].shown(name, person)
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


# Kinds whose target has a page: its name, and the word for it where that is not the target.
_PAGES = {
    TOXIC_KIND: ("toxic_combination", ""),
    PDP_KIND: ("pdp", ""),
    "subject.erase": ("subject_request", "the request"),
}
# Kinds whose targets stand together on one page.
_LISTS = {
    "grant.beforehand": ("grants_beforehand", "what is approved beforehand"),
    "legal_hold.lift": ("legal_holds", "legal holds"),
    "record.drop": ("retention", "the record by month"),
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
    if change.kind in _PAGES:
        name, word = _PAGES[change.kind]
        return reverse(name, args=[change.target]), word or change.target
    if change.kind in _LISTS:
        name, word = _LISTS[change.kind]
        return reverse(name), word
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


def _campaign(name: str, person: Person) -> dict[str, Any]:
    asked = list(campaigns.asked_of(person).filter(campaign=int(name))[:MOST_CANDIDATES])
    if not asked:
        raise NotFound()
    return {"campaign": asked[0].campaign, "candidates": asked}


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


def _toxic(name: str, person: Person) -> dict[str, Any]:
    found = toxic.answerable(person).filter(pk=int(name)).first() if name.isdecimal() else None
    if found is None:
        raise NotFound()
    return {"finding": found, "picture": combined_picture(selectors.picture_of(found))}


def _ending(name: str, person: Person) -> dict[str, Any]:
    order = ending.order_for(person, name)
    if order is None:
        raise NotFound()
    return {"order": order, "agent": order.agent}


def _emergency(name: str, person: Person) -> dict[str, Any]:
    used = emergencies.found_for(person, name)
    if used is None:
        raise NotFound()
    return {"used": used}


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


def _periodic(name: str, person: Person) -> dict[str, Any]:
    found = periodic.found_for(name, person)
    if found is None:
        raise NotFound()
    return {"review": found, "signatures": review_page.signatures_of(found, person)} | _agent(
        found.agent.slug
    )


def _case(kind: str, name: str, person: Person) -> dict[str, Any]:
    found = cases.found_for(kind, name, person)
    if found is None:
        raise NotFound()
    place = kinds.of(found).place(found)
    return {"template": "lifecycle/inbox/_case.html", "case": found, "place": place}


_SHOWN: dict[str, Callable[[str, Person], dict[str, Any]]] = {
    holds.HOLD: _hold,
    holds.BATCH: _batch,
    rotation.ROTATION: _rotation,
    ending.ENDING: _ending,
    emergencies.EMERGENCY: _emergency,
    register.CHANGE: _change,
    reviews.REVIEW: _review,
    periodic.PERIODIC: _periodic,
    toxic.TOXIC: _toxic,
    campaigns.KIND: _campaign,
    **{kind: partial(_case, kind) for kind in cases.KINDS},
}
