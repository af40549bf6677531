"""The decision, pure: `(request, snapshot, state, now) -> Decision`. Imports no Django."""

# Part of every record: which rules judged. Raised when the same facts would be judged otherwise.
VERSION = 3
