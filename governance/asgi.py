"""The web process: Django behind ASGI, only where the boot checks find nothing."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")

application = get_asgi_application()

# The checks need the app registry, which the line above fills.
from governance.kernel import checks  # noqa: E402

checks.refuse_to_start()
