"""The session operations as REST views: each hands its request to `answer` as it came."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from authz.api.serializers import Properties
from authz.api.views import BEARER, PROBLEMS, REQUEST_ID, Wire
from authz.wire import TRUSTS
from governance.kernel.api import PROBLEM, Problem
from registry.enums import Tier

PLAN_HELP = (
    'A list of steps `{"tool", "parameters": {name: JSON Schema}}`, or '
    '`{"steps", "extracts": {name: JSON Schema}}`.'
)


class InputShape(serializers.Serializer[object]):
    system = serializers.CharField(max_length=800)
    resource = serializers.CharField(max_length=800, required=False)
    trust = serializers.ChoiceField(choices=TRUSTS, required=False)
    digest = serializers.CharField(required=False)


class SessionRequest(serializers.Serializer[object]):
    agent = serializers.CharField(required=False, help_text="Named by gateways.")
    clean = serializers.BooleanField(required=False)
    plan = serializers.JSONField(required=False, help_text=PLAN_HELP)


class PlanRequest(serializers.Serializer[object]):
    plan = serializers.JSONField(help_text=PLAN_HELP)


class InputsRequest(serializers.Serializer[object]):
    inputs = InputShape(many=True)


class ExtractRequest(serializers.Serializer[object]):
    to = serializers.CharField(help_text="The session that the value goes to.")
    extract = serializers.CharField(help_text="One that the plan declares.")
    value = serializers.JSONField()


class SessionTold(serializers.Serializer[object]):
    session_id = serializers.CharField()
    agent = serializers.CharField()
    clean = serializers.BooleanField()
    label = serializers.ChoiceField(choices=Tier.choices)  # type: ignore[assignment]
    tainted = serializers.BooleanField()
    categories = serializers.ListField(child=serializers.CharField())
    plan = Properties(allow_null=True)
    opened_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ExtractTold(serializers.Serializer[object]):
    value = serializers.JSONField()
    to = SessionTold()


def _problem(description: str) -> OpenApiResponse:
    return OpenApiResponse(Problem, description=description)


REFUSED = PROBLEMS | {
    (403, PROBLEM): _problem("The agent's row is not active, or it may not open a clean session."),
    (409, PROBLEM): _problem("The session has ended, has a plan, or has read untrusted input."),
}
ABOUT_ONE = REFUSED | {(404, PROBLEM): _problem("No such session, or another agent's.")}


class Sessions(Wire):
    """Runs of agents."""

    @extend_schema(
        operation_id="session_open",
        tags=["sessions"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        request=SessionRequest,
        responses={(201, "application/json"): SessionTold, **REFUSED},
    )
    def post(self, request: Request) -> HttpResponse:
        """Open a session for one run of an agent, with its plan if it has one."""
        return self.reply(request)


class OneSession(Wire):
    """One run."""

    @extend_schema(
        operation_id="session",
        tags=["sessions"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        responses={(200, "application/json"): SessionTold, **ABOUT_ONE},
    )
    def get(self, request: Request, pk: str) -> HttpResponse:
        """What counts as read in it now."""
        return self.reply(request)


class SessionPlan(Wire):
    """What a run will call."""

    @extend_schema(
        operation_id="session_plan",
        tags=["sessions"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        request=PlanRequest,
        responses={(200, "application/json"): SessionTold, **ABOUT_ONE},
    )
    def post(self, request: Request, pk: str) -> HttpResponse:
        """Declare the plan, once, before anything untrusted was read."""
        return self.reply(request)


class SessionInputs(Wire):
    """What a run has read elsewhere."""

    @extend_schema(
        operation_id="session_inputs",
        tags=["sessions"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        request=InputsRequest,
        responses={(200, "application/json"): SessionTold, **ABOUT_ONE},
    )
    def post(self, request: Request, pk: str) -> HttpResponse:
        """Report it; a report can only raise."""
        return self.reply(request)


class SessionExtract(Wire):
    """A value that leaves a tainted run."""

    @extend_schema(
        operation_id="session_extract",
        tags=["sessions"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        request=ExtractRequest,
        responses={(200, "application/json"): ExtractTold, **ABOUT_ONE},
    )
    def post(self, request: Request, pk: str) -> HttpResponse:
        """Hand a value that holds no free text to another session of the agent."""
        return self.reply(request)


class SessionEnd(Wire):
    """The end of a run."""

    @extend_schema(
        operation_id="session_end",
        tags=["sessions"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        request=None,
        responses={(200, "application/json"): SessionTold, **ABOUT_ONE},
    )
    def post(self, request: Request, pk: str) -> HttpResponse:
        """End it. Twice is once."""
        return self.reply(request)
