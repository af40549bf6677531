"""The token endpoint and its neighbours (RFC 6749, 7009, 7523, 7662, 8414)."""
