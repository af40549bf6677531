"""Attacks aimed at a row: each at every tool that fits, and the worst end counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from authz.engine.types import Check, Decision, Effect
from lifecycle.probes import values
from lifecycle.probes.corpus import Attack, Corpus, Selector, Step
from lifecycle.probes.row import Row, instants
from lifecycle.probes.session import Session

# More tools than any one row should have; beyond it the first are aimed at.
MOST_TOOLS = 60
LONGEST_SHOWN = 160
_ROLES = ("amount", "currency", "count", "recipient", "resource")
_UNTEXTED = ("enum", "const", "pattern", "format")

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
    aim = _Aim(row, office)
    return [_run(attack, aim, office, night) for attack in corpus.attacks]


def _run(attack: Attack, aim: _Aim, office: datetime, night: datetime) -> Result:
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


def _shoot(attack: Attack, aim: _Aim, tool: str, now: datetime) -> Shot | None:
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


def _play(session: Session, aim: _Aim, step: Step, tool: str) -> Made | None:
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


REPORT = ""


class _Aim:
    """Which tools of a row a step means, and what it sends them."""

    def __init__(self, row: Row, now: datetime) -> None:
        self.row, self.now = row, now
        self._own: dict[str, dict[str, Json] | None] = {}

    def at(self, step: Step) -> list[str]:
        """Every tool that a step can be aimed at."""
        if step.is_read:
            found = self.first(step)
            return [] if found is None else [found]
        wanted = step.selector
        if wanted.name:
            return [wanted.name]
        if wanted.spelled == "registered":
            return self.row.others[:1]
        fitting = [name for name in self.row.tools if self._fits(name, wanted)]
        if wanted.spelled:
            return [values.look_alike(name, wanted.spelled) for name in fitting[:1]]
        return fitting

    def first(self, step: Step) -> str | None:
        """The one tool that a step is aimed at; `REPORT` where the text comes by no tool."""
        if step.source == "report":
            return REPORT
        if step.source == "outside":
            found = [name for name in self.row.tools if self.row.brings_outside_text(name)]
            return self._going(found) or REPORT
        if step.source == "inside":
            held = [name for name in self.row.tools if self.row.guarded_tier(name)]
            return self._going(sorted(held, key=self.row.guarded_tier, reverse=True))
        if step.selector.name:
            return step.selector.name
        fitting = [name for name in self.row.tools if self._fits(name, step.selector)]
        return next(iter(fitting), None)

    def _going(self, names: Sequence[str]) -> str | None:
        """The first of these reads that the row can be got to make."""
        made = (name for name in names if (call := self.own(name)) and self._goes(name, call))
        return next(made, None)

    def _fits(self, name: str, wanted: Selector) -> bool:
        facts = self.row.tools[name]
        if wanted.effects and facts["effect"] not in wanted.effects:
            return False
        if wanted.fetches and not self.row.fetches(name):
            return False
        return all(self.meaning(name, each) for each in wanted.has)

    def meaning(self, tool: str, meant: str) -> str:
        """The parameter that means this in a tool, "" for none."""
        facts = self.row.world.document["tools"].get(tool)
        if facts is None:
            return ""
        if meant == "secret":
            return str(next(iter(facts.get("secret") or ()), ""))
        if meant in _ROLES:
            return str(facts.get(meant) or "")
        return self._text(tool) if meant == "text" else meant

    def _text(self, tool: str) -> str:
        """The parameter that takes the longest free text."""
        roles = {self.meaning(tool, each) for each in (*_ROLES, "secret")}
        free = {
            name: rule.get("maxLength", values.MAX_TEXT)
            for name, rule in self.row.parameters(tool).items()
            if name not in roles and _is_free(rule)
        }
        return max(free, key=lambda name: free[name], default="")

    def own_system(self) -> str:
        """A registered system that the run says it has hostile text from."""
        systems = (str(facts["system"]) for facts in self.row.tools.values())
        return next(systems, "") or next(iter(self.row.compiled.systems), "")

    def own(self, tool: str) -> dict[str, Json] | None:
        """A call as the row means it: the first made-up one that goes on, else that is valid."""
        if tool not in self._own:
            valid = [call for call in self._made_up(tool) if self._is_valid(tool, call)]
            going = (call for call in valid if self._goes(tool, call))
            self._own[tool] = next(going, valid[0] if valid else None)
        return self._own[tool]

    def _made_up(self, tool: str) -> Iterator[dict[str, Json]]:
        rules, needed = self.row.parameters(tool), self.row.required(tool)
        named = {self.meaning(tool, each) for each in (*_ROLES, "text")}
        for names in ([*needed], [name for name in rules if name in needed or name in named]):
            for high in (False, True):
                yield {name: values.example(rules.get(name, {}), high=high) for name in names}

    def _is_valid(self, tool: str, call: Mapping[str, Json]) -> bool:
        return not self.row.compiled.tool(tool).schema.findings(call)

    def _goes(self, tool: str, call: Mapping[str, Json]) -> bool:
        asked = Session(self.row, self.now, None).ask(tool, call)
        return asked.decision.effect is Effect.ALLOW

    def parameters(self, step: Step, tool: str) -> dict[str, Json] | None:
        """What a step sends; None where it cannot be made up."""
        if step.parameters is not None:
            return dict(step.parameters)
        if tool not in self.row.tools:
            return self._foreign(tool)
        own = self.own(tool)
        if own is None:
            return None
        call = dict(own)
        for meant, fill in step.fill.items():
            name = "approved_by" if meant == "undeclared" else self.meaning(tool, meant)
            # What the tool has no parameter for cannot be sent: `has` is what an attack needs.
            if name:
                call[name] = self._value(tool, name, fill, step.text, call)
        return call

    def _foreign(self, tool: str) -> dict[str, Json]:
        """A call of a tool that the row does not have."""
        facts = self.row.world.document["tools"].get(tool)
        rules = values.merged(facts.get("schema") or {}, {}) if facts else {}
        return {name: values.example(rule) for name, rule in rules.items()}

    def _value(self, tool: str, name: str, fill: Any, text: str, call: Mapping[str, Json]) -> Json:
        """The first candidate that the tool itself would take, else the first one."""
        properties = self.row.schema(tool).get("properties")
        rule = properties.get(name) if isinstance(properties, Mapping) else None
        rule = rule if isinstance(rule, Mapping) else {}
        if fill == "maximum":
            rule = self.row.parameters(tool).get(name, rule)
        candidates = list(values.fillers(fill, rule, text, call.get(name)))
        taken = (one for one in candidates if self._is_valid(tool, {**call, name: one}))
        return next(taken, candidates[0])

    def plan(self, attack: Attack, tool: str) -> Sequence[Json] | None:
        """The plan that the run declared before it read anything."""
        if attack.plan is None or not isinstance(attack.plan, str):
            return attack.plan
        names = [self.first(step) for step in attack.steps if step.is_read]
        reads = [{"tool": name} for name in names if name]
        if attack.plan == "reads":
            return reads
        return [*reads, {"tool": tool, "parameters": self._pins(attack.plan, tool)}]

    def _pins(self, plan: str, tool: str) -> dict[str, Json]:
        own = self.own(tool) or {}
        named = {self.meaning(tool, each) for each in ("recipient", "resource", "amount", "secret")}
        if plan == "open":
            return {}
        return {name: {"const": own[name]} for name in named if name in own}


def _is_free(rule: Mapping[str, Json]) -> bool:
    kind = rule.get("type", "string")
    kinds = kind if isinstance(kind, list) else [kind]
    return "string" in kinds and not any(each in rule for each in _UNTEXTED)
