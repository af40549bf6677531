"""What a change would have meant for the decisions of the last days, before it is made."""
