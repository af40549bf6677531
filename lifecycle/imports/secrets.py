"""Secrets in a configuration: found by name and by look, said by name, never kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from audit.redactor import find_secret
from registry.references import wrong_with

# Our own fixed patterns, on texts whose length is bounded by the size of the file.
_SECRET_NAME = re.compile(
    r"(?i)token|secret|passw|pwd|passphrase|credential|cookie|authorization|api[_-]?key|auth$|key$"
)
# A value that only says where the secret is: ${input:token}, $TOKEN, %TOKEN%, vault://…, <token>.
_REFERENCE = re.compile(r"\$\{[^}]*\}|\$[A-Za-z_]\w*|%\w+%|<[^>]*>|\{\{[^}]*\}\}|")
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token)\s+")


def secrets_in(named: Any) -> Iterator[str]:
    """The names (of variables, headers) whose value is a secret rather than a reference to one."""
    for name, value in (named if isinstance(named, Mapping) else {}).items():
        if isinstance(value, str) and is_secret(str(name), value):
            yield str(name)


def is_secret(name: str, value: str) -> bool:
    """Whether this value, under this name, is a secret."""
    bare = _SCHEME.sub("", value.strip(), count=1)
    if _REFERENCE.fullmatch(bare) or _is_vault_path(bare):
        return False
    return bool(_SECRET_NAME.search(name)) or find_secret({name: value}) is not None


def _is_vault_path(value: str) -> bool:
    return "://" in value and "@" not in value and not wrong_with(value)
