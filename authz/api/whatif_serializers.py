"""The shapes of previews, simulations and coverage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from authz.api.serializers import EFFECTS, EvaluationRequest, Observed, Properties, StepTold
from authz.engine import codes
from authz.enums import PreviewState
from authz.services.previews import MAX_DAYS, MOST
from authz.simulate import Simulated

# Named in the settings, so that OpenAPI gives it a name.
PREVIEW_STATES = list(PreviewState.values)


class PreviewIn(serializers.Serializer[object]):
    change = Properties(
        help_text="`kind` is policy, role, allowlist, system or resource; "
        "docs/howto/preview-a-change.md tells the members of each."
    )
    days = serializers.IntegerField(min_value=1, max_value=MAX_DAYS, default=30)
    most = serializers.IntegerField(min_value=1, max_value=MOST, default=MOST)


class PreviewOut(serializers.Serializer[object]):
    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=PREVIEW_STATES)
    title = serializers.CharField(help_text="The answer in a sentence.")
    summary = serializers.CharField()
    change = Properties()
    by = serializers.CharField()
    at = serializers.DateTimeField()
    days = serializers.IntegerField()
    most = serializers.IntegerField()
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    failure = serializers.CharField(allow_blank=True)
    compared = serializers.IntegerField()
    turns = serializers.DictField(
        child=serializers.IntegerField(), help_text="From which effect to which: `allow>deny`."
    )
    moved = serializers.IntegerField(
        help_text="Decided otherwise today even without the change: the register has moved on."
    )
    watched = serializers.IntegerField(help_text="Where a log-only policy would have applied.")
    left_out = serializers.IntegerField()
    unjudgeable = serializers.DictField(child=serializers.IntegerField())
    damaged = serializers.IntegerField()


class Side(serializers.Serializer[object]):
    effect = serializers.ChoiceField(choices=EFFECTS)
    code = serializers.CharField(allow_blank=True)
    walk = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    policies = serializers.ListField(child=serializers.CharField())
    detail = Properties()
    observed = serializers.BooleanField()


class DifferenceOut(serializers.Serializer[object]):
    record = serializers.UUIDField()
    at = serializers.DateTimeField()
    agent = serializers.CharField(allow_blank=True)
    user = serializers.CharField(allow_blank=True)
    tool = serializers.CharField(allow_blank=True)
    turn = serializers.CharField()
    before = Side()
    after = Side()


class SimulationIn(EvaluationRequest):
    at = serializers.DateTimeField(required=False, help_text="Empty is now.")
    gateway = serializers.CharField(
        max_length=60,
        required=False,
        allow_blank=True,
        help_text="Who would ask; else the agent itself.",
    )


class WalkTold(StepTold):
    sentence = serializers.CharField(allow_blank=True)


class SimulationContext(serializers.Serializer[object]):
    effect = serializers.ChoiceField(choices=EFFECTS)
    check = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    message = serializers.CharField()
    policies = serializers.ListField(child=serializers.CharField())
    log_only = serializers.ListField(child=serializers.CharField())
    flags = serializers.ListField(child=serializers.CharField())
    would_ask = serializers.ListField(
        child=serializers.CharField(),
        help_text="Decision points outside that a decision would ask; nobody was asked for this.",
    )
    remedies = serializers.ListField(child=Properties())
    classification = serializers.CharField(allow_blank=True)
    walk = WalkTold(many=True)
    observe = Observed(required=False)


class SimulationOut(serializers.Serializer[object]):
    simulated = serializers.BooleanField()
    record = serializers.UUIDField(help_text="The entry that says that this was simulated.")
    at = serializers.DateTimeField()
    decision = serializers.BooleanField()
    context = SimulationContext()  # type: ignore[assignment]


def simulation(found: Simulated) -> Mapping[str, Any]:
    """A simulation in the words of an evaluation's answer."""
    decision = found.decision
    context: dict[str, Any] = {
        "effect": str(decision.effect),
        "check": decision.check,
        "code": decision.code,
        "reason": codes.reason(decision.code),
        "message": codes.message(decision.code, decision.detail),
        "policies": list(decision.policies),
        "log_only": list(decision.log_only),
        "flags": list(decision.flags),
        "would_ask": list(decision.would_ask),
        "remedies": [{**each, "message": codes.remedy_text(each)} for each in decision.remedies],
        "classification": decision.classification,
        "walk": [
            {**line, "code": step.code}
            for line, step in zip(found.explanation.walk, decision.walk, strict=True)
        ],
    }
    if decision.observe:
        seen = decision.observe
        context["observe"] = {"would": str(seen.would), "check": seen.check, "code": seen.code}
    return {
        "simulated": True,
        "record": found.record,
        "at": found.now,
        "decision": decision.effect == "allow",
        "context": context,
    }


class UngovernedOut(serializers.Serializer[object]):
    tool = serializers.CharField()
    system = serializers.CharField()
    effect = serializers.CharField()
    agents = serializers.IntegerField()


class EntryOut(serializers.Serializer[object]):
    agent = serializers.CharField()
    tool = serializers.CharField()


class GrantOut(serializers.Serializer[object]):
    role = serializers.CharField()
    tool = serializers.CharField()
    holders = serializers.IntegerField()


class UnfiredOut(serializers.Serializer[object]):
    slug = serializers.CharField()
    version = serializers.IntegerField()
    log_only = serializers.BooleanField()
    activated_at = serializers.DateTimeField(allow_null=True)


class UngrantedOut(EntryOut):
    granted_by = serializers.ListField(child=serializers.CharField())


_NOT_KNOWN = "null where the record could not tell in time."


class CoverageOut(serializers.Serializer[object]):
    since = serializers.DateTimeField(help_text="From when on the record was looked at.")
    reaches_back = serializers.BooleanField(help_text="Does the record reach back 90 days?")
    recorded_from = serializers.DateTimeField(allow_null=True)
    ungoverned = UngovernedOut(many=True)
    unheld = serializers.ListField(child=serializers.CharField())
    unused_entries = EntryOut(many=True, allow_null=True, help_text=_NOT_KNOWN)
    unused_grants = GrantOut(many=True, allow_null=True, help_text=_NOT_KNOWN)
    unfired = UnfiredOut(many=True, allow_null=True, help_text=_NOT_KNOWN)
    ungranted = UngrantedOut(many=True)
