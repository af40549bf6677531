"""Grants that two people agree to beforehand: which agents, for whom, once, and their end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from authz.models import Grant, Role
from authz.services import grants as services
from authz.services.grants import give_grant
from governance.kernel import clock
from governance.kernel.errors import GovernanceError, Invalid, NotAllowed
from lifecycle import sweeps
from lifecycle.grants import beforehand
from lifecycle.grants.beforehand import NotBeforehand
from lifecycle.models import Notice, Preapproval, Template
from lifecycle.templates import services as templates
from lifecycle.templates.content import fault_in
from registry import changes
from registry import services as register
from registry.enums import GroupName
from registry.errors import OwnMatter
from registry.models import Agent, Person, ProposedChange
from tests.factories.registry import make_draft, make_person, security
from tests.factories.templates import Fitted, make_fitted

pytestmark = pytest.mark.django_db
READ, DRAFT = "figures.read", "lake.write"


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@dataclass(frozen=True)
class Sales:
    """A copilot that may be approved beforehand, and the role whose people it would act for."""

    fitted: Fitted
    agent: Agent
    role: Role

    def person(self) -> Person:
        """Who may do what the copilot may, and one thing more."""
        person = make_person()
        self.role.people.add(person)
        return person

    def proposed(self, **changed: Any) -> ProposedChange:
        given: dict[str, Any] = {"role": "sales", "tools": [READ, DRAFT], "days": 30}
        by = changed.pop("by", None) or security()
        return beforehand.propose(agent_id=self.agent.pk, by=by, **(given | changed))

    def approved(self) -> Preapproval:
        changes.agree(change_id=self.proposed().pk, by=security())
        return Preapproval.objects.get(ended_at__isnull=True)


@pytest.fixture
def sales() -> Sales:
    return make_sales()


def make_sales() -> Sales:
    fitted = make_fitted()
    # Roles stand before the row is planned: a later one could be a better plan.
    for slug, tools in (
        ("sales", (fitted.reads, fitted.writes, fitted.elsewhere)),
        ("drafters", (fitted.reads, fitted.writes)),
        ("readers", (fitted.reads, fitted.elsewhere)),
    ):
        Role.objects.create(slug=slug).tools.add(*tools)
    given = {"reads": [READ], "drafts": [DRAFT]}
    agent = templates.register_from_template(
        by=fitted.owner, slug="sales-copilot", template="draft-only-copilot", choices=given
    )
    templates.attest(agent_id=agent.pk, by=fitted.owner)
    return Sales(fitted, Agent.objects.get(pk=agent.pk), Role.objects.get(slug="sales"))


def swept() -> None:
    done = sweeps.run_sweep("grants")
    assert done is not None
    assert (done.failed, done.failure) == (0, "")


def grants_of(person: Person) -> list[tuple[str, list[str], str]]:
    rows = Grant.objects.filter(person=person).order_by("pk")
    return [(grant.way, sorted(grant.tools), grant.end_cause) for grant in rows]


def test_each_gets_one_is_told_and_nobody_else(sales: Sales) -> None:
    jane, stranger = sales.person(), make_person()
    assert grants_of(jane) == []
    row = sales.approved()

    swept()
    swept()

    assert grants_of(jane) == [("preapproved", [READ, DRAFT], "")]
    assert grants_of(stranger) == []
    notice = Notice.objects.get(person=jane, code="grant.beforehand")
    assert notice.path == "/my/grants/"
    grant = Grant.objects.get(person=jane)
    assert (grant.until - grant.given_at).days == 29
    assert grant.given_at >= row.agreed_at


def test_who_gets_the_role_later_gets_theirs(sales: Sales) -> None:
    sales.approved()
    swept()
    late = sales.person()

    swept()

    assert grants_of(late) == [("preapproved", [READ, DRAFT], "")]


def test_who_ended_theirs_is_not_given_it_again(sales: Sales) -> None:
    jane = sales.person()
    sales.approved()
    swept()
    services.end_grant(grant_id=Grant.objects.get(person=jane).pk, by=jane)

    swept()

    assert grants_of(jane) == [("preapproved", [READ, DRAFT], "person")]


def test_ones_own_word_stays(sales: Sales) -> None:
    jane = sales.person()
    give_grant(agent_id=sales.agent.pk, tools={READ: {}}, by=jane)
    sales.approved()

    swept()

    assert grants_of(jane) == [("consent", [READ], "")]


def test_nobody_gets_all_that_they_may_do(sales: Sales) -> None:
    everything, part = make_person(), make_person()
    Role.objects.get(slug="drafters").people.add(everything)
    Role.objects.get(slug="readers").people.add(part)
    for role in ("drafters", "readers"):
        changes.agree(change_id=sales.proposed(role=role).pk, by=security())
        swept()
        row = Preapproval.objects.get(ended_at__isnull=True)
        if role == "drafters":
            beforehand.end(preapproval_id=row.pk, by=security())

    assert grants_of(everything) == []
    assert grants_of(part) == [("preapproved", [READ], "")]


def test_its_end_ends_every_grant_of_it_alone(sales: Sales) -> None:
    jane, emil = sales.person(), sales.person()
    give_grant(agent_id=sales.agent.pk, tools={READ: {}}, by=emil)
    row = sales.approved()
    swept()

    with pytest.raises(NotAllowed):
        beforehand.end(preapproval_id=row.pk, by=make_person(GroupName.PLATFORM_ADMIN))
    ended = beforehand.end(preapproval_id=row.pk, by=security())
    again = beforehand.end(preapproval_id=row.pk, by=security())
    swept()

    assert (ended, again) == (1, 0)
    assert grants_of(jane) == [("preapproved", [READ, DRAFT], "security")]
    assert grants_of(emil) == [("consent", [READ], "")]


def test_it_gives_nothing_while_the_agent_is_not_as_planned(sales: Sales) -> None:
    jane = sales.person()
    sales.approved()
    register.suspend_agent(agent_id=sales.agent.pk, by=sales.fitted.owner, reason="We look at it.")

    swept()

    assert grants_of(jane) == []


# Two people


def test_its_proposer_its_owner_and_others_do_not_agree(sales: Sales) -> None:
    proposer = security()
    change = sales.proposed(by=proposer)
    sales.fitted.owner.groups.add(proposer.groups.get())
    owner = Person.objects.get(pk=sales.fitted.owner.pk)

    for who, error in (
        (proposer, OwnMatter),
        (owner, OwnMatter),
        (make_person(GroupName.PLATFORM_ADMIN), NotAllowed),
        (make_person(), NotAllowed),
    ):
        with pytest.raises(error), transaction.atomic():
            changes.agree(change_id=change.pk, by=who)
    assert not Preapproval.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"role": "nobody"}, Invalid),
        ({"tools": []}, Invalid),
        ({"tools": ["chat.post"]}, Invalid),
        ({"days": 0}, Invalid),
        ({"days": 91}, Invalid),
    ],
)
def test_what_is_wrong_is_refused(
    sales: Sales, wrong: dict[str, Any], error: type[GovernanceError]
) -> None:
    with pytest.raises(error):
        sales.proposed(**wrong)

    assert not ProposedChange.objects.filter(kind=beforehand.KIND).exists()


def test_without_a_template_that_says_so_nothing_is_proposed(sales: Sales) -> None:
    other = make_draft(sales.fitted.owner)

    with pytest.raises(NotBeforehand):
        beforehand.propose(agent_id=other.pk, role="sales", tools=[READ], days=30, by=security())
    with pytest.raises(NotAllowed):
        sales.proposed(by=sales.fitted.owner)
    sales.approved()
    with pytest.raises(NotBeforehand):
        sales.proposed()


def test_the_database_wants_the_agreement(sales: Sales) -> None:
    row = {
        "id": uuid4(),
        "agent": sales.agent,
        "role": "sales",
        "tools": [READ],
        "days": 30,
        "proposed_by": security(),
        "agreed_by": security(),
        "agreed_at": clock.now(),
    }
    with pytest.raises(IntegrityError, match="A second person must agree"), transaction.atomic():
        Preapproval.objects.create(**row)
    kept = sales.approved()
    for change in ({"tools": [READ]}, {"days": 90}, {"role": "other"}):
        with pytest.raises(IntegrityError, match="does not change"), transaction.atomic():
            Preapproval.objects.filter(pk=kept.pk).update(**change)
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        Preapproval.objects.filter(pk=kept.pk).delete()


def test_a_template_opens_drafts_alone() -> None:
    copilot = Template.objects.get(slug="draft-only-copilot", state="active").content
    notifier = Template.objects.get(slug="notifier", state="active").content

    assert fault_in(copilot) == ""
    assert fault_in(notifier | {"beforehand": True}) == (
        "What is approved beforehand acts for people, and reads and writes alone."
    )


# Pages


def test_it_is_proposed_on_its_page_agreed_in_the_inbox_and_ended(sales: Sales) -> None:
    jane, proposer, other = sales.person(), security(), security()
    client, second = Client(), Client()
    client.force_login(proposer)
    second.force_login(other)

    listed = client.get("/grants/beforehand/").content.decode()
    form = client.get("/grants/beforehand/sales-copilot/").content.decode()
    given = {"role": "sales", "tools": [READ], "days": "30", "reason": "They all draft offers."}
    answer = client.post("/grants/beforehand/sales-copilot/", given)
    change = ProposedChange.objects.get(kind=beforehand.KIND)
    waiting = client.get("/grants/beforehand/").content.decode()
    asked = second.get(f"/inbox/?item=change:{change.pk}").content.decode()
    second.post(f"/inbox/change:{change.pk}/approve/", {})
    swept()

    assert "sales-copilot" in listed
    assert f'value="{READ}"' in form
    assert answer["Location"] == "/grants/beforehand/"
    assert "Waits for a second person" in waiting
    assert "acts for everyone who holds sales" in asked
    assert grants_of(jane) == [("preapproved", [READ], "")]
    row = Preapproval.objects.get()
    shown = client.get("/grants/beforehand/").content.decode()
    assert "One agent is approved beforehand" in shown
    assert "1 person now" in shown
    client.post(f"/grants/beforehand/{row.pk}/end/")
    assert grants_of(jane) == [("preapproved", [READ], "security")]


def test_the_pages_are_for_who_reads_the_register(sales: Sales) -> None:
    client = Client()
    client.force_login(sales.person())

    assert client.get("/grants/beforehand/").status_code == 403
    assert client.get("/grants/beforehand/sales-copilot/").status_code == 403
    client.force_login(security())
    assert client.get("/grants/beforehand/nobody/").status_code == 404
