"""Streams: receivers outside, such as a SIEM, that are sent every entry of the record.

`configured` says which there are, `batches` what is sent next, `kinds` how each kind takes it,
`services` sends and moves the cursor, `selectors` reads how far each is.
"""
