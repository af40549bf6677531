"""The demo: a made-up company, Halvern Mutual, and a month of its agents' traffic."""
