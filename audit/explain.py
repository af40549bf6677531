"""What a record says to people. Apps above know what their entries mean and say so here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Explanation:
    """A record in words: the title is the answer; `walk` has a sentence for each check."""

    title: str
    lede: str = ""
    walk: tuple[Mapping[str, Any], ...] = ()
    remedies: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()


_explainers: dict[str, Callable[[Body], Explanation]] = {}


def use(kind: str, explain: Callable[[Body], Explanation]) -> None:
    """Explain entries of `kind` by `explain`; called when the apps are ready."""
    _explainers[kind] = explain


def explanation(body: Body) -> Explanation:
    """The entry in words; a plain one where no app claimed its kind."""
    if not body:
        return Explanation(title="This entry was tampered with")
    explain = _explainers.get(str(body["kind"]))
    return explain(body) if explain else _plain(body)


def _plain(body: Body) -> Explanation:
    did = str(body.get("asked", {}).get("did", body.get("kind", "entry")))
    words = did.replace("_", " ")
    subject = body.get("agent") or body.get("resource") or ""
    return Explanation(title=f"{words[:1].upper()}{words[1:]}{f': {subject}' if subject else ''}")
