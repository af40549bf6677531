"""Adversarial tests: attacks that are aimed at an agent's row in simulated sessions."""
