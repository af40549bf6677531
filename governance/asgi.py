"""The web process: Django behind ASGI, only where the boot checks find nothing."""

from __future__ import annotations

import os

import django
from django.core.handlers.asgi import ASGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
django.setup(set_prefix=False)

# The checks need the app registry, which the line above fills.
from governance.kernel import checks  # noqa: E402

checks.refuse_to_start()

application = ASGIHandler()
