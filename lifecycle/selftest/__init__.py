"""No row, no key, shown: every way to get something is tried for agents that may get nothing.

The agents are made for it inside a transaction that is rolled back, through the services that
serve everyone, and each way is first tried for an active one, which must get it: a way that
nobody gets through proves nothing.
"""

from lifecycle.selftest.report import Report, Try
from lifecycle.selftest.running import run

__all__ = ["Report", "Try", "run"]
