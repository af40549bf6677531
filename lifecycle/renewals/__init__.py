"""Renewals: an owner says in time that an agent is still needed, and with how much.

From 30 days before its day on an agent has a case of its own (`lifecycle.cases`); nobody's answer
within ten business days of that day ends it.
"""
