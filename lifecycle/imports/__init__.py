"""Reading what others wrote about an agent: agent cards, MCP configurations, agent.yaml.

The readers are pure: bytes in, a proposal out. They believe nothing, keep no secret, and ask no
database; `lifecycle.imports.matching` looks up what they found.
"""

from lifecycle.imports.proposed import BadImport, Proposed
from lifecycle.imports.reading import KINDS, MAX_BYTES, MOST_AGENTS, read

__all__ = ["KINDS", "MAX_BYTES", "MOST_AGENTS", "BadImport", "Proposed", "read"]
