"""When something may be done, whoever does it. No queries, no writes.

What widens stands here as well; docs/reference/register.md prints it as a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.conf import settings

from governance.kernel import json_schema, tiers
from registry import gates
from registry.enums import (
    AgentState,
    CredentialHolder,
    CredentialState,
    Employment,
    Environment,
    OnTaint,
    Tier,
    ToolEffect,
    Trust,
)
from registry.models import Agent, CredentialReference, Person

S = AgentState
AGENT_TRANSITIONS: dict[AgentState, frozenset[AgentState]] = {
    S.DRAFT: frozenset({S.IN_REVIEW, S.DECOMMISSIONING}),
    S.IN_REVIEW: frozenset({S.DRAFT, S.ACTIVE, S.DECOMMISSIONING}),
    S.ACTIVE: frozenset({S.SUSPENDED, S.DECOMMISSIONING}),
    S.SUSPENDED: frozenset({S.ACTIVE, S.DECOMMISSIONING}),
    S.DECOMMISSIONING: frozenset({S.DECOMMISSIONED}),
    S.DECOMMISSIONED: frozenset(),
}
EDITABLE = frozenset({S.DRAFT, S.IN_REVIEW, S.ACTIVE, S.SUSPENDED})
# A change of these rows is a review; before that they are a sketch.
LIVE = frozenset({S.ACTIVE, S.SUSPENDED})

LIMITS = ("rate_per_minute", "rate_per_hour", "spend_cap_minor")
ENTRY_LIMITS = ("rate_per_minute", "rate_per_hour", "write_quota_per_hour")

Facts = Mapping[str, Any]
# How much a tool guards itself after untrusted input: by its tier is between asking and refusing.
_ON_TAINT = {OnTaint.HOLD.value: 0, "": 1, OnTaint.DENY.value: 2}


def may_move(state: str, target: str) -> bool:
    """Whether an agent in `state` may become `target`."""
    return AgentState(target) in AGENT_TRANSITIONS[AgentState(state)]


def missing_for_review(agent: Agent) -> dict[str, list[str]]:
    """Field to sentences of what an agent lacks before anyone may clear it."""
    missing = {
        limit: ["An agent without rate limits and a spend cap cannot go live."]
        for limit in LIMITS
        if getattr(agent, limit) is None
    }
    if not agent.purpose.strip():
        missing["purpose"] = ["Say what the agent is for."]
    if sentence := cannot_answer(agent.owner):
        missing["owner"] = [sentence]
    return missing


def cannot_answer(person: Person) -> str:
    """Why this person cannot own what is live; empty if they can."""
    if person.employment != Employment.EMPLOYED or not person.is_active:
        return f"{person} is not employed, or is leaving. Name an owner who stays."
    if not person.chat_handle.strip():
        return f"{person} has no chat handle. An owner must be reachable."
    return ""


def not_its_own(holder: str) -> str:
    """Why a credential of this holder runs with no agent; empty if it may."""
    if holder in ("", CredentialHolder.OWN):
        return ""
    word = "a person's own" if holder == CredentialHolder.PERSONAL else "shared with others"
    return (
        f"A credential that is {word} does not go live with an agent: revoking it would stop "
        "others, and what was done with it could not be told apart. Give the agent one of its own."
    )


def must_not_be_forgotten(credential: CredentialReference) -> str:
    """Why this reference must stay on the row; empty if it may go."""
    if credential.live_at_source:
        return f"{credential.reference} is still live at its source. Confirm that it is not first."
    if credential.state in (CredentialState.STORING, CredentialState.ACTIVE):
        return f"Muster keeps {credential.reference}. Revoke it first."
    return ""


def owner_attests(tier: str) -> bool:
    """Public and internal: the owner's word is enough."""
    return tiers.rank(tier) <= tiers.rank(Tier.INTERNAL)


def months_to_renewal(tier: str) -> int:
    """After how many months the owner of an agent of this tier must confirm it."""
    return int(settings.MUSTER_RENEWAL_MONTHS[str(tier) or Tier.RESTRICTED])


def months_to_review(tier: str, *, about_people: bool) -> int:
    """Quarterly for people's data and restricted, twice a year for confidential, else yearly."""
    if about_people or tiers.rank(tier) >= tiers.rank(Tier.RESTRICTED):
        return 3
    return 12 if owner_attests(tier) else 6


