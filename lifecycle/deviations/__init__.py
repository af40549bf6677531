"""Calls outside the identity pattern of a row: flagged by the decision, read here by agent."""
