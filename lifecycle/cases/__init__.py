"""Cases: a question about an agent on a clock, which ends in a consequence.

A case counts business days on the calendar of those who decide. Each day is told once; what is
not true any more is dropped; at the end of the last day the consequence follows by itself.
"""
