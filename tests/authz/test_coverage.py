"""What no policy governs, nobody holds, nobody uses: found, and nothing else."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from authz.coverage import (
    DAYS,
    Unfired,
    Ungoverned,
    Ungranted,
    UnusedEntry,
    UnusedGrant,
    coverage,
)
from authz.decide import decide
from authz.engine.types import SubjectKind
from authz.models import GovernedTool, Policy, Role
from governance.kernel import clock
from registry.models import AllowlistEntry
from tests.factories.authz import make_desk, make_person, make_policy, make_tool, name_person

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk():
    return make_desk(gateway_fields={"source": "okta"})


def permit(tool, when=""):
    return f'permit(principal, action == Muster::Action::"{tool.name}", resource){when};'


def test_tools_that_no_policy_governs(desk):
    named, grouped, once = (make_tool(desk.system, effect="read") for _ in range(3))
    AllowlistEntry.objects.create(agent=desk.agent, tool=grouped)
    make_policy(permit(named))
    GovernedTool.objects.create(tool=once.name, since=clock.now())
    make_policy("forbid(principal, action, resource);")
    make_policy(permit(grouped), log_only=True)

    found = coverage().ungoverned

    assert set(found) == {
        Ungoverned(desk.tool.name, desk.system.slug, "write", 1),
        Ungoverned(grouped.name, desk.system.slug, "read", 1),
    }

    make_policy(
        f'permit(principal, action in [Muster::Action::"system={desk.system.slug}"], resource);'
    )
    assert coverage().ungoverned == ()


def test_roles_that_nobody_holds(desk):
    Role.objects.create(slug="nobodys")
    people = Role.objects.create(slug="peoples")
    people.people.add(make_person())

    assert coverage().unheld == ("nobodys",)


def test_entries_that_no_call_used(desk):
    unused, refused = make_tool(desk.system), make_tool(desk.system)
    for tool in (unused, refused):
        AllowlistEntry.objects.create(agent=desk.agent, tool=tool)
    decide([desk.ask(), desk.ask(tool=refused.name)], desk.caller)

    found = coverage().unused_entries

    assert set(found) == {
        UnusedEntry(desk.agent.slug, unused.name),
        UnusedEntry(desk.agent.slug, refused.name),
    }


def test_a_use_of_long_ago_is_none(desk):
    decide([desk.ask()], desk.caller)

    now, later = coverage(), coverage(now=clock.now() + timedelta(days=DAYS + 1))

    assert now.unused_entries == ()
    assert later.unused_entries == (UnusedEntry(desk.agent.slug, desk.tool.name),)
    assert (now.reaches_back, later.reaches_back) == (False, True)


def test_grants_that_no_holder_used(desk):
    jane = make_person()
    name_person(jane, "okta", "jane")
    unused = make_tool(desk.system)
    desk.role.tools.add(unused)
    mine = Role.objects.create(slug="janes")
    mine.tools.add(desk.tool)
    mine.people.add(jane)
    Role.objects.create(slug="nobodys").tools.add(unused)
    decide([desk.ask()], desk.caller)

    before = coverage().unused_grants
    alone = desk.ask(kind=SubjectKind.PERSON, agent="", person="jane")
    decide([alone], desk.gateway_caller)

    assert set(before) == {
        UnusedGrant(desk.role.slug, unused.name, 1),
        UnusedGrant("janes", desk.tool.name, 1),
    }
    assert coverage().unused_grants == (UnusedGrant(desk.role.slug, unused.name, 1),)


def test_policies_that_never_fired(desk):
    fired = make_policy(permit(desk.tool), slug="fired")
    idle = make_policy(permit(desk.tool, " when { context.tier > 2 }"), slug="idle")
    watch = make_policy("forbid(principal, action, resource);", slug="watch", log_only=True)
    Policy.objects.create(slug="gone", text="x")
    before = {each.slug for each in coverage().unfired}
    # A name that looks like a policy's id is no policy that fired.
    decide([desk.ask(agent=idle.uid), desk.ask(chain=(idle.uid,))], desk.gateway_caller)
    decide([desk.ask()], desk.caller)

    found = coverage().unfired

    assert before == {"fired", "idle", "watch"}
    assert found == (Unfired("idle", 1, False, idle.activated_at),)
    assert {fired.slug, watch.slug}.isdisjoint(each.slug for each in found)


def test_entries_that_no_role_grants(desk):
    tool, other = make_tool(desk.system), make_tool(desk.system)
    for each in (tool, other):
        AllowlistEntry.objects.create(agent=desk.agent, tool=each)
    Role.objects.create(slug="elsewhere").tools.add(tool)

    found = coverage().ungranted

    assert set(found) == {
        Ungranted(desk.agent.slug, tool.name, ("elsewhere",)),
        Ungranted(desk.agent.slug, other.name, ()),
    }


def test_the_number_of_queries_is_fixed(desk):
    def grow(number):
        for _ in range(number):
            tool, one = make_tool(desk.system), make_desk()
            AllowlistEntry.objects.create(agent=one.agent, tool=tool)
            make_policy(permit(tool))
            Role.objects.create(slug=f"role-{tool.name.replace('.', '-')}").tools.add(tool)
            one.role.people.add(make_person())

    grow(1)
    with CaptureQueriesContext(connection) as at_one:
        coverage()
    grow(2)
    with CaptureQueriesContext(connection) as at_three:
        found = coverage()

    assert len(at_one) == len(at_three)
    assert found.total > 10


def test_the_record_is_read_by_its_indexes(desk):
    """With sequential scans switched off the planner still has a way: there is an index for it."""
    from audit import uses

    decide([desk.ask()], desk.caller)
    plans = []
    for statement, given in (
        (uses._LAST.format(column="agent"), [[desk.agent.slug], [desk.tool.name], clock.now()]),
        (uses._LAST.format(column='"user"'), [["p_x"], [desk.tool.name], clock.now()]),
        (uses._FIRED, ['[{"policy": "a@v1", "tools": ["b"]}]', clock.now()]),
    ):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("EXPLAIN " + statement, given)
            plans.append("\n".join(line for (line,) in cursor.fetchall()))

    for plan in plans:
        assert "Seq Scan on record" not in plan
        assert "Index" in plan
