"""Mail: to the server that settings name, else to files, one a message.

A file is named for its message, so that one which is sent twice, since the worker was killed
between sending and saying so, is still one.
"""

from __future__ import annotations

import os
from email.utils import parseaddr
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage

from lifecycle.notices.errors import NotSent


def to_files() -> bool:
    """Whether mail goes to files, because no server was named."""
    return not settings.EMAIL_URL


def send_mail(*, message: UUID, to: str, subject: str, text: str) -> None:
    """Send one mail. `NotSent` where it cannot be handed over."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2] or "localhost"
    # A receiver that has seen the id may drop what comes again.
    headers = {"Message-ID": f"<{message}@{domain}>", "Auto-Submitted": "auto-generated"}
    mail = EmailMessage(subject, text, settings.DEFAULT_FROM_EMAIL, [to], headers=headers)
    try:
        if to_files():
            _write(message, mail.message().as_bytes())
        else:
            mail.send()
    except (OSError, ValueError) as error:
        raise NotSent(f"The mail could not be handed over: {type(error).__name__}.") from error


def _write(message: UUID, raw: bytes) -> None:
    folder = Path(settings.EMAIL_FILE_PATH)
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f".{message}.{os.getpid()}"
    written.write_bytes(raw)
    written.replace(folder / f"{message}.eml")
