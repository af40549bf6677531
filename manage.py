#!/usr/bin/env python
"""Django's command line; `./muster WORD` runs it in the environment of an installation."""

import os
import sys

from django.core.management import execute_from_command_line

from governance.kernel import checks

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
    checks.refuse_wrong_settings()
    execute_from_command_line(sys.argv)
