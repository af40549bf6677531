"""Whom an agent hands over to: what its owner declares in its row."""
