"""Carrying a plan out, kind by kind, through the services that people use."""
