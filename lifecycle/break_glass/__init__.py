"""Emergency access to Muster itself: loud, short, for a few things, and reviewed afterwards.

For people alone. An agent's call is decided as ever, whoever has broken what glass.
"""
