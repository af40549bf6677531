"""The policy check: which policies can concern a call, what they are asked, what that means."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from authz.engine import cedar, names, outside, question
from authz.engine.case import Case, passed, refused
from authz.engine.cedar import Question, Verdict
from authz.engine.obligations import Obligation, distinct
from authz.engine.policies import UNGOVERNED, PolicySlice
from authz.engine.reads import EVERYTHING, Reads, kept, names_read
from authz.engine.types import REFUSALS, Check, Json, Status, Step
from authz.engine.world import CompiledTool, Entity


def policy(case: Case) -> Step:
    """Forbid wins; a governed tool needs a permit; an error is a refusal.

    Everyone behind the call is asked: who handed it on, and the user alone. What all of them may,
    a decision point outside can still refuse.
    """
    return _asked_outside(case, _of_everyone(case, _own))


def policy_unasked(case: Case) -> Step:
    """The check where nothing is decided: it says who outside would be asked, and asks nobody."""
    return _asked_outside(case, _of_everyone(case, _own), left_open=True)


def _asked_outside(case: Case, step: Step, *, left_open: bool = False) -> Step:
    refuses = step.status in REFUSALS
    return step if refuses else outside.judged(case, step, left_open=left_open)


def _of_everyone(case: Case, judge: Callable[[Case], Step]) -> Step:
    step = judge(case)
    for one in case.behind:
        if step.status in REFUSALS:
            break
        step = _joined(step, judge(one), _who(one))
    return step


def _who(case: Case) -> str:
    return case.request.agent if case.is_agent else "user"


def _joined(step: Step, other: Step, who: str) -> Step:
    """What both come to: a refusal of the other, else what either named and asked for."""
    if other.status in REFUSALS:
        return replace(other, detail={**other.detail, "behind": who})
    named = {
        name: list(dict.fromkeys([*step.detail.get(name, ()), *other.detail.get(name, ())]))
        for name in ("policies", "log_only", "flags")
        if name in step.detail or name in other.detail
    }
    asks = (*step.detail.get("obligations", ()), *other.detail.get("obligations", ()))
    if asks:
        named["obligations"] = distinct(asks)
    governed = step.detail["governed"] or other.detail["governed"]
    return replace(step, detail={**step.detail, **named, "governed": governed})


def _own(case: Case) -> Step:
    index = case.world.policies
    if index.broken:
        return refused(case, "policy.error", Status.ERROR, policies=list(index.broken))
    part = _slice(case)
    if part.enforced is None and not part.watched:
        return _ruled(case, part, None, {})
    asked = _question(case, part.reads)
    watched = _watched(asked, part)
    verdict = cedar.put(asked, part.enforced) if part.enforced is not None else None
    return _ruled(case, part, verdict, watched)


def policy_so_far(case: Case, lacking: frozenset[str]) -> Step:
    """The check of a call that still lacks parameters, which it needs and so will have.

    A statement that reads one of them can turn out either way: a forbid does not forbid yet, and
    a permit may permit. Everything else decides as it always does.
    """
    step = _of_everyone(case, partial(_own_so_far, lacking=lacking))
    return _asked_outside(case, step, left_open=True)


def _own_so_far(case: Case, lacking: frozenset[str]) -> Step:
    index = case.world.policies
    if index.broken:
        return refused(case, "policy.error", Status.ERROR, policies=list(index.broken))
    part = _slice(case)
    if part.enforced is None:
        return _ruled(case, part, None, {})
    schema = case.world.open_schema(case.request.tool, lacking)
    asked = replace(_question(case, EVERYTHING), schema=schema)
    any_resource = lacks_resource(case, lacking)
    verdict = cedar.put(asked, index.open_set(part, lacking, any_resource=any_resource))
    permits = {one.uid for one in index.statements if one.effect == "permit"}
    return _ruled(case, part, verdict.without(lacking, permits), {})


def lacks_resource(case: Case, lacking: frozenset[str]) -> bool:
    """Is the parameter that names the resource among those that the call lacks?"""
    return case.world.tools[case.request.tool].get("resource") in lacking


def _slice(case: Case) -> PolicySlice:
    tool = case.world.tool(case.request.tool)
    kind = names.AGENT if case.is_agent else names.PERSON
    roles = frozenset(case.subject.get("roles") or ())
    return case.world.policies.slice_for(tool.name, tool.actions, kind, roles)


def _ruled(
    case: Case, part: PolicySlice, verdict: Verdict | None, watched: Mapping[str, Json]
) -> Step:
    """The step that a verdict means; None is that no policy can concern this call."""
    if verdict is None:
        if part.governed:
            return refused(case, "policy.no_permit", policies=[], **watched)
        return passed(Check.POLICY, policies=[], governed=False, **watched)
    reasons = sorted({part.owners[uid] for uid in verdict.reasons if uid != UNGOVERNED})
    if verdict.is_allow:
        asks = {"obligations": _asked_for(verdict, part)} if part.asks else {}
        return passed(Check.POLICY, policies=reasons, governed=part.governed, **watched, **asks)
    if verdict.is_forbidden:
        return refused(case, "policy.forbidden", policies=reasons, **watched)
    if verdict.has_failed:
        failed = list(cedar.named_in(verdict.errors, part.owners))
        return refused(case, "policy.error", Status.ERROR, policies=failed, **watched)
    return refused(case, "policy.no_permit", policies=[], **watched)


def _asked_for(verdict: Verdict, part: PolicySlice) -> list[Obligation]:
    """What the permits that decided ask of whoever goes on."""
    return distinct(each for uid in sorted(verdict.reasons) for each in part.asks.get(uid, ()))


def _watched(asked: Question, part: PolicySlice) -> dict[str, Json]:
    """Which log-only policies apply; they decide nothing, not even by an error."""
    applied: set[str] = set()
    failed = False
    for policies in part.watched:
        verdict = cedar.put(asked, policies)
        applied |= {part.owners[uid] for uid in verdict.reasons}
        failed = failed or verdict.has_failed
    found: dict[str, Json] = {"log_only": sorted(applied)} if part.watched else {}
    return {**found, "flags": ["log_only_error"]} if failed else found


def _question(case: Case, reads: Reads) -> Question:
    """All is projected, so that what cannot be is an error; only what is read is handed over."""
    world, request, subject = case.world, case.request, case.subject
    tool = world.tool(request.tool)
    zone = subject.get("owner_zone" if case.is_agent else "zone")
    context = question.context_of(
        request=request,
        tool=tool,
        target=case.target,
        tier=case.tier,
        now=case.now,
        zone=str(zone or ""),
        timed=names_read(reads, question.TIMED),
    )
    return Question(
        principal=_principal(case),
        action=tool.name,
        resource=question.resource_uid(world, case.target, str(tool.document["system"])),
        context=kept(context, reads),
        entities=_entities(case, tool),
        schema=world.schema_for(tool, reads),
    )


def _principal(case: Case) -> dict[str, str]:
    if case.is_agent:
        return question.uid(names.AGENT, str(case.subject["slug"]))
    return question.uid(names.PERSON, str(case.subject["pid"]))


def _entities(case: Case, tool: CompiledTool) -> Any:
    """The parsed entities, action groups among them; kept by everything that they are made of."""
    world, request, target = case.world, case.request, case.target
    word = request.subject_type
    words = [word] if not case.is_agent and word in names.PERSON_WORDS else []
    of_subject = question.vouchable(world, words, request.subject_properties)
    of_resource = question.vouchable(world, [target.type], request.resource_properties)
    parts = (case.snapshot.agent, case.snapshot.person, case.snapshot.user)
    # The tool as well: its action and the groups of it are among the parsed entities.
    about = (
        request.kind.value,
        tool.name,
        *(part.digest if part else "" for part in parts),
        str(tool.document["system"]),
        target.type,
        target.id if target.type in world.types else "",
        json.dumps([of_subject, of_resource]) if of_subject or of_resource else "",
    )

    def made() -> list[Entity]:
        return [
            *_people(case, of_subject),
            question.system_entity(world, str(tool.document["system"])),
            *question.resource_entities(world, target, tool.document, of_resource),
        ]

    return world.parsed_entities(about, made, tool.cedar)


def _people(case: Case, vouched: Mapping[str, Json]) -> list[Entity]:
    """Who acts, and for whom."""
    if not case.is_agent:
        return [question.person_entity(case.world, case.subject, vouched)]
    users = [] if case.user is None else [question.person_entity(case.world, case.user, {})]
    return [question.agent_entity(case.subject), *users]
