"""Takes out of a text whatever secret of this installation stands in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

import psycopg
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from audit.redactor import REMOVED
from governance.logs import without_credentials

URLS = ("DATABASE_URL", "CELERY_BROKER_URL", "MUSTER_EMAIL_URL")
WHOLE = ("MUSTER_METRICS_TOKEN", "MUSTER_SECRET_KEY", "MUSTER_VAULT_KEY")
QUEUE = "MUSTER_QUEUE_DSN"


def scrubbed(text: str) -> str:
    """`text` without what the environment and the settings hold, or what looks like a secret."""
    for secret in sorted(set(_secrets()), key=len, reverse=True):
        text = text.replace(secret, REMOVED)
    return without_credentials(text)


def _secrets() -> Iterator[str]:
    """Each secret, as it is and as it stands in a URL."""
    for value in (*_of_environment(), *_of_settings()):
        if value:
            yield value
            yield unquote(value)


def _of_environment() -> Iterator[str]:
    for name in URLS:
        yield _password(os.environ.get(name, ""))
    for name in WHOLE:
        yield from os.environ.get(name, "").split(",")
    yield _of_conninfo(os.environ.get(QUEUE, ""))


def _of_settings() -> Iterator[str]:
    if not settings.configured or not hasattr(settings, "DATABASES"):
        return
    yield str(settings.DATABASES["default"].get("PASSWORD") or "")
    yield str(settings.SECRET_KEY)
    yield str(getattr(settings, "EMAIL_HOST_PASSWORD", "") or "")
    yield _password(settings.CELERY_BROKER_URL)
    yield _of_conninfo(settings.MUSTER_QUEUE_DSN)


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return url


def _of_conninfo(text: str) -> str:
    try:
        return str(conninfo_to_dict(text).get("password") or "")
    except psycopg.ProgrammingError:
        return text
