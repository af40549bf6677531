"""What periodic reviews tell of."""

from __future__ import annotations

from django.dispatch import Signal

# Everyone who looks has answered, or one for all: review. Sent in the answer's transaction.
periodic_answered = Signal()
