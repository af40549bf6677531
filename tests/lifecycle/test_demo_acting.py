"""The demo's copilot: what it may do for who lets it, what it hands over, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from audit import selectors
from audit.asked import AuditScope
from audit.selectors import PageRequest, TrailFilters, parse_body
from authz.asks import Ask, Caller
from authz.decide import decide
from authz.engine.types import SubjectKind, Token
from authz.models import Delegation, Grant
from authz.simulate import simulate
from governance.kernel import clock
from lifecycle.apply.document import read_inventory
from lifecycle.apply.execute import apply_inventory
from lifecycle.apply.secret_file import SecretFile
from lifecycle.demo import acting
from lifecycle.demo.days import Days, person
from lifecycle.demo.loading import INVENTORY
from lifecycle.deviations.selectors import deviations_for
from registry.models import Agent, Tool

pytestmark = pytest.mark.django_db
Told = list[tuple[str, str, str]]


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


@pytest.fixture
def told(_company: None, db: None) -> Told:
    """Each call of the story in its order: agent, tool, and why it was refused."""
    found: Told = []

    def ask(
        slug: str,
        tool: str,
        parameters: dict[str, Any],
        session: str = "",
        *,
        user: str = "",
        delegation: str = "",
    ) -> None:
        agent = Agent.objects.select_related("client").get(slug=slug)
        caller = Caller("agent", slug, Token(agent.client.version, "demo"))
        asked = Ask(
            kind=SubjectKind.AGENT,
            tool=tool,
            agent=slug,
            user=user,
            parameters=parameters,
            session=session,
            delegation=delegation,
        )
        (answer,) = decide([asked], caller)
        found.append((slug, tool, answer.decision.code))

    for _, do in sorted(acting.steps(Days(clock.now()), ask), key=lambda each: each[0]):
        do()
    return found


def test_it_reads_keeps_the_status_of_accounts_and_drafts(told: Told) -> None:
    runs = len(acting.AT_WORK)

    went_on = Counter((slug, tool) for slug, tool, code in told if not code)

    assert went_on == {
        ("crm-copilot", "crm.contact.read"): runs,
        ("crm-copilot", "crm.update_status"): runs,
        ("crm-copilot", "mail.draft"): runs,
        ("mail-writer", "mail.draft"): 2,
    }


def test_what_lies_beyond_his_word_is_refused_each_for_its_own_reason(told: Told) -> None:
    assert sorted(each for each in told if each[2]) == [
        ("crm-copilot", "crm.contact.read", "identity.pattern"),
        ("crm-copilot", "crm.deal.read", "consent.tool"),
        ("crm-copilot", "crm.update_status", "consent.parameters"),
        ("mail-writer", "crm.contact.read", "delegation.tool"),
    ]


def test_it_may_do_nothing_else_for_him_though_his_role_would(told: Told) -> None:
    emil, owner = person(acting.USER), person("jane.okafor")
    others = Tool.objects.exclude(name__in=acting.GRANTED).order_by("name")
    theirs = set(emil.roles.values_list("tools__name", flat=True))

    def code(tool: str) -> str:
        ask = Ask(kind=SubjectKind.AGENT, tool=tool, agent=acting.COPILOT, user=emil.pid)
        return simulate(ask, by=owner).decision.code

    assert {code(tool.name) for tool in others} == {"consent.tool"}
    assert theirs - set(acting.GRANTED) >= {"crm.deal.read", "crm.deal.score", "mail.send"}


def test_an_auditor_finds_all_of_it_under_his_name(told: Told) -> None:
    emil, auditor = person(acting.USER), person("noor.haddad")
    page = selectors.search(
        TrailFilters(user=emil.pid), PageRequest(size=200), scope=AuditScope(everything=True)
    )

    calls = [record for record in page.records if record.kind == "decision"]
    access = [record for record in page.records if record.kind == "access"]
    dids = [parse_body(record)["asked"]["did"] for record in access]

    # All but the one that it made for nobody.
    assert len(calls) == len(told) - 1
    assert {record.agent for record in calls} == {"crm-copilot", "mail-writer"}
    assert dids == ["delegation_ended", "delegation_given", "grant_given"]
    (flagged,) = deviations_for(auditor, clock.now() - timedelta(days=1))
    assert (flagged.slug, flagged.calls) == ("crm-copilot", 1)


def test_the_grant_goes_on_and_what_was_handed_over_was_given_back(told: Told) -> None:
    (grant,), (link,) = Grant.objects.all(), Delegation.objects.all()

    assert grant.ended_at is None
    assert grant.tools == acting.GRANTED
    assert (link.grant, link.end_cause) == (grant, "receiver")
