"""Evidence: named queries on live tables and the record, and how a control stands by its rule.

Evidence for a control is not a claim that a law is kept.
"""

from compliance.evidence.asking import Asking, ask
from compliance.evidence.look import Look, look_asked, look_at
from compliance.evidence.status import Answered, Found
from compliance.evidence.types import Evidence, Exceptional, Figure, Query, Table, queries

__all__ = [
    "Answered",
    "Asking",
    "Evidence",
    "Exceptional",
    "Figure",
    "Found",
    "Look",
    "Query",
    "Table",
    "ask",
    "look_asked",
    "look_at",
    "queries",
]
