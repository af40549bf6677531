"""A person and their command lines: the code they type, what they let in, and its end."""
