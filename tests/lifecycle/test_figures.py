"""What the made-up company may do in an hour and a day, asked over HTTP against its own rows."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.test import Client as Browser

from authz.asks import Ask
from authz.engine.types import SubjectKind
from authz.models import Counter, Page
from authz.simulate import simulate
from lifecycle.apply.document import read_inventory
from lifecycle.apply.execute import apply_inventory
from lifecycle.apply.secret_file import SecretFile
from lifecycle.demo.loading import INVENTORY
from registry.enums import AgentState
from registry.models import Agent, Person, Tool
from tests.factories.authz import bearer

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def _company(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Around all tests: each of them runs in a savepoint within this transaction."""
    secrets = tmp_path_factory.mktemp("company") / "secrets.json"
    with django_db_blocker.unblock(), transaction.atomic():
        apply_inventory(
            read_inventory(INVENTORY),
            by_email="marco.ferri@halvern.example",
            bootstrap=True,
            secrets=SecretFile(str(secrets), base_url="http://127.0.0.1:8000"),
        )
        yield
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def _whole_hour(_company: None, db: None) -> None:
    """No test begins in one hour and ends in the next."""
    if (left := 3600 - time.time() % 3600) < 30:
        time.sleep(left)


class Caller:
    """An agent of the company, which asks with its own token."""

    def __init__(self, slug, **limits):
        self.agent = Agent.objects.select_related("client").get(slug=slug)
        for name, value in limits.items():
            setattr(self.agent, name, value)
        self.agent.save()
        self.headers = {"authorization": bearer(self.agent.client)}
        self.browser = Browser()

    def ask(self, tool, parameters, **context):
        body = {
            "subject": {"type": "agent", "id": self.agent.slug},
            "action": {"name": tool, "properties": parameters},
            "resource": {"type": "tool", "id": tool},
            "context": context,
        }
        return self._post("/access/v1/evaluation", body)

    def report(self, answer, **body):
        path = f"/api/v1/decisions/{answer['context']['decision_id']}/outcome"
        return self._post(path, {"outcome": "success", **body})

    def _post(self, path, body):
        raw = json.dumps(body)
        return self.browser.post(
            path, raw, content_type="application/json", headers=self.headers
        ).json()

    @property
    def state(self):
        return Agent.objects.get(pk=self.agent.pk).state


def numbered(parameters, number):
    return {
        name: value.format(number) if isinstance(value, str) else value
        for name, value in parameters.items()
    }


def effects(answers):
    return [answer["context"]["effect"] for answer in answers]


@pytest.mark.parametrize(
    ("slug", "tool", "most", "parameters"),
    [
        ("refund-desk", "crm.update_status", 50, {"contact": "C-{}", "status": "solved"}),
        ("refund-desk", "mail.send", 20, {"to": "c{}@example.org", "subject": "S", "body": "B"}),
        ("deal-scoring", "crm.deal.score", 200, {"deal": "D-{}", "score": 50}),
    ],
)
def test_writes_of_an_hour_wait_above_their_quota(slug, tool, most, parameters):
    caller = Caller(slug, rate_per_minute=1000, rate_per_hour=1000)
    # Else every mail would wait for a human, whose domain nobody has approved yet.
    Tool.objects.filter(name=tool).update(gates={})

    answers = [
        caller.ask(
            tool, {k: v.format(n) if isinstance(v, str) else v for k, v in parameters.items()}
        )
        for n in range(most + 2)
    ]

    assert effects(answers) == ["allow"] * most + ["hold"] * 2
    assert answers[-1]["context"]["code"] == "quota.hour"


@pytest.mark.parametrize(
    ("amount", "region", "at", "effect"),
    [
        (1, "nordics", "2026-11-23T11:00", "allow"),
        (50_000, "nordics", "2026-11-23T11:00", "allow"),
        (50_001, "nordics", "2026-11-23T11:00", "deny"),
        (10_000, "dach", "2026-11-23T11:00", "deny"),
        (10_000, "nordics", "2026-11-23T21:00", "deny"),
        (10_000, "nordics", "2026-11-22T11:00", "deny"),
    ],
)
def test_refunds_to_500_in_the_region_in_business_hours(amount, region, at, effect):
    ask = Ask(
        kind=SubjectKind.AGENT,
        agent="refund-desk",
        tool="refund.issue",
        parameters={"claim": "CL-20411", "amount": amount, "currency": "EUR", "region": region},
    )
    owner = Person.objects.get(email="jane.okafor@halvern.example")
    now = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Copenhagen"))

    assert simulate(ask, by=owner, now=now).decision.effect == effect


def test_800_calls_an_hour_are_no_productive_day():
    caller = Caller("refund-desk")

    codes = []
    for n in range(800):
        answer = caller.ask("crm.update_status", {"contact": f"C-{n}", "status": "solved"})
        codes.append(answer["context"]["code"])
        if codes[-1] == "identity.not_active":
            break

    # 30 a minute go on, the first 50 of the hour without waiting; 200 denials stop it.
    assert codes.count("") <= 50
    assert codes.count("rate.minute") == 200
    assert codes[-1] == "identity.not_active"
    assert caller.state == AgentState.SUSPENDED
    kinds = list(Page.objects.order_by("kind").values_list("kind", flat=True).distinct())
    assert kinds == ["denials", "rate"]


def test_loop_that_burns_tokens_is_stopped_at_the_cap():
    caller = Caller("deal-scoring", rate_per_minute=1000)
    tokens = {"provider": "meridian", "model": "Meridian M2", "input": 500_000, "output": 100_000}

    codes = []
    for n in range(20):
        estimate = {"cost_minor": 280, "currency": "EUR"}
        answer = caller.ask("crm.deal.read", {"deal": f"D-{n}"}, estimate=estimate)
        codes.append(answer["context"]["code"])
        if answer["decision"]:
            caller.report(answer, tokens=[tokens])

    assert codes == [""] * 5 + ["spend.cap"] + ["identity.not_active"] * 14
    assert caller.state == AgentState.SUSPENDED
    assert Counter.objects.get(key="agent:deal-scoring").day_spent == 1400
    assert Page.objects.get().kind == "spend"
