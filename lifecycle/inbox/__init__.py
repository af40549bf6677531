"""The inbox: one place for everything that waits for a person, from whichever app it comes."""
