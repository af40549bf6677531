"""What is kept for how long, and why: rules as data, a page, and the sweep that keeps to them."""
