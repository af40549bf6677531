"""How Muster learns who works here, besides SCIM: a file, a signed webhook, and by hand."""
