"""Calls that were made and not asked for: seen at the systems, held against the decisions."""
