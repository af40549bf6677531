"""Who an agent or a gateway is: clients and their secrets, signing keys, tokens.

Everything that touches JOSE is in here; nothing else in Muster imports joserfc.
"""
