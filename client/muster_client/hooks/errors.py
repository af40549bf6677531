"""What a hook raises besides the client's own errors. Everything that it raises blocks."""

from __future__ import annotations

from ..errors import MusterError


class HookError(MusterError):
    """What the agent sent, or how the hook was set up, cannot be judged. The call is blocked."""
