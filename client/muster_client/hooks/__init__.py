"""Hooks of coding agents: Muster is asked before each of their tools is used, and told after."""
