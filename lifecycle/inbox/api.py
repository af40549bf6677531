"""Holds over REST: what waits, what it is about, and the answer. The same rules as in the inbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from authz.api import access_views as agents
from authz.enums import HoldState
from authz.models import Hold
from authz.services import holds as authorization
from lifecycle.inbox import holds
from lifecycle.inbox.answers import MOST_REASON
from lifecycle.inbox.second_factor import proved_at
from registry.api.operations import (
    JSON,
    READING,
    SEARCHING,
    WRITING,
    Listed,
    given_in,
    person_of,
    query_of,
)
from registry.devices import tokens as command_line


class HoldQuery(serializers.Serializer[Any]):
    mine = serializers.BooleanField(required=False, help_text="Only what you may approve.")
    agent = serializers.CharField(required=False, max_length=60)


class HoldOut(serializers.Serializer[Hold]):
    """An action that waits for a human."""

    id = serializers.UUIDField()
    agent = serializers.CharField()
    tool = serializers.CharField()
    user = serializers.CharField(help_text="For whom the agent acts; empty for nobody.")
    state = serializers.ChoiceField(choices=HoldState.choices)
    why = serializers.SerializerMethodField()
    codes = serializers.ListField(child=serializers.CharField())
    tier = serializers.CharField()
    approvals = serializers.IntegerField(help_text="How many people must say yes.")
    needs_second_factor = serializers.BooleanField()
    times_asked = serializers.IntegerField()
    made_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="Then it is refused.")

    def get_why(self, row: Hold) -> str:
        return holds.why_held(row.codes)


class WholeHoldOut(HoldOut):
    """The same with what it is about, and whether you may answer. Reading it is recorded."""

    parameters = serializers.DictField(help_text="What would be sent, without what is secret.")
    secrets = serializers.ListField(child=serializers.CharField())
    reasoning = serializers.CharField(help_text="What the agent says; nobody has checked it.")
    fault = serializers.CharField(help_text="Why it cannot be read; empty where it can.")
    seen = serializers.CharField(help_text="Send this back with an approval: what you looked at.")
    why_not_approve = serializers.CharField(help_text="Empty where you may.")
    why_not_reject = serializers.CharField(help_text="Empty where you may.")
    prove_first = serializers.BooleanField(
        help_text="You may approve, once you have used your second factor again."
    )


class ApprovalIn(serializers.Serializer[Any]):
    seen = serializers.RegexField(r"\A[0-9a-f]{64}\Z", help_text="`seen` of the hold.")


class RejectionIn(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=MOST_REASON, help_text="The agent reads it.")


class Holds(Listed):
    @extend_schema(
        operation_id="holds_list",
        tags=["holds"],
        parameters=[HoldQuery],
        responses={(200, JSON): HoldOut(many=True), **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """What waits and you see, first what runs out first."""
        person, wanted = person_of(request), query_of(HoldQuery, request)
        rows = holds.mine(person) if wanted.get("mine") else holds.seen_by(person)
        if agent := wanted.get("agent"):
            rows = rows.filter(agent=agent)
        return self.page(request, rows.order_by("expires_at", "pk"), HoldOut)


class _ForAgentsToo(APIView):
    """An address where an agent that the gate names is answered as well, by its own token."""

    of_agents: Callable[..., HttpResponseBase]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        given = request.headers.get("Authorization", "")
        if given and not command_line.is_given(given):
            return self.of_agents(request, *args, **kwargs)
        return super().dispatch(request, *args, **kwargs)


class OneHold(_ForAgentsToo):
    of_agents = staticmethod(agents.OneHold.as_view())

    @extend_schema(
        operation_id="hold_get", tags=["holds"], responses={(200, JSON): WholeHoldOut, **READING}
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """One that waits, with what it is about. That you read it is recorded."""
        found = holds.one(str(pk), person_of(request), proved_at(request))
        return Response(_whole(found))


class ApproveHold(_ForAgentsToo):
    of_agents = staticmethod(agents.ApproveHold.as_view())

    @extend_schema(
        operation_id="hold_approve",
        tags=["holds"],
        request=ApprovalIn,
        responses={(200, JSON): HoldOut, **WRITING},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Let it run once, exactly as you looked at it. `open` where another yes is needed."""
        hold = authorization.approve_hold(
            hold_id=pk,
            by=person_of(request),
            seen=given_in(ApprovalIn, request)["seen"],
            second_factor_at=proved_at(request),
        )
        return Response(HoldOut(hold).data)


class RejectHold(APIView):
    @extend_schema(
        operation_id="hold_reject",
        tags=["holds"],
        request=RejectionIn,
        responses={(200, JSON): HoldOut, **WRITING},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Refuse it, with a reason that the agent reads."""
        reason = given_in(RejectionIn, request)["reason"]
        hold = authorization.reject_hold(hold_id=pk, by=person_of(request), reason=reason)
        return Response(HoldOut(hold).data)


def _whole(found: dict[str, Any]) -> dict[str, Any]:
    held = found["held"]
    return {
        **HoldOut(held.hold).data,
        "parameters": held.parameters,
        "secrets": list(held.secrets),
        "reasoning": held.reasoning,
        "fault": held.fault,
        "seen": held.hold.digest,
        "why_not_approve": found["why_not"],
        "why_not_reject": found["why_not_reject"],
        "prove_first": found["needs_second"],
    }
