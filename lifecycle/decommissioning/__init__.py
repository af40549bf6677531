"""The end of an agent: planned in sight, done step by step, proved by a certificate.

From the transaction that begins it the agent gets nothing. What it holds is ended after that, one
step after the other, claimed and tried again; a system outside that refuses keeps no other step
waiting.
"""
