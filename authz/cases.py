"""The cases of a policy: their shape, and running them against the world as it is now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.core.exceptions import ValidationError
from django.db.models.functions import Lower

from audit.payloads import canonical
from authz import slices
from authz.engine.cases import Result, judge_case, replaced, result_of
from authz.engine.cedar_text import PolicyError
from authz.engine.types import Effect, Request, Slice, Snapshot, SubjectKind
from authz.engine.world import World, compile_world
from governance.kernel import clock
from governance.kernel.errors import Invalid
from registry import validators
from registry.models import Person

MAX_CASES = 100
MAX_NAME = 120
MAX_BYTES = 64 * 1024
EFFECTS = (Effect.ALLOW.value, Effect.DENY.value)
_KEYS = frozenset({"name", "request", "effect"})
_REQUEST_KEYS = frozenset({"agent", "person", "tool", "parameters", "resource", "user", "now"})

Json = Any


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """One question and the effect that it must have. People stand as pseudonymous ids."""

    name: str
    effect: str
    tool: str
    agent: str = ""
    person: str = ""
    user: str = ""
    parameters: Mapping[str, Json] = field(default_factory=dict)
    resource_type: str = ""
    resource_id: str = ""
    now: str = ""

    def document(self) -> dict[str, Json]:
        """The case as it is stored and as an inventory writes it."""
        told = {"agent": self.agent, "person": self.person, "tool": self.tool}
        request: dict[str, Json] = {name: value for name, value in told.items() if value}
        request["parameters"] = dict(self.parameters)
        if self.resource_type:
            request["resource"] = {"type": self.resource_type, "id": self.resource_id}
        request.update({k: v for k, v in (("user", self.user), ("now", self.now)) if v})
        return {"name": self.name, "request": request, "effect": self.effect}


class Tested(Protocol):
    """A version of a policy, in the database or not yet."""

    @property
    def slug(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def cases(self) -> Any: ...


def read_cases(given: Json) -> list[PolicyCase]:
    """The cases in `given`; `Invalid` names under `cases` whatever is wrong with their shape."""
    if not isinstance(given, list | tuple) or len(given) > MAX_CASES:
        raise _invalid([f"Cases are a list of at most {MAX_CASES}."])
    problems: list[str] = []
    found = [_read(number, each, problems) for number, each in enumerate(given, 1)]
    cases = [each for each in found if each is not None]
    twice = sorted({one.name for one in cases if [c.name for c in cases].count(one.name) > 1})
    problems += [f"Two cases are called “{name}”. Give each a name of its own." for name in twice]
    if not problems and len(json.dumps(given)) > MAX_BYTES:
        problems.append(f"The cases are larger than {MAX_BYTES // 1024} KiB together.")
    if problems:
        raise _invalid(problems)
    return cases


def _invalid(problems: Sequence[str]) -> Invalid:
    return Invalid(problems[0], fields={"cases": list(problems)})


def _read(number: int, given: Json, problems: list[str]) -> PolicyCase | None:
    here = f"Case {number}"
    if not isinstance(given, Mapping) or set(given) - _KEYS:
        problems.append(f"{here} has other keys than name, request and effect.")
        return None
    request = given.get("request")
    if not isinstance(request, Mapping) or set(request) - _REQUEST_KEYS:
        problems.append(f"{here}: its request has other keys than {', '.join(_ordered())}.")
        return None
    wrong = [f"{here}: {said}" for check in _CHECKS if (said := check(given, request))]
    problems += wrong
    return None if wrong else _case(given, request)


def _ordered() -> list[str]:
    return sorted(_REQUEST_KEYS)


def _case(given: Mapping[str, Json], request: Mapping[str, Json]) -> PolicyCase:
    resource = request.get("resource") or {}
    return PolicyCase(
        name=given["name"],
        effect=given["effect"],
        tool=request["tool"],
        agent=request.get("agent", ""),
        person=request.get("person", ""),
        user=request.get("user", ""),
        parameters=request.get("parameters") or {},
        resource_type=resource.get("type", ""),
        resource_id=resource.get("id", ""),
        now=request.get("now", ""),
    )


def _named(given: Mapping[str, Json], request: Mapping[str, Json]) -> str:
    name = given.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        return f"it needs a name of at most {MAX_NAME} characters."
    return ""


def _effect(given: Mapping[str, Json], request: Mapping[str, Json]) -> str:
    return "" if given.get("effect") in EFFECTS else "its effect is allow or deny."


def _texts(given: Mapping[str, Json], request: Mapping[str, Json]) -> str:
    words = [request.get(name, "") for name in ("agent", "person", "tool", "user", "now")]
    if not all(isinstance(word, str) and len(word) <= 254 for word in words):
        return "agent, person, tool, user and now are texts of at most 254 characters."
    return ""


def _who(given: Mapping[str, Json], request: Mapping[str, Json]) -> str:
    if bool(request.get("agent")) == bool(request.get("person")):
        return "say which agent asks, or which person alone, not both."
    return "" if request.get("tool") else "say which tool is asked for."


def _parameters(given: Mapping[str, Json], request: Mapping[str, Json]) -> str:
    parameters = request.get("parameters")
    return "" if isinstance(parameters, dict | None) else "its parameters are a JSON object."


def _resource(given: Mapping[str, Json], request: Mapping[str, Json]) -> str:
    resource = request.get("resource")
    if not resource:
        return ""
    right = isinstance(resource, Mapping) and set(resource) <= {"type", "id"}
    if right and all(isinstance(value, str) and len(value) <= 255 for value in resource.values()):
        return "" if resource.get("type") else "a resource needs its type."
    return "a resource is {type, id}."


def _instant(given: Mapping[str, Json], request: Mapping[str, Json]) -> str:
    if not request.get("now"):
        return ""
    try:
        found = datetime.fromisoformat(request["now"])
        right = found.tzinfo is not None and clock.is_usable(found)
    except (TypeError, ValueError):
        right = False
    return "" if right else "now is a time with its zone, such as 2026-11-23T14:00:00+01:00."


def _plain(given: Mapping[str, Json], request: Mapping[str, Json]) -> str:
    try:
        validators.json_object(dict(given))
    except (ValidationError, TypeError):
        return "it holds control characters or half of a character."
    return ""


_CHECKS: tuple[Callable[[Mapping[str, Json], Mapping[str, Json]], str], ...] = (
    _named, _effect, _texts, _who, _parameters, _resource, _instant, _plain,
)  # fmt: skip


# People: by address for those who write, by pseudonymous id inside


def with_pids(cases: Iterable[PolicyCase]) -> list[dict[str, Json]]:
    """Documents of the cases to store: whoever is known by an address stands by their id."""
    documents = [case.document() for case in cases]
    words = _people(documents)
    known = Person.objects.annotate(address=Lower("email")).filter(
        address__in=[word.lower() for word in words]
    )
    pids = dict(known.values_list("address", "pid"))
    return _exchanged(documents, {word: pids.get(word.lower(), word) for word in words})


def with_emails(documents: Iterable[Mapping[str, Json]]) -> list[dict[str, Json]]:
    """Stored cases as people write them: with addresses."""
    given = [dict(each) for each in documents]
    known = Person.objects.filter(pid__in=_people(given)).values_list("pid", "email")
    return _exchanged(given, {pid: email.lower() for pid, email in known})


def _people(documents: Iterable[Mapping[str, Json]]) -> set[str]:
    words = {
        str(document["request"].get(name, ""))
        for document in documents
        for name in ("person", "user")
    }
    return words - {""}


def _exchanged(
    documents: Iterable[Mapping[str, Json]], words: Mapping[str, str]
) -> list[dict[str, Json]]:
    return [
        {
            **document,
            "request": {
                name: words.get(value, value) if name in {"person", "user"} else value
                for name, value in document["request"].items()
            },
        }
        for document in documents
    ]


# Running them


def run_cases(
    policy: Tested, *, document: Mapping[str, Json] | None = None, now: datetime | None = None
) -> list[Result]:
    """Every case of `policy`, judged as if this version were in force and enforced.

    `document` is the world's, where the caller has it already.
    """
    cases = read_cases(policy.cases)
    if not cases:
        return []
    facts = _facts(cases)
    try:
        world = compile_world(_world(policy, document or world_document()))
    except PolicyError as error:
        return [_cannot(case, f"The policy cannot be read: {error.message}") for case in cases]
    moment = now or clock.now()
    return [_result(case, facts, world, moment) for case in cases]


def failures(results: Iterable[Result]) -> list[str]:
    """A sentence for each case that fails."""
    return [result.sentence for result in results if not result.passed]


def world_document() -> dict[str, Json]:
    """The world as the database has it now."""
    (read,) = slices.read([slices.WORLD])
    return read.document or {}


def _world(policy: Tested, document: Mapping[str, Json]) -> dict[str, Json]:
    uid = getattr(policy, "uid", "") or f"{policy.slug}@draft"
    # A log-only version decides nothing; its cases ask what it would decide.
    return replaced(document, {"id": uid, "text": policy.text, "log_only": False})


def _facts(cases: Sequence[PolicyCase]) -> dict[str, Slice | None]:
    keys = {f"agent:{case.agent}" for case in cases if case.agent}
    keys |= {f"user:{word}" for case in cases for word in (case.person, case.user) if word}
    return {each.key: _slice(each) for each in slices.read(sorted(keys))}


def _slice(each: slices.Read) -> Slice | None:
    if each.document is None:
        return None
    digest = hashlib.sha256(canonical(each.document)).hexdigest()
    return Slice(each.key, each.revision, digest, each.document)


def _result(
    case: PolicyCase, facts: Mapping[str, Slice | None], world: World, now: datetime
) -> Result:
    if missing := _missing(case, facts, world):
        return _cannot(case, missing)
    request = _request(case)
    snapshot = Snapshot(
        world=Slice(slices.WORLD, 0, "", world.document),
        agent=facts.get(f"agent:{case.agent}"),
        person=facts.get(f"user:{case.person}"),
        user=facts.get(f"user:{case.user}"),
    )
    moment = datetime.fromisoformat(case.now) if case.now else now
    return result_of(case.name, case.effect, judge_case(request, snapshot, moment, world))


def _missing(case: PolicyCase, facts: Mapping[str, Slice | None], world: World) -> str:
    """A name that stands for nothing: always denied, which would prove nothing."""
    if case.agent and facts[f"agent:{case.agent}"] is None:
        return f"There is no agent {case.agent}. Correct the name."
    for word in (case.person, case.user):
        if word and facts[f"user:{word}"] is None:
            return f"There is no person {word}. Write their e-mail address."
    return "" if case.tool in world.tools else f"There is no tool {case.tool}. Correct the name."


def _cannot(case: PolicyCase, said: str) -> Result:
    return Result(case.name, case.effect, "", "", "", said, asked=False)


def _request(case: PolicyCase) -> Request:
    return Request(
        kind=SubjectKind.AGENT if case.agent else SubjectKind.PERSON,
        tool=case.tool,
        agent=case.agent,
        person=case.person,
        person_claimed=case.person,
        user=case.user,
        user_claimed=case.user,
        parameters=case.parameters,
        resource_type=case.resource_type,
        resource_id=case.resource_id,
        subject_type="agent" if case.agent else "person",
    )
