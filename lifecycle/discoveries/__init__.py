"""What `muster discover` found in repositories and folders: unregistered callers, to be adopted."""
