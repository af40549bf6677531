"""The lease operation as a REST view: it hands its request to `answer` as it came."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from authz.api.serializers import Properties
from authz.api.views import BEARER, PROBLEMS, REQUEST_ID, Wire
from governance.kernel.api import PROBLEM, Problem


class LeaseRequest(serializers.Serializer[object]):
    session = serializers.CharField(required=False, help_text="The run that needs it.")
    approval = serializers.CharField(required=False, help_text="A release, if it was held.")


class LeaseTold(serializers.Serializer[object]):
    lease_id = serializers.UUIDField()
    reference = serializers.CharField()
    value = serializers.CharField(help_text="The credential. Keep it in memory, never in a log.")
    version = serializers.CharField()
    expires_at = serializers.DateTimeField(help_text="Forget it then and ask again.")
    decision_id = serializers.UUIDField()


class LeaseProblem(Problem):
    context = Properties(  # type: ignore[assignment]
        required=False, help_text="The decision, as an evaluation tells it."
    )


REFERENCE = OpenApiParameter(
    "reference",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    description="The reference as the row declares it, such as vault://care/refund-desk/helpdesk.",
)


class Leases(Wire):
    """Credentials of agents."""

    @extend_schema(
        operation_id="credential_lease",
        tags=["credentials"],
        auth=BEARER,
        parameters=[REFERENCE, REQUEST_ID],
        request=LeaseRequest,
        responses={
            (201, "application/json"): LeaseTold,
            **PROBLEMS,
            (403, PROBLEM): OpenApiResponse(
                LeaseProblem,
                description="The decision was no, the caller is no agent, or it was revoked.",
            ),
            (404, PROBLEM): OpenApiResponse(Problem, description="Nothing is stored there."),
            (503, PROBLEM): OpenApiResponse(
                Problem, description="The vault or the record does not answer: no value leaves."
            ),
        },
    )
    def post(self, request: Request, reference: str) -> HttpResponse:
        """Read one of the agent's own credentials, on its own token, for a short while."""
        return self.reply(request)
