"""The eleventh check: what a call may cost is reserved before it runs.

The walk works out how much; `authz.decide_batch` reserves it, and refuses what would pass the cap.
"""

from __future__ import annotations

from collections.abc import Mapping

from authz.engine.case import Case, not_applicable, passed, refused
from authz.engine.money import UnknownCurrency, convert, currency_of, rates_of
from authz.engine.projection import amount_of
from authz.engine.types import Check, Document, Request, Step

NOTHING: frozenset[str] = frozenset()


def spend(case: Case, lacking: frozenset[str] = NOTHING) -> Step:
    """A cost that cannot be worked out in the agent's currency cannot be kept under its cap.

    `lacking` are parameters that are not known yet; they cost nothing so far.
    """
    tool = case.tool
    if not case.is_agent or tool is None:
        return not_applicable(Check.SPEND)
    if not lacking.isdisjoint((tool.get("amount"), tool.get("currency"))):
        tool = {**tool, "amount_is_cost": False}
    try:
        cost_of(case.request, tool, case.subject, rates_of(case.world.document))
    except UnknownCurrency as error:
        return refused(case, "spend.currency", currency=error.currency)
    return passed(Check.SPEND)


def cost_of(request: Request, tool: Document, agent: Document, rates: Mapping[str, str]) -> int:
    """What the call may cost at the most, in minor units of the agent's currency.

    The larger of the tool's ceiling and what the caller estimates; the amount of a purchase is
    such an estimate. Raises `UnknownCurrency`.
    """
    into = str(agent["limits"].get("currency") or "EUR")
    ceiling = int(tool.get("cost_minor") or 0)
    largest = convert(ceiling, str(tool.get("money") or into), into, rates)
    if request.estimate is not None:
        largest = max(largest, convert(*request.estimate, into, rates))
    if tool.get("amount_is_cost"):
        largest = max(largest, _amount(request, tool, into, rates))
    return largest


def _amount(request: Request, tool: Document, into: str, rates: Mapping[str, str]) -> int:
    """The amount of a purchase; one that does not say what it costs is no cost, but an error."""
    amount = abs(amount_of(tool, request.parameters))
    return convert(amount, currency_of(tool, request.parameters), into, rates)
