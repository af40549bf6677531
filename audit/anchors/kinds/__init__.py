"""How each kind of anchor is told a checkpoint, and what it says of the last one that it has."""

from __future__ import annotations

from typing import Any, Protocol

from audit.anchors.configured import Configured, secrets_of
from audit.models import Checkpoint


class Anchor(Protocol):
    """One place outside. Both raise `AnchorFailed`, `AddressRefused`."""

    def send(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Tell it, and return what shows that it was told. Told twice, it keeps both."""

    def read_back(self, after: int) -> str | None:
        """The newest signed note that it keeps; None where none lies there, or it cannot tell.

        `after` is a size that is known to lie there: nothing older matters.
        """


def of(configured: Configured) -> Anchor:
    """The anchor that the operator set up."""
    options, secrets = configured.options, secrets_of(configured.name)
    match configured.kind:
        case "file":
            from audit.anchors.kinds.file import File  # noqa: PLC0415  one kind alone is loaded

            return File(options)
        case "git":
            from audit.anchors.kinds.git import Git  # noqa: PLC0415  one kind alone is loaded

            return Git(options, secrets)
        case "s3":
            from audit.anchors.kinds.s3 import Bucket  # noqa: PLC0415  takes long to load

            return Bucket(options, secrets)
        case "mail":
            from audit.anchors.kinds.mail import Mail  # noqa: PLC0415  one kind alone is loaded

            return Mail(options)
        case "syslog":
            from audit.anchors.kinds.syslog import Syslog  # noqa: PLC0415  one kind is loaded

            return Syslog(options)
    from audit.anchors.kinds.rfc3161 import TimeStamps  # noqa: PLC0415  one kind alone is loaded

    return TimeStamps(options)
