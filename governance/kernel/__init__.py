"""The little that all five apps share. Imports none of them."""
