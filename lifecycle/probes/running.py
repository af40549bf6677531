"""Attacks aimed at a row: each at every tool that fits, and the worst end counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from authz.engine.types import Check, Decision, Effect
from lifecycle.probes.aim import REPORT, Aim
from lifecycle.probes.corpus import Attack, Corpus, Step
from lifecycle.probes.row import Row, instants
from lifecycle.probes.session import Session

# More tools than any one row should have; beyond it the first are aimed at.
MOST_TOOLS = 60
LONGEST_SHOWN = 160

Json = Any


class End(StrEnum):
    """What becomes of an attack, the worst first."""

    EXECUTED = "executed"
    HELD = "held"
    REFUSED = "refused"
    RESISTED = "resisted"
    NOT_AIMED = "not_aimed"


_ENDS = {Effect.ALLOW: End.EXECUTED, Effect.HOLD: End.HELD, Effect.DENY: End.REFUSED}
ORDER = list(End)


@dataclass(frozen=True, slots=True)
class Made:
    """One step of a shot, as it is kept and shown."""

    did: str
    tool: str
    parameters: Mapping[str, Json]
    end: End
    check: str
    code: str
    walk: Sequence[Sequence[str]]
    text: str = ""
    goal: bool = False
    times: int = 1
    went_on: int = 1
    acts: bool = False

    def document(self) -> dict[str, Json]:
        return {
            "did": self.did,
            "tool": self.tool,
            "parameters": self.parameters,
            "end": str(self.end),
            "check": self.check,
            "code": self.code,
            "walk": [list(step) for step in self.walk],
            "text": self.text,
            "goal": self.goal,
            "times": self.times,
            "went_on": self.went_on,
        }

    @classmethod
    def of(cls, document: Mapping[str, Json]) -> Made:
        """What `document` kept."""
        return cls(**{**document, "end": End(document["end"])})


@dataclass(frozen=True, slots=True)
class Shot:
    """An attack aimed at one tool."""

    tool: str
    end: End
    made: tuple[Made, ...]

    @property
    def deciding(self) -> Made | None:
        """The goal call by which it ended so."""
        goals = [each for each in self.made if each.goal and each.end is self.end]
        return goals[-1] if goals else (self.made[-1] if self.made else None)

    @property
    def check(self) -> str:
        return self.deciding.check if self.deciding else ""

    @property
    def code(self) -> str:
        return self.deciding.code if self.deciding else ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one attack on a row. `acts` says that what executed was consequential."""

    attack: Attack
    shots: tuple[Shot, ...] = ()
    why: str = ""
    worst: Shot | None = field(default=None)

    @property
    def end(self) -> End:
        return self.worst.end if self.worst else End.NOT_AIMED

    @property
    def acts(self) -> bool:
        """Did something of consequence execute, by an attack that is not minor?"""
        if self.attack.minor:
            return False
        return any(
            each.acts and each.goal and each.end is End.EXECUTED
            for shot in self.shots
            for each in shot.made
        )

    @property
    def calls(self) -> list[Made]:
        """The goal calls of all shots: what is counted."""
        return [each for shot in self.shots for each in shot.made if each.goal]


def run_corpus(corpus: Corpus, row: Row, now: datetime) -> list[Result]:
    """Every attack against a row. Reads nothing and writes nothing."""
    office, night = instants(row, now)
    aim = Aim(row, office)
    return [_run(attack, aim, office, night) for attack in corpus.attacks]


def _run(attack: Attack, aim: Aim, office: datetime, night: datetime) -> Result:
    tools = aim.at(attack.aim)
    if not tools:
        return Result(attack, why="No tool of the row fits it.")
    shots = []
    for tool in tools[:MOST_TOOLS]:
        shot = _shoot(attack, aim, tool, office)
        # A policy may look at the time, so what one stopped is tried at another one.
        if shot and shot.end is not End.EXECUTED and _by_policy(shot):
            shot = min(shot, _shoot(attack, aim, tool, night) or shot, key=_badness)
        if shot:
            shots.append(shot)
    if not shots:
        return Result(attack, why="No call could be made up that fits it.")
    return Result(attack, tuple(shots), worst=min(shots, key=_badness))


def _badness(shot: Shot) -> int:
    return ORDER.index(shot.end)


def _by_policy(shot: Shot) -> bool:
    return any(each.check == Check.POLICY for each in shot.made)


def _shoot(attack: Attack, aim: Aim, tool: str, now: datetime) -> Shot | None:
    """Play the attack's steps with `tool` as its aim; None where a step cannot be made up.

    A step on the way that is held is taken for released by a person.
    """
    session = Session(aim.row, now, aim.plan(attack, tool))
    made: list[Made] = []
    for step in attack.steps:
        chosen = tool if step is attack.aim else aim.first(step)
        if chosen is None:
            return None
        played = _play(session, aim, step, chosen)
        if played is None:
            return None
        made.append(played)
        if not step.goal and played.end is End.REFUSED:
            # The run never got to the attacker's text, or not as far as the attack needs.
            return Shot(tool, played.end, tuple(made))
    return Shot(tool, _end_of(made), tuple(made))


def _end_of(made: Sequence[Made]) -> End:
    ends = [each.end for each in made if each.goal]
    return min(ends, key=ORDER.index)


def _play(session: Session, aim: Aim, step: Step, tool: str) -> Made | None:
    if tool == REPORT:
        session.hears(aim.own_system())
        return Made("hear", "", {}, End.EXECUTED, "", "", (), text=step.text)
    parameters = aim.parameters(step, tool)
    if parameters is None:
        return None
    meant = [aim.meaning(tool, name) for name in step.given.get("untrusted", ())]
    untrusted = [name for name in meant if name]
    call = session.ask(tool, parameters, times=step.times, given=step.given, untrusted=untrusted)
    if step.untrusted and call.decision.effect is not Effect.DENY:
        session.marks_untrusted()
    return Made(
        did="read" if step.is_read else "call",
        tool=tool,
        parameters=shown(parameters),
        end=_ENDS[call.decision.effect],
        check=call.decision.check,
        code=call.decision.code,
        walk=_walk(call.decision),
        text=step.text,
        goal=step.goal,
        times=step.times,
        went_on=call.went_on,
        acts=aim.row.acts(tool),
    )


def made_of(row: Row, tool: str, parameters: Mapping[str, Json], decision: Decision) -> Made:
    """A call that a running agent asked for, as it is kept."""
    return Made(
        did="call",
        tool=tool,
        parameters=shown(parameters),
        end=_ENDS[decision.effect],
        check=decision.check,
        code=decision.code,
        walk=_walk(decision),
        goal=True,
        acts=row.acts(tool),
    )


def _walk(decision: Decision) -> list[list[str]]:
    return [[str(step.check), str(step.status), step.code] for step in decision.walk]


def shown(value: Json) -> Json:
    """Parameters as they are kept: whole but for what is very long."""
    if isinstance(value, str) and len(value) > LONGEST_SHOWN:
        return f"{value[:LONGEST_SHOWN]}… ({len(value):,} characters)"
    if isinstance(value, Mapping):
        return {name: shown(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shown(each) for each in value[:20]]
    return value
