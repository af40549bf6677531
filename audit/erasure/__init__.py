"""Payloads that go: keys laid aside and erased, and the legal holds that keep them."""
