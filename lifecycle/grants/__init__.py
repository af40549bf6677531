"""Grants as people meet them: what may act for me, what it did, its renewal and its end.

What a grant is, and every change of one, is `authz.services.grants`.
"""
