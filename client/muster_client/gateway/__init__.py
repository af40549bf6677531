"""The gateway: it stands before MCP servers and lets through what Muster allows, nothing else."""
