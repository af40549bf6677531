"""The one guard of the row: what may be given to an agent, said from its state and its owner.

Tokens, decisions and leases all ask here, so that no path can forget a state.
"""

from __future__ import annotations

ACTIVE = "active"
LEFT = "left"
ANSWERING = frozenset({"employed", "leaving"})
NOT_ACTIVE = "identity.not_active"
OWNER_LEFT = "identity.owner_left"


def row_refusal(state: str, owner_employment: str) -> str | None:
    """The code of the refusal for an agent in `state` whose owner stands so; None: it may act.

    An owner who is leaving still answers for their agents; one who has left does not. Anything
    but the exact words refuses.
    """
    if state != ACTIVE:
        return NOT_ACTIVE
    if owner_employment not in ANSWERING:
        return OWNER_LEFT
    return None
