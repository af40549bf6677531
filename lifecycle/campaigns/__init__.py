"""What already runs: read from lists and configurations, accepted by those who will own it.

Nothing becomes anyone's silently: a candidate is a draft of the person who accepts it, and of
nobody before.
"""
