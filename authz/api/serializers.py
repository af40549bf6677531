"""The shapes of the decision API, for OpenAPI. `authz.wire` is what reads and refuses."""

from __future__ import annotations

from rest_framework import serializers

from authz.engine.types import Effect, Status
from authz.outcomes import Result
from authz.search.questions import DEFAULT_LIMIT, MAX_LIMIT, MAX_TOKEN
from authz.wire import TRUSTS, Semantic

# Named in the settings, so that OpenAPI gives it a name.
EFFECTS = [each.value for each in Effect]
CHECK_STATUSES = [each.value for each in Status]


class Properties(serializers.DictField):
    """Any members."""

    child = serializers.JSONField()


class Subject(serializers.Serializer[object]):
    type = serializers.CharField(max_length=800, help_text="`agent`, or what a person is called.")
    id = serializers.CharField(max_length=800)
    properties = Properties(required=False)


class Action(serializers.Serializer[object]):
    name = serializers.CharField(max_length=800, help_text="The tool, exactly as registered.")
    properties = Properties(required=False, help_text="The parameters.")


class Resource(serializers.Serializer[object]):
    type = serializers.CharField(max_length=800)
    id = serializers.CharField(max_length=800)
    properties = Properties(required=False)


class ApprovalRef(serializers.Serializer[object]):
    id = serializers.CharField()


class Estimate(serializers.Serializer[object]):
    cost_minor = serializers.IntegerField(min_value=0)
    currency = serializers.RegexField("^[A-Z]{3}$")


class Context(serializers.Serializer[object]):
    session = serializers.CharField(max_length=200, required=False, allow_blank=True)
    user = serializers.CharField(max_length=800, required=False, allow_blank=True)
    agent = serializers.CharField(max_length=800, required=False, allow_blank=True)
    parameters = Properties(required=False)
    reasoning = serializers.CharField(required=False, allow_blank=True)
    inputs = serializers.JSONField(required=False)
    plan = serializers.JSONField(required=False, help_text="As in POST /api/v1/sessions.")
    provenance = Properties(
        required=False, help_text="Parameter to `untrusted`, where it was taken from such input."
    )
    prompt_digest = serializers.CharField(max_length=200, required=False, allow_blank=True)
    code_reference = serializers.CharField(max_length=200, required=False, allow_blank=True)
    estimate = Estimate(required=False, help_text="What the call may cost at the most.")
    delegation = serializers.CharField(
        required=False, allow_blank=True, help_text="The id of what was handed over to the agent."
    )
    approval = ApprovalRef(required=False, help_text="As an access request's result has it.")


class EvaluationRequest(serializers.Serializer[object]):
    subject = Subject()
    action = Action()
    resource = Resource()
    context = Context(required=False)  # type: ignore[assignment]


class EvaluationItem(serializers.Serializer[object]):
    subject = Subject(required=False)
    action = Action(required=False)
    resource = Resource(required=False)
    context = Context(required=False)  # type: ignore[assignment]


class Options(serializers.Serializer[object]):
    evaluations_semantic = serializers.ChoiceField(
        choices=[each.value for each in Semantic], required=False
    )


class EvaluationsRequest(EvaluationItem):
    evaluations = EvaluationItem(many=True, required=False)
    options = Options(required=False)


class Observed(serializers.Serializer[object]):
    would = serializers.ChoiceField(choices=EFFECTS)
    check = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True)


class Receipt(serializers.Serializer[object]):
    """What proves later that this decision was recorded, or that it was lost."""

    record = serializers.UUIDField()
    leaf = serializers.CharField(help_text="The entry's leaf hash, hexadecimal.")
    index = serializers.IntegerField(help_text="Its place among those that were signed with it.")
    path = serializers.ListField(child=serializers.CharField())
    note = serializers.CharField(help_text="Their root, as a signed note under the receipt key.")


class AnswerContext(serializers.Serializer[object]):
    decision_id = serializers.UUIDField()
    effect = serializers.ChoiceField(choices=EFFECTS)
    check = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    message = serializers.CharField()
    policies = serializers.ListField(child=serializers.CharField())
    obligations = serializers.ListField(child=Properties())
    remedies = serializers.ListField(child=Properties())
    classification = serializers.CharField(allow_blank=True)
    trust = serializers.ChoiceField(
        choices=TRUSTS, required=False, help_text="Of what a call that goes on reads."
    )
    limits = serializers.ListField(child=Properties(), required=False)
    receipt = Receipt(required=False)
    observe = Observed(required=False)
    error = Properties(required=False)
    evaluation_id = serializers.UUIDField(required=False)
    evaluated_at = serializers.DateTimeField(required=False)
    access_request = Properties(required=False, help_text="Where a human can be asked.")
    approval = Properties(required=False, help_text="The one that was used up.")
    next_action = serializers.ChoiceField(choices=["request", "retry", "none"], required=False)
    retry_after = serializers.IntegerField(required=False)


class EvaluationAnswer(serializers.Serializer[object]):
    decision = serializers.BooleanField()
    context = AnswerContext(required=False)  # type: ignore[assignment]


