"""What answers from outside come to: they refuse, and never allow what is refused."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from authz.engine import outside
from authz.engine.open_call import judge_open
from authz.engine.outside import DENIED, UNANSWERED, Question
from authz.engine.types import Decision, Effect, Mode, OutsideAnswer, Request, Snapshot
from authz.engine.walk import judge
from tests.authz import specification
from tests.authz.desk import NOW, a_request, a_slice, documents, snapshot

PDP = {
    "url": "https://opa.example/access/v1/evaluation",
    "timeout_ms": 300,
    "subject_type": "",
    "resource_type": "",
    "roles_as": "",
    "sends": [],
    "parameters": [],
    "parameters_in": "context",
    "tools": ["crm.find"],
    "roles": [],
}


def asked(request: Request | None = None, **pdps: dict[str, Any]) -> tuple[Request, Snapshot]:
    """A call that is allowed but for what these say."""
    docs = documents()
    docs["world"]["pdps"] = {slug: {**PDP, **pdp} for slug, pdp in pdps.items()}
    request = request or a_request(parameters={"table": "t"})
    return request, snapshot(docs, request)


def answered(question: Question, allows: bool | None, **more: Any) -> OutsideAnswer:
    return OutsideAnswer(question.pdp, question.digest, allows, **more)


@pytest.mark.parametrize(
    ("opa", "zed", "code"),
    [
        (True, True, ""),
        (True, False, DENIED),
        (False, True, DENIED),
        (False, False, DENIED),
        (True, None, UNANSWERED),
        (None, None, UNANSWERED),
        (None, False, DENIED),
        (True, "absent", UNANSWERED),
        ("absent", False, DENIED),
        ("absent", "absent", UNANSWERED),
        (True, "another's", UNANSWERED),
        (True, "of another point", UNANSWERED),
        (True, 1, UNANSWERED),
        (True, "true", UNANSWERED),
    ],
)
def test_every_one_that_is_asked_must_allow(opa: Any, zed: Any, code: str) -> None:
    request, facts = asked(opa={}, zed={})
    first, second = outside.unanswered(request, facts, NOW)
    given = []
    for question, said in ((first, opa), (second, zed)):
        if said == "another's":
            given.append(replace(answered(question, True), digest="0" * 64))
        elif said == "of another point":
            given.append(replace(answered(question, True), digest=first.digest))
        elif said != "absent":
            given.append(answered(question, said))

    decision = judge(replace(request, outside=tuple(given)), facts, NOW)

    assert decision.code == code
    assert decision.effect is (Effect.DENY if code else Effect.ALLOW)


def test_an_answer_counts_for_the_question_it_was_given_to_and_no_other() -> None:
    sends = {"parameters": ["table"], "sends": ["facts", "user", "chain"], "roles_as": "roles"}
    request, facts = asked(a_request(parameters={"table": "t"}), opa=sends)
    (question,) = outside.unanswered(request, facts, NOW)
    yes = (answered(question, True),)
    other_name, _ = asked(a_request(parameters={"table": "u"}), opa=sends)
    for change in ({"url": "https://zed.example/"}, {"subject_type": "bot"}, {"timeout_ms": 1}):
        _, changed = asked(request, opa={**sends, **change})
        assert judge(replace(request, outside=yes), changed, NOW).code == UNANSWERED, change

    assert judge(replace(request, outside=yes), facts, NOW).code == ""
    assert judge(replace(other_name, outside=yes), facts, NOW).code == UNANSWERED


def test_where_nothing_is_decided_it_says_whom_it_would_ask() -> None:
    request, facts = asked(opa={}, zed={"tools": []})
    (question,) = outside.unanswered(request, facts, NOW)

    simulated = judge(request, facts, NOW, Mode.SIMULATE)
    searched, lacking = judge_open(request, facts, NOW)
    known = replace(request, outside=(answered(question, False),))

    assert (simulated.effect, simulated.would_ask) == (Effect.ALLOW, ("opa",))
    assert (searched.effect, searched.would_ask, lacking) == (Effect.ALLOW, ("opa",), frozenset())
    assert judge(known, facts, NOW, Mode.SIMULATE).code == DENIED
    assert judge(request, facts, NOW).would_ask == ()


def test_a_secret_or_a_name_of_a_person_is_in_no_question() -> None:
    everything = {
        "sends": ["user", "chain", "facts", "personal_ids"],
        "parameters": ["account", "pin"],
        "roles_as": "roles",
    }
    docs = documents()
    docs["world"]["pdps"] = {"opa": {**PDP, **everything, "tools": ["crm.refund"]}}
    request = a_request(
        tool="crm.refund", parameters={"account": "A-1", "amount": 5, "pin": "9137"}
    )

    (question,) = outside.unanswered(request, snapshot(docs, request), NOW)

    assert question.body["context"] == {"parameters": {"account": "A-1"}}
    assert set(question.body) == {"subject", "action", "resource", "context"}
    assert set(question.body["subject"]) == {"type", "id", "properties"}


def test_generated_answers_never_turn_a_refusal_into_an_allow() -> None:
    """With any answers, a call is allowed only where all say yes and it is allowed without them."""
    base = random.SystemRandom().randrange(2**32)
    seen = {"asked": 0, "refused": 0, "allowed": 0}
    for seed in range(base, base + 150):
        choose = random.Random(seed).choice
        world, policies = specification.generate_world(choose)
        world["roles"]["r1"] = sorted(world["tools"])
        for pdp in world["pdps"].values():
            pdp["tools"] = sorted(world["tools"])
        with_pdps, without = a_slice("global", world), a_slice("global", {**world, "pdps": {}})
        assert with_pdps is not None
        assert without is not None
        for _ in range(20):
            case = specification.generate_request(choose, world, policies)
            if choose([True, True, False]):
                # Mostly calls that come as far as the policy check.
                specification._smooth(case, choose)
            request, facts = _generated(case)
            facts = replace(facts, world=with_pdps)
            plain = judge(request, replace(facts, world=without), NOW)
            questions = _questions(request, facts)
            said = [choose([True, True, False, None]) for _ in questions]
            forged = OutsideAnswer("opa", choose(["", "0" * 64]), True)
            answers = tuple(map(answered, questions, said))
            found = judge(replace(request, outside=(forged, *answers)), facts, NOW)
            silent = judge(replace(request, outside=(forged,)), facts, NOW)
            if not _allows(plain):
                seen["refused"] += 1
                assert not _allows(found), seed
                assert not _allows(silent), seed
                continue
            seen["asked" if questions else "allowed"] += 1
            assert _allows(found) is all(one is True for one in said), seed
            assert _allows(silent) is (not questions), seed
    assert min(seen.values()) > 5, seen


def _allows(decision: Decision) -> bool:
    """Whether it allows by itself; a row in observe mode goes on whatever would be decided."""
    observe = decision.observe
    return (observe.would if observe else decision.effect) is Effect.ALLOW


def _generated(case: specification.Case) -> tuple[Request, Snapshot]:
    aside = ("mode", "token_for", "outside")
    given = {name: value for name, value in case.request.items() if name not in aside}
    if given["token"]:
        version, jti = given["token"]
        given["token"] = {"client_version": version, "jti": jti, **case.request["token_for"]}
    request = a_request(**given)
    return request, snapshot(case.docs, request)


def _questions(request: Request, facts: Snapshot) -> tuple[Question, ...]:
    try:
        return outside.unanswered(request, facts, NOW)
    except (LookupError, TypeError):
        return ()
