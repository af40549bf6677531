"""What an installation knows about itself."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """When a task last came through beat, the queue and the worker."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at.isoformat()}"


class Remembered(models.Model):
    """What web processes remember together for a while, such as attempts to sign in.

    Django's cache reads and writes it; nobody else does.
    """

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "governance_cache"

    def __str__(self) -> str:
        return self.cache_key
