"""The form, `apply` and REST are one way: the same row, the same clearance, the same records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import transaction
from django.test import Client as Browser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from audit.models import Record
from audit.selectors import parse_body
from authz.models import Role
from lifecycle import services
from lifecycle.apply.document import read_inventory
from lifecycle.apply.execute import apply_inventory
from lifecycle.models import FromTemplate, ProvisioningRun
from lifecycle.templates import services as templates
from registry.models import Agent, Person, Tool
from tests.factories.registry import make_person, make_system, make_tool
from tests.factories.templates import Fitted, make_fitted

pytestmark = pytest.mark.django_db
SUMMARIZER = {"reads": ["figures.read"], "writes": ["chat.post"]}
NOTIFIER = {"reads": ["figures.read"], "posts": ["chat.post"], "posts_to": "#releases"}
SKIPPED = {"id", "created_at", "activated_at", "state_changed_at", "version"}

Way = Callable[[dict[str, Any], Person], object]


def picture(by: Person) -> dict[str, Any]:
    """Everything about the one new agent that must not depend on the way."""
    agent = Agent.objects.get(slug="newcomer")
    row = Agent.objects.filter(pk=agent.pk).values().get()
    origin = FromTemplate.objects.filter(agent=agent).first()
    runs = ProvisioningRun.objects.filter(agent=agent)
    return {
        "row": {name: value for name, value in row.items() if name not in SKIPPED},
        "allowlist": list(
            agent.allowlist.order_by("tool__name").values(
                "tool__name", "narrowing", "rate_per_minute", "write_quota_per_hour", "gates"
            )
        ),
        "roles": sorted(role.slug for role in agent.roles.all()),
        "origin": (origin.template.uid, origin.choices) if origin else None,
        "clearances": list(agent.clearances.values("basis", "tier", "reach_digest", "by")),
        "runs": [
            (run.state, run.by_id, [(step.name, step.state) for step in run.steps.all()])
            for run in runs
        ],
        "client": (agent.client.version, agent.client.secret_digest) if runs else None,
        "records": sorted(told()),
    }


def told() -> list[tuple[str, str]]:
    bodies = [parse_body(each) for each in Record.objects.filter(agent="newcomer")]
    return [
        (body.get("actor", ""), body["asked"]["did"])
        for body in bodies
        if "did" in body.get("asked", {})
    ]


def outcome(way: Way, asked: dict[str, Any], by: Person) -> dict[str, Any]:
    """What came of one way, after which nothing of it is left."""
    with transaction.atomic():
        way(asked, by)
        found = picture(by)
        transaction.set_rollback(True)
    return found


def by_services(asked: dict[str, Any], by: Person) -> None:
    """As the form's views do it."""
    given = {"by": by, "slug": asked["slug"], "name": asked["name"]}
    if "template" in asked:
        facts = {"purpose": asked["purpose"]}
        agent = templates.register_from_template(
            template=asked["template"], choices=asked["choices"], facts=facts, **given
        )
    else:
        facts = {name: asked[name] for name in asked if name not in PARTS}
        agent = services.register_agent(
            facts=facts,
            tools=list(Tool.objects.filter(name__in=asked["tools"])),
            roles=list(Role.objects.filter(slug__in=asked["roles"])),
            **given,
        )
    if asked["attest"]:
        templates.attest(agent_id=agent.pk, by=by)


PARTS = {"slug", "name", "tools", "roles", "attest", "template", "choices"}


def by_rest(asked: dict[str, Any], by: Person) -> None:
    browser = Browser()
    browser.force_login(by)
    answer = browser.post("/api/v1/registrations", asked, content_type="application/json")
    assert answer.status_code == 201, answer.content


def by_apply(asked: dict[str, Any], by: Person, folder: Path) -> None:
    item = {name: value for name, value in asked.items() if name not in {"tools"}}
    item |= {"owner": by.email} | ({"allowlist": asked["tools"]} if "tools" in asked else {})
    item |= {} if asked["attest"] else {"state": "draft"}
    path = folder / "agent.yaml"
    path.write_text(yaml.safe_dump({"muster": 1, "agents": [item]}))
    done = apply_inventory(read_inventory(path), by_email=by.email)
    assert [step.waits for step in done.steps] == [[]]


def same(asked: dict[str, Any], by: Person, folder: Path) -> dict[str, Any]:
    ways: list[Way] = [by_services, by_rest, lambda a, b: by_apply(a, b, folder)]
    first, *others = [outcome(way, asked, by) for way in ways]
    assert others == [first, first]
    return first


