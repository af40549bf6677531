"""Names that Muster's own tool has, so that nobody else's does."""

from __future__ import annotations

from governance.kernel.errors import Invalid

# An agent reads a credential of its own; see `registry.vault` and `authz.slices`.
TOOL = "credential.read"
SYSTEM = "muster"
ROLE = "muster.credentials"
_TAKEN = frozenset({TOOL, SYSTEM, ROLE})


def check_not_taken(name: str, field: str) -> None:
    """Refuse to give something new a name that decisions know as Muster's own."""
    if name.lower() in _TAKEN:
        sentence = f"{name} is a name of Muster's own. Choose another one."
        raise Invalid(sentence, fields={field: [sentence]})
