"""What is due, from all parts, in the order in which it comes."""
