"""The company at a glance: is anything out of hand?"""
