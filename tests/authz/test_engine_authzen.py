"""The public AuthZEN sets, judged by roles and policies in slices built by hand."""

from typing import Any

import pytest

from authz.engine.editing import validate_policies
from authz.engine.types import Effect
from authz.engine.walk import judge
from authz.engine.world import compile_world
from tests import public
from tests.authz.desk import NOW, a_request, documents, snapshot


def load(name: str) -> Any:
    return public.load(f"authzen/{name}")


def decided(docs: dict[str, Any], asked: dict[str, Any], pid: str) -> bool:
    request = a_request(
        kind="person",
        gateway="edge",
        tool=asked["action"]["name"],
        parameters=asked["action"].get("properties", {}),
        person=pid,
        person_claimed=asked["subject"]["id"],
        subject_type=asked["subject"]["type"],
        subject_properties=asked["subject"].get("properties", {}),
        resource_type=asked["resource"]["type"],
        resource_id=asked["resource"]["id"],
        resource_properties=asked["resource"].get("properties", {}),
    )
    return judge(request, snapshot(docs, request), NOW).effect is Effect.ALLOW


def evaluations(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The single questions of one `evaluations` request, defaults filled in."""
    defaults = {key: value for key, value in asked.items() if key != "evaluations"}
    return [{**defaults, **one} for one in asked["evaluations"]]


def todo_documents() -> dict[str, Any]:
    docs = documents("todo")
    docs["people"] = {
        f"p{number}": {
            "pid": f"p{number}",
            "employment": "employed",
            "zone": "UTC",
            "roles": user["roles"],
            "groups": [],
            "personal": {"email": user["email"], "name": user["name"]},
        }
        for number, user in enumerate(load("todo/users.json").values())
    }
    return docs


def todo_pids() -> dict[str, str]:
    return {key: f"p{number}" for number, key in enumerate(load("todo/users.json"))}


def test_todo_interop_single_decisions() -> None:
    docs, pids = todo_documents(), todo_pids()
    cases = load("todo/decisions-1_0-02.json")["evaluation"]

    answers = [
        decided(docs, case["request"], pids[case["request"]["subject"]["id"]]) for case in cases
    ]

    assert len(cases) == 40
    assert answers == [case["expected"] for case in cases]


def test_todo_interop_batched_decisions() -> None:
    docs, pids = todo_documents(), todo_pids()
    cases = load("todo/decisions-1_0-02.json")["evaluations"]

    answers = [
        [
            {"decision": decided(docs, one, pids[one["subject"]["id"]])}
            for one in evaluations(case["request"])
        ]
        for case in cases
    ]

    assert len(cases) == 3
    assert answers == [case["expected"] for case in cases]


def certification_cases() -> list[Any]:
    found = []
    for vector in load("certification/vectors.json"):
        body = vector.get("expect_body") or {}
        if vector.get("path") == "/access/v1/evaluation" and "decision" in body:
            found.append((vector["request"], [body["decision"]]))
        if vector.get("path") == "/access/v1/evaluations" and "evaluations" in body:
            wanted = [one["decision"] for one in body["evaluations"]]
            found.append((vector["request"], wanted))
    return found


def test_certification_decisions() -> None:
    docs = documents("certification")
    cases = certification_cases()

    answers = []
    for request, _ in cases:
        singles = evaluations(request) if "evaluations" in request else [request]
        answers.append([decided(docs, one, one["subject"]["id"]) for one in singles])

    assert len(cases) >= 14
    assert answers == [wanted for _, wanted in cases]


def test_certification_rule_bob_may_not_write_active_record_even_as_admin() -> None:
    asked = {
        "subject": {"type": "user", "id": "bob", "properties": {"role": "admin"}},
        "action": {"name": "write"},
        "resource": {"type": "record", "id": "record-1", "properties": {"status": "archived"}},
    }

    # The loaded status (active) wins over the one that the caller vouches for.
    assert decided(documents("certification"), asked, "bob") is False


@pytest.mark.parametrize("name", ["certification", "todo"])
def test_policies_of_the_sets_are_valid(name: str) -> None:
    document = documents(name)["world"]
    world = compile_world(document)

    problems = [validate_policies(world, policy["text"]) for policy in document["policies"]]

    assert problems == [[] for _ in document["policies"]]
