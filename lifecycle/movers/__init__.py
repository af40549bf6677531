"""Movers: an owner in another department is asked whether each of their agents stays theirs."""
