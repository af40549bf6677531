"""Provisioning: what an agent is given when it goes live, step by step.

Steps inside Muster are done in the transaction that activates the row, so that there is never an
active row without them. Steps outside (an identity provider, a vault elsewhere) come after its
commit, one by one, claimed, tried again, and taken back where one of them fails for good.
"""
