"""Reading side of schema audit. Rows come only from its functions (see audit.services)."""

from __future__ import annotations

from django.db import models


class Record(models.Model):
    """One entry. `body` is what was hashed; the columns beside it repeat it for searching."""

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    # xid8, which the driver hands over as text.
    xid = models.TextField()
    version = models.SmallIntegerField()
    kind = models.TextField()
    agent = models.TextField()
    user = models.TextField()
    gateway = models.TextField()
    actor = models.TextField()
    tool = models.TextField()
    resource = models.TextField()
    effect = models.TextField()
    # `check` is a method of every Django model.
    deciding_check = models.TextField(db_column="check")
    code = models.TextField()
    tier = models.TextField()
    session = models.TextField()
    parent = models.UUIDField(null=True)
    mode = models.TextField()
    body = models.BinaryField()
    leaf = models.BinaryField()

    class Meta:
        managed = False
        # Django has no word for a schema; this closes and opens its quotes.
        db_table = 'audit"."record'
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Mark(models.Model):
    """What is remembered of this database for good."""

    name = models.TextField(primary_key=True)
    at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = 'audit"."mark'

    def __str__(self) -> str:
        return self.name
