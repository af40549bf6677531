"""What lifecycle keeps: sweeps, notices, suspensions, adversarial tests, alerts, templates."""

from lifecycle.models.anomalies import Anomaly, Counted, HourCount, Seen
from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.probes import LiveVisit, ProbeResult, ProbeRun
from lifecycle.models.reviews import Review, ReviewEvent, ReviewStep
from lifecycle.models.sweeps import SweepRun
from lifecycle.models.switch import Family, MassSuspension
from lifecycle.models.templates import FromTemplate, Template, TemplateState

__all__ = [
    "Anomaly",
    "Channel",
    "Counted",
    "Delivery",
    "Family",
    "FromTemplate",
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
    "Template",
    "TemplateState",
    "Wishes",
]
