"""Incidents over REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.enums import Kind, Mode
from audit.incident import Span
from authz.engine.types import Effect
from authz.enums import HoldState
from compliance.incident import handles
from compliance.incident.document import document_of
from compliance.incident.gathering import Asked, gather
from compliance.incident.handles import Choice, Handle, HandleKind
from governance.kernel.api import InstantField
from governance.kernel.errors import Invalid
from registry.api.operations import JSON, SEARCHING, person_of, query_of

Shape = serializers.Serializer[Any]


class IncidentQuery(Shape):
    handle = serializers.CharField(
        required=False,
        max_length=handles.LONGEST + 20,
        help_text=f"KIND:NAME, KIND one of {', '.join(HandleKind)}; or everything, with a span.",
    )
    q = serializers.CharField(
        required=False, max_length=handles.LONGEST, help_text="Any name: what is meant is answered."
    )
    since = InstantField(required=False)
    until = InstantField(required=False, help_text="Not part of the span.")
    after = serializers.UUIDField(required=False, help_text="Entries older than this record.")
    before = serializers.UUIDField(required=False, help_text="Entries newer than this record.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not (attrs.get("handle") or attrs.get("q")):
            raise serializers.ValidationError({"handle": ["Say a handle, or anything as q."]})
        return attrs


class IncidentChoiceOut(Shape):
    """One thing that may be meant by what was asked for."""

    handle = serializers.CharField()
    name = serializers.CharField(help_text="As it is known.")
    about = serializers.CharField(allow_blank=True)


class IncidentCountsOut(Shape):
    allow = serializers.IntegerField()
    deny = serializers.IntegerField()
    hold = serializers.IntegerField()


class IncidentStopOut(Shape):
    tool = serializers.CharField(allow_blank=True)
    effect = serializers.ChoiceField(choices=[each.value for each in Effect])
    code = serializers.CharField()
    sentence = serializers.CharField()
    times = serializers.IntegerField()
    first = serializers.UUIDField()


class IncidentWhatOut(Shape):
    answer = serializers.CharField()
    decisions = serializers.IntegerField()
    counts = IncidentCountsOut()
    other_entries = serializers.IntegerField()
    stops = IncidentStopOut(many=True)


class IncidentCallerOut(Shape):
    agent = serializers.CharField(allow_blank=True)
    acting_for = serializers.CharField(allow_blank=True)
    gateway = serializers.CharField(allow_blank=True)
    chain = serializers.ListField(
        child=serializers.CharField(), help_text="Agents that handed it on, nearest first."
    )
    owner_then = serializers.ListField(child=serializers.CharField())
    pattern = serializers.CharField(allow_blank=True)
    counts = IncidentCountsOut()
    first = serializers.DateTimeField()
    last = serializers.DateTimeField()
    runs = serializers.ListField(child=serializers.CharField())


class IncidentDeedOut(Shape):
    actor = serializers.CharField()
    did = serializers.CharField()
    times = serializers.IntegerField()
    first = serializers.UUIDField()
    at = serializers.DateTimeField()


class IncidentWhoOut(Shape):
    answer = serializers.CharField()
    callers = IncidentCallerOut(many=True)
    deeds = IncidentDeedOut(many=True)


class IncidentPolicyOut(Shape):
    id = serializers.CharField()
    sha256 = serializers.CharField(allow_blank=True, help_text="Of the text of this version.")
    proposed_by = serializers.CharField(allow_blank=True)
    agreed_by = serializers.CharField(allow_blank=True)
    in_force_since = serializers.DateTimeField(allow_null=True)


class IncidentWordOut(Shape):
    who = serializers.CharField()
    at = serializers.DateTimeField()


class IncidentApprovalOut(Shape):
    hold = serializers.UUIDField()
    state = serializers.ChoiceField(choices=HoldState.choices)
    asked_at = serializers.DateTimeField()
    words = IncidentWordOut(many=True)
    decided_by = serializers.CharField(allow_blank=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    edited = serializers.BooleanField()
    used_at = serializers.DateTimeField(allow_null=True)


class IncidentEmergencyOut(Shape):
    id = serializers.UUIDField()
    who = serializers.CharField()
    second = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()
    reviewed_by = serializers.CharField(allow_blank=True)


class IncidentBasisOut(Shape):
    effect = serializers.CharField(allow_blank=True, help_text="allow, deny, hold; empty for none.")
    check = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()
    agent = serializers.CharField(allow_blank=True)
    acting_for = serializers.CharField(allow_blank=True)
    tool = serializers.CharField(allow_blank=True)
    mode = serializers.ChoiceField(choices=Mode.choices, allow_blank=True)
    policies = IncidentPolicyOut(many=True)
    roles = serializers.ListField(child=serializers.CharField())
    limits = serializers.CharField(allow_blank=True)
    approval = IncidentApprovalOut(allow_null=True)
    emergency = IncidentEmergencyOut(allow_null=True)


class IncidentGroundOut(IncidentBasisOut):
    """Calls that were decided alike, the first of them, and by what."""

    times = serializers.IntegerField()
    first = serializers.UUIDField()


class IncidentAuthorizedOut(Shape):
    answer = serializers.CharField()
    allowed = serializers.IntegerField()
    allowed_by_a_person = serializers.IntegerField()
    under_emergency = serializers.IntegerField()
    observed = serializers.IntegerField()
    stopped_by_check = serializers.DictField(child=serializers.IntegerField())
    grounds = IncidentGroundOut(many=True)


class IncidentSystemOut(Shape):
    system = serializers.CharField()
    tier = serializers.CharField(allow_blank=True)
    categories = serializers.ListField(child=serializers.CharField())
    environment = serializers.CharField(allow_blank=True)
    country = serializers.CharField(allow_blank=True)
    untrusted = serializers.BooleanField()
    reads = serializers.IntegerField()
    writes = serializers.IntegerField()
    stopped = serializers.IntegerField()
    records_reported = serializers.IntegerField()
    records_changed = serializers.IntegerField()
    tools = serializers.ListField(child=serializers.CharField())
    resources = serializers.DictField(child=serializers.IntegerField())


class IncidentDataOut(Shape):
    answer = serializers.CharField()
    tier = serializers.CharField(allow_blank=True)
    categories = serializers.ListField(child=serializers.CharField())
    systems = IncidentSystemOut(many=True)
    spent_minor = serializers.DictField(child=serializers.IntegerField())


class IncidentRunOut(Shape):
    run = serializers.CharField()
    agent = serializers.CharField(allow_blank=True)
    tier = serializers.CharField(allow_blank=True, help_text="The label of the run.")
    read_untrusted = serializers.BooleanField()
    carried_over = serializers.BooleanField()
    calls = serializers.IntegerField()
    stopped = serializers.IntegerField()
    first = serializers.DateTimeField()
    last = serializers.DateTimeField()


class IncidentKinOut(Shape):
    """A run that has a user, a resource or an agent in common with these."""

    run = serializers.CharField()
    agent = serializers.CharField(allow_blank=True)
    by = serializers.CharField()
    value = serializers.CharField()
    calls = serializers.IntegerField()
    stopped = serializers.IntegerField()
    read_untrusted = serializers.BooleanField()
    first = serializers.DateTimeField()
    last = serializers.DateTimeField()


class IncidentCombinationOut(Shape):
    """What came together in what went on, as a toxic combination takes it."""

    categories = serializers.ListField(child=serializers.CharField())
    effects = serializers.ListField(child=serializers.CharField())


class IncidentRecordOut(IncidentBasisOut):
    """One entry, newest first, with its place in the log."""

    record = serializers.UUIDField()
    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    resource = serializers.CharField(allow_blank=True)
    tier = serializers.CharField(allow_blank=True)
    run = serializers.CharField(allow_blank=True)
    actor = serializers.CharField()
    owner_then = serializers.CharField(allow_blank=True)
    belongs_to = serializers.UUIDField(allow_null=True, help_text="Its parent record.")
    leaf = serializers.CharField()
    index = serializers.IntegerField(allow_null=True)
    sealed = serializers.BooleanField()


class IncidentOut(Shape):
    """The four answers about at most five hundred entries, and these."""

    muster_incident = serializers.IntegerField()
    handle = serializers.CharField()
    title = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    entries = serializers.IntegerField()
    older = serializers.BooleanField(help_text="The span holds older entries: ask with after.")
    newer = serializers.BooleanField(help_text="The span holds newer entries: ask with before.")
    more_outcomes = serializers.BooleanField(
        help_text="More was reported of these entries than was read: narrow the span."
    )
    what_happened = IncidentWhatOut()
    who_caused_it = IncidentWhoOut()
    was_it_authorized = IncidentAuthorizedOut()
    what_data_was_touched = IncidentDataOut()
    runs = IncidentRunOut(many=True)
    related_runs = IncidentKinOut(many=True)
    more_related_runs = serializers.BooleanField(
        help_text="There may be more than were looked for: narrow the span."
    )
    combination = IncidentCombinationOut()
    unsealed = serializers.IntegerField()
    records = IncidentRecordOut(many=True)


class IncidentAnswerOut(Shape):
    """The incident where one thing is meant; else what may be meant."""

    incident = IncidentOut(allow_null=True)
    choices = IncidentChoiceOut(many=True)


class Incidents(APIView):
    @extend_schema(
        operation_id="incident",
        tags=["record"],
        parameters=[IncidentQuery],
        responses={(200, JSON): IncidentAnswerOut, **SEARCHING},
    )
    def get(self, request: Request) -> Response:
        """What happened, who caused it, was it authorized, what data was touched."""
        given, person = query_of(IncidentQuery, request), person_of(request)
        span = Span(given.get("since"), given.get("until"))
        if span.since and span.until and span.since >= span.until:
            raise Invalid("The span ends before it begins.")
        choices = [] if given.get("handle") else handles.meant(given["q"], person)
        handle = handles.read(given["handle"]) if given.get("handle") else _only(choices)
        if handle is None:
            return Response({"incident": None, "choices": [_told(each) for each in choices]})
        if choices and choices[0].span:
            span = choices[0].span
        asked = Asked(handle, span, given.get("after"), given.get("before"))
        found = document_of(gather(asked, person.audit_scope()))
        return Response({"incident": found, "choices": []})


def _only(choices: list[Choice]) -> Handle | None:
    return choices[0].handle if len(choices) == 1 else None


def _told(choice: Choice) -> dict[str, str]:
    return {"handle": choice.handle.key, "name": choice.label, "about": choice.about}
