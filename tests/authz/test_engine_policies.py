"""Policies: what is read, what concerns a call, what governs a tool, what is wrong and where."""

import threading
from typing import Any

import cedarpy
import pytest
import yaml

from authz.engine import cedar, policies
from authz.engine.cedar_text import MAX_TEXT, PolicyError, PolicyTooLarge, measure, statements
from authz.engine.editing import Problem, validate_policies
from authz.engine.policies import governs, index, parse
from authz.engine.types import Effect
from authz.engine.walk import judge
from authz.engine.world import World, compile_world, world_of
from tests.authz.desk import CASES, NOW, a_request, a_slice, documents, snapshot

REFUND = 'action == Muster::Action::"crm.refund"'


@pytest.fixture
def world() -> World:
    return compile_world(documents()["world"])


def texts(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((CASES / "texts" / name).read_text())
    return found


@pytest.mark.parametrize("case", texts("governs.yaml"))
def test_governs(case: dict[str, Any]) -> None:
    assert sorted(governs(case["text"], documents()["world"]["tools"])) == case["tools"]


def test_governs_without_tools_leaves_groups_out() -> None:
    assert governs('permit(principal, action in Muster::Action::"system=web", resource);') == set()


def when(condition: str) -> str:
    return f"permit(principal, action, resource) when {{ {condition} }};"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There is no permit and no forbid in this policy."),
        (
            "permit(principal == ?principal, action, resource);",
            "Templates (?principal, ?resource) are not used here. Name the role.",
        ),
        ("permit(", "The policy cannot be read: unexpected end of input."),
        ("x" * (MAX_TEXT + 1), "A policy may be at most 65536 characters long."),
        (when("(" * 1000 + "true" + ")" * 1000), "Brackets may stand at most 32 deep in one"),
        (when("true && " * 1000 + "true"), "A statement may be at most 1500 words and signs"),
        (when("true && " * 300 + "true"), "The policy cannot be read: "),
    ],
)
def test_policy_that_is_not_read(text: str, sentence: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(text)

    assert caught.value.message.startswith(sentence)


def test_brackets_in_strings_and_comments_do_not_count() -> None:
    measure(
        'permit(principal, action, resource) when { "' + "(" * 99 + '" == "x" }; // ' + "(" * 99
    )


def test_closing_brackets_give_no_credit() -> None:
    with pytest.raises(PolicyTooLarge):
        measure(")" * 50 + "(" * 33)


def test_many_statements_are_read() -> None:
    one = 'permit(principal, action == Muster::Action::"a", resource);\n'

    assert len(parse(one * 500)) == 500
    assert [span.start for span in statements(one * 3)] == [0, len(one), 2 * len(one)]


def test_text_at_the_limits_is_read_on_a_small_stack() -> None:
    """Worker threads may have far less stack than the main thread."""
    deep = when("(" * 30 + "true" + ")" * 30)
    long = when("context" + ".a" * 740 + " == 1")
    wide = when("if true then 1 else " * 290 + "1")
    outcomes: list[str] = []

    def read() -> None:
        for text in (deep, long, wide):
            try:
                outcomes.append(f"{len(parse(text))} read")
            except PolicyError as error:
                outcomes.append(error.code)

    before = threading.stack_size(1024 * 1024)
    try:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)

    assert outcomes == ["1 read", "bad_policy", "bad_policy"]


@pytest.mark.parametrize(
    ("principal", "kind", "roles", "concerned"),
    [
        ("principal", "Muster::Agent", [], True),
        ("principal is Muster::Agent", "Muster::Agent", [], True),
        ("principal is Muster::Person", "Muster::Agent", [], False),
        ('principal == Muster::Agent::"x"', "Muster::Agent", [], True),
        ('principal == Muster::Agent::"x"', "Muster::Person", [], False),
        ('principal in Muster::Role::"r"', "Muster::Agent", ["r"], True),
        ('principal in Muster::Role::"r"', "Muster::Agent", ["s"], False),
        ('principal is Muster::Person in Muster::Role::"r"', "Muster::Person", ["r"], True),
        ('principal is Muster::Person in Muster::Role::"r"', "Muster::Agent", ["r"], False),
        ('principal in Muster::Team::"t"', "Muster::Person", [], True),
        ('principal is Muster::Person in Muster::Team::"t"', "Muster::Person", [], True),
    ],
)
def test_statement_concerns_by_scope(
    principal: str, kind: str, roles: list[str], concerned: bool
) -> None:
    text = f'permit({principal}, action == Muster::Action::"a", resource);'
    (one,) = index([{"id": "p@v1", "text": text}], []).statements

    assert one.concerns(frozenset(["a"]), kind, frozenset(roles)) is concerned
    assert one.concerns(frozenset(["b"]), kind, frozenset(roles)) is False


