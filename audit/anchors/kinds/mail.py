"""A mail with the signed note as its text, to people who do not operate Muster."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import make_msgid
from smtplib import SMTPException
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage

from audit.anchors.errors import AnchorFailed
from audit.models import Checkpoint


class Mail:
    """The people of `to`, over the mail server of the installation."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        to = options["to"]
        self._to = [to] if isinstance(to, str) else [str(each) for each in to]

    def send(self, checkpoint: Checkpoint) -> dict[str, Any]:
        origin = checkpoint.note.partition("\n")[0]
        number = make_msgid(domain=settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].strip(">"))
        mail = EmailMessage(
            subject=f"Checkpoint of {origin}: {checkpoint.size} entries",
            body=checkpoint.note,
            to=self._to,
            headers={"Message-ID": number},
        )
        try:
            mail.send()
        except (SMTPException, OSError) as error:
            raise AnchorFailed(f"The mail was not taken ({type(error).__name__}).") from error
        return {"message": number, "to": self._to}

    def read_back(self, after: int) -> str | None:
        return None
