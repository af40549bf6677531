"""Nobody approves their own work, whatever was moved around between question and answer.

A state machine changes owners, stand-ins, groups and employment, also behind the services, while
holds wait; people and agents approve through the services and by plain SQL of the web login. It
keeps its own account of who has had a part in a hold, and looks at every vote and approval.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from authz.decide import decide
from authz.enums import HoldState
from authz.models import Hold, HoldVote
from authz.services import holds
from governance.kernel.errors import GovernanceError
from registry.enums import Employment, GroupName
from registry.models import Agent, Person
from tests.factories.authz import caller_of, make_agent, make_client, make_desk, make_person

PEOPLE = 3
people = st.integers(0, PEOPLE - 1)


class Approvals(RuleBasedStateMachine):
    """A desk whose every refund waits, three people around it, and one approver agent."""

    def __init__(self) -> None:
        super().__init__()
        # Rolled back at the end: one example leaves nothing to the next. It stands for a test's
        # own transaction, within which a decision may open its durable one.
        self.around = transaction.atomic()
        self.around._from_testcase = True  # type: ignore[attr-defined]
        self.around.__enter__()
        self.asked = 0
        self.parts: dict[UUID, set[str]] = {}
        self.could: dict[UUID, set[str]] = {}

    @initialize(security=st.lists(people, min_size=2, unique=True))
    def begin(self, security: list[int]) -> None:
        groups = [[GroupName.SECURITY] if each in security else [] for each in range(PEOPLE)]
        self.people = [make_person(groups=each) for each in groups]
        self.friend = make_agent(self.people[0])
        self.friend_client = make_client(agent=self.friend)
        gates = {"amount": {"above": 400, "currency": "EUR"}, "agents": [self.friend.slug]}
        self.desk = make_desk(
            tool_fields={"gates": gates, "effect": "financial"},
            agent_fields={"rate_per_minute": 1000, "rate_per_hour": 1000},
        )
        self._desk(owner=self.people[1], backup_owner=None)

    # What moves

    @rule()
    def ask(self) -> None:
        self.asked += 1
        parameters = {"claim": f"CL-{self.asked}", "amount": 500}
        (answer,) = decide([self.desk.ask(parameters=parameters)], self.desk.caller)
        if "hold" not in answer.settled:
            return  # nobody employed answers for it: refused, and nothing waits
        hold = Hold.objects.get(pk=answer.settled["hold"]["id"])
        self.parts[hold.pk] = self._answering()
        self.could[hold.pk] = {each.pid for each in self._security() if each.may_act}

    @rule(who=people)
    def hand_over(self, who: int) -> None:
        agent = Agent.objects.get(pk=self.desk.agent.pk)
        backup = None if agent.backup_owner_id == self.people[who].pk else agent.backup_owner
        self._desk(owner=self.people[who], backup_owner=backup)

    @rule(who=people)
    def stand_in(self, who: int) -> None:
        agent = Agent.objects.get(pk=self.desk.agent.pk)
        if agent.owner_id != self.people[who].pk:
            self._desk(owner=agent.owner, backup_owner=self.people[who])

    @rule(who=people)
    def give_the_approver_away(self, who: int) -> None:
        Agent.objects.filter(pk=self.friend.pk).update(owner=self.people[who])

    @rule(who=people, joins=st.booleans())
    def change_group(self, who: int, joins: bool) -> None:
        group, _ = Group.objects.get_or_create(name=GroupName.SECURITY)
        (self.people[who].groups.add if joins else self.people[who].groups.remove)(group)

    @rule(who=people, left=st.booleans())
    def change_employment(self, who: int, left: bool) -> None:
        state = Employment.LEFT if left else Employment.EMPLOYED
        Person.objects.filter(pk=self.people[who].pk).update(
            employment=state, last_day="2026-01-01" if left else None
        )

    # Who says yes

    @precondition(lambda self: self.parts)
    @rule(data=st.data(), who=people)
    def approve(self, data: Any, who: int) -> None:
        hold = self._one(data)
        person = Person.objects.get(pk=self.people[who].pk)
        self._try(lambda: holds.approve_hold(hold_id=hold, by=person))

    @precondition(lambda self: self.parts)
    @rule(data=st.data(), who=people)
    def edit(self, data: Any, who: int) -> None:
        hold, person = self._one(data), Person.objects.get(pk=self.people[who].pk)
        parameters = {"claim": "CL-0", "amount": 450}
        self._try(lambda: holds.edit_hold(hold_id=hold, by=person, parameters=parameters))

    @precondition(lambda self: self.parts)
    @rule(data=st.data())
    def approve_as_agent(self, data: Any) -> None:
        hold, caller = self._one(data), caller_of(self.friend_client)
        self._try(lambda: holds.approve_as_agent(hold_id=hold, caller=caller))

    @precondition(lambda self: self.parts)
    @rule(data=st.data(), who=people, votes=st.booleans())
    def approve_by_sql(self, data: Any, who: int, votes: bool) -> None:
        self._vote_by_sql(self._one(data), self.people[who], votes=votes)

    @precondition(lambda self: self.parts)
    @rule(who=people)
    def approve_after_having_owned(self, who: int) -> None:
        """What chance alone puts together too rarely."""
        before = Agent.objects.get(pk=self.desk.agent.pk).owner
        self._desk(owner=self.people[who], backup_owner=None)
        self._desk(owner=before, backup_owner=None)
        for hold in list(Hold.objects.filter(state=HoldState.OPEN)):
            self._vote_by_sql(hold.pk, self.people[who], votes=True)

    # What must hold

    @invariant()
    def nobody_had_a_part_in_what_they_approved(self) -> None:
        for vote in HoldVote.objects.select_related("person"):
            if vote.person:
                assert vote.person.pid not in self.parts[vote.hold_id]
                assert vote.person.pid in self.could[vote.hold_id]

    @invariant()
    def what_is_approved_has_its_votes(self) -> None:
        for hold in Hold.objects.filter(state=HoldState.APPROVED):
            assert hold.votes.count() >= hold.approvals

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.around.__exit__(None, None, None)

    def _one(self, data: Any) -> UUID:
        found: UUID = data.draw(st.sampled_from(sorted(self.parts)))
        return found

    def _vote_by_sql(self, hold_id: UUID, person: Person, *, votes: bool) -> None:
        hold = Hold.objects.get(pk=hold_id)
        with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            if votes:
                cursor.execute(
                    "INSERT INTO authz_holdvote (hold_id, digest, person_id, agent, at) "
                    "VALUES (%s, %s, %s, '', now())",
                    [hold.pk, hold.digest, person.pk],
                )
            cursor.execute(
                "UPDATE authz_hold SET state = 'approved', decided_at = now(), decided_by_id = %s "
                "WHERE id = %s",
                [person.pk, hold.pk],
            )

    def _try(self, act: Callable[[], Hold]) -> None:
        """Whatever is refused is refused; an agent that may say so has no owner with a part."""
        owner = Agent.objects.select_related("owner").get(pk=self.friend.pk).owner.pid
        with suppress(GovernanceError):
            moved = act()
            if moved.decided_by_agent:
                assert owner not in self.parts[moved.pk]

    def _desk(self, *, owner: Person, backup_owner: Person | None) -> None:
        """Another owner or stand-in, who from now on has a part in all that waits."""
        Agent.objects.filter(pk=self.desk.agent.pk).update(owner=owner, backup_owner=backup_owner)
        for hold in Hold.objects.filter(state=HoldState.OPEN):
            self.parts[hold.pk] |= self._answering()

    def _answering(self) -> set[str]:
        agent = Agent.objects.select_related("owner", "backup_owner").get(pk=self.desk.agent.pk)
        return {each.pid for each in (agent.owner, agent.backup_owner) if each}

    def _security(self) -> list[Person]:
        return list(Person.objects.filter(groups__name=GroupName.SECURITY))


@pytest.mark.django_db
@pytest.mark.parametrize("examples", [10, pytest.param(30, marks=pytest.mark.fuzz)])
def test_nobody_approves_their_own_work(settings_of_approvers: None, examples: int) -> None:
    Approvals.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    Approvals.TestCase().runTest()


@pytest.fixture
def settings_of_approvers(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False
