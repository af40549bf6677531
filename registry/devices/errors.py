"""What goes wrong between a person and their command line."""

from __future__ import annotations

from governance.kernel.errors import GovernanceError, NotFound


class NoSuchCode(NotFound):
    """No command line waits with this code. Look at it once more, or start over there."""

    code = "no_such_code"


class TooManyCodes(GovernanceError):
    """Too many codes were wrong. Wait ten minutes, then ask for a new one."""

    code = "too_many_codes"
    status = 429


class TooManyDevices(GovernanceError):
    """Too many command lines wait to be allowed. Try again in some minutes."""

    code = "too_many_devices"
    status = 429
