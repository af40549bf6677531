"""What the record holds around one handle: reads that stay as small as what is shown."""

from __future__ import annotations

from audit.incident.reading import (
    ALWAYS,
    MOST,
    MOST_NAMES,
    Call,
    Children,
    Kin,
    Places,
    Related,
    Span,
    Subject,
    Window,
    around,
    children_of,
    edges,
    known,
    last_at,
    places_of,
    related_runs,
    runs_of,
    window,
)

__all__ = [
    "ALWAYS",
    "MOST",
    "MOST_NAMES",
    "Call",
    "Children",
    "Kin",
    "Places",
    "Related",
    "Span",
    "Subject",
    "Window",
    "around",
    "children_of",
    "edges",
    "known",
    "last_at",
    "places_of",
    "related_runs",
    "runs_of",
    "window",
]
