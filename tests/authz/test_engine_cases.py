"""The cases in `cases/`: documents and a request in, the decision and its record out."""

from typing import Any

import pytest
import yaml

from authz.engine import codes
from authz.engine.types import Decision, Mode, Status
from authz.engine.walk import judge
from tests.authz.desk import CASES, NOW, a_request, documents, snapshot

LETTERS = {
    Status.PASSED: "P",
    Status.REFUSED: "R",
    Status.HELD: "H",
    Status.ERROR: "E",
    Status.NOT_APPLICABLE: "A",
    Status.NOT_BUILT: "B",
    Status.NOT_REACHED: ".",
}


def every_case() -> list[Any]:
    return [
        pytest.param(case, id=f"{path.stem}: {case['name']}")
        for path in sorted(CASES.glob("*.yaml"))
        for case in yaml.safe_load(path.read_text())
    ]


def change(docs: dict[str, Any], path: str, value: Any) -> None:
    *folders, last = path.split("/")
    for folder in folders:
        docs = docs[folder]
    docs[last] = value


def recorded(decision: Decision) -> dict[str, Any]:
    """What the record would hold, in the words of the cases."""
    observe = decision.observe
    return {
        "policies": list(decision.policies),
        "log_only": list(decision.log_only),
        "flags": list(decision.flags),
        "obligations": [dict(one) for one in decision.obligations],
        "remedies": [dict(one) for one in decision.remedies],
        "detail": dict(decision.detail),
        "resource": [decision.resource_type, decision.resource_id],
        "classification": decision.classification,
        "observe": [observe.would, observe.check, observe.code] if observe else None,
    }


@pytest.mark.parametrize("case", every_case())
def test_case(case: dict[str, Any]) -> None:
    docs = documents()
    for path, value in case.get("change", {}).items():
        # Slashes, since the names of tools hold dots.
        change(docs, path, value)
    request = a_request(**case["request"])

    decision = judge(request, snapshot(docs, request), NOW, Mode(case.get("mode", "enforce")))

    assert [decision.effect, decision.check, decision.code] == case["decision"]
    assert "".join(LETTERS[step.status] for step in decision.walk) == case["walk"]
    assert not decision.code or decision.code in codes.CODES
    wanted = case.get("record", {})
    assert {key: recorded(decision)[key] for key in wanted} == wanted
