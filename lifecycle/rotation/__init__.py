"""Keys that fall due by the tier of what they open, and scopes that nobody uses."""
