"""The Cedar names of what the register knows.

A resource type's slug becomes an entity type by a rule that never maps two slugs to one name:
`crm-record` is `CrmRecord`, `crm_record` is `Crm__record`, `crm.record` is `Crm___record`, a digit
that begins a part keeps a `_` before it, and a name that is taken already ends in `_`.
"""

from __future__ import annotations

import re

NAMESPACE = "Muster"
ACTION = "Muster::Action"
AGENT = "Muster::Agent"
PERSON = "Muster::Person"
ROLE = "Muster::Role"
SYSTEM = "Muster::System"
TEAM = "Muster::Team"

# What callers and relationships call a person.
PERSON_WORDS = ("person", "user", "identity")

_BUILT_IN = {
    **dict.fromkeys(PERSON_WORDS, PERSON),
    "agent": AGENT,
    "team": TEAM,
    "group": TEAM,
    "role": ROLE,
    "system": SYSTEM,
}
_TAKEN = frozenset({"Action", "Agent", "Person", "Role", "System", "Team"})
_JOINT = re.compile(r"([-_.])(.)")


def type_name(slug: str) -> str:
    """The entity type of a resource type, without its namespace."""
    first = slug[:1].upper() if not slug[:1].isdigit() else "_" + slug[:1]
    name = first + _JOINT.sub(_joined, slug[1:])
    return name + "_" if name in _TAKEN else name


def _joined(match: re.Match[str]) -> str:
    mark, following = match.groups()
    if mark == "-":
        return following.upper() if following.isalpha() else "_" + following
    return ("__" if mark == "_" else "___") + following


def entity_type(slug: str) -> str:
    """The full entity type of a resource type."""
    return f"{NAMESPACE}::{type_name(slug)}"


def subject_entity_type(word: str, resource_types: frozenset[str]) -> str:
    """The entity type of a relationship's subject, "" where policies do not know such a thing."""
    if word in _BUILT_IN:
        return _BUILT_IN[word]
    return entity_type(word) if word in resource_types else ""


def relation_attribute(relation: str, subject: str) -> str:
    """The attribute that holds those who are `relation` of a resource.

    `owner` of a person is `owner`, `owner` of a team is `owner_team`; a relation that is named
    like the type of its subject stands alone (`team`).
    """
    word = _word(subject)
    relation = _plain(relation)
    if relation == word or (word == "person" and relation not in _BUILT_IN):
        return relation
    return f"{relation}_{word}"


def _word(subject: str) -> str:
    found = _BUILT_IN.get(subject, "")
    return found.rpartition("::")[2].lower() if found else _plain(subject)


def _plain(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


def system_group(system: str) -> str:
    """The action group of a system's tools. No tool's name can hold an equals sign."""
    return f"system={system}"


def effect_group(effect: str) -> str:
    """The action group of the tools with one effect."""
    return f"effect={effect}"
