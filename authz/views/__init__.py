"""Pages about who may do what, one module per noun."""
