"""The demo: a made-up company, Halvern Mutual, a month of its agents' traffic, and what ends."""
