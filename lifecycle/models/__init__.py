"""What lifecycle keeps: sweeps, notices, suspensions of many, adversarial tests, alerts, templates,
runs that let an agent go live."""

from lifecycle.models.anomalies import Anomaly, Counted, HourCount, Seen
from lifecycle.models.campaigns import Campaign, Candidate, CandidateState
from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.probes import LiveVisit, ProbeResult, ProbeRun
from lifecycle.models.provisioning import ProvisioningRun, ProvisioningStep
from lifecycle.models.sweeps import SweepRun
from lifecycle.models.switch import Family, MassSuspension
from lifecycle.models.templates import FromTemplate, Template, TemplateState

__all__ = [
    "Anomaly",
    "Campaign",
    "Candidate",
    "CandidateState",
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
    "ProvisioningRun",
    "ProvisioningStep",
    "Seen",
    "SweepRun",
    "Template",
    "TemplateState",
    "Wishes",
]
