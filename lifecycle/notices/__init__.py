"""Notices: what a person is told, unasked.

`notify` is the one way in. It writes in the caller's transaction; the sweep `notices` sends after
the commit, tries again, and says what could not be sent.
"""

from lifecycle.models.notices import Severity
from lifecycle.notices.services import notify

__all__ = ["Severity", "notify"]
