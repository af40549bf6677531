"""The decision, pure: `(request, snapshot, state, now) -> Decision`. Imports no Django."""
