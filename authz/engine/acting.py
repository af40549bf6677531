"""The second and third check: what was handed over, and what a person consented to.

A call in somebody's name is a chain: a user gave a grant to an agent, which may have handed part
of it on to another, and that one to the agent that calls. Everyone behind a call must be let do
it themselves. These checks look at what was given; the checks of rows, roles and policies ask
each of them in turn (`Case.behind`), so that a chain never reaches further than its narrowest part.
"""

from __future__ import annotations

from itertools import pairwise

from authz.engine.case import Case, is_future, not_applicable, passed, refused
from authz.engine.identity import carrying, keeps_pattern
from authz.engine.types import Check, Document, Json, Slice, Step
from authz.engine.world import given_narrowing
from governance.kernel.row import row_refusal

MAX_DEPTH = 3


def delegation(case: Case) -> Step:
    """Whether every link of the chain is live, in order, and hands over this call."""
    request = case.request
    if not request.delegation:
        return (
            refused(case, "delegation.not_accepted")
            if request.chain
            else not_applicable(Check.DELEGATION)
        )
    if not case.is_agent or not case.links:
        return refused(case, "delegation.unknown")
    return (
        _presenter_refusal(case)
        or _link_refusal(case)
        or _giver_refusal(case)
        or _handed_over(case)
        or passed(Check.DELEGATION, depth=len(case.links), givers=_names(case))
    )


def _names(case: Case) -> list[str]:
    return [str(link["giver"]) for link in case.links]


def _presenter_refusal(case: Case) -> Step | None:
    """It was handed to the agent that calls, for the user that it calls for, as it says."""
    request, chain = case.request, case.chain or {}
    if case.links[-1]["receiver"] != request.agent:
        return refused(case, "delegation.other_agent")
    if chain.get("user", "") != request.user or (request.user_claimed and not request.user):
        return refused(case, "delegation.other_user")
    if request.chain and list(request.chain) != _names(case)[::-1]:
        return refused(case, "delegation.other_chain")
    return None


def _link_refusal(case: Case) -> Step | None:
    """Unbroken from the first giver to the agent that calls, and live throughout."""
    if len(case.links) > MAX_DEPTH:
        return refused(case, "delegation.too_deep", depth=len(case.links), most=MAX_DEPTH)
    if any(one["receiver"] != below["giver"] for one, below in pairwise(case.links)):
        return refused(case, "delegation.broken")
    for link in case.links:
        if link["ended"] is not False:
            return refused(case, "delegation.ended", giver=link["giver"])
        if not is_future(link["until"], case.now):
            return refused(case, "delegation.expired", giver=link["giver"])
    return None


def _giver_refusal(case: Case) -> Step | None:
    """Each giver's row is active, lets it act so, and names whom it handed over to, now."""
    for link, giver in zip(case.links, case.givers, strict=True):
        if refusal := _one_giver_refusal(case, link, giver):
            return refusal
    return None


def _one_giver_refusal(case: Case, link: Document, giver: Document | None) -> Step | None:
    name = str(link["giver"])
    code = row_refusal(giver["state"], giver["owner_employment"]) if giver else ""
    if giver is None or giver["slug"] != name or code:
        return refused(case, "delegation.giver_inactive", giver=name)
    if not keeps_pattern(case, str(giver["pattern"])):
        about = {"pattern": giver["pattern"], "carrying": carrying(case)}
        return refused(case, "delegation.giver_pattern", giver=name, **about)
    if link["receiver"] not in (giver.get("sub_agents") or ()):
        receiver = str(link["receiver"])
        return refused(case, "delegation.not_declared", giver=name, receiver=receiver)
    return None


def _handed_over(case: Case) -> Step | None:
    for link in case.links:
        if case.request.tool not in link["tools"]:
            return refused(case, "delegation.tool", giver=link["giver"])
        if findings := _unmet(case, link["tools"]):
            return refused(case, "delegation.parameters", giver=link["giver"], findings=findings)
    return None


def consent(case: Case) -> Step:
    """Whether the user lets the agent, or the one that the chain began with, do this for them."""
    if not case.is_agent or not case.carries_user:
        return not_applicable(Check.CONSENT)
    grant = case.grant
    if grant is None:
        return refused(case, "consent.none", agent=case.grantee)
    if cause := _grant_fault(case, grant):
        return refused(case, f"consent.{cause}", agent=case.grantee)
    if findings := _unmet(case, grant["tools"]):
        return refused(case, "consent.parameters", agent=case.grantee, findings=findings)
    return passed(Check.CONSENT, grant=str(grant["id"]))


def _grant_fault(case: Case, grant: Document) -> str:
    """Why the grant does not let this call through, "" where it may."""
    if not is_future(grant["until"], case.now):
        return "expired"
    if case.chain is not None and case.chain["grant"] != grant["id"]:
        return "replaced"
    return "" if case.request.tool in grant["tools"] else "tool"


def _unmet(case: Case, tools: Document) -> list[Json]:
    """What of the parameters does not meet the narrowing that stands with the tool."""
    narrowing = tools[case.request.tool]
    if not narrowing:
        return []
    found = given_narrowing(narrowing).findings(case.request.parameters)
    return [one.document() for one in found]


def givers_in(chain: Slice | None) -> list[str]:
    """The agents that a chain came through, from whoever began it."""
    return [str(link["giver"]) for link in chain.document["links"]] if chain else []
