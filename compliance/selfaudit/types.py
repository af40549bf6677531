"""A point of the self-audit, and what looking at it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.urls import reverse

from compliance.evidence import Exceptional, Look


@dataclass(frozen=True, slots=True)
class Answer:
    """What is not as the point asks, one row each; and what to say where nothing is.

    `unknown` says why nobody can tell, where there is nothing to look at.
    """

    rows: Sequence[Exceptional]
    met: str
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """Where what is not met is mended."""

    label: str
    page: str
    query: str = ""

    @property
    def url(self) -> str:
        address = reverse(self.page)
        return f"{address}?{self.query}" if self.query else address


@dataclass(frozen=True, slots=True)
class Point:
    """One of the sixteen. `beyond` is what of it Muster cannot see from where it stands."""

    number: int
    title: str
    looks_at: str
    fix: Fix
    asks: Callable[[Look], Answer]
    beyond: str = ""
