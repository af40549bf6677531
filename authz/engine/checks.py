"""The short checks of rows: allowlist, parameters, role. Each asks everyone behind the call."""

from __future__ import annotations

from collections.abc import Iterable

from authz.engine.case import Case, not_applicable, passed, refused
from authz.engine.schema import Finding
from authz.engine.types import Check, Step
from authz.engine.world import Facts, narrowing_of


def allowlist(case: Case) -> Step:
    """Exact names only."""
    if not case.is_agent:
        return not_applicable(Check.ALLOWLIST)
    for one in (case, *case.giving):
        if one.request.tool not in one.subject["allowlist"]:
            return refused(one, "allowlist.not_listed")
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
    for one in (case, *case.giving):
        if findings := _narrowing_findings(one):
            return _unmet(one, "parameters.narrowing", findings)
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
    """A role of each agent of the call grants the tool, and one of the user acted for."""
    granting = case.world.grants.get(case.request.tool, frozenset())
    for one in (case, *case.giving):
        if granting.isdisjoint(one.subject.get("roles") or ()):
            who = str(one.subject["slug"]) if one.is_agent else "This person"
            return refused(one, "role.none", who=who, granting=sorted(granting))
    for one in case.alone:
        if granting.isdisjoint(one.subject.get("roles") or ()):
            return refused(case, "role.user_none", granting=sorted(granting))
    return passed(Check.ROLE, roles=sorted(granting & frozenset(case.subject["roles"])))
