"""What this decision point offers, and where."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from authz.api import access_requests, search

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
METADATA = "/.well-known/authzen-configuration"


def document() -> dict[str, Any]:
    """The metadata of AuthZEN."""
    base = settings.MUSTER_BASE_URL
    return {
        "policy_decision_point": base,
        "access_evaluation_endpoint": base + EVALUATION,
        "access_evaluations_endpoint": base + EVALUATIONS,
        **{name: base + path for name, path in search.ENDPOINTS.items()},
        "access_request_endpoint": base + access_requests.REQUESTS,
        "capabilities": [access_requests.CAPABILITY],
    }
