"""From where a source of people may speak, and what becomes of failed tries: for every kind.

Whoever proves that they are the source is heard, whatever failed before them: nobody shuts a
source out by failing in its name. What is limited is the noise (docs/adr/0021).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from audit.enums import Kind
from audit.services import record
from authz.oauth.failures import MAX_A_MINUTE
from governance.kernel.errors import GovernanceError, Invalid, NotAllowed
from governance.kernel.recent import Recent
from lifecycle.models import Source
from lifecycle.scim import log
from registry.models import Person
from registry.services.saving import record as record_change

MAX_NETWORKS = 50

_failures = Recent()
_recorded = Recent()


class TooManyTries(GovernanceError):
    """Too many requests from this address failed to authenticate. Wait a minute."""

    code = "source.too_many_tries"
    status = 429


class WrongNetwork(NotAllowed):
    """This source may not ask from this address."""

    code = "source.network"


def forget() -> None:
    """Forget the failures that this process counted."""
    _failures.clear()
    _recorded.clear()


def note_failure(address: str, now: datetime, *, way: str) -> None:
    """Count a try that proved nothing; the first of an hour is recorded.

    Raises `TooManyTries` past the limit of one address, and then touches no database.
    """
    if _failures.count((address,), timedelta(minutes=1), now) > MAX_A_MINUTE:
        raise TooManyTries()
    if _recorded.count((address,), timedelta(hours=1), now) == 1:
        with transaction.atomic():
            record(
                kind=Kind.ACCESS,
                actor=f"system:{way}",
                code="source.authentication_failed",
                asked={"did": "source_refused", "source": address},
            )


def check_place(source: Source, address: str) -> None:
    """Raise `WrongNetwork`, which the log of the source tells too, unless it may ask from here."""
    if may_ask_from(source, address):
        return
    log.note(source=source, did="refused", status=403, outcome="network", address=address)
    raise WrongNetwork()


def may_ask_from(source: Source, address: str) -> bool:
    """Whether the address lies in one of its networks; without any, every address does."""
    if not source.networks:
        return True
    try:
        asked = ipaddress.ip_address(address)
    except ValueError:
        return False
    asked = getattr(asked, "ipv4_mapped", None) or asked
    return any(asked in ipaddress.ip_network(each) for each in source.networks)


def keep_networks(source: Source, lines: Iterable[str], by: Person) -> Source:
    """Let a locked source ask from these networks alone."""
    before, source.networks = source.networks, read_networks(lines)
    if before != source.networks:
        source.save(update_fields=["networks"])
        record_change(
            "source_networks_set",
            by=by,
            resource=f"source:{source.slug}",
            changes={"networks": (before, source.networks)},
        )
    return source


def read_networks(lines: Iterable[str]) -> list[str]:
    """Networks in their usual form; `Invalid` names what is none."""
    wanted = [line.strip() for line in lines if line.strip()]
    if len(wanted) > MAX_NETWORKS:
        raise Invalid(f"At most {MAX_NETWORKS} networks.", fields={"networks": ["Too many."]})
    return [_network(line) for line in wanted]


def _network(line: str) -> str:
    try:
        return str(ipaddress.ip_network(line))
    except ValueError as error:
        sentence = f"{line[:60]} is no network. Write 10.20.0.0/16, or one address."
        raise Invalid(sentence, fields={"networks": [sentence]}) from error
