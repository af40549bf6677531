"""What settings say, and what can be tried without the database."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core import checks
from kombu.connection import Connection
from kombu.exceptions import KombuError

from governance.doctor.verdict import Here, Verdict, fail, ok, warn
from governance.kernel.checks import TAG
from governance.runner.roles import TASKS
from lifecycle.notices import mail as notices_mail

CONNECT_SECONDS = 5


def self_checks(here: Here) -> Verdict:
    """What a process looks at before it starts, without what it asks the database for."""
    found = checks.run_checks(tags=[TAG])
    if found and not any(each.is_serious() for each in found):
        return warn(
            " ".join(each.msg for each in found),
            "Correct the name or take it away: docs/reference/settings.md has all that there are.",
        )
    found = [each for each in found if each.is_serious()]
    if not found:
        return ok("Nothing keeps a process from starting.")
    return fail(
        " ".join(f"{each.id}: {each.msg}" for each in found),
        "No process starts like this: docs/howto/install.md says what each of these asks for.",
    )


def base_url(here: Here) -> Verdict:
    """Whether people and agents come over TLS; on this machine alone they need not."""
    address = urlsplit(settings.MUSTER_BASE_URL)
    said = f"People and agents use {address.scheme}://{address.netloc.rpartition('@')[2]}."
    if address.scheme == "https" or _is_loopback(address.hostname or ""):
        return ok(said)
    return fail(
        f"{said} Passwords and tokens go there unencrypted.",
        "Put a proxy with TLS in front, and name its https address in MUSTER_BASE_URL.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def second_factor(here: Here) -> Verdict:
    """Whether people who approve for others need a second factor; a demo does not ask."""
    if here.demo:
        return ok("This is a demo, which asks nobody for a second factor.")
    if settings.MUSTER_APPROVER_MFA:
        return ok("Who approves for others needs a second factor.")
    return fail(
        "Who approves for others needs no second factor.", "Take MUSTER_APPROVER_MFA=off away."
    )


def mail(here: Here) -> Verdict:
    """Whether mail leaves this machine."""
    if not notices_mail.to_files():
        return ok(f"Mail goes to {settings.EMAIL_HOST}, from {settings.DEFAULT_FROM_EMAIL}.")
    said = f"Mail is written to files in {settings.EMAIL_FILE_PATH}"
    if here.demo:
        return ok(f"{said}, as in every demo without a server for it.")
    return warn(f"{said}: nobody is told anything.", "Name a mail server in MUSTER_EMAIL_URL.")


def broker(here: Here) -> Verdict:
    """Whether the queue between beat and worker can be reached."""
    if settings.CELERY_BROKER_URL.startswith("pgmq"):
        return _embedded_queue()
    address = urlsplit(settings.CELERY_BROKER_URL)
    where = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
    url = settings.CELERY_BROKER_URL
    with Connection(url, connect_timeout=CONNECT_SECONDS) as connection:  # type: ignore[no-untyped-call]
        try:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
        except (OSError, KombuError, *connection.connection_errors) as error:
            return fail(
                f"The broker {where} cannot be reached ({type(error).__name__}).",
                "Start it, or name the right one in CELERY_BROKER_URL.",
            )
    return ok(f"The broker {where} answers.")


def _embedded_queue() -> Verdict:
    try:
        with psycopg.connect(
            settings.MUSTER_QUEUE_DSN, connect_timeout=CONNECT_SECONDS
        ) as connection:
            row = connection.execute(f"SELECT count(*) FROM pgmq.q_{TASKS}").fetchone()  # noqa: S608
    except psycopg.Error as error:
        return fail(
            f"The queue inside PostgreSQL does not answer ({type(error).__name__}).",
            "See whether the database runs; ./muster up makes the queue where it is missing.",
        )
    return ok(f"The queue inside PostgreSQL answers; {row[0] if row else 0} tasks are in it.")
