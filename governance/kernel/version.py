"""Which Muster this is, as it tells other systems."""

VERSION = "0.1.0"
