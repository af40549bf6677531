"""The parts of the engine: names, projection, findings, targets, entities, codes, pages."""

import ast
import re
import runpy
import subprocess
import sys
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import authz.engine
from authz.engine import codes, names, question, reference, world
from authz.engine.codes import CODES, REMEDIES
from authz.engine.projection import (
    ATTRIBUTE_TYPES,
    Money,
    Unprojectable,
    parameters_of,
    unavailable_parameters,
)
from authz.engine.schema import parameter_schema
from authz.engine.targets import tier_rank
from authz.engine.types import Check, Mode
from authz.engine.world import compile_world
from governance.kernel.row import row_refusal
from tests.authz.desk import a_request, a_slice, documents, snapshot

NOT_ACTIVE = ("draft", "in_review", "suspended", "decommissioning", "decommissioned")
REPOSITORY = Path(__file__).parent.parent.parent


# Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slug", "name"),
    [
        ("record", "Record"),
        ("crm-record", "CrmRecord"),
        ("crm_record", "Crm__record"),
        ("crm.record", "Crm___record"),
        ("a-1", "A_1"),
        ("a1", "A1"),
        ("3d", "_3d"),
        ("role", "Role_"),
        ("a-b-c", "ABC"),
    ],
)
def test_type_name(slug: str, name: str) -> None:
    assert names.type_name(slug) == name


def test_no_two_slugs_share_a_type_name() -> None:
    marks = [*"-_.", ""]
    slugs = {f"{a}{x}{b}{y}{c}" for a, b, c in permutations("ab1") for x in marks for y in marks}
    slugs |= {"role", "role-1", "action", "team", "agent", "person", "system", "3d", "3-d", "3.d"}

    assert len({names.type_name(slug) for slug in slugs}) == len(slugs)


@pytest.mark.parametrize(
    ("relation", "subject", "attribute"),
    [
        ("owner", "user", "owner"),
        ("owner", "identity", "owner"),
        ("owner", "team", "owner_team"),
        ("owner", "group", "owner_team"),
        ("shared-with", "agent", "shared_with_agent"),
        ("team", "team", "team"),
        ("team", "user", "team_person"),
        ("parent", "crm-record", "parent_crm_record"),
    ],
)
def test_relation_attribute(relation: str, subject: str, attribute: str) -> None:
    assert names.relation_attribute(relation, subject) == attribute


def test_subject_entity_type() -> None:
    known = frozenset(["folder"])

    assert names.subject_entity_type("user", known) == "Muster::Person"
    assert names.subject_entity_type("folder", known) == "Muster::Folder"
    assert names.subject_entity_type("moon", known) == ""


# Projection ----------------------------------------------------------------------------------


