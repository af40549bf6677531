"""Sealing: what was recorded goes into a signed tree, so that no keeper can rewrite it unseen.

`tree` and `notes` are pure; `passes`, `keyfile`, `kept` and `process` belong to the sealer, which
runs without Django; `receipts` signs in the web process; `selectors` reads for everybody.
"""
