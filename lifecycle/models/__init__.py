"""What lifecycle keeps of requests, reviews, templates, runs, sweeps, notices, tests, alerts."""

from lifecycle.models.anomalies import Anomaly, Counted, HourCount, Seen
from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.probes import LiveVisit, ProbeResult, ProbeRun
from lifecycle.models.provisioning import ProvisioningRun, ProvisioningStep
from lifecycle.models.reviews import Review, ReviewEvent, ReviewStep
from lifecycle.models.rotation import KeptScope, Rotation, RotationState
from lifecycle.models.sweeps import SweepRun
from lifecycle.models.switch import Family, MassSuspension
from lifecycle.models.templates import FromTemplate, Template, TemplateState
from lifecycle.models.toxic import ToxicCheck, ToxicDue, ToxicFinding, ToxicSplit

__all__ = [
    "Anomaly",
    "Channel",
    "Counted",
    "Delivery",
    "Family",
    "FromTemplate",
    "HourCount",
    "KeptScope",
    "LiveVisit",
    "MassSuspension",
    "Notice",
    "ProbeResult",
    "ProbeRun",
    "ProvisioningRun",
    "ProvisioningStep",
    "Review",
    "ReviewEvent",
    "ReviewStep",
    "Rotation",
    "RotationState",
    "Seen",
    "SweepRun",
    "Template",
    "TemplateState",
    "ToxicCheck",
    "ToxicDue",
    "ToxicFinding",
    "ToxicSplit",
    "Wishes",
]
