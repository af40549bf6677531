"""What names and references may look like."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

SLUG = r"^[a-z0-9]+(?:[-_.][a-z0-9]+)*\Z"
TOOL_NAME = r"^[A-Za-z0-9_]+(?:[.:/-][A-Za-z0-9_]+)*\Z"

slug = RegexValidator(
    SLUG, "Use lower-case letters, digits, and single - _ . between them, such as refund-desk."
)
tool_name = RegexValidator(
    TOOL_NAME, "Use letters, digits, _ and single . : / - between them, such as crm.update_status."
)


def plain_text(value: str) -> None:
    """Refuse control characters, which no name or sentence needs."""
    if any(ord(character) < 32 and character not in "\t\n\r" for character in value):
        raise ValidationError("Control characters are not allowed here.")
