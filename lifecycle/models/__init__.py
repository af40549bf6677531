"""What lifecycle keeps: runs of sweeps, notices and their ways, suspensions of many, alerts."""

from lifecycle.models.anomalies import Anomaly, Counted, HourCount, Seen
from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.sweeps import SweepRun
from lifecycle.models.switch import Family, MassSuspension

__all__ = [
    "Anomaly",
    "Channel",
    "Counted",
    "Delivery",
    "Family",
    "HourCount",
    "MassSuspension",
    "Notice",
    "Seen",
    "SweepRun",
    "Wishes",
]
