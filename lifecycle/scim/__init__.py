"""SCIM 2.0 (RFC 7643, 7644): directories say who is here, at `/scim/v2`."""
