"""A run's plan: what it will call, declared before it read anything hostile.

    {"steps": [{"tool": "mail.send", "parameters": {"to": {"const": "ann@example.org"}}}],
     "extracts": {"order": {"type": "object", …}}}

A step's `parameters` are JSON Schemas by parameter. A step *fits* a call whose parameters meet
them. It *settles* the call only where hostile text could not have chosen what matters: whom it
reaches (the tool's recipient and resource), which secret it sets and, for money, how much.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock

import re2
import rfc8785

from authz.engine.extracts import check_schema
from authz.engine.schema import ParameterSchema, parameter_schema
from authz.engine.types import Json
from governance.kernel.errors import Invalid
from governance.kernel.json_schema import SchemaError

MAX_STEPS = 100
MAX_EXTRACTS = 20
KEPT_STEPS = 4096
FINANCIAL = "financial"

# What names one value, or a set of them that someone wrote down.
_PINS = ("const", "enum", "pattern")
_CEILINGS = ("const", "enum", "maximum", "exclusiveMaximum")
# Where a text can send a reader or a machine: a link, a mail address.
_ADDRESS = re2.compile(
    r"(?i)(?:https?://|ftp://|www\.)[^\s<>\"'\x60]+|[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+"
)

Facts = Mapping[str, Json]


class BadPlan(Invalid):
    """This is not a plan that Muster can read."""

    code = "bad_plan"


@dataclass(frozen=True, slots=True)
class Step:
    """One call that the plan foresees, ready to compare."""

    tool: str
    parameters: Mapping[str, Facts]
    schema: ParameterSchema

    def fits(self, tool: str, parameters: Facts) -> bool:
        return tool == self.tool and not self.schema.findings(parameters)

    def pins(self, name: str, keywords: Iterable[str] = _PINS) -> bool:
        """Whether the plan says which value the parameter may have, or which of its items."""
        rule = self.parameters.get(name) or {}
        items = rule.get("items")
        rules = [rule, items] if isinstance(items, Mapping) else [rule]
        return any(_says(each, keyword) for each in rules for keyword in keywords)


def _says(rule: Facts, keyword: str) -> bool:
    """A pattern that does not hold the beginning lets anything stand before it."""
    return keyword in rule and (keyword != "pattern" or str(rule[keyword]).startswith("^"))


def read_plan(value: Json) -> dict[str, Json]:
    """A plan in its one shape; raises `BadPlan`. A list alone is its steps."""
    whole = {"steps": value} if isinstance(value, list) else value
    if not isinstance(whole, Mapping) or not whole.keys() <= {"steps", "extracts"}:
        raise BadPlan('A plan is a list of steps, or {"steps": […], "extracts": {…}}.')
    steps, extracts = whole.get("steps", []), whole.get("extracts", {})
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise BadPlan(f"steps must be a list of at most {MAX_STEPS}.")
    if not isinstance(extracts, Mapping) or len(extracts) > MAX_EXTRACTS:
        raise BadPlan(f"extracts must be an object of at most {MAX_EXTRACTS} schemas.")
    for name, schema in extracts.items():
        check_schema(schema, f"extracts/{name}")
    return {
        "steps": [_read_step(step, number) for number, step in enumerate(steps)],
        "extracts": dict(extracts),
    }


def _read_step(step: Json, number: int) -> dict[str, Json]:
    place = f"steps/{number}"
    if not isinstance(step, Mapping) or not step.keys() <= {"tool", "parameters"}:
        raise BadPlan(f'{place} must be {{"tool": …, "parameters": {{…}}}}.')
    tool, rules = step.get("tool"), step.get("parameters", {})
    if not isinstance(tool, str) or not tool:
        raise BadPlan(f"{place}/tool must name a tool.")
    if not isinstance(rules, Mapping):
        raise BadPlan(f"{place}/parameters must be an object of JSON Schemas.")
    # A plain value is short for exactly that value.
    full = {
        name: rule if isinstance(rule, dict) else {"const": rule} for name, rule in rules.items()
    }
    try:
        _schema(full)
    except SchemaError as error:
        raise BadPlan(f"{place}/parameters: {error.message}") from error
    return {"tool": tool, "parameters": full}


def steps_of(plan: Facts) -> tuple[Step, ...]:
    """The steps of a plan that was read before; each is compiled once."""
    return tuple(_step(each) for each in plan["steps"])


_steps: OrderedDict[bytes, Step] = OrderedDict()
_lock = Lock()


def _step(document: Facts) -> Step:
    key = hashlib.sha256(rfc8785.dumps(dict(document))).digest()
    with _lock:
        found = _steps.get(key)
    if found is None:
        rules = document["parameters"]
        found = Step(str(document["tool"]), rules, _schema(rules))
        with _lock:
            _steps[key] = found
            while len(_steps) > KEPT_STEPS:
                _steps.popitem(last=False)
    return found


def _schema(rules: Mapping[str, Facts]) -> ParameterSchema:
    return parameter_schema({"type": "object", "properties": dict(rules)})


def open_parameter(
    step: Step | None, tool: Facts, entry: Facts, parameters: Facts, known: frozenset[str]
) -> str:
    """The first parameter that matters and that hostile text could have chosen; "" for none.

    Secrets matter: whoever chooses the new password has the account.

    `step` is the plan's word, `entry` the row's narrowing of the tool, `known` the resources of
    the tool's system that are registered by their exact name.
    """
    names = (tool.get("recipient"), tool.get("resource"), *(tool.get("secret") or ()))
    for name in map(str, filter(None, names)):
        if name in parameters and not _is_settled(step, name, parameters[name], entry, known):
            return name
    amount = str(tool.get("amount") or "")
    if tool["effect"] == FINANCIAL and amount in parameters:
        capped = any(keyword in _rule(entry, amount) for keyword in _CEILINGS)
        if not capped and not (step and step.pins(amount, _CEILINGS)):
            return amount
    return ""


def _is_settled(
    step: Step | None, name: str, value: Json, entry: Facts, known: frozenset[str]
) -> bool:
    if step and step.pins(name):
        return True
    values = value if isinstance(value, list) else [value]
    allowed = _listed(_rule(entry, name))
    return all(isinstance(one, str) and (one in known or one in allowed) for one in values)


def _rule(narrowing: Facts, name: str) -> Facts:
    properties = narrowing.get("properties")
    rule = properties.get(name) if isinstance(properties, Mapping) else None
    return rule if isinstance(rule, Mapping) else {}


def _listed(rule: Facts) -> frozenset[str]:
    items = rule.get("items")
    rules = [rule, items] if isinstance(items, Mapping) else [rule]
    values = [value for each in rules for value in (*(each.get("enum") or ()), each.get("const"))]
    return frozenset(value for value in values if isinstance(value, str))


def unnamed_address(step: Step | None, plan: Facts, parameters: Facts, tool: Facts) -> str:
    """The first parameter that holds a link or mail address which the plan does not name."""
    named = {
        address.lower() for text in _texts(plan.get("steps") or []) for address in _found(text)
    }
    settled = {str(tool.get(role) or "") for role in ("recipient", "resource")}
    for name, value in parameters.items():
        if name in settled or (step and step.pins(name)):
            continue
        if any(address.lower() not in named for text in _texts(value) for address in _found(text)):
            return name
    return ""


def _found(text: str) -> Iterator[str]:
    return (match.group().rstrip(".,;:!?)") for match in _ADDRESS.finditer(text))


def _texts(value: Json) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
