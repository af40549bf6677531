"""What a self-test says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from governance.kernel.errors import GovernanceError


class Refused(GovernanceError):
    """The answer was no."""

    code = "refused"


@dataclass(frozen=True, slots=True)
class Try:
    """One way that was tried for one row. `given` says what came out of it; empty for a no."""

    way: str
    row: str
    given: str
    code: str = ""
    sentence: str = ""
    milliseconds: int = 0

    @property
    def is_given(self) -> bool:
        return bool(self.given)


@dataclass(frozen=True, slots=True)
class Report:
    """Every try. `broken` are ways that an active row did not get through either."""

    started_at: datetime
    seconds: float
    tries: Sequence[Try]
    broken: Sequence[Try]

    @property
    def total(self) -> int:
        return len(self.tries)

    @property
    def given(self) -> Sequence[Try]:
        """The tries that should have been refused."""
        return [each for each in self.tries if each.is_given]

    @property
    def holds(self) -> bool:
        """Nothing was given, and every way was one."""
        return bool(self.tries) and not self.given and not self.broken

    @property
    def sentence(self) -> str:
        """The result, for people."""
        if self.given:
            return f"{len(self.given)} of {self.total} tries were given something."
        if self.broken:
            return f"{len(self.broken)} ways do not work for an active row, so they prove nothing."
        return f"All {self.total} tries were refused."