def test_slices_are_kept_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    found = index([{"id": "p@v1", "text": "permit(principal, action, resource);"}], [])
    monkeypatch.setattr(policies, "MAX_SLICES", 2)

    first = found.slice_for("a", frozenset(["a"]), "Muster::Agent", frozenset())
    again = found.slice_for("a", frozenset(["a"]), "Muster::Agent", frozenset())
    for name in "bc":
        found.slice_for(name, frozenset([name]), "Muster::Agent", frozenset())

    assert first is again
    assert len(found._slices) == 1
    assert len(found._sets) == 1


def problems(world: World, text: str) -> list[tuple[int, int, str]]:
    return [(one.line, one.column, one.message) for one in validate_policies(world, text)]


def test_valid_policy_has_no_problems(world: World) -> None:
    text = f"""
        // Refunds up to 500, in business hours, by those who own the account.
        @notify("billing") @log("A refund.") @redact("/iban") permit(
            principal is Muster::Agent in Muster::Role::"desk",
            {REFUND},
            resource is Muster::Account
        ) when {{ context.parameters.amount <= 50000 && context.local.business }}
        unless {{ resource has score && resource.score < 3 &&
            !(principal.owner in resource.owner) }};
        forbid(principal, action in Muster::Action::"effect=read", resource)
        when {{ context.system.tier < context.tier && context has user && context.user has email }};
    """

    assert validate_policies(world, text) == []


@pytest.mark.parametrize("case", texts("problems.yaml"))
def test_problem_is_placed(world: World, case: dict[str, Any]) -> None:
    wanted = Problem(*case["at"], case["message"])

    found = [one for one in validate_policies(world, case["text"]) if one == wanted]

    assert found == [wanted]


def test_problems_stand_in_reading_order(world: World) -> None:
    one = 'permit(principal in Muster::Role::"a", action, resource);'
    other = 'forbid(principal in Muster::Role::"b", action, resource);'
    text = f"{one}\n{other}"

    assert [one[:2] for one in problems(world, text)] == [(1, 29), (2, 29)]


def test_unlocated_name_falls_back_to_the_statement(world: World) -> None:
    one = f"permit(principal, {REFUND}, resource)"
    text = f"{one};\n  {one} when {{ context.tier }};"

    assert [one[:2] for one in problems(world, text)] == [(2, 3)]


def test_quotes_without_end_take_linear_time(world: World) -> None:
    assert len(validate_policies(world, '"' + '\\"' * 20_000)) == 1


# The trap: the engine says Allow although a forbid failed by an error. ------------------------


def fails_open() -> dict[str, Any]:
    docs = documents()
    overflow = "context.local.hour + 9223372036854775807 > 0"
    docs["world"]["policies"] = [
        {"id": "p@v1", "text": "permit(principal, action, resource);"},
        {"id": "f@v1", "text": f"forbid(principal, action, resource) when {{ {overflow} }};"},
    ]
    return docs


def test_engine_allows_beside_an_error_and_muster_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    real = cedarpy.is_authorized

    def spied(*given: Any) -> Any:
        seen.append(real(*given))
        return seen[-1]

    monkeypatch.setattr(cedarpy, "is_authorized", spied)
    request = a_request(tool="web.search")

    decision = judge(request, snapshot(fails_open(), request), NOW)

    assert [answer.decision for answer in seen] == [cedarpy.Decision.Allow]
    assert len(seen[0].diagnostics.errors) == 1
    assert (decision.effect, decision.code) == (Effect.DENY, "policy.error")


def test_verdict_without_an_answer_is_a_failure() -> None:
    nothing = cedar.Verdict(allowed=False, denied=False, reasons=(), errors=())

    assert (nothing.is_allow, nothing.is_forbidden, nothing.has_failed) == (False, False, True)


def test_worlds_are_kept_by_digest_and_bounded() -> None:
    parts = [a_slice("global", {"governed": [str(number)]}) for number in range(10)]
    first = parts[0]
    assert first is not None
    kept = world_of(first)

    assert world_of(first) is kept
    for part in parts[1:]:
        assert part is not None
        world_of(part)
    assert world_of(first) is not kept


def test_worlds_made_at_the_same_time_do_not_harm_each_other() -> None:
    asked = a_request(tool="web.search")
    codes: list[str] = []

    def ask() -> None:
        for number in range(20):
            docs = documents()
            docs["world"]["governed"] = ["web.search", str(number)]
            codes.append(judge(asked, snapshot(docs, asked), NOW).code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == ["policy.no_permit"] * 80


def test_forbid_by_group_is_met_whichever_tool_was_called_before() -> None:
    docs = documents()
    docs["world"]["policies"] = [
        {
            "id": "no-web@v1",
            "text": 'forbid(principal, action in Muster::Action::"system=web", resource);',
            "log_only": False,
        }
    ]
    docs["world"]["tools"]["web.ping"] = {**docs["world"]["tools"]["web.search"], "effect": "write"}
    docs["world"]["roles"]["desk"].append("web.ping")
    docs["agents"]["desk"]["allowlist"]["web.ping"] = {"narrowing": {}}

    codes = []
    for tool in ("web.search", "web.ping", "web.search"):
        asked = a_request(tool=tool)
        codes.append(judge(asked, snapshot(docs, asked), NOW).code)

    assert codes == ["policy.forbidden"] * 3
