"""Reach: the longest match wins, untagged is restricted, combinations raise."""

from datetime import date

import pytest

from registry import reach, rules, selectors, services
from registry.enums import Direction, Tier
from registry.models import Tool
from registry.reach import Combination, reach_of, reach_of_draft
from tests.factories.registry import make_agent, make_draft, make_system, make_tool, security

pytestmark = pytest.mark.django_db
READS = Direction.READS

RESOURCES = [
    {"name": "customers", "tier": "confidential", "categories": ["customer"]},
    {"name": "customers.archive", "match": "prefix", "tier": "restricted"},
    {"name": "customers.archive.2019", "tier": "public"},
    {"name": "logs/", "match": "prefix", "tier": "public"},
    {"name": "logs/", "match": "exact", "tier": "confidential"},
    {"name": "untagged"},
]


@pytest.fixture
def crm():
    return make_system(
        slug="crm", tier="internal", categories=["sales"], country="IE", resources=RESOURCES
    )


@pytest.mark.parametrize(
    ("name", "tier", "categories"),
    [
        ("", "internal", ("sales",)),
        ("unlisted", "internal", ("sales",)),
        ("customers", "confidential", ("customer",)),
        ("customers.archive", "restricted", ("sales",)),
        ("customers.archive.2020", "restricted", ("sales",)),
        ("customers.archive.2019", "public", ("sales",)),
        ("customers.archive.2019.q1", "restricted", ("sales",)),
        ("logs/today", "public", ("sales",)),
        ("logs/", "confidential", ("sales",)),
        ("untagged", "restricted", ("sales",)),
        ("Customers", "internal", ("sales",)),
    ],
)
def test_longest_match_wins(crm, name: str, tier: str, categories: tuple[str, ...]) -> None:
    place = reach.place_in(crm, name, READS)

    assert (place.tier, place.categories, place.country) == (tier, categories, "IE")


def test_a_system_without_a_tier_is_restricted() -> None:
    agent = make_draft(tool=make_tool(make_system(tier="")))

    assert reach_of(agent).tier == Tier.RESTRICTED


def test_a_tool_without_a_resource_reaches_all_of_its_system(crm) -> None:
    found = reach_of_draft(entries=[(make_tool(crm), {})])

    assert [(place.resource, place.match, place.tier) for place in found.reads] == [
        ("", "", "internal"),
        ("customers", "exact", "confidential"),
        ("customers.archive", "prefix", "restricted"),
        ("customers.archive.2019", "exact", "public"),
        ("logs/", "exact", "confidential"),
        ("logs/", "prefix", "public"),
        ("untagged", "exact", "restricted"),
    ]
    assert found.tier == Tier.RESTRICTED


@pytest.mark.parametrize(
    ("narrowing", "resources"),
    [
        ({"properties": {"account": {"const": "customers"}}}, ["customers"]),
        ({"properties": {"account": {"enum": ["x", "logs/a"]}}}, ["logs/a", "x"]),
    ],
)
def test_narrowing_to_known_resources_narrows_the_reach(crm, narrowing, resources) -> None:
    tool = make_tool(crm, resource_parameter="account")

    found = reach_of_draft(entries=[(tool, narrowing)])

    assert [place.resource for place in found.reads] == resources


def test_an_optional_resource_parameter_does_not_narrow(crm) -> None:
    schema = {"type": "object", "properties": {"table": {"enum": ["logs/a"]}}}
    tool = make_tool(crm, schema=schema, resource_parameter="table")

    assert len(reach_of_draft(entries=[(tool, {})]).reads) == 7


def test_declared_accesses_and_sinks(crm) -> None:
    mail = make_system(slug="mail", tier="public", trust="untrusted")
    tool = make_tool(
        crm,
        effect="external_communication",
        accesses=[
            {"system": crm, "resource": "customers", "direction": "reads"},
            {"system": mail, "resource": "", "direction": "writes"},
        ],
    )

    found = reach_of_draft(entries=[(tool, {})])

    assert (found.read_tier, found.write_tier, found.tier) == (
        "confidential",
        "public",
        "confidential",
    )
    assert [place.system for place in found.sinks] == ["mail"]
    assert found.categories == ("customer",)
    assert found.signers == ("security",)
    assert found.review_within_days == 2


def test_the_model_is_a_sink_where_it_lies_lower() -> None:
    model = make_system(slug="model-home", tier="internal", country="US")
    tool = make_tool(make_system(tier="confidential"))

    found = reach_of_draft(entries=[(tool, {})], model_provider=model)

    assert [place.system for place in found.sinks] == ["model-home"]
    assert (found.model_provider, found.model_country) == ("model-home", "US")


