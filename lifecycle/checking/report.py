"""The answer as a document and as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from governance.kernel import clock
from lifecycle.checking.findings import Finding, findings_of, look_at


@dataclass(frozen=True, slots=True)
class Checked:
    """One agent with what was found."""

    slug: str
    state: str
    tier: str
    at: str
    findings: Sequence[Finding]

    @property
    def passed(self) -> bool:
        """Nothing of it stops a pipeline."""
        return not any(each.fails for each in self.findings)


def check_agent(agent_id: int) -> Checked:
    """Look at an agent as it is at this instant."""
    now = clock.now()
    looked = look_at(agent_id, now)
    return Checked(
        looked.agent.slug,
        looked.agent.state,
        str(looked.reach.tier),
        now.isoformat(),
        findings_of(looked),
    )


def document(checked: Checked) -> dict[str, Any]:
    """What `--json` prints and REST answers."""
    return {
        "agent": checked.slug,
        "state": checked.state,
        "tier": checked.tier,
        "at": checked.at,
        "passed": checked.passed,
        "findings": [
            {"code": each.code, "sentence": each.sentence, "fails": each.fails}
            for each in checked.findings
        ],
    }


def lines(checked: Checked) -> Iterator[str]:
    """What people read in a pipeline's log."""
    for each in checked.findings:
        yield f"{'fail' if each.fails else 'note'}  {each.code}: {each.sentence}"
    word = "is in order" if checked.passed else "is not in order"
    yield f"{checked.slug} ({checked.state}, {checked.tier}) {word}."