def projected(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Parameter → its Cedar type, a `?` behind it where it may be absent."""
    found = parameters_of({"schema": schema, **more}).cedar()["attributes"]
    return {name: _short(kind) + ("" if kind["required"] else "?") for name, kind in found.items()}


def _short(kind: dict[str, Any]) -> Any:
    if kind["type"] == "Set":
        return f"Set<{kind['element']['type']}>"
    if kind["type"] == "Record":
        return "Record" + "".join(sorted(kind["attributes"]))
    return kind["type"]


def of_property(schema: Any, **root: Any) -> Any:
    return projected({"type": "object", "properties": {"x": schema}, **root}).get("x")


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "String?"),
        ({"type": "integer"}, "Long?"),
        ({"type": "boolean"}, "Boolean?"),
        ({"type": "number"}, None),
        ({"type": "null"}, None),
        ({"type": "array", "items": {"type": "string"}}, "Set<String>?"),
        ({"type": "array", "items": {"type": "integer"}}, "Set<Long>?"),
        ({"type": "array", "items": {"type": "number"}}, None),
        ({"type": "array", "items": {"type": "array", "items": {"type": "string"}}}, None),
        ({"type": "array"}, None),
        ({"type": "object"}, None),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, "Recorda?"),
        ({"type": "object", "properties": {"a": {"type": "number"}}}, None),
        ({"type": "object", "properties": 3}, None),
        ({"enum": ["a", "b"]}, "String?"),
        ({"enum": [1, 2]}, "Long?"),
        ({"enum": ["a", 1]}, None),
        ({"enum": [1.5]}, None),
        ({"const": True}, "Boolean?"),
        ({"enum": "a"}, None),
        ({"type": ["string", "null"]}, "String?"),
        ({"type": ["string", "integer"]}, None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "String?"),
        ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, "Long?"),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, None),
        ({"anyOf": [{"type": "object", "properties": {}}, {"type": "null"}]}, None),
        ({"anyOf": [True, {"type": "null"}]}, None),
        ({"anyOf": 3}, None),
        ({}, None),
        (True, None),
        ({"$ref": "#/$defs/Named"}, "String?"),
        ({"$ref": "#/$defs/Missing"}, None),
        ({"$ref": "#/nowhere/Named"}, None),
        ({"anyOf": [{"$ref": "#/$defs/Named"}, {"type": "null"}]}, "String?"),
    ],
)
def test_type_of_a_parameter(schema: Any, kind: Any) -> None:
    assert of_property(schema, **{"$defs": {"Named": {"type": "string"}}}) == kind


def test_required_and_not_nullable_is_always_there() -> None:
    nullable = {"type": ["string", "null"]}

    assert of_property({"type": "string"}, required=["x"]) == "String"
    assert of_property(nullable, required=["x"]) == "String?"
    assert of_property({"type": "string"}, required="x") == "String?"


def test_schema_within_itself_ends() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
    schema["properties"]["x"] = schema

    assert sorted(projected(schema)) == ["a", "x"]


def test_secrets_and_engine_words_are_not_projected() -> None:
    properties = {name: {"type": "string"} for name in ("a", "b", "__entity", "__extn", "__expr")}
    tool = {"schema": {"properties": properties}, "secret": ["b"], "amount": "b"}

    assert sorted(parameters_of(tool).members) == ["a"]
    assert unavailable_parameters(tool) == ["b"]


@pytest.mark.parametrize("schema", [None, True, 3, {}, {"properties": []}])
def test_tool_without_parameters(schema: Any) -> None:
    assert projected(schema) == {}
    assert unavailable_parameters({"schema": schema}) == []


def test_unavailable_parameters() -> None:
    schema = {"properties": {"f": {"type": "number"}, "s": {"type": "string"}, "o": {}}}

    assert unavailable_parameters({"schema": schema}) == ["f", "o"]
    assert unavailable_parameters({"schema": schema, "amount": "f"}) == ["o"]


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [
        (5, "EUR", 500),
        (499.99, "EUR", 49999),
        (0.1 + 0.2, "EUR", 31),
        (1.001, "EUR", 101),
        (-0.001, "EUR", 0),
        ("12.50", "EUR", 1250),
        (7, "JPY", 7),
        (7.001, "KWD", 7001),
        (7, None, 700),
        (7, 3, 700),
    ],
)
def test_money_in_minor_units(value: Any, currency: Any, minor: int) -> None:
    assert Money(currency="c").project(value, {"c": currency}) == minor


@pytest.mark.parametrize(
    "value",
    [
        *(True, None, [], {}, 2**53, -(2**53), 10**400, float("nan"), float("inf"), 1e300),
        *("", "x", "1e9", "NaN", "1_000", "٣", "-", "1.2.3"),
    ],
)
def test_what_is_no_amount(value: Any) -> None:
    with pytest.raises(Unprojectable):
        Money().project(value, {})


def test_amount_in_minor_units_already() -> None:
    tool = {
        "schema": {"properties": {"a": {"type": "integer", "x-muster-unit": "minor"}, "b": True}},
        "amount": "a",
    }

    assert parameters_of(tool).project({"a": 5}, {}) == {"a": 5}
    assert parameters_of({**tool, "amount": "b"}).project({"b": 5}, {}) == {"b": 500}
    assert Money().cedar() == {"type": "Long"}


@pytest.mark.parametrize(
    ("kind", "value", "copied"),
    [
        ("string", "x", "x"),
        ("long", 5, 5),
        ("long", 5.0, 5),
        ("long", 2**63 - 1, 2**63 - 1),
        ("bool", False, False),
        ("set", ["a", "a"], ["a", "a"]),
        ("set", (), []),
    ],
)
def test_value_is_copied_by_type(kind: str, value: Any, copied: Any) -> None:
    assert ATTRIBUTE_TYPES[kind].project(value, {}) == copied


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("string", 5),
        ("string", {"__entity": {"type": "Muster::Role", "id": "admin"}}),
        ("long", "5"),
        ("long", True),
        ("long", 5.5),
        ("long", 2**63),
        ("long", float("inf")),
        ("bool", 1),
        ("set", "ab"),
        ("set", [1]),
        ("set", {"a": 1}),
    ],
)
def test_value_of_another_type_is_never_left_out(kind: str, value: Any) -> None:
    with pytest.raises(Unprojectable):
        ATTRIBUTE_TYPES[kind].project(value, {})


def test_record_within_parameters() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "string"}}}
    fields = parameters_of({"schema": {"properties": {"x": inner}}})

    assert fields.project({"x": {"a": "1", "b": 2}, "y": 3}, {}) == {"x": {"a": "1"}}
    with pytest.raises(Unprojectable):
        fields.project({"x": []}, {})


# Findings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "value", "pointer", "rule", "sentence"),
    [
        ({"type": ["string", "null"]}, 1, "/x", "type", "It must be of type null or string."),
        ({"enum": [1]}, 2, "/x", "enum", "It must be one of the declared values."),
        ({"maxLength": 2}, "abc", "/x", "maxLength", "It may be at most 2 characters long."),
        ({"format": "email"}, "x", "/x", "format", "It must be in the format email."),
        ({"multipleOf": 2}, 3, "/x", "multipleOf", "It must be a multiple of 2."),
        ({"not": {}}, 3, "/x", "not", "It does not meet its schema."),
        ({"anyOf": [{"type": "null"}]}, 3, "/x", "anyOf", "It fits none of the alternatives."),
        ({"items": {"maximum": 3}}, [1, 9], "/x/1", "maximum", "It must be at most 3."),
        ({"properties": {"a/b~": {"const": 1}}}, {"a/b~": 2}, "/x/a~1b~0", "const", None),
        (
            {"additionalProperties": {"type": "string"}},
            {"hunter2": 1},
            "/x/*",
            "type",
            "It must be of type string.",
        ),
        ({"propertyNames": {"maxLength": 2}}, {"hunter2": 1}, "/x", "maxLength", None),
    ],
)
def test_finding(schema: Any, value: Any, pointer: str, rule: str, sentence: str | None) -> None:
    found = parameter_schema({"properties": {"x": schema}}).findings({"x": value})[0]

    assert (found.pointer, found.rule) == (pointer, rule)
    assert "hunter2" not in found.sentence
    assert sentence is None or found.sentence == sentence


def test_findings_are_few() -> None:
    schema = parameter_schema({"additionalProperties": {"type": "string"}})

    assert len(schema.findings({str(number): number for number in range(100)})) == 5


# Entities and context -------------------------------------------------------------------------


def test_too_much_above_a_resource_is_refused() -> None:
    document = documents()["world"]
    document["relationships"] = [
        ["account", str(number), "parent", "account", str(number + 1)] for number in range(70)
    ]
    found = compile_world(document)

    with pytest.raises(Unprojectable):
        question._ancestry(found, ("account", "0"))


def test_what_lies_above_is_found_once() -> None:
    document = documents()["world"]
    document["relationships"] = [
        ["account", "a", "parent", "account", "b"],
        ["account", "a", "parent", "account", "c"],
        ["account", "b", "parent", "account", "c"],
        ["account", "c", "parent", "account", "a"],
        ["account", "c", "parent", "moon", "x"],
    ]

    above = question._ancestry(compile_world(document), ("account", "a"))

    assert above == [("account", "a"), ("account", "b"), ("account", "c")]


def test_system_that_is_not_known_counts_as_the_more_sensitive() -> None:
    entity = question.system_entity(compile_world({}), "ghost")

    assert entity["attrs"] == {
        "tier": 3,
        "environment": "production",
        "country": "",
        "trust": "untrusted",
        "categories": [],
    }


@pytest.mark.parametrize(
    ("at", "zone", "wanted"),
    [
        (datetime(2026, 11, 23, 7, 0, tzinfo=UTC), "Europe/Copenhagen", (8, 1, True)),
        (datetime(2026, 11, 23, 6, 59, tzinfo=UTC), "Europe/Copenhagen", (7, 1, False)),
        (datetime(2026, 11, 23, 17, 0, tzinfo=UTC), "Europe/Copenhagen", (18, 1, False)),
        (datetime(2026, 7, 23, 6, 0, tzinfo=UTC), "Europe/Copenhagen", (8, 4, True)),
        (datetime(2026, 11, 22, 12, 0, tzinfo=UTC), "UTC", (12, 7, False)),
        (datetime(2026, 11, 23, 2, 0, tzinfo=UTC), "America/New_York", (21, 7, False)),
    ],
)
def test_local_time(at: datetime, zone: str, wanted: tuple[int, int, bool]) -> None:
    assert tuple(question.local_time(at, question.zone_named(zone)).values()) == wanted


def test_instant_has_milliseconds() -> None:
    at = datetime(2026, 11, 23, 13, 0, 0, 123456, tzinfo=UTC)

    assert question.instant(at)["__extn"]["arg"] == "2026-11-23T13:00:00.123Z"


def test_kept_entities_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    found = compile_world(documents()["world"])
    schema = found.cedar_schema()
    monkeypatch.setattr(world, "KEPT_ENTITIES", 2)

    for name in "abc":
        found.parsed_entities((name,), list, schema)

    assert list(found._entities) == [("c",)]


def test_policy_type_with_an_unknown_kind_of_attribute_is_left_out() -> None:
    document = documents()["world"]
    document["types"]["account"]["attributes"]["odd"] = {"type": "blob", "source": "caller"}
    found = compile_world(document)

    assert question.vouchable(found, ["account"], {"odd": 1, "open": True}) == {"open": True}
    assert found.cedar_schema() is found.cedar_schema()


def test_declared_attribute_comes_before_a_relation_of_its_name() -> None:
    document = documents()["world"]
    document["types"]["account"]["attributes"]["owner"] = {"type": "string", "source": "loaded"}

    assert "owner" not in compile_world(document).relation_types["account"]


def test_user_who_is_acted_for_is_an_entity() -> None:
    from authz.engine import policy
    from authz.engine.case import Case
    from authz.engine.reads import EVERYTHING

    request = a_request(user="p_ann", tool="web.search")
    at = datetime(2026, 11, 23, tzinfo=UTC)
    case = Case(request, snapshot(documents(), request), at, Mode.ENFORCE)

    uids = [entity["uid"]["id"] for entity in policy._people(case, {})]
    asked = policy._question(case, EVERYTHING)

    assert uids == ["desk", "p_ann"]
    assert asked.context["user"] == {"__entity": {"type": "Muster::Person", "id": "p_ann"}}


def test_user_without_the_role_is_refused() -> None:
    from authz.engine.case import Case
    from authz.engine.checks import role

    docs = documents()
    at = datetime(2026, 11, 23, tzinfo=UTC)
    outcomes = []
    for tool in ("web.search", "crm.refund"):
        request = a_request(user="p_ann", tool=tool)
        outcomes.append(role(Case(request, snapshot(docs, request), at, Mode.ENFORCE)).code)

    assert outcomes == ["role.user_none", ""]


def test_narrowing_is_kept_by_the_digest_of_its_slice() -> None:
    part = a_slice("agent:x", {"slug": "x"})
    other = a_slice("agent:x", {"slug": "x", "v": 2})
    assert part is not None
    assert other is not None

    first = world.narrowing_of(part, "t", {"maximum": 3})

    assert world.narrowing_of(part, "t", {"maximum": 3}) is first
    assert world.narrowing_of(other, "t", {"maximum": 3}) is not first


def test_tier_rank() -> None:
    assert [tier_rank(tier) for tier in ("public", "restricted", "", "odd")] == [0, 3, 3, 3]


# Codes and pages ------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES.values(), ids=CODES.keys())
def test_code_is_whole(code: codes.Code) -> None:
    finding = {"pointer": "/limit", "rule": "maximum", "sentence": "It must be at most 10."}
    text = codes.message(code.code, {"findings": [finding]})

    assert code.check in Check
    assert text.count(".") >= 3 or code.code.endswith((".error", ".gateway_required"))
    assert "{" not in text
    assert set(code.remedies) <= set(REMEDIES)


def test_every_code_that_the_engine_names_is_listed_and_given() -> None:
    """Every code is a word in the source of a check, or of the edge that refuses before them."""
    package = Path(authz.engine.__file__).parent
    names = (
        *(
            "identity",
            "acting",
            "checks",
            "policy",
            "outside",
            "targets",
            "flow",
            "taint",
            "rate",
            "spend",
            "gate",
        ),
    )
    files = [package / f"{name}.py" for name in names]
    files.append(REPOSITORY / "governance" / "kernel" / "row.py")
    files.append(REPOSITORY / "authz" / "refusals.py")
    words = {
        node.value
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    # The cause alone, where the check is known: for a counter, its window.
    words |= {f"{check}.{word}" for word in words for check in ("consent", "parameters", "rate")}
    # What the transaction of the record says.
    for name in ("0009_holds", "0010_limits"):
        said = (REPOSITORY / "authz" / "migrations" / "sql" / f"{name}.sql").read_text()
        words |= set(re.findall(r"\b[a-z]+\.[a-z_]+\b", said))
        words |= {f"gate.release_{cause}" for cause in re.findall(r'"refused": "(\w+)"', said)}

    given = {code for code in CODES if code in words or code.endswith(".error")}

    assert given == {code.code for code in CODES.values() if not code.reserved}


def test_message_is_filled_from_the_detail() -> None:
    detail = {"agent": "desk", "tool": "crm.find", "policies": ["a@v1", "b@v1"]}
    finding = {"pointer": "/limit", "rule": "maximum", "sentence": "It must be at most 10."}

    assert codes.message("allowlist.not_listed", detail).startswith("desk may not call crm.find.")
    assert "forbidden by a@v1, b@v1." in codes.message("policy.forbidden", detail)
    assert "/limit It must be at most 10." in codes.message(
        "parameters.narrowing", {**detail, "findings": [finding]}
    )
    assert codes.message("", {}) == "Allowed."


def test_hostile_names_are_only_words_in_a_message() -> None:
    text = codes.message("parameters.unknown_tool", {"tool": "{agent.__class__}{0}%s"})

    assert text.startswith("{agent.__class__}{0}%s may not be called.")


def test_code_of_a_later_version_is_still_a_sentence() -> None:
    assert codes.message("gate.new", {}) == "This call may not go on (gate.new). Tell security."
    assert codes.reason("gate.new") == "gate.new"
    assert codes.remedies("gate.new", {}) == ()


def test_reason_is_the_profiles_word_where_it_defines_one() -> None:
    assert codes.reason("policy.forbidden") == "policy_denied"
    assert codes.reason("role.none") == "role.none"


def test_remedy_text() -> None:
    (remedy,) = codes.remedies("consent.none", {"agent": "desk", "tool": "t", "other": 1})

    assert remedy == {"kind": "ask_consent", "agent": "desk", "tool": "t"}
    assert codes.remedy_text(remedy) == "Ask the user for consent."
    assert codes.remedy_text({"kind": "of a later version"}) == ""


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_reference_page_is_current(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["reference", str(tmp_path / "pages")])
    runpy.run_path(str(reference.__file__), run_name="__main__")

    written = (tmp_path / "pages" / name).read_text()

    assert (REPOSITORY / "docs" / "reference" / name).read_text() == written


# Purity ---------------------------------------------------------------------------------------


def test_engine_loads_without_django() -> None:
    code = (
        "import sys, authz.engine.walk, authz.engine.editing, authz.engine.reference; "
        "print(sorted({'django', 'rest_framework', 'psycopg'} & set(sys.modules)))"
    )

    run = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert run.stdout == "[]\n"


@pytest.mark.parametrize(
    ("state", "employment", "code"),
    [
        ("active", "employed", None),
        ("active", "leaving", None),
        ("active", "left", "identity.owner_left"),
        *((state, "employed", "identity.not_active") for state in NOT_ACTIVE),
        ("suspended", "left", "identity.not_active"),
        ("", "", "identity.not_active"),
    ],
)
def test_row_refusal(state: str, employment: str, code: str | None) -> None:
    assert row_refusal(state, employment) == code
