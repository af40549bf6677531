"""Notices: what a person is told, unasked.

`notify` is the one way in; `page` does it for everyone in some groups. It writes in the caller's
transaction; the sweep `notices` sends after the commit, tries again, and says what could not be
sent.
"""

from lifecycle.models.notices import Severity
from lifecycle.notices.services import notify, page

__all__ = ["Severity", "notify", "page"]
