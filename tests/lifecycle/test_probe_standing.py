"""What a test of a row rests on: whatever a verdict can come from makes it stale, nothing else.

A test that stands although an attack would get through by now hides it, so every kind of fact
that the walk reads is changed here once, and the sweep must find the row.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone
from time_machine import travel

from authz.models import (
    CurrencyRate,
    GovernedTool,
    OutputTier,
    Relationship,
    Role,
    Signature,
    ToxicCombination,
)
from lifecycle import sweeps
from lifecycle.models import ProbeRun
from lifecycle.probes import selectors, services, standing
from lifecycle.probes.corpus import Corpus, product_corpus
from registry.models import (
    Agent,
    AllowlistEntry,
    Person,
    Resource,
    ResourceEntity,
    ResourceType,
    System,
    Tool,
)
from registry.permissions import Automatic
from tests.factories.authz import make_policy
from tests.factories.probes import make_row, paying_tool, schema_of
from tests.factories.registry import make_person, make_system, make_tool

pytestmark = pytest.mark.django_db

PERMIT = "permit (principal, action, resource);"
TICKET = {"type": "string", "enum": ["T-1"], "x-muster-resource-type": "ticket"}
Change = Callable[[Agent, Any], object]


def related(resource: str, relation: str, subject: str) -> Relationship:
    (kind, identity), (subject_type, subject_id) = resource.split(":"), subject.split(":")
    return Relationship.objects.create(
        resource_type=kind,
        resource_id=identity,
        relation=relation,
        subject_type=subject_type,
        subject_id=subject_id,
    )


def make_ticket_row() -> Agent:
    """A live row with a payment and a read of one ticket, which lies in a queue."""
    for slug in ("ticket", "queue"):
        attributes = {"open": {"type": "bool"}}
        ResourceType.objects.create(slug=slug, attributes=attributes)
    kinds = {slug: ResourceType.objects.get(slug=slug) for slug in ("ticket", "queue")}
    for kind, identity in (("ticket", "T-1"), ("ticket", "T-2"), ("queue", "Q-1")):
        ResourceEntity.objects.create(
            type=kinds[kind], entity_id=identity, attributes={"open": True}
        )
    related("ticket:T-1", "parent", "queue:Q-1")
    related("ticket:T-2", "owner", "user:somebody")
    related("queue:Q-1", "owner", "user:somebody")
    related("team:others", "member", "user:somebody")
    reads = make_tool(
        make_system(tier="confidential"),
        effect="read",
        resource_parameter="ticket",
        schema=schema_of(ticket=TICKET),
    )
    agent = make_row(reads, paying_tool(maximum=1000))
    return go_live(agent)


def go_live(agent: Agent) -> Agent:
    Agent.objects.filter(pk=agent.pk).update(state="active", activated_at=timezone.now())
    return Agent.objects.get(pk=agent.pk)


def tools_of(agent: Agent) -> Any:
    return Tool.objects.filter(allowlisted__agent=agent)


def systems_of(agent: Agent) -> Any:
    return System.objects.filter(tools__in=tools_of(agent))


def role_of(agent: Agent) -> Role:
    return Role.objects.get(agents=agent)


def toxic(agent: Agent, settings: Any) -> None:
    ToxicCombination.objects.create(
        slug="new", categories=["hr", "pay"], implied_tier="restricted", reason="A test."
    )


def output_tier(agent: Agent, settings: Any) -> None:
    OutputTier.objects.create(
        agent=agent, combination="new", categories=["hr"], tier="restricted", set_by=agent.owner
    )


def gates(agent: Agent, settings: Any) -> None:
    settings.MUSTER_PROBE_GATES = dict.fromkeys(settings.MUSTER_PROBE_GATES, "any")


CHANGES: dict[str, Change] = {
    "row: what it runs on": lambda a, s: Agent.objects.filter(pk=a.pk).update(model="M9"),
    "row: its model's provider": lambda a, s: Agent.objects.filter(pk=a.pk).update(
        model_provider=make_system(tier="public")
    ),
    "row: its pattern": lambda a, s: Agent.objects.filter(pk=a.pk).update(pattern="hybrid"),
    "row: its prompt": lambda a, s: Agent.objects.filter(pk=a.pk).update(prompt_digest="sha256:1"),
    "row: a limit": lambda a, s: Agent.objects.filter(pk=a.pk).update(rate_per_minute=1000),
    "row: its owner": lambda a, s: Agent.objects.filter(pk=a.pk).update(owner=make_person()),
    "row: a narrowing": lambda a, s: AllowlistEntry.objects.filter(agent=a).update(
        narrowing={"properties": {}}
    ),
    "row: a gate": lambda a, s: AllowlistEntry.objects.filter(agent=a).update(
        gates={"destructive": True}
    ),
    "row: a tool less": lambda a, s: AllowlistEntry.objects.filter(agent=a)[0].delete(),
    "row: an output tier": output_tier,
    "row: a role more": lambda a, s: Role.objects.create(slug="more").agents.add(a),
    "tool: its schema": lambda a, s: tools_of(a).update(schema={"type": "object"}),
    "tool: its effect": lambda a, s: tools_of(a).update(effect="read"),
    "tool: on taint": lambda a, s: tools_of(a).update(on_taint="deny"),
    "system: its tier": lambda a, s: systems_of(a).update(tier="public"),
    "system: its trust": lambda a, s: systems_of(a).update(trust="untrusted"),
    "system: a resource": lambda a, s: Resource.objects.create(
        system=systems_of(a)[0], name="x", match="x", tier="public"
    ),
    "role: its tools": lambda a, s: role_of(a).tools.clear(),
    "owner: a role": lambda a, s: Role.objects.create(slug="theirs").people.add(a.owner),
    "owner: their department": lambda a, s: Person.objects.filter(pk=a.owner_id).update(
        department="Legal"
    ),
    "owner: a group": lambda a, s: a.owner.groups.add(Group.objects.create(name="some")),
    "owner: a team": lambda a, s: related("team:others", "member", f"user:{a.owner.pid}"),
    "owner: their zone": lambda a, s: Person.objects.filter(pk=a.owner_id).update(
        zone="Asia/Tokyo"
    ),
    "policy": lambda a, s: make_policy(PERMIT),
    "policy: governed tool": lambda a, s: GovernedTool.objects.create(
        tool=tools_of(a)[0].name, since=timezone.now()
    ),
    "signature": lambda a, s: Signature.objects.filter(slug="chat-template").update(
        is_active=False
    ),
    "toxic combination": toxic,
    "currency": lambda a, s: CurrencyRate.objects.create(currency="XTS", worth=2),
    "resource type": lambda a, s: ResourceType.objects.filter(slug="queue").update(attributes={}),
    "resource: what is known of it": lambda a, s: ResourceEntity.objects.filter(
        entity_id="T-1"
    ).update(attributes={"open": False}),
    "resource: who is what of it": lambda a, s: related("ticket:T-1", "owner", f"user:{a.pk}"),
    "resource: what lies above": lambda a, s: ResourceEntity.objects.filter(entity_id="Q-1").update(
        attributes={"open": False}
    ),
    "resource: a relation above": lambda a, s: Relationship.objects.filter(
        resource_id="Q-1"
    ).delete(),
    "gates of the installation": gates,
}

ELSEWHERE: dict[str, Change] = {
    "another tool": lambda a, s: make_tool(make_system()),
    "another role": lambda a, s: Role.objects.create(slug="more"),
    "another person": lambda a, s: make_person(),
    "another row": lambda a, s: make_row(make_tool(make_system())),
    "another resource": lambda a, s: ResourceEntity.objects.filter(entity_id="T-2").update(
        attributes={}
    ),
    "a relation of another resource": lambda a, s: related("ticket:T-2", "owner", "user:else"),
    "a team of others": lambda a, s: related("team:others", "member", "user:else"),
    "the state of the row": lambda a, s: Agent.objects.filter(pk=a.pk).update(state="in_review"),
    "what is only told of it": lambda a, s: Agent.objects.filter(pk=a.pk).update(purpose="Other."),
}


def found_after(changes: dict[str, Change], agent: Agent, settings: Any) -> dict[str, bool]:
    """For each change, made alone and undone again, whether the row is found by the sweep."""
    found, gates_before = {}, settings.MUSTER_PROBE_GATES
    for name, change in changes.items():
        with transaction.atomic():
            change(agent, settings)
            found[name] = agent.pk in selectors.stale_agents()
            transaction.set_rollback(True)
        settings.MUSTER_PROBE_GATES = gates_before
        assert selectors.stale_agents() == [], name
    return found


def test_whatever_a_verdict_comes_from_makes_a_test_stale_and_nothing_else_does(
    settings: Any,
) -> None:
    agent = make_ticket_row()
    untested = selectors.stale_agents()
    services.probe_agent(agent_id=agent.pk, by=Automatic("tester"))

    assert untested == [agent.pk]
    assert found_after(CHANGES, agent, settings) == dict.fromkeys(CHANGES, True)
    assert found_after(ELSEWHERE, agent, settings) == dict.fromkeys(ELSEWHERE, False)


def test_another_corpus_and_another_engine_make_every_test_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = make_ticket_row()
    services.probe_agent(agent_id=agent.pk, by=Automatic("tester"))
    own = product_corpus()
    other = Corpus(own.name, own.attacks[:1], "0" * 64)

    with monkeypatch.context() as patched:
        patched.setattr(selectors, "product_corpus", lambda: other)
        by_corpus = selectors.stale_agents()
    with monkeypatch.context() as patched:
        patched.setattr(standing, "ENGINE", "another")
        by_engine = selectors.stale_agents()

    assert (by_corpus, by_engine, selectors.stale_agents()) == ([agent.pk], [agent.pk], [])


def test_the_engine_is_another_where_any_of_its_files_is(tmp_path: Path) -> None:
    for name in standing.PACKAGES:
        (tmp_path / name).mkdir(parents=True)
    file = tmp_path / "authz" / "walk.py"
    file.write_text("A = 1\n")
    before = standing.engine_digest(tmp_path)

    file.write_text("A = 2\n")

    assert standing.engine_digest(tmp_path) != before
    assert standing.engine_digest() == standing.ENGINE


@pytest.mark.parametrize(
    ("condition", "stale"),
    [
        ("context.now > datetime(\"2099-01-01\")", True),
        ("context.local.hour > 22 && context.local.weekday == 3", False),
    ],
)  # fmt: skip
def test_days_pass_and_only_a_policy_that_reads_the_date_asks_for_another_test(
    condition: str, stale: bool
) -> None:
    agent = make_ticket_row()
    make_policy(f"forbid (principal, action, resource) when {{ {condition} }};")
    services.probe_agent(agent_id=agent.pk, by=Automatic("tester"))

    with travel(timezone.now() + timedelta(days=8), tick=True):
        found = selectors.stale_agents()

    assert found == ([agent.pk] if stale else [])


def test_a_policy_that_cannot_concern_the_row_does_not_count_its_days() -> None:
    agent = make_ticket_row()
    make_policy(
        'forbid (principal, action == Muster::Action::"else.where", resource)'
        ' when { context.now > datetime("2099-01-01") };'
    )
    services.probe_agent(agent_id=agent.pk, by=Automatic("tester"))

    with travel(timezone.now() + timedelta(days=8), tick=True):
        assert selectors.stale_agents() == []


def test_a_test_that_never_said_what_it_named_rests_on_every_resource() -> None:
    agent = make_ticket_row()
    run = services.probe_agent(agent_id=agent.pk, by=Automatic("tester"))
    agents = Agent.objects.filter(pk=agent.pk)
    run.things, run.standing = None, selectors.standings(agents, {})[agent.pk]
    run.save(update_fields=["things", "standing"])
    before = selectors.stands(run)

    ResourceEntity.objects.filter(entity_id="T-2").update(attributes={})

    assert (before, selectors.stands(run)) == (True, False)


def test_what_a_relation_lets_through_is_found_by_the_next_sweep() -> None:
    """The fact that the policy asks for lies with the ticket, and the verdict is another."""
    agent = make_ticket_row()
    name = tools_of(agent).get(effect="read").name
    make_policy(
        f'permit (principal, action == Muster::Action::"{name}", resource)'
        " when { resource.open };"
    )
    before = services.probe_agent(agent_id=agent.pk, by=Automatic("tester"))
    ResourceEntity.objects.filter(entity_id="T-1").update(attributes={"open": False})

    runs = [sweeps.run_sweep("probes") for _ in range(2)]

    newest = ProbeRun.objects.filter(agent=agent).first()
    assert newest is not None
    assert [run.done for run in runs if run] == [1, 0]
    assert newest.things == [["ticket", "T-1"]]
    assert newest.calls != before.calls


def test_looking_at_rows_takes_as_many_queries_for_three_as_for_one(
    django_assert_num_queries: Any,
) -> None:
    """The rows, their newest tests, the revision of the world, and a slice of each kind."""
    tool = paying_tool(maximum=1000)
    for many in (1, 2):
        for _ in range(many):
            agent = make_row(tool)
            services.probe_agent(agent_id=agent.pk, by=Automatic("tester"))
            go_live(agent)
        selectors.stale_agents()
        with django_assert_num_queries(5, connection=connection):
            assert selectors.stale_agents() == []
