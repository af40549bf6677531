"""Observe mode: the way in and out for agents that already run, and the clock that ends it."""
