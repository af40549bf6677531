"""The five inside one run: its label rises to the implied tier, and is carried to the next."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from authz import timekeeper
from authz.models import Carried, FlowSession, OutputTier, ToxicCombination
from authz.toxic import FIRST
from registry.models import AllowlistEntry
from tests.factories.authz import bearer, make_desk, make_system, make_tool

pytestmark = pytest.mark.django_db(transaction=True)

PAIRS = [pytest.param(one["slug"], one["categories"], id=one["slug"]) for one in FIRST[:5]]


class Run:
    """An agent that reads internal systems of the given categories, and writes to a portal."""

    def __init__(self, client, categories) -> None:
        self.http = client
        self.desk = make_desk(system_fields={"tier": "internal"})
        self.reads = [self.tool("internal", "read", categories=[name]) for name in categories]
        self.portal = self.tool("confidential", "write")

    def tool(self, tier, effect, **fields):
        found = make_tool(
            make_system(tier=tier, **fields),
            effect=effect,
            schema={"type": "object", "additionalProperties": False},
            amount_parameter="",
            resource_parameter="",
        )
        AllowlistEntry.objects.create(agent=self.desk.agent, tool=found)
        self.desk.role.tools.add(found)
        return found

    def post(self, path, body):
        return self.http.post(
            path,
            data=json.dumps(body),
            content_type="application/json",
            headers={"authorization": bearer(self.desk.client)},
        ).json()

    def open(self) -> str:
        return str(self.post("/api/v1/sessions", {})["session_id"])

    def ask(self, tool, session="", **context):
        more = {"session": session} if session else {}
        body = {
            "subject": {"type": "agent", "id": self.desk.agent.slug},
            "action": {"name": tool.name, "properties": {}},
            "resource": {"type": "tool", "id": tool.name},
            "context": {**context, **more},
        }
        return self.post("/access/v1/evaluation", body)


@pytest.mark.parametrize(("slug", "categories"), PAIRS)
def test_each_of_the_five_raises_the_run_that_completes_it(client, slug, categories) -> None:
    run = Run(client, categories)
    session = run.open()

    said = [run.ask(tool, session)["context"]["classification"] for tool in run.reads]
    stopped = run.ask(run.portal, session)

    kept = FlowSession.objects.get(pk=session)
    assert said == [*["internal"] * (len(categories) - 1), "restricted"]
    assert stopped["context"]["code"] == "flow.sinks"
    assert (kept.tier, sorted(kept.categories)) == ("restricted", sorted(categories))


def test_what_lacks_one_part_is_not_raised(client) -> None:
    run = Run(client, ["source-code", "deployment-config"])
    session = run.open()

    said = [run.ask(tool, session)["context"]["classification"] for tool in run.reads]

    assert said == ["internal", "internal"]
    assert run.ask(run.portal, session)["decision"] is True


def test_the_record_says_what_raised_it(client, mark, records_after) -> None:
    run = Run(client, ["hr-directory", "compensation"])
    before = mark()
    for tool in run.reads:
        run.ask(tool)

    first, second = records_after(before, kind="decision")

    def judged(record):
        return json.loads(bytes(record["body"]).split(b"\n")[0])["judged"]

    assert "combinations" not in judged(first)
    assert (judged(second)["label"], judged(second)["combinations"]) == (
        "restricted",
        ["salary-per-person"],
    )


def test_the_next_run_carries_one_half_and_completes_it_with_the_other(client) -> None:
    run = Run(client, ["hr-directory", "compensation"])
    run.ask(run.reads[0], run.open())

    said = run.ask(run.reads[1], run.open())

    assert said["context"]["classification"] == "restricted"


def test_the_tier_is_carried_as_long_as_what_completed_it(client) -> None:
    run = Run(client, ["hr-directory", "compensation"])
    run.ask(run.reads[0])
    Carried.objects.filter(fact="category:hr-directory").update(
        until=timekeeper.now() + timedelta(minutes=5)
    )
    run.ask(run.reads[1])
    Carried.objects.filter(fact="category:hr-directory").delete()

    said = run.ask(run.portal, run.open())

    assert Carried.objects.filter(fact="tier:restricted").exists()
    assert said["context"]["code"] == "flow.sinks"


def test_what_is_reported_completes_it_as_well(client) -> None:
    run = Run(client, ["hr-directory", "compensation"])
    session = run.open()
    run.ask(run.reads[0], session)

    told = run.post(
        f"/api/v1/sessions/{session}/inputs",
        {"inputs": [{"system": run.reads[1].system.slug}]},
    )

    assert told["label"] == "restricted"


def test_an_effect_of_the_call_completes_one(client) -> None:
    ToxicCombination.objects.create(
        slug="health-by-mail",
        categories=["health"],
        effects=["external_communication"],
        implied_tier="restricted",
        reason="It would leave by mail.",
    )
    run = Run(client, ["health"])
    mail = run.tool("confidential", "external_communication")
    run.ask(run.reads[0])

    assert run.ask(run.portal)["decision"] is True
    assert run.ask(mail)["context"]["code"] == "flow.sinks"


def test_what_is_only_listed_raises_nothing(client) -> None:
    ToxicCombination.objects.filter(slug="salary-per-person").update(only_listed=True)
    run = Run(client, ["hr-directory", "compensation"])

    said = [run.ask(tool)["context"]["classification"] for tool in run.reads]

    assert said == ["internal", "internal"]


def test_an_aggregated_output_counts_from_the_first_part_on(client) -> None:
    run = Run(client, ["hr-directory"])
    other = run.tool("internal", "read", categories=["weather"])
    OutputTier.objects.create(
        agent=run.desk.agent,
        combination="salary-per-person",
        categories=["compensation", "hr-directory"],
        tier="restricted",
        set_by=run.desk.owner,
    )

    before = run.ask(other)["context"]["classification"]
    after = run.ask(run.reads[0])["context"]["classification"]

    assert (before, after) == ("internal", "restricted")
    assert run.ask(run.portal)["context"]["code"] == "flow.sinks"
