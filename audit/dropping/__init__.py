"""Months of the record that go whole: ordered by two people, exported, declared, then dropped."""
