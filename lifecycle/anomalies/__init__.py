"""Anomaly alerts: what an agent does that it does not usually do.

Every hour is counted once from the record into tables of our own, and compared with the four weeks
before it. What is unusual becomes an alert that says why, in numbers.
"""
