"""The short checks: delegation, consent, allowlist, parameters, role."""

from __future__ import annotations

from collections.abc import Iterable

from authz.engine.case import Case, not_applicable, passed, refused
from authz.engine.schema import Finding
from authz.engine.types import Check, Step
from authz.engine.world import Facts, narrowing_of


def delegation(case: Case) -> Step:
    """A chain cannot be verified in this release, so a call that presents one is refused."""
    if case.request.chain:
        return refused(case, "delegation.not_accepted")
    return not_applicable(Check.DELEGATION)


def consent(case: Case) -> Step:
    """No user can have consented while there are no grants."""
    if case.is_agent and case.carries_user:
        return refused(case, "consent.none")
    return not_applicable(Check.CONSENT)


def allowlist(case: Case) -> Step:
    """Exact names only."""
    if not case.is_agent:
        return not_applicable(Check.ALLOWLIST)
    if case.request.tool not in case.subject["allowlist"]:
        return refused(case, "allowlist.not_listed")
    return passed(Check.ALLOWLIST)


def parameters(case: Case) -> Step:
    """The tool's schema, the row's narrowing of it, no secrets, one resource, no signature."""
    request = case.request
    if case.tool is None:
        return refused(case, "parameters.unknown_tool")
    if request.secret_path:
        return refused(case, "parameters.secret", pointer=request.secret_path)
    findings = case.world.tool(request.tool).schema.findings(request.parameters)
    if findings:
        return _unmet(case, "parameters.schema", findings)
    findings = _narrowing_findings(case)
    if findings:
        return _unmet(case, "parameters.narrowing", findings)
    if case.target.problem:
        parameter = str(case.tool.get("resource") or "")
        return refused(case, f"parameters.{case.target.problem}", parameter=parameter)
    return unsigned(case, case.tool)


def unsigned(case: Case, tool: Facts) -> Step:
    """No text holds a denied signature; one that is broken refuses."""
    name = case.request.tool
    found = case.world.signatures.search_for(name, str(tool["effect"])).find(
        case.request.parameters
    )
    if found is None:
        return passed(Check.PARAMETERS)
    pointer = case.world.tool(name).schema.pointer(found.path)
    return refused(case, "parameters.denied_signature", signature=found.slug, pointer=pointer)


def _narrowing_findings(case: Case) -> tuple[Finding, ...]:
    if not case.is_agent or case.snapshot.agent is None:
        return ()
    narrowing = case.subject["allowlist"][case.request.tool].get("narrowing")
    if not narrowing:
        return ()
    schema = narrowing_of(case.snapshot.agent, case.request.tool, narrowing)
    return schema.findings(case.request.parameters)


def _unmet(case: Case, code: str, findings: Iterable[Finding]) -> Step:
    return refused(case, code, findings=[one.document() for one in findings])


def role(case: Case) -> Step:
    """A role of the agent grants the tool, and one of the user where one is acted for."""
    granting = case.world.grants.get(case.request.tool, frozenset())
    if granting.isdisjoint(case.subject.get("roles") or ()):
        who = str(case.subject["slug"]) if case.is_agent else "This person"
        return refused(case, "role.none", who=who, granting=sorted(granting))
    user = case.user if case.is_agent else None
    if user is not None and granting.isdisjoint(user.get("roles") or ()):
        return refused(case, "role.user_none", granting=sorted(granting))
    return passed(Check.ROLE, roles=sorted(granting & frozenset(case.subject["roles"])))
