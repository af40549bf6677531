"""Search (AuthZEN 1.0 section 8): who may call this, on what, and what may they do?

Candidates come from the register, and the walk of every decision judges each. Nothing is decided
here, no counter moves, and no candidate is recorded; that someone searched is.
"""

from authz.search.pages import Found
from authz.search.questions import Question, Searched, read_question
from authz.search.services import search

__all__ = ["Found", "Question", "Searched", "read_question", "search"]
