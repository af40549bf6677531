"""Reviews: who signs an agent before it is live, or a change of one that is, and by when."""
