"""What lifecycle keeps: the runs of adversarial tests and what they found."""

from lifecycle.models.probes import LiveVisit, ProbeResult, ProbeRun

__all__ = ["LiveVisit", "ProbeResult", "ProbeRun"]
