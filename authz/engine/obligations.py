"""Obligations: what whoever goes on must do besides.

The label of what was read follows from the call. The rest is asked for by annotations of the
permits that decided: `@redact("/customer/iban,/notes")`, `@notify("dpo")`, `@log("reason")`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from authz.engine.types import Json
from governance.kernel.tiers import TIERS, highest

MAX_PATHS = 20
MAX_WORDS = 300

Obligation = Mapping[str, Json]

# RFC 6901, where a comma parts one from the next.
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+\Z")


def label(classification: str, run: str) -> tuple[Obligation, ...]:
    """To mark what was read with its tier, or its run's where that is higher; not for public."""
    tier = highest([tier for tier in (classification, run) if tier])
    return () if tier == TIERS[0] else ({"kind": "label", "classification": tier},)


def of_annotations(annotations: Mapping[str, Json]) -> tuple[Obligation, ...]:
    """What a permit asks for; ValueError where an annotation is known and not right."""
    for name, value in annotations.items():
        if name in _KINDS and (fault := fault_in(name, value)):
            raise ValueError(fault)
    return tuple(
        {"kind": name, **read(str(annotations[name]))}
        for name, (read, _) in _KINDS.items()
        if name in annotations
    )


def fault_in(name: str, value: Json) -> str:
    """What is wrong with an annotation, as a sentence; "" if nothing is."""
    if name not in _KINDS:
        known = ", ".join(f"@{each}" for each in _KINDS)
        return f"There is no annotation @{name}. Use one of {known}."
    if name == "redact":
        pointers = _paths(str(value or ""))
        right = len(pointers) <= MAX_PATHS and all(map(_POINTER.match, pointers))
    else:
        right = 0 < len(str(value or "").strip()) <= MAX_WORDS
    return "" if right else f"@{name} needs {_KINDS[name][1]}."


def sentence(obligation: Obligation) -> str:
    """The obligation for people; one that a later version wrote is told by its kind."""
    kind = str(obligation["kind"])
    words = {name: _listed(value) for name, value in obligation.items()}
    try:
        return _SENTENCES[kind].format_map(words)
    except KeyError:
        return f"Do what {kind} means to the caller."


def _listed(value: Json) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def distinct(obligations: Iterable[Obligation]) -> list[Obligation]:
    """Each once, as they come."""
    found: list[Obligation] = []
    for each in obligations:
        if each not in found:
            found.append(each)
    return found


def _paths(value: str) -> list[str]:
    return [path.strip() for path in value.split(",")]


_SENTENCES = {
    "label": "Treat what comes back as {classification}.",
    "redact": "Take {paths} out of what comes back.",
    "notify": "Tell {who}.",
    "log": "Write down: {reason}",
}
_KINDS: dict[str, tuple[Callable[[str], Obligation], str]] = {
    "redact": (
        lambda value: {"paths": _paths(value)},
        f'places in what comes back, such as "/customer/iban,/notes", at most {MAX_PATHS}',
    ),
    "notify": (
        lambda value: {"who": value.strip()},
        f'who is told, such as "dpo", in at most {MAX_WORDS} characters',
    ),
    "log": (
        lambda value: {"reason": value.strip()},
        f'a reason, such as "pays more than usual", of at most {MAX_WORDS} characters',
    ),
}
