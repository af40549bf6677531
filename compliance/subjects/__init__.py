"""Requests of data subjects: what is held of somebody, handed out, erased, and certified."""
