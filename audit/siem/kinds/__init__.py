"""How each kind of receiver is sent a batch."""

from __future__ import annotations

from typing import Protocol

from audit.siem.batches import Batch
from audit.siem.configured import Configured, header_of


class Receiver(Protocol):
    """The other side."""

    def send(self, batch: Batch) -> None:
        """Send it, and return when the other side said that it took all of it.

        Raises `BatchRefused`, `StreamFailed`, `NoAnswer`, `AddressRefused`.
        """


def of(stream: Configured) -> Receiver:
    """The receiver that the operator set up."""
    if stream.kind == "https":
        from audit.siem.kinds.https import Https  # noqa: PLC0415  one kind alone is loaded

        return Https(stream, header_of(stream.name))
    from audit.siem.kinds.syslog import Syslog  # noqa: PLC0415  one kind alone is loaded

    return Syslog(stream)
