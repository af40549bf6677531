"""What an installation knows about itself."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """When a task last came through beat, the queue and the worker."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at.isoformat()}"
