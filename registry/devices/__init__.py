"""Command lines that act as a person: asked for, allowed, used and ended."""
