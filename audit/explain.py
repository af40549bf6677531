"""What a record says to people. Apps above know what their entries mean and say so here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Behind:
    """One part of a call's chain: a person by pseudonymous id, an agent or a tool by name.

    `does` says in a few words what became of it towards the next, `stopped` that it ended there.
    """

    kind: str
    id: str
    does: str = ""
    stopped: bool = False


@dataclass(frozen=True)
class Explanation:
    """A record in words: the title is the answer; `walk` has a sentence for each check.

    `chain` is who is behind a call, from the user to the tool; () where nobody else is.
    """

    title: str
    lede: str = ""
    walk: tuple[Mapping[str, Any], ...] = ()
    remedies: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    chain: tuple[Behind, ...] = ()


_explainers: dict[str, Callable[[Body], Explanation]] = {}


def use(kind: str, explain: Callable[[Body], Explanation]) -> None:
    """Explain entries of `kind` by `explain`; called when the apps are ready."""
    _explainers[kind] = explain


def explanation(body: Body) -> Explanation:
    """The entry in words; a plain one where no app claimed its kind."""
    if not body:
        return Explanation(title="This entry was tampered with")
    explain = _explainers.get(str(body["kind"]))
    return explain(body) if explain else plain(body)


def plain(body: Body) -> Explanation:
    """The entry by what was done and to what, as no app explains it."""
    did = str(body.get("asked", {}).get("did", body.get("kind", "entry")))
    words = did.replace("_", " ")
    subject = body.get("agent") or body.get("resource") or ""
    return Explanation(title=f"{words[:1].upper()}{words[1:]}{f': {subject}' if subject else ''}")
