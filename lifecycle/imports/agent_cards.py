"""A2A agent cards: what an agent says of itself to other agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifecycle.imports.proposed import Draft, Proposed, host_of, listed, mapping

KIND = "agent_card"


def is_card(value: Any) -> bool:
    """Whether this looks like an agent card: a name, and skills or a place to call it."""
    card = mapping(value)
    marks = {"skills", "supportedInterfaces", "defaultInputModes", "protocolVersion"}
    return isinstance(card.get("name"), str) and not marks.isdisjoint(card)


def read_card(card: Mapping[str, Any]) -> Proposed:
    """The agent that a card describes. A card proves nothing, and skills grant nothing."""
    draft = Draft(KIND)
    draft.call(card.get("name"))
    draft.say("purpose", card.get("description"))
    draft.say("builder", mapping(card.get("provider")).get("organization"))
    draft.say("code_reference", card.get("version"))
    draft.say("runs_at", host_of(_address(card)))
    skills = [mapping(each) for each in listed(card.get("skills"))]
    draft.add_tools(each.get("id") for each in skills)
    if skills:
        draft.tell(
            "Its skills were looked up as tools. A skill grants nothing: tick what it may call."
        )
    if card.get("signatures"):
        draft.tell("The card is signed. Muster did not check by whom.")
    return draft.done()


def _address(card: Mapping[str, Any]) -> Any:
    """Where it is called: the one address of older cards, the first interface of newer ones."""
    interfaces = [mapping(each) for each in listed(card.get("supportedInterfaces"))]
    return card.get("url") or next((each.get("url") for each in interfaces), None)
