"""One page of a search: the next candidates, each judged, and the record that it was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from authz import outcomes
from authz.asks import Ask, Caller
from authz.cleaning import clean
from authz.engine.open_call import judge_open
from authz.engine.types import Effect, Request, Snapshot, SubjectKind
from authz.errors import SearchNotAllowed
from authz.search import candidates, facts, records
from authz.search.candidates import Candidate
from authz.search.facts import Known
from authz.search.pages import Found, Place, place_of, token_of
from authz.search.questions import Question, Searched
from authz.snapshot import Held

# One call judges no more than this: a page may hold less than its limit and still not be the last.
MAX_JUDGED = 500
CHUNK = 50

Json = Any


def search(question: Question, caller: Caller) -> Found:
    """The next page of what `question` asks for, recorded.

    An agent's own token asks about that agent alone; a refusal is recorded too. Raises
    `NotSignedIn` for an ended token, `BadPageToken`, `SearchNotAllowed`, `AuditUnavailable`.
    """
    outcomes.check_token(caller)
    place = place_of(question, caller)
    known = facts.learn(question, caller)
    if not _may_ask(known):
        records.record_refusal(known, SearchNotAllowed.code)
        raise SearchNotAllowed()
    found = _page(known, place)
    records.record_search(known, place, found)
    return found


def _may_ask(known: Known) -> bool:
    request = known.resolved.request
    if known.caller.is_gateway:
        return True
    about_itself = request.kind is SubjectKind.AGENT and request.agent_claimed == request.agent
    return about_itself and known.question.searched is not Searched.SUBJECT


def _page(known: Known, place: Place) -> Found:
    """Judge candidates until there are enough, or too many were looked at."""
    listed = candidates.after(known, place.after, MAX_JUDGED + 1)
    results: list[dict[str, Json]] = []
    left_open: dict[str, list[str]] = {}
    judged, ended = 0, True
    for candidate, held in _with_facts(listed):
        if len(results) >= place.limit or judged >= MAX_JUDGED:
            ended = False
            break
        judged += 1
        allowed, tool, lacking = _judged(known, candidate, held)
        if allowed:
            results.append(known.question.result(candidate.name))
            if lacking:
                left_open[tool] = sorted({*left_open.get(tool, ()), *lacking})
    last = listed[judged - 1].name if judged else place.after
    token = "" if ended else token_of(replace(place, after=last), known.question, known.caller)
    return Found(results, token, judged, left_open)


def _with_facts(listed: Sequence[Candidate]) -> Iterator[tuple[Candidate, Held | None]]:
    """Each candidate with its slice; a few slices are read at a time, as far as a page goes."""
    for start in range(0, len(listed), CHUNK):
        chunk = listed[start : start + CHUNK]
        keys = [one.key for one in chunk if one.key]
        held = facts.fresh(keys) if keys else {}
        yield from ((one, held.get(one.key)) for one in chunk)


def _judged(
    known: Known, candidate: Candidate, held: Held | None
) -> tuple[bool, str, frozenset[str]]:
    """Is the call allowed, of which tool, and which of its parameters does that leave open?"""
    ask = _with_resource(known.question.ask(candidate.name), known)
    cleaned = clean(ask, known.secret_of(ask.tool))
    request, snapshot = known.resolved.request, known.resolved.snapshot
    if held is not None:
        request, snapshot = _as_subject(request, snapshot, candidate, held)
    request = replace(
        request,
        tool=cleaned.ask.tool,
        parameters=cleaned.ask.parameters,
        resource_type=cleaned.ask.resource_type,
        resource_id=cleaned.ask.resource_id,
        secret_path=cleaned.secret_path,
    )
    decision, lacking = judge_open(request, snapshot, known.now)
    return decision.effect is Effect.ALLOW, request.tool, lacking


def _as_subject(
    request: Request, snapshot: Snapshot, candidate: Candidate, held: Held
) -> tuple[Request, Snapshot]:
    """The question as it is when this candidate is its subject."""
    name, (kind, _, known_as) = candidate.name, candidate.key.partition(":")
    if kind == "agent":
        request = replace(request, agent=name, agent_claimed=name)
        return request, replace(snapshot, agent=held.slice)
    if request.kind is SubjectKind.PERSON:
        request = replace(request, person=known_as, person_claimed=name)
        return request, replace(snapshot, person=held.slice)
    request = replace(request, user=known_as, user_claimed=name)
    return request, replace(snapshot, user=held.slice)


def _with_resource(ask: Ask, known: Known) -> Ask:
    """The resource that is asked about, as the parameter in which the tool takes it."""
    tool = known.world.tools.get(ask.tool) or {}
    name = tool.get("resource") or ""
    if not name or not ask.resource_id or name in ask.parameters:
        return ask
    declared = (tool.get("schema") or {}).get("properties", {}).get(name, {})
    value = _as_declared(ask.resource_id, declared)
    return replace(ask, parameters={**ask.parameters, name: value})


def _as_declared(resource_id: str, declared: Mapping[str, Json]) -> str | int:
    """An id is a text on the wire, even of a tool that takes numbers."""
    whole = declared.get("type") == "integer" and resource_id.isascii() and resource_id.isdigit()
    return int(resource_id) if whole and len(resource_id) < 16 else resource_id
