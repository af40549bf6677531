"""Reading side of schema audit. Rows come only from its functions (see audit.services).

The last is none of the record: it says how far others have it, and it moves.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


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


class Leaf(models.Model):
    """An entry's place in the tree."""

    index = models.BigIntegerField(primary_key=True)
    record = models.UUIDField()
    at = models.DateTimeField()
    leaf = models.BinaryField()

    class Meta:
        managed = False
        db_table = 'audit"."leaf_index'

    def __str__(self) -> str:
        return f"{self.index} {self.record}"


class Checkpoint(models.Model):
    """The signed root over the first `size` leaves."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    at = models.DateTimeField()
    note = models.TextField()
    # pg_snapshot, which the driver hands over as text.
    seen = models.TextField(null=True)
    system = models.BigIntegerField()

    class Meta:
        managed = False
        db_table = 'audit"."checkpoint'

    def __str__(self) -> str:
        return f"checkpoint {self.size}"

    @property
    def root_text(self) -> str:
        """The root as the note says it."""
        return self.note.split("\n")[2]


class SealingKey(models.Model):
    """A public key under which checkpoints or receipts are verified, and who vouches for it."""

    vkey = models.TextField(primary_key=True)
    kind = models.TextField()
    at = models.DateTimeField()
    certificate = models.TextField()

    class Meta:
        managed = False
        db_table = 'audit"."sealing_key'

    def __str__(self) -> str:
        return self.vkey


class Alarm(models.Model):
    """Why the sealer signs nothing; the newest counts, and without a cause it signs again."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    cause = models.TextField()
    detail = models.JSONField()

    class Meta:
        managed = False
        db_table = 'audit"."alarm'

    def __str__(self) -> str:
        return self.cause or "over"


class Anchored(models.Model):
    """That an anchor took a checkpoint; `receipt` is what it said."""

    number = models.BigIntegerField(primary_key=True)
    size = models.BigIntegerField()
    root = models.BinaryField()
    kind = models.TextField()
    name = models.TextField()
    outside = models.BooleanField()
    at = models.DateTimeField()
    receipt = models.JSONField()

    class Meta:
        managed = False
        db_table = 'audit"."anchored'

    def __str__(self) -> str:
        return f"{self.name} {self.size}"


class Stream(models.Model):
    """How far the record was sent to one receiver outside. The worker alone writes it.

    `position` is the place of the first entry that was not acknowledged yet. A worker that sends
    holds the row by `claim` until `claimed_until`; dead by then, it is sent again by another.
    """

    name = models.CharField(primary_key=True, max_length=40)
    position = models.BigIntegerField(default=0)
    began_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    # When everything that was sealed had been sent.
    level_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    failed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, default="", blank=True)
    next_at = models.DateTimeField(db_default=Now())
    claim = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} {self.position}"


class LegalHold(models.Model):
    """What must not be erased: the entries that fit all that it names, and why."""

    id = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    subject = models.TextField()
    agent = models.TextField()
    first = models.DateField(null=True)
    last = models.DateField(null=True)
    ground = models.TextField()
    reason = models.TextField()
    set_by = models.TextField()

    class Meta:
        managed = False
        db_table = 'audit"."legal_hold'

    def __str__(self) -> str:
        return f"legal hold {self.id}"


class HoldLifted(models.Model):
    """That a legal hold is over, and by which two people."""

    hold = models.UUIDField(primary_key=True)
    at = models.DateTimeField()
    asked_by = models.TextField()
    agreed_by = models.TextField()

    class Meta:
        managed = False
        db_table = 'audit"."hold_lifted'

    def __str__(self) -> str:
        return f"legal hold {self.hold} lifted"


class Erasure(models.Model):
    """Why keys of payloads went."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    cause = models.TextField()
    holder = models.TextField()
    tier = models.TextField(null=True)
    days = models.IntegerField(null=True)
    request = models.TextField()
    asked_by = models.TextField()
    agreed_by = models.TextField()

    class Meta:
        managed = False
        db_table = 'audit"."erasure'

    def __str__(self) -> str:
        return f"erasure {self.number}"


class DropOrder(models.Model):
    """What two people agreed to drop: a month, each entry of which was kept for so many months."""

    number = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    month = models.DateField()
    months = models.IntegerField()
    asked_by = models.TextField()
    agreed_by = models.TextField()

    class Meta:
        managed = False
        db_table = 'audit"."drop_order'

    def __str__(self) -> str:
        return f"order to drop {self.month:%Y-%m}"


class Dropped(models.Model):
    """A month that was dropped, and the digest of the file that it was exported to."""

    order = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    month = models.DateField()
    record = models.UUIDField()
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    entries = models.BigIntegerField()
    export = models.BinaryField()

    class Meta:
        managed = False
        db_table = 'audit"."dropped'

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}, dropped"

    @property
    def digest(self) -> str:
        return bytes(self.export).hex()