@pytest.mark.parametrize(
    ("template", "choices"), [("read-only-summarizer", SUMMARIZER), ("notifier", NOTIFIER)]
)
@pytest.mark.parametrize("attest", [True, False])
def test_templated_agent_is_the_same_by_every_way(
    template: str, choices: dict[str, Any], attest: bool, tmp_path: Path
) -> None:
    fitted: Fitted = make_fitted()
    asked = {
        "slug": "newcomer",
        "name": "Newcomer",
        "purpose": "Sums up.",
        "template": template,
        "choices": choices,
        "attest": attest,
    }

    found = same(asked, fitted.owner, tmp_path)

    assert found["row"]["state"] == ("active" if attest else "draft")
    assert [each["basis"] for each in found["clearances"]] == ["template"] * attest


@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=some.data())
def test_any_agent_is_the_same_by_every_way(data: Any, tmp_path: Path) -> None:
    with transaction.atomic():
        asked, owner = drawn(data)
        found = same(asked, owner, tmp_path)
        transaction.set_rollback(True)

    assert found["row"]["state"] == ("active" if asked["attest"] else "draft")


def drawn(data: Any) -> tuple[dict[str, Any], Person]:
    """A register with a few tools and roles, and a description of an agent that uses some."""
    owner, system = make_person(), make_system(tier="internal")
    tools = [make_tool(system) for _ in range(3)]
    role = Role.objects.create(slug="reading")
    role.tools.set(tools)
    chosen = data.draw(some.lists(some.sampled_from(tools), unique=True, min_size=1))
    asked = {
        "slug": "newcomer",
        "name": data.draw(some.sampled_from(["Newcomer", "Über-Agent", "A & B"])),
        "purpose": data.draw(some.sampled_from(["Reads.", "Liest: “alles”.", "yes"])),
        "tools": sorted(tool.name for tool in chosen),
        "roles": data.draw(some.sampled_from([[], ["reading"]])),
        "rate_per_minute": data.draw(some.integers(1, 60)),
        "rate_per_hour": data.draw(some.integers(60, 600)),
        "spend_cap_minor": data.draw(some.integers(0, 500)),
        "pattern": data.draw(some.sampled_from(["service", "impersonation", "hybrid"])),
        "retention": data.draw(some.sampled_from(["", "30 days"])),
        "attest": data.draw(some.booleans()),
    }
    return asked, owner


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"template": "nothing-of-this-name", "choices": {}}, None),
        ({"template": "notifier", "choices": {"reads": "figures.read"}}, "reads"),
        ({"template": "notifier", "choices": {"reads": 7}}, "choices"),
        ({"tools": ["no.such.tool"]}, "tools"),
        ({"roles": ["no-such-role"]}, "roles"),
        ({"slug": "Not A Slug"}, "slug"),
        ({"rate_per_minute": -1}, "rate_per_minute"),
    ],
)
def test_bad_registrations_are_refused_with_their_field(
    wrong: dict[str, Any], field: str | None
) -> None:
    fitted = make_fitted()
    browser = Browser()
    browser.force_login(fitted.owner)
    asked = {"slug": "newcomer", "name": "N", "purpose": "P", "attest": True} | wrong

    answer = browser.post("/api/v1/registrations", asked, content_type="application/json")

    assert 400 <= answer.status_code < 500
    assert not Agent.objects.filter(slug=asked["slug"]).exists()
    if field:
        assert field in answer.json()["errors"]


def test_nothing_is_kept_where_it_may_not_go_live() -> None:
    owner, tool = make_person(), make_tool(make_system(tier="restricted"))
    browser = Browser()
    browser.force_login(owner)
    asked = {"slug": "newcomer", "name": "N", "purpose": "P", "tools": [tool.name]}
    limits = {"rate_per_minute": 1, "rate_per_hour": 1, "spend_cap_minor": 0}

    answer = browser.post(
        "/api/v1/registrations", asked | limits | {"attest": True}, content_type="application/json"
    )

    assert answer.status_code == 403
    assert not Agent.objects.filter(slug="newcomer").exists()


def test_a_choice_changed_in_the_file_changes_the_row(tmp_path: Path) -> None:
    fitted = make_fitted()
    asked = {
        "slug": "newcomer",
        "name": "Newcomer",
        "purpose": "Posts.",
        "template": "notifier",
        "choices": NOTIFIER,
        "attest": False,
    }
    by_apply(asked, fitted.owner, tmp_path)
    by_apply(asked | {"choices": NOTIFIER | {"posts_to": "#other"}}, fitted.owner, tmp_path)

    agent = Agent.objects.get(slug="newcomer")
    held = agent.allowlist.get(tool__name="chat.post").narrowing
    assert held["properties"][fitted_parameter(agent)]["const"] == "#other"


def fitted_parameter(agent: Agent) -> str:
    tool = agent.allowlist.get(tool__name="chat.post").tool
    return str(tool.recipient_parameter or tool.resource_parameter)
