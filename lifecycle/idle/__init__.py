"""Agents that nobody seems to need: found by their silence, and answered for by their owners."""
