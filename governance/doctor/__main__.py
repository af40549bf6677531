"""`python -m governance.doctor`: the same command, also where settings stop every process."""

from __future__ import annotations

import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from governance.doctor import outside, telling


def main(arguments: list[str]) -> int:
    """Run the command `doctor`. 1 where something failed, among it the settings themselves."""
    try:
        django.setup()
    except (ImproperlyConfigured, ValueError, OSError) as error:
        # Only Muster's own sentence is sure to repeat no value.
        named = isinstance(error, ImproperlyConfigured)
        why = str(error) if named else f"A setting cannot be read ({type(error).__name__})."
        told = telling.as_json if "--json" in arguments else telling.as_text
        print(told(outside.findings(why)))
        return 1
    execute_from_command_line(["muster", "doctor", *arguments])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
