"""What lifecycle keeps: sweeps, notices, suspensions of many, tests, alerts, toxic findings."""

from lifecycle.models.anomalies import Anomaly, Counted, HourCount, Seen
from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.probes import LiveVisit, ProbeResult, ProbeRun
from lifecycle.models.reviews import Review, ReviewEvent, ReviewStep
from lifecycle.models.sweeps import SweepRun
from lifecycle.models.switch import Family, MassSuspension
from lifecycle.models.toxic import ToxicCheck, ToxicDue, ToxicFinding, ToxicSplit

__all__ = [
    "Anomaly",
    "Channel",
    "Counted",
    "Delivery",
    "Family",
    "HourCount",
    "LiveVisit",
    "MassSuspension",
    "Notice",
    "ProbeResult",
    "ProbeRun",
    "Review",
    "ReviewEvent",
    "ReviewStep",
    "Seen",
    "SweepRun",
    "ToxicCheck",
    "ToxicDue",
    "ToxicFinding",
    "ToxicSplit",
    "Wishes",
]
