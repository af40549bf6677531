"""What lifecycle keeps: runs of sweeps, notices and their ways, suspensions of many, probes."""

from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.probes import LiveVisit, ProbeResult, ProbeRun
from lifecycle.models.sweeps import SweepRun
from lifecycle.models.switch import Family, MassSuspension

__all__ = [
    "Channel",
    "Delivery",
    "Family",
    "LiveVisit",
    "MassSuspension",
    "Notice",
    "ProbeResult",
    "ProbeRun",
    "SweepRun",
    "Wishes",
]
