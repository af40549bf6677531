"""The access requests as REST views: each hands its request to `answer` as it came."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from authz.access_tasks import EVENTS, PENDING
from authz.api.serializers import Properties
from authz.api.views import BEARER, PROBLEMS, REQUEST_ID, Wire
from authz.enums import HoldState
from governance.kernel.api import PROBLEM, Problem

STATUSES = (PENDING, *EVENTS)
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key with the same body is the same request.",
)


class Entity(serializers.Serializer[object]):
    type = serializers.CharField()
    id = serializers.CharField()
    properties = Properties(required=False)


class ActionShape(serializers.Serializer[object]):
    name = serializers.CharField()
    properties = Properties(required=False)


class DenialShape(serializers.Serializer[object]):
    evaluation_id = serializers.CharField()
    evaluated_at = serializers.DateTimeField(required=False)
    expires_at = serializers.DateTimeField()
    reason = serializers.CharField(required=False)


class CallbackShape(serializers.Serializer[object]):
    endpoint = serializers.CharField(help_text="The one that is registered for this client.")
    state = serializers.CharField(required=False, max_length=512)
    events = serializers.ListField(child=serializers.ChoiceField(choices=EVENTS), required=False)


class ItemShape(serializers.Serializer[object]):
    resource = Entity()
    action = ActionShape()
    denial = DenialShape(required=False)


class AccessRequestShape(serializers.Serializer[object]):
    subject = Entity()
    resource = Entity(required=False)
    action = ActionShape(required=False)
    items = ItemShape(many=True, required=False)
    context = Properties(required=False)  # type: ignore[assignment]
    denial = DenialShape(required=False)
    callback = CallbackShape(required=False)


class ApprovalShape(serializers.Serializer[object]):
    id = serializers.UUIDField()
    approved_at = serializers.DateTimeField()
    approved_until = serializers.DateTimeField()


class EditedShape(serializers.Serializer[object]):
    parameters = Properties()


class ResultShape(serializers.Serializer[object]):
    mode = serializers.ChoiceField(choices=["reevaluate"])
    approval = ApprovalShape()
    edited = EditedShape(required=False)


class TaskItemShape(serializers.Serializer[object]):
    resource = Properties()
    action = ActionShape()
    status = serializers.ChoiceField(choices=STATUSES)
    result = ResultShape(required=False)


class TaskShape(serializers.Serializer[object]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=STATUSES)
    status_endpoint = serializers.CharField()
    expires_at = serializers.DateTimeField()
    display = Properties()
    progress = Properties(required=False)
    links = Properties(required=False)
    items = TaskItemShape(many=True, required=False)


class TaskAnswer(serializers.Serializer[object]):
    task = TaskShape()
    result = ResultShape(required=False)


class CancelShape(serializers.Serializer[object]):
    reason = serializers.CharField(required=False)
    comment = serializers.CharField(required=False)


class HeldShape(serializers.Serializer[object]):
    hold = serializers.UUIDField()
    agent = serializers.CharField()
    tool = serializers.CharField()
    codes = serializers.ListField(child=serializers.CharField())
    parameters = Properties()
    secret_parameters = serializers.ListField(child=serializers.CharField())
    resource = Properties()
    reasoning = serializers.CharField(allow_blank=True)
    expires_at = serializers.DateTimeField()


class HoldMoved(serializers.Serializer[object]):
    hold = serializers.UUIDField()
    state = serializers.ChoiceField(choices=HoldState.choices)


def _problem(description: str) -> OpenApiResponse:
    return OpenApiResponse(Problem, description=description)


UNKNOWN = {(404, PROBLEM): _problem("No such request, or another caller's.")}
_TOLD: dict[Any, Any] = {(200, "application/json"): TaskAnswer}
_OVER = {(409, PROBLEM): _problem("It is decided already.")}


class AccessRequests(Wire):
    """Asking a human about what was held."""

    @extend_schema(
        operation_id="access_request",
        tags=["holds"],
        auth=BEARER,
        parameters=[REQUEST_ID, KEY],
        request=AccessRequestShape,
        responses={
            (202, "application/json"): TaskAnswer,
            (201, "application/json"): TaskAnswer,
            (409, PROBLEM): _problem("The key was used for another request."),
            (410, PROBLEM): _problem("The time to ask about that decision is over."),
            **PROBLEMS,
        },
    )
    def post(self, request: Request) -> HttpResponse:
        """Ask about a held decision: 202 while it waits, 201 where it is decided already."""
        return self.reply(request)


class OneAccessRequest(Wire):
    """What became of it."""

    @extend_schema(
        operation_id="access_request_status",
        tags=["holds"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        responses={**_TOLD, **PROBLEMS, **UNKNOWN},
    )
    def get(self, request: Request, pk: object) -> HttpResponse:
        """The task, and with an approval what to ask again with."""
        return self.reply(request)


class CancelAccessRequest(Wire):
    """Taking it back."""

    @extend_schema(
        operation_id="access_request_cancel",
        tags=["holds"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        request=CancelShape,
        responses={**_TOLD, **_OVER, **PROBLEMS, **UNKNOWN},
    )
    def post(self, request: Request, pk: object) -> HttpResponse:
        """Cancel what still waits."""
        return self.reply(request)

    @extend_schema(
        operation_id="access_request_cancel_delete",
        tags=["holds"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        responses={**_TOLD, **_OVER, **PROBLEMS, **UNKNOWN},
    )
    def delete(self, request: Request, pk: object) -> HttpResponse:
        """The same."""
        return self.reply(request)


class OneHold(Wire):
    """A hold, as an approver agent sees it."""

    @extend_schema(
        operation_id="hold",
        tags=["holds"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        responses={
            (200, "application/json"): HeldShape,
            (403, PROBLEM): _problem("The gate does not let this agent approve it."),
            **_OVER,
            **PROBLEMS,
            **UNKNOWN,
        },
    )
    def get(self, request: Request, pk: object) -> HttpResponse:
        """What waits, for an agent that the gate lets approve."""
        return self.reply(request)


class ApproveHold(Wire):
    """An approver agent's yes."""

    @extend_schema(
        operation_id="hold_approve",
        tags=["holds"],
        auth=BEARER,
        parameters=[REQUEST_ID],
        request=None,
        responses={
            (200, "application/json"): HoldMoved,
            (403, PROBLEM): _problem("The gate does not let this agent approve it."),
            **_OVER,
            **PROBLEMS,
            **UNKNOWN,
        },
    )
    def post(self, request: Request, pk: object) -> HttpResponse:
        """Approve it, where the gate allows this agent to."""
        return self.reply(request)
