"""Which tools agents have used, and when last: counted from the record, hour by hour."""

from __future__ import annotations

from django.db import models


class ToolUse(models.Model):
    """The last hour in which a call of this agent with this tool went on. Named as in the record.

    Never deleted: it is one row for each tool that an agent has ever used.
    """

    agent = models.CharField(max_length=60)
    tool = models.CharField(max_length=255)
    last_hour = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agent", "tool"], name="tool_use_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agent} {self.tool}: {self.last_hour.isoformat()}"
