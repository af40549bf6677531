"""Templates: rows that were agreed on in advance, so that an agent of one is live at once."""
