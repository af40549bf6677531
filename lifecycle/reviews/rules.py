"""Who signs. The rule itself is the register's, since activation asks it too."""

from __future__ import annotations

from registry.signing import DPO, OWNER, SECURITY, SOURCE_OWNER, Step, steps_for, unsigned

__all__ = ["DPO", "OWNER", "SECURITY", "SOURCE_OWNER", "Step", "steps_for", "unsigned"]
