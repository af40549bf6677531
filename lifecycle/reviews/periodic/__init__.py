"""Periodic reviews: a live agent is looked at again by others than its owner, and runs meanwhile.

They are reviews of a kind of their own: `lifecycle.reviews` tells who looks, reminds, escalates.
"""
