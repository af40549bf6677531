"""What lifecycle keeps of requests, reviews, templates, runs, sweeps, notices, tests, alerts."""

from lifecycle.models.anomalies import Anomaly, Counted, HourCount, Seen
from lifecycle.models.break_glass import BreakGlass, SealedCode
from lifecycle.models.bypass import (
    CallState,
    Discovery,
    LogImport,
    LogState,
    SeenCall,
    ToolLog,
)
from lifecycle.models.campaigns import Campaign, Candidate, CandidateState
from lifecycle.models.cases import Case, CaseEvent, CaseKind, CaseState
from lifecycle.models.decommissioning import (
    EndAcknowledgement,
    EndCertificate,
    EndOrder,
    EndRun,
    EndStep,
    Succession,
)
from lifecycle.models.grants import Preapproval
from lifecycle.models.notices import Channel, Delivery, Notice, Wishes
from lifecycle.models.people import (
    HeardEvent,
    ImportRow,
    ImportState,
    PeopleImport,
    PersonClock,
    RowKind,
    RowState,
    WebhookAnswer,
)
from lifecycle.models.probes import LiveVisit, ProbeResult, ProbeRun
from lifecycle.models.provisioning import ProvisioningRun, ProvisioningStep
from lifecycle.models.renewals import Attestation, AttestationAnswer, BadgeKey
from lifecycle.models.reviews import Review, ReviewEvent, ReviewStep
from lifecycle.models.rotation import KeptScope, Rotation, RotationState
from lifecycle.models.sources import (
    ScimMember,
    ScimResource,
    Source,
    SourceEvent,
    SourceKind,
)
from lifecycle.models.sweeps import SweepEnding, SweepRun
from lifecycle.models.switch import Family, MassSuspension
from lifecycle.models.templates import FromTemplate, Template, TemplateState
from lifecycle.models.toxic import ToxicCheck, ToxicDue, ToxicFinding, ToxicSplit
from lifecycle.models.uses import ToolUse

__all__ = [
    "Anomaly",
    "Attestation",
    "AttestationAnswer",
    "BadgeKey",
    "BreakGlass",
    "CallState",
    "Campaign",
    "Candidate",
    "CandidateState",
    "Case",
    "CaseEvent",
    "CaseKind",
    "CaseState",
    "Channel",
    "Counted",
    "Delivery",
    "Discovery",
    "EndAcknowledgement",
    "EndCertificate",
    "EndOrder",
    "EndRun",
    "EndStep",
    "Family",
    "FromTemplate",
    "HeardEvent",
    "HourCount",
    "ImportRow",
    "ImportState",
    "KeptScope",
    "LiveVisit",
    "LogImport",
    "LogState",
    "MassSuspension",
    "Notice",
    "PeopleImport",
    "PersonClock",
    "Preapproval",
    "ProbeResult",
    "ProbeRun",
    "ProvisioningRun",
    "ProvisioningStep",
    "Review",
    "ReviewEvent",
    "ReviewStep",
    "Rotation",
    "RotationState",
    "RowKind",
    "RowState",
    "ScimMember",
    "ScimResource",
    "SealedCode",
    "Seen",
    "SeenCall",
    "Source",
    "SourceEvent",
    "SourceKind",
    "Succession",
    "SweepEnding",
    "SweepRun",
    "Template",
    "TemplateState",
    "ToolLog",
    "ToolUse",
    "ToxicCheck",
    "ToxicDue",
    "ToxicFinding",
    "ToxicSplit",
    "WebhookAnswer",
    "Wishes",
]
