"""What lifecycle keeps: the runs of its sweeps, notices and the ways on which they go out."""

from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.sweeps import SweepRun

__all__ = ["Channel", "Delivery", "Notice", "SweepRun", "Wishes"]
