"""What people fill in on those pages."""
