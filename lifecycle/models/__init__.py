"""What lifecycle keeps: sweeps, notices, suspensions of many, adversarial tests, alerts."""

from lifecycle.models.anomalies import Anomaly, Counted, HourCount, Seen
from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.probes import LiveVisit, ProbeResult, ProbeRun
from lifecycle.models.rotation import KeptScope, Rotation, RotationState
from lifecycle.models.sweeps import SweepRun
from lifecycle.models.switch import Family, MassSuspension

__all__ = [
    "Anomaly",
    "Channel",
    "Counted",
    "Delivery",
    "Family",
    "HourCount",
    "KeptScope",
    "LiveVisit",
    "MassSuspension",
    "Notice",
    "ProbeResult",
    "ProbeRun",
    "Rotation",
    "RotationState",
    "Seen",
    "SweepRun",
    "Wishes",
]
