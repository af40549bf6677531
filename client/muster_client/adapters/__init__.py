"""Muster before the tools of other people's frameworks. Each module needs its framework alone."""
