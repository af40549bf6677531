"""Which tools of a row a step of an attack means, and what it sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from authz.engine.types import Effect
from lifecycle.probes import values
from lifecycle.probes.corpus import Attack, Selector, Step
from lifecycle.probes.row import Row
from lifecycle.probes.session import Session

_ROLES = ("amount", "currency", "count", "recipient", "resource")
_UNTEXTED = ("enum", "const", "pattern", "format")
# In the place of a tool: the text came by none.
REPORT = ""

Json = Any


class Aim:
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