def months_after(day: date, months: int) -> date:
    """The same day `months` later, or the last one of a shorter month."""
    years, month = divmod(day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(day.year + years, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")  # pragma: no cover


# What widens


def widened_place(before: Facts, after: Facts) -> list[str]:
    """Sentences for what makes a system or resource less guarded than it was."""
    found = []
    if tiers.rank(after["tier"]) < tiers.rank(before["tier"]):
        found.append(f"Its tier falls from {before['tier']} to {after['tier']}.")
    if lost := sorted(set(before["categories"]) - set(after["categories"])):
        found.append(f"It is no longer marked as {', '.join(lost)}.")
    return found


def widened_system(before: Facts, after: Facts) -> dict[str, str]:
    """Field to sentence for each change that makes a system less guarded."""
    found = {}
    if tiers.rank(after["tier"]) < tiers.rank(before["tier"]):
        found["tier"] = f"Its tier falls from {_tier(before)} to {_tier(after)}."
    if lost := sorted(set(before["categories"]) - set(after["categories"])):
        found["categories"] = f"It is no longer marked as {', '.join(lost)}."
    if (before["trust"], after["trust"]) == (Trust.UNTRUSTED, Trust.TRUSTED):
        found["trust"] = "What comes from it would be trusted."
    if before["environment"] == Environment.PRODUCTION != after["environment"]:
        found["environment"] = "It would no longer count as production."
    if before["personal_resource_ids"] and not after["personal_resource_ids"]:
        found["personal_resource_ids"] = "Its resource ids would be recorded in clear."
    for limit, words in (("rate_per_minute", "a minute"), ("rate_per_hour", "an hour")):
        if _is_above(after[limit], before[limit]):
            found[limit] = f"It would take more calls {words}."
    return found


def _tier(facts: Facts) -> str:
    return str(facts["tier"] or tiers.RESTRICTED)


def widened_tool(before: Facts, after: Facts) -> list[str]:
    """Sentences for what lets a tool do more, or declare less, than it did."""
    found = []
    if before["effect"] not in {after["effect"], ToolEffect.READ}:
        found.append(f"Its effect changes from {before['effect']} to {after['effect']}.")
    if before["system"] != after["system"]:
        found.append(f"It moves from {before['system']} to {after['system']}.")
    if not json_schema.covers(before["schema"], after["schema"]):
        found.append("Its parameters may take values that they could not take before.")
    found += _parameters_lost(before, after)
    if lost := sorted(set(before["secret_parameters"]) - set(after["secret_parameters"])):
        found.append(f"{', '.join(lost)} would be recorded.")
    found += gates.loosened(before.get("gates", {}), after.get("gates", {}))
    if _ON_TAINT[after["on_taint"]] < _ON_TAINT[before["on_taint"]]:
        found.append("After untrusted input it would be held where it was refused.")
    if {*map(tuple, before["accesses"])} != {*map(tuple, after["accesses"])}:
        found.append("What it reads and writes changes.")
    return found


def _parameters_lost(before: Facts, after: Facts) -> list[str]:
    """Limits and gates watch what a parameter stands for; they would watch it no more."""
    lost = [
        f"{before[field]} is no longer its {field.removesuffix('_parameter')}."
        for field in (
            f"{name}_parameter" for name in ("amount", "currency", "count", "recipient", "resource")
        )
        if before[field] and before[field] != after[field]
    ]
    if before["amount_is_cost"] and not after["amount_is_cost"]:
        lost.append("Its amount is no longer what it costs.")
    return lost


def widened_agent(before: Facts, after: Facts) -> list[str]:
    """Sentences for what lets a live agent do more than it could."""
    raised = [
        limit
        for limit in LIMITS
        if limit in after and (after[limit] is None or after[limit] > (before[limit] or 0))
    ]
    month = "spend_cap_month_minor"
    if month in after and _is_above(after[month], before[month]):
        raised.append(month)
    found = [f"{limit.replace('_', ' ')} rises." for limit in raised]
    for field, words in (
        ("pattern", "It would act under another identity pattern."),
        ("model_provider", "Its data would flow to another model provider."),
        ("currency", "Its spend cap would count in another currency."),
    ):
        if field in after and after[field] != before[field]:
            found.append(words)
    if after.get("isolated_runs") and not before["isolated_runs"]:
        found.append("Its runs would no longer carry over what earlier ones read.")
    if set(after.get("redirect_uris", ())) - set(before.get("redirect_uris", ())):
        found.append("What people consent to would be sent to a further address.")
    return found


def widened_entry(schema: Facts, before: Facts | None, after: Facts) -> list[str]:
    """Sentences for what lets a live agent do more with one tool than it could."""
    if before is None:
        return ["It may call a further tool."]
    found = []
    old, new = ({"allOf": [schema, each["narrowing"]]} for each in (before, after))
    if before["narrowing"] != after["narrowing"] and not json_schema.covers(old, new):
        found.append("Its parameters may take values that they could not take before.")
    raised = [limit for limit in ENTRY_LIMITS if _is_above(after[limit], before[limit])]
    found += [f"{limit.replace('_', ' ')} rises." for limit in raised]
    return found + gates.loosened(before.get("gates", {}), after.get("gates", {}))


def widened_sub_agent(before: Facts | None, after: Facts) -> list[str]:
    """Sentences for what lets a live agent take in more from another one than it could."""
    if before is None:
        return ["It may hand over to a further agent."]
    found = []
    old, new = before["result_schema"], after["result_schema"]
    if old != new and not json_schema.covers(old, new):
        found.append("Answers may take values that they could not take before.")
    if tiers.rank(after["result_tier"]) > tiers.rank(before["result_tier"]):
        found.append(
            f"Answers may be {after['result_tier']} where they were {before['result_tier']}."
        )
    if after["result_trusted"] and not before["result_trusted"]:
        found.append("Its answers would count as trusted.")
    return found


def _is_above(new: int | None, old: int | None) -> bool:
    """No limit is above every limit."""
    return old is not None and (new is None or new > old)