def test_a_completed_combination_raises_the_tier() -> None:
    people, places = make_system(categories=["identity"]), make_system(categories=["location"])
    toxic = Combination("stalking", frozenset({"identity", "location"}), Tier.RESTRICTED)
    one, both = [(make_tool(people), {})], [(make_tool(people), {}), (make_tool(places), {})]

    apart = reach_of_draft(entries=one, combinations=[toxic])
    together = reach_of_draft(entries=both, combinations=[toxic])

    assert (apart.tier, apart.combinations) == ("internal", ())
    assert (together.own_tier, together.tier, together.combinations) == (
        "internal",
        "restricted",
        (toxic,),
    )
    assert together.signers == ("security", "dpo", "source_owner")


@pytest.mark.parametrize(
    ("tier", "categories", "review", "renewal"),
    [
        ("public", [], date(2027, 8, 31), date(2028, 2, 29)),
        ("internal", [], date(2027, 8, 31), date(2028, 2, 29)),
        ("internal", ["customer-contact"], date(2026, 11, 30), date(2028, 2, 29)),
        ("confidential", [], date(2027, 2, 28), date(2027, 8, 31)),
        ("confidential", ["patients"], date(2026, 11, 30), date(2027, 8, 31)),
        ("restricted", [], date(2026, 11, 30), date(2027, 2, 28)),
    ],
)
def test_dates_follow_from_the_data(tier, categories, review, renewal) -> None:
    tool = make_tool(make_system(tier=tier, categories=categories))

    found = reach_of_draft(entries=[(tool, {})])

    today = date(2026, 8, 31)
    assert (found.review_due(today), found.renewal_due(today)) == (review, renewal)


@pytest.mark.parametrize(
    ("day", "months", "after"),
    [
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2028, 2, 29), 48, date(2032, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2027, 12, 31), 2, date(2028, 2, 29)),
        (date(2026, 10, 31), 1, date(2026, 11, 30)),
        (date(2026, 11, 30), 1, date(2026, 12, 30)),
        (date(2026, 12, 1), 24, date(2028, 12, 1)),
        (date(2026, 1, 31), 0, date(2026, 1, 31)),
    ],
)
def test_months_end_with_the_month(day: date, months: int, after: date) -> None:
    assert rules.months_after(day, months) == after


def test_the_digest_moves_with_everything_that_was_cleared() -> None:
    owner_by = security()
    agent = make_draft()
    digests = [fresh(agent)]
    entry = agent.allowlist.get()

    services.update_agent(agent_id=agent.pk, by=agent.owner, rate_per_hour=90)
    digests.append(fresh(agent))
    services.set_allowlist_entry(
        agent_id=agent.pk, tool=entry.tool, by=agent.owner, rate_per_minute=1
    )
    digests.append(fresh(agent))
    services.save_system(slug=entry.tool.system.slug, by=owner_by, tier="confidential")
    digests.append(fresh(agent))
    services.save_tool(name=entry.tool.name, by=owner_by, effect="write")
    digests.append(fresh(agent))
    services.save_tool(name=entry.tool.name, by=owner_by, description="Said better.")

    assert len(set(digests)) == 5
    assert fresh(agent) == digests[-1]
    assert Tool.objects.get(pk=entry.tool_id).version == 2


def fresh(agent) -> str:
    return reach_of(selectors.agent_by_slug(agent.slug)).digest


@pytest.mark.parametrize("rows", [1, 3])
def test_a_list_of_reaches_costs_the_same_at_any_length(rows, django_assert_num_queries) -> None:
    for _ in range(rows):
        make_agent()
    reader = security()
    assert reader.reads_everything

    with django_assert_num_queries(9):
        agents = selectors.agents_for_list(reader)
        found = [one.tier for _, one in reach.reaches_of(agents)]

    assert found == ["internal"] * rows


def test_a_narrowing_leaves_of_the_schemas_names_only_its_own() -> None:
    system = make_system(
        tier="restricted",
        resources=[
            {"name": "first", "tier": "internal", "categories": ["a"]},
            {"name": "second", "tier": "internal", "categories": ["b"]},
        ],
    )
    side = {"type": "string", "enum": ["first", "second"]}
    tool = make_tool(
        system,
        resource_parameter="side",
        schema={"type": "object", "properties": {"side": side}, "required": ["side"]},
    )
    narrowing = {"properties": {"side": {"const": "first"}}}

    wide = reach_of_draft(entries=[(tool, {})], combinations=[])
    narrow = reach_of_draft(entries=[(tool, narrowing)], combinations=[])

    assert (wide.categories, narrow.categories) == (("a", "b"), ("a",))
