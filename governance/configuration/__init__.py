"""The settings of Muster: each one declared once, read strictly, and described from there.

`declared` says what there is; `given` reads it all from an environment, or names everything that
is wrong with it; `reference` writes docs/reference/settings.md.
"""

from governance.configuration.given import WrongSettings, faults, read, unknown_names

__all__ = ["WrongSettings", "faults", "read", "unknown_names"]
