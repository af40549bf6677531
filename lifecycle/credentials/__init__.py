"""An agent's credentials as its owner sees them: stored, rotated, revoked, never shown."""
