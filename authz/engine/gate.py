"""The thirteenth check: what an agent does not do without a human's word.

Gates stand with the tool and with the allowlist entry (`registry.gates`), and hold a call where
either says so. A gate that cannot be compared holds: an amount that is not there, a currency
without a rate. Sums over time are counted in the transaction of the record, like rates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from authz.engine.case import Case, held, not_applicable, passed
from authz.engine.destinations import domains_of
from authz.engine.money import UnknownCurrency, currency_of, exchange, rates_of
from authz.engine.projection import Unprojectable, amount_of, major
from authz.engine.types import Check, Json, Step
from authz.engine.world import Facts
from governance.kernel.tiers import RESTRICTED

DESTRUCTIVE = "destructive"
FINANCIAL = "financial"
GRANT = "permission_grant"
COMMUNICATION = "external_communication"
PRODUCTION = "production"
GROUPS = ("security", "source_owner")
DEFAULT_HOURS = 24

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Terms:
    """Who may let a held call go on, and how many of them it takes."""

    approvals: int = 1
    groups: tuple[str, ...] = GROUPS
    agents: tuple[str, ...] = ()


def gate(case: Case, lacking: frozenset[str] = NOTHING) -> Step:
    """Whether a human must say yes. `lacking` are parameters that are not known yet."""
    if not case.is_agent or case.tool is None:
        return not_applicable(Check.GATE)
    declared = gates_of(case)
    if not declared:
        return passed(Check.GATE)
    found = [(gates, cause) for gates in declared for cause in _causes(case, gates, lacking)]
    if not found:
        return passed(Check.GATE)
    code, detail = found[0][1]
    terms = _terms([gates for gates, _ in found])
    return held(
        case,
        code,
        **detail,
        causes=sorted({code for _, (code, _) in found}),
        approvals=terms.approvals,
        groups=list(terms.groups),
        agents=list(terms.agents),
    )


def gates_of(case: Case) -> list[Facts]:
    """What the tool says of gates, and what the row of each agent of the call says besides."""
    entries = [one.subject["allowlist"].get(case.request.tool) or {} for one in _agents(case)]
    declared = [(case.tool or {}).get("gates"), *(entry.get("gates") for entry in entries)]
    return [gates for gates in declared if gates]


def _agents(case: Case) -> tuple[Case, ...]:
    """The agent that calls, and those that handed the call on."""
    return (case, *case.giving)


def terms_of(detail: Mapping[str, Json]) -> Terms:
    """The terms in the detail of a gate's step."""
    return Terms(int(detail["approvals"]), tuple(detail["groups"]), tuple(detail["agents"]))


def terms_besides(case_gates: Sequence[Facts]) -> Terms:
    """The terms where something else than these gates holds the call, such as a quota."""
    return Terms(groups=_terms(case_gates).groups) if case_gates else Terms()


def _terms(gates: Sequence[Facts]) -> Terms:
    """The strictest of what holds: the most approvals, and who may approve by all of them."""
    stated = [tuple(each["groups"]) for each in gates if each.get("groups")] or [GROUPS]
    common = [group for group in stated[0] if all(group in each for each in stated)]
    agents = [
        agent
        for agent in gates[0].get("agents", ())
        if all(agent in each.get("agents", ()) for each in gates)
    ]
    approvals = max(int(each.get("approvals", 1)) for each in gates)
    return Terms(approvals, tuple(common or stated[0]), tuple(agents))


Cause = tuple[str, Mapping[str, Json]]


def _causes(case: Case, gates: Facts, lacking: frozenset[str]) -> Iterator[Cause]:
    tool, effect = case.tool or {}, str((case.tool or {})["effect"])
    if (amount := gates.get("amount")) and tool.get("amount") not in lacking:
        yield from _amount(case, amount)
    if (records := gates.get("records")) and tool.get("count") not in lacking:
        yield from _records(case, records)
    if gates.get("destructive") and effect == DESTRUCTIVE and _is_production(case):
        yield "gate.destructive", {}
    if gates.get("grants") and effect == GRANT:
        yield "gate.grant", {}
    if gates.get("domains") and effect == COMMUNICATION and tool.get("recipient") not in lacking:
        yield from _domains(case)


def _amount(case: Case, gate: Facts) -> Iterator[Cause]:
    told = {"limit": major(int(gate["above"]), str(gate["currency"]))}
    try:
        amount = converted(case, str(gate["currency"]))
    except Unprojectable:
        yield "gate.amount_unknown", told
        return
    if amount is None:
        yield "gate.currency", {"currency": gate["currency"]}
    elif amount > int(gate["above"]):
        yield "gate.amount", told


def converted(case: Case, currency: str) -> int | None:
    """What the call moves in minor units of `currency`; None where there is no rate for it.

    Raises `Unprojectable` where the call does not say what it moves.
    """
    tool, parameters = case.tool or {}, case.request.parameters
    amount = abs(amount_of(tool, parameters))
    try:
        rates = rates_of(case.world.document)
        return exchange(amount, currency_of(tool, parameters), currency, rates)
    except UnknownCurrency:
        return None


def _records(case: Case, gate: Facts) -> Iterator[Cause]:
    told = {"limit": int(gate["above"])}
    count = count_of(case.tool or {}, case.request.parameters)
    if count is None:
        yield "gate.records_unknown", told
    elif count > int(gate["above"]):
        yield "gate.records", told


def count_of(tool: Facts, parameters: Facts) -> int | None:
    """How many records a call touches, None where it does not say.

    A list counts as its length. A tool that declares no counter touches one.
    """
    named = str(tool.get("count") or "")
    if not named:
        return 1
    value = parameters.get(named)
    if isinstance(value, list | tuple | Mapping):
        return len(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return abs(value)


def _is_production(case: Case) -> bool:
    """Whether any place that the call writes to is in production, or may be."""
    systems = case.world.systems
    places = {place.system for place in case.writes} or {str((case.tool or {})["system"])}
    return any(
        str((systems.get(slug) or {}).get("environment") or PRODUCTION) == PRODUCTION
        for slug in places
    )


def _domains(case: Case) -> Iterator[Cause]:
    domains = domains_of(case.tool or {}, case.request.parameters)
    known = [set(one.subject.get("domains") or ()) for one in _agents(case)]
    if domains is None or not all(domains <= each for each in known):
        yield "gate.domain", {}


def sums_of(case: Case) -> list[dict[str, Json]]:
    """What of this call is added up, for each gate on amounts. Nothing where none can be read.

    Gates on one and the same sum hold at the lower one; `authz.decide_batch` adds up.
    """
    found = []
    for gates in gates_of(case) if case.is_agent and case.tool is not None else ():
        gate = gates.get("amount")
        if not gate:
            continue
        try:
            amount = converted(case, str(gate["currency"]))
        except Unprojectable:
            continue
        if amount is not None:
            found.append(
                {
                    "family": case.subject["owner"],
                    "agent": case.subject["slug"],
                    "tool": case.request.tool,
                    "amount": amount,
                    "currency": gate["currency"],
                    "above": gate["above"],
                    "hours": gate.get("hours", DEFAULT_HOURS),
                    "limit": major(int(gate["above"]), str(gate["currency"])),
                }
            )
    return found


def is_restricted(case: Case) -> bool:
    """Whether the call reads or writes anything restricted."""
    return any(place.tier == RESTRICTED for place in (*case.reads, *case.writes))
