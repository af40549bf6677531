"""What `./muster doctor` looks at, and what it says of it.

Each check has a name and ends in a verdict: ok, warn or fail, what was found, and what to do. They
reuse what `/readyz`, the checks at the start and the sweeps look at; nothing is judged twice here.
"""
