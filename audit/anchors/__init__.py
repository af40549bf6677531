"""Anchors: places outside of the database that are told each checkpoint.

`configured` says which there are, `kinds` how each is told and read back, `services` tells them,
`selectors` reads what was taken and how fresh it is.
"""
