"""The kill switch: what is suspended, and suspending many at once."""
