"""Cases of a policy: what it must answer, judged by the walk up to the policy check.

A case asks about a policy, so the checks behind it are left out: how often an agent called this
hour says nothing about a text. The checks before it are walked, since the policy check rests on
what they establish, and a case says by which check it was decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from authz.engine import codes
from authz.engine.case import Case
from authz.engine.policies import governs
from authz.engine.types import Check, Decision, Document, Json, Mode, Request, Snapshot
from authz.engine.walk import CHECKS, CheckFunction, conclude, take_walk
from authz.engine.world import World

_UP_TO_POLICY: dict[Check, CheckFunction | None] = {
    check: function if position <= list(Check).index(Check.POLICY) else None
    for position, (check, function) in enumerate(CHECKS.items())
}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case. `check` and `code` are "" where nothing refused.

    `said` is a sentence; `asked` says whether the policy check was reached at all.
    """

    name: str
    wanted: str
    got: str
    check: str
    code: str
    said: str
    policies: tuple[str, ...] = ()
    asked: bool = True

    @property
    def passed(self) -> bool:
        return self.wanted == self.got

    @property
    def sentence(self) -> str:
        """What a failing case says: what it wanted, what it got, and from where."""
        found = f"{self.got} by {self.code}" if self.code else self.got or "nothing"
        return f"Case “{self.name}” wanted {self.wanted} and got {found}. {self.said}"


class _Replaced(Case):
    """A request in a world that no slice holds."""

    def __init__(self, request: Request, snapshot: Snapshot, now: datetime, world: World) -> None:
        super().__init__(request, snapshot, now, Mode.SIMULATE)
        # Not by the slice's digest: a world of a draft must not push a real one out of memory.
        self.__dict__["world"] = world


def replaced(document: Document, policy: Mapping[str, Json]) -> dict[str, Json]:
    """The world with `policy` {id, text, log_only} in force in place of its other versions."""
    slug = str(policy["id"]).rpartition("@")[0]
    others = [
        one for one in document.get("policies") or () if str(one["id"]).rpartition("@")[0] != slug
    ]
    governed = set(document.get("governed") or ())
    if not policy["log_only"]:
        governed |= governs(str(policy["text"]), document.get("tools") or {})
    return {**document, "policies": [*others, dict(policy)], "governed": sorted(governed)}


def judge_case(request: Request, snapshot: Snapshot, now: datetime, world: World) -> Decision:
    """Decide as the real walk would, up to the policy check, in `world`."""
    case = _Replaced(request, snapshot, now, world)
    return conclude(case, take_walk(case, _UP_TO_POLICY))


def result_of(name: str, wanted: str, decision: Decision) -> Result:
    """A decision held against what the case wanted."""
    reached = _is_reached(decision.walk)
    return Result(
        name=name,
        wanted=wanted,
        got=decision.observe.would if decision.observe else decision.effect,
        check=decision.check,
        code=decision.code,
        said=codes.message(decision.code, decision.detail),
        policies=decision.policies,
        asked=reached,
    )


def _is_reached(walk: Sequence[Json]) -> bool:
    return any(step.check is Check.POLICY and step.status != "not_reached" for step in walk)
