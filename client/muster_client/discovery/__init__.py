"""Finds agents, what they are connected to, and keys that lie about, in a folder or a repository.

Nothing that is found is run, no link is followed, and no value of a key is kept.
"""
