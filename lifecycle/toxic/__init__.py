"""Toxic combinations found: in an agent's own reach, across agents of one owner, and answered."""
