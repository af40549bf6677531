"""What notices refuse."""

from __future__ import annotations

from governance.kernel.errors import Invalid


class NotSent(Exception):
    """A way did not take a message. The text is a sentence that names no address."""


class ChannelRefused(Invalid):
    """This address may not be used for notices."""

    code = "channel_refused"
