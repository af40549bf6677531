"""What lifecycle keeps: runs of sweeps, notices and their ways, suspensions of many."""

from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.sweeps import SweepRun
from lifecycle.models.switch import Family, MassSuspension

__all__ = [
    "Channel",
    "Delivery",
    "Family",
    "MassSuspension",
    "Notice",
    "SweepRun",
    "Wishes",
]
