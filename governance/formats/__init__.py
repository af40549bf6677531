"""How dates and times read: day before month, 24 hours."""