class EvaluationsAnswer(serializers.Serializer[object]):
    evaluations = EvaluationAnswer(many=True, required=False)
    decision = serializers.BooleanField(required=False)
    context = AnswerContext(required=False)  # type: ignore[assignment]


class Typed(serializers.Serializer[object]):
    type = serializers.CharField(max_length=800)


class PageRequest(serializers.Serializer[object]):
    token = serializers.CharField(
        max_length=MAX_TOKEN, required=False, allow_blank=True, help_text="The last `next_token`."
    )
    limit = serializers.IntegerField(
        min_value=0, required=False, help_text=f"{DEFAULT_LIMIT} if absent; {MAX_LIMIT} at most."
    )


class SubjectSearchRequest(serializers.Serializer[object]):
    subject = Typed(help_text="`agent`, `person`, `user` or `identity`.")
    action = Action()
    resource = Resource()
    context = Context(required=False)  # type: ignore[assignment]
    page = PageRequest(required=False)


class ResourceSearchRequest(serializers.Serializer[object]):
    subject = Subject()
    action = Action()
    resource = Typed(help_text="A system or a resource type; `tool` for tools.")
    context = Context(required=False)  # type: ignore[assignment]
    page = PageRequest(required=False)


class ActionSearchRequest(serializers.Serializer[object]):
    subject = Subject()
    resource = Resource()
    context = Context(required=False)  # type: ignore[assignment]
    page = PageRequest(required=False)


class Page(serializers.Serializer[object]):
    next_token = serializers.CharField(allow_blank=True)
    count = serializers.IntegerField(min_value=0)


class SearchContext(serializers.Serializer[object]):
    open_parameters = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="By tool: required parameters that were not given, so the results leave them "
        "open.",
    )


class FoundEntity(serializers.Serializer[object]):
    type = serializers.CharField()
    id = serializers.CharField()


class FoundAction(serializers.Serializer[object]):
    name = serializers.CharField()


class EntitySearchAnswer(serializers.Serializer[object]):
    page = Page(required=False)
    context = SearchContext(required=False)  # type: ignore[assignment]
    results = FoundEntity(many=True)


class ActionSearchAnswer(serializers.Serializer[object]):
    page = Page(required=False)
    context = SearchContext(required=False)  # type: ignore[assignment]
    results = FoundAction(many=True)


class Metadata(serializers.Serializer[object]):
    policy_decision_point = serializers.URLField()
    access_evaluation_endpoint = serializers.URLField()
    access_evaluations_endpoint = serializers.URLField()
    search_subject_endpoint = serializers.URLField()
    search_resource_endpoint = serializers.URLField()
    search_action_endpoint = serializers.URLField()
    access_request_endpoint = serializers.URLField()
    capabilities = serializers.ListField(child=serializers.CharField())


class TokensUsed(serializers.Serializer[object]):
    provider = serializers.CharField(max_length=100)
    model = serializers.CharField(max_length=100)
    input = serializers.IntegerField(min_value=0, required=False)
    output = serializers.IntegerField(min_value=0, required=False)


class UnitsUsed(serializers.Serializer[object]):
    meter = serializers.CharField(max_length=100)
    units = serializers.FloatField(min_value=0)


class OutcomeRequest(serializers.Serializer[object]):
    outcome = serializers.ChoiceField(choices=[each.value for each in Result])
    output = serializers.JSONField(required=False)
    cost_minor = serializers.IntegerField(min_value=0, required=False, allow_null=True)
    currency = serializers.RegexField("^([A-Z]{3})?$", required=False)
    tokens = TokensUsed(many=True, required=False)
    meters = UnitsUsed(many=True, required=False)
    records = serializers.ListField(
        child=serializers.CharField(max_length=255), max_length=1000, required=False
    )
    trust = serializers.ChoiceField(
        choices=TRUSTS,
        required=False,
        help_text="`untrusted` where the output may hold somebody else's words.",
    )
    inputs = serializers.JSONField(required=False, help_text="What else the call has read.")


class OutcomeAnswer(serializers.Serializer[object]):
    outcome_id = serializers.UUIDField()
    decision_id = serializers.UUIDField()


class StepTold(serializers.Serializer[object]):
    check = serializers.CharField()
    status = serializers.ChoiceField(choices=CHECK_STATUSES)
    code = serializers.CharField(allow_blank=True)


class JudgedResource(serializers.Serializer[object]):
    type = serializers.CharField(allow_blank=True)
    id = serializers.CharField(allow_blank=True)


class DecisionRecord(serializers.Serializer[object]):
    decision_id = serializers.UUIDField()
    at = serializers.DateTimeField()
    effect = serializers.ChoiceField(choices=EFFECTS)
    check = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    mode = serializers.CharField()
    agent = serializers.CharField(allow_blank=True)
    gateway = serializers.CharField(allow_blank=True)
    tool = serializers.CharField(allow_blank=True)
    resource = JudgedResource()
    classification = serializers.CharField(allow_blank=True)
    session = serializers.CharField(allow_blank=True)
    walk = StepTold(many=True)
    policies = serializers.ListField(child=serializers.CharField())
    flags = serializers.ListField(child=serializers.CharField())
    outcome_reported = serializers.BooleanField()
