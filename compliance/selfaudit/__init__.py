"""The self-audit: sixteen points about this installation, each looked at when it is asked for."""

from compliance.selfaudit.standing import Found, Standing, stand
from compliance.selfaudit.types import Answer, Point

__all__ = ["Answer", "Found", "Point", "Standing", "stand"]
