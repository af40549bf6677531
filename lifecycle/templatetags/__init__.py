"""Tags of the admin's front page."""
