"""Evidence of who acts for people, and of what agents handed on."""

from __future__ import annotations

import pytest

from authz.services import grants
from compliance.annexes import tables
from compliance.catalogue import framework
from compliance.enums import Status
from compliance.evidence import Asking, Look, ask, look_at
from compliance.period import quarter_of
from governance.kernel.database_clock import database_now
from tests.lifecycle.worlds_acting import Acting, acts_for_somebody, another_for, hands_over

pytestmark = pytest.mark.django_db
QUERIES = ("acting_consented", "delegations_narrow")


@pytest.fixture
def acting() -> Acting:
    """Somebody lets an agent act for them, and it hands over once."""
    world = acts_for_somebody()
    other = another_for(world.desk)
    hands_over(world.desk, other.agent, world.desk.tool.name, user=world.user.pid)
    return world


def now_looked_at() -> Look:
    return look_at(quarter_of(database_now().date()))


def figures(look: Look) -> dict[str, dict[str, object]]:
    return {
        name: {figure.key: figure.value for figure in evidence.figures}
        for name, evidence in ask(look, QUERIES).items()
    }


def test_what_is_in_force_and_what_ended_is_counted(acting: Acting) -> None:
    before = figures(now_looked_at())
    grants.end_grant(grant_id=acting.grant.pk, by=acting.user)
    after = figures(now_looked_at())

    told = {"grants": 1, "given": 1, "refused": 0}
    assert before["acting_consented"] == {**told, "ended": 0, "live": 1}
    assert after["acting_consented"] == {**told, "ended": 1, "live": 0}
    handed = {"delegations": 1, "for_people": 1, "depth": 1, "refused": 0}
    assert before["delegations_narrow"] == {**handed, "early": 0}
    assert after["delegations_narrow"] == {**handed, "early": 1}


def test_a_grant_that_became_everything_breaks_its_lines(acting: Acting) -> None:
    acting.user.roles.exclude(pk=acting.desk.role.pk).get().people.remove(acting.user)
    asking = Asking(now_looked_at())

    found = asking.control(framework("soc2"), framework("soc2").control("cc6-3"))

    (said,) = ask(now_looked_at(), QUERIES)["acting_consented"].exceptions
    slug = acting.desk.agent.slug
    assert said.what == f"{slug} may do for {acting.user} all that they may do themself."
    assert found.status == Status.NOT_MET


def test_where_nobody_acts_for_anybody_nothing_is_claimed() -> None:
    for evidence in ask(now_looked_at(), QUERIES).values():
        assert (evidence.about, evidence.none) == (0, "No agent has been registered.")


def test_the_annexes_say_whom_for_and_until_when(acting: Acting) -> None:
    look, slug = now_looked_at(), acting.desk.agent.slug

    (grant,) = tables()["grants"].rows(look)
    (link,) = tables()["delegations"].rows(look)

    assert grant[:4] == (*(slug, str(acting.user), acting.desk.tool.name, "the person's consent"),)
    assert (link[0], link[2], link[4]) == (slug, str(acting.user), 1)
    assert grant[-1] == str(acting.grant.pk)
