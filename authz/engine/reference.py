"""The reference pages of the checks and the codes, written from the enumerations.

`python -m authz.engine.reference docs/reference` writes them; a test fails when they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

from authz.engine.codes import CODES, REMEDIES, Code
from authz.engine.types import Check, Status
from authz.engine.walk import CHECKS

_NOTE = "<!-- Written by `python -m authz.engine.reference docs/reference`. Do not edit. -->"
_WALK = (
    "A decision is one walk through thirteen named checks, always in this order. The first "
    "refusal decides; otherwise the first hold does; otherwise the call is allowed."
)
_CODE = (
    "A code is `<check>.<cause>`. It never changes its name or its meaning. The sentence is "
    "made when it is shown; words in braces are filled in from the record."
)

_ASKS: dict[Check, str] = {
    Check.IDENTITY: "Is it known who asks and who acts, is the row active, its owner employed, "
    "the token current and the identity pattern kept?",
    Check.DELEGATION: "Does every link of the chain hold, and is none wider than the one above?",
    Check.CONSENT: "Has the user who is acted for granted this agent this tool?",
    Check.ALLOWLIST: "Is the tool in the agent's row, by exactly this name?",
    Check.PARAMETERS: "Do the parameters meet the tool's schema and the row's narrowing, carry "
    "no credential and no denied signature, and name the resource that was asked about?",
    Check.ROLE: "Does a role of the agent, and of the user, grant the tool?",
    Check.POLICY: "Does no policy forbid the call, and does one permit it where policies govern "
    "the tool, and do [the decision points outside](../howto/ask-another-pdp.md) that it names "
    "allow it as well?",
    Check.FLOW: "Does the data go level or up, never to a lower tier?",
    Check.TAINT: "Has the session read nothing hostile before a consequential call?",
    Check.RATE: "Is the call within the rate per minute and per hour?",
    Check.SPEND: "Does the reservation fit the day's cap?",
    Check.QUOTA: "Are writes left in this window?",
    Check.GATE: "Is no human's word needed: amount, records, destruction, permissions, recipients?",
}
_MEANS: dict[Status, str] = {
    Status.PASSED: "the check found nothing against the call",
    Status.REFUSED: "the check refused; it decides, and the walk ends",
    Status.HELD: "a human must release the call; the walk goes on, a later refusal wins",
    Status.ERROR: "the check failed; that is a refusal",
    Status.NOT_APPLICABLE: "the check has no question here, such as consent without a user",
    Status.NOT_BUILT: "this version of Muster does not have the check yet",
    Status.NOT_REACHED: "an earlier check refused",
}


def checks_page() -> str:
    """The thirteen checks and the seven statuses."""
    rows = [
        f"| {number} | `{check}` | {_ASKS[check]} | {'yes' if CHECKS[check] else 'not yet'} |"
        for number, check in enumerate(Check, 1)
    ]
    statuses = [f"| `{status}` | {_MEANS[status]} |" for status in Status]
    return "\n".join(
        [
            "# Checks",
            "",
            _NOTE,
            "",
            _WALK,
            "",
            "| | check | asks | built |",
            "|---|---|---|---|",
            *rows,
            "",
            "## Statuses",
            "",
            "| status | means |",
            "|---|---|",
            *statuses,
            "",
        ]
    )


def codes_page() -> str:
    """Every code by check, then the remedies."""
    lines = [
        "# Reason codes",
        "",
        _NOTE,
        "",
        _CODE,
    ]
    for check in Check:
        lines += ["", f"## {check}", "", "| code | sentence | reason | remedies |"]
        lines += ["|---|---|---|---|"]
        lines += [_row(code) for code in CODES.values() if code.check is check]
    lines += ["", "## Remedies", "", "| kind | says |", "|---|---|"]
    lines += [f"| `{kind}` | {text} |" for kind, text in REMEDIES.items()]
    return "\n".join([*lines, ""])


def _row(code: Code) -> str:
    remedies = ", ".join(f"`{kind}`" for kind in code.remedies) or "none"
    reserved = " (reserved, not given yet)" if code.reserved else ""
    reason = code.reason or "the code"
    return f"| `{code.code}`{reserved} | {code.sentence} | {reason} | {remedies} |"


PAGES = {"checks.md": checks_page, "codes.md": codes_page}


def write(folder: Path) -> None:
    """Write both pages into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
