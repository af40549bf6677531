"""Leavers: what becomes of the agents of someone who leaves, and of what waited for them.

The clock runs from the day on which it is known that they leave; when they have left, their agents
get nothing, and the same clock decides.
"""
