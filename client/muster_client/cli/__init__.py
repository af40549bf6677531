"""The command `muster`: what a person or a pipeline asks an installation from afar."""
