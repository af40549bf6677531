"""Inventories as YAML: read, compare with the register, carry out, write back."""
