"""What lifecycle keeps: the runs of adversarial tests and what they found."""

from lifecycle.models.probes import ProbeResult, ProbeRun

__all__ = ["ProbeResult", "ProbeRun"]
