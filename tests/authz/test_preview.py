"""A preview equals what then happens: each kind of change, made for real afterwards."""

import random
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import Record
from authz import services
from authz.coverage import coverage
from authz.decide import decide
from authz.engine.types import SubjectKind
from authz.models import FlowSession, Role
from authz.preview import telling
from authz.services import delegations, grants
from authz.services.delegations import HandOver
from governance.kernel import clock
from governance.kernel.clock import uuid7
from governance.kernel.errors import GovernanceError, Invalid, NotAllowed, NotFound
from registry import changes as proposals
from registry import services as register
from registry.enums import ChangeState, GroupName
from registry.models import Agent, AllowlistEntry, Clearance, Client, ProposedChange, Resource
from registry.reach import reach_of
from registry.selectors import agents_for_reach
from tests.factories.authz import (
    caller_of,
    declare,
    make_agent,
    make_client,
    make_desk,
    make_person,
    make_policy,
    make_system,
    make_tool,
    name_person,
)

pytestmark = pytest.mark.django_db

SMALL = "context.parameters has amount && context.parameters.amount < 600"


@pytest.fixture
def security():
    return make_person(groups=[GroupName.SECURITY])


@pytest.fixture
def second():
    return make_person(groups=[GroupName.SECURITY])


class Office:
    """Two agents, three tools, people, and a gateway through which everything is asked."""

    def __init__(self):
        self.desk = make_desk(gateway_fields={"source": "okta"})
        self.tool = self.desk.tool
        self.read = make_tool(self.desk.system, effect="read")
        self.spare = make_tool(self.desk.system)
        self.other = make_agent(make_person())
        make_client(agent=self.other)
        for tool in (self.tool, self.read):
            AllowlistEntry.objects.create(agent=self.other, tool=tool)
        AllowlistEntry.objects.create(agent=self.desk.agent, tool=self.read)
        self.desk.role.tools.add(self.read)
        self.desk.role.agents.add(self.other)
        self.jane, self.otto = make_person(), make_person()
        name_person(self.jane, "okta", "jane")
        name_person(self.otto, "okta", "otto")
        self.desk.role.people.add(self.jane)
        Resource.objects.create(system=self.desk.system, name="CL-1", match="prefix", tier="public")

    def asks(self, number=120, seed=7):
        dice = random.Random(seed)
        return [self._ask(dice) for _ in range(number)]

    def _ask(self, dice):
        tool = dice.choice([self.tool, self.tool, self.read, self.spare])
        given = {
            "tool": tool.name,
            "parameters": {"claim": f"CL-{dice.randrange(30)}", "amount": dice.randrange(1200)},
            "agent": dice.choice([self.desk.agent.slug, self.other.slug, "nobody"]),
        }
        if dice.random() < 0.3:
            given |= {"kind": SubjectKind.PERSON, "agent": "", "subject_type": "user"}
            given["person"] = dice.choice(["jane", "otto", "stranger"])
        return self.desk.ask(**given)


@pytest.fixture
def office():
    return Office()


def in_clean_sessions(asks):
    """Each with an empty memory, so that none hangs on what an earlier one read."""
    now, found = timezone.now(), []
    agents = {agent.slug: agent for agent in Agent.objects.all()}
    for ask in asks:
        name = ""
        if agent := agents.get(ask.agent):
            name = f"s-{uuid7(now).hex}"
            FlowSession.objects.create(
                id=name,
                agent=agent,
                is_clean=True,
                opened_at=now,
                expires_at=now + timedelta(hours=1),
            )
        found.append(replace(ask, session=name))
    return found


def previewed(change, by, **span):
    preview = services.ask_preview(change=change, by=by, **span)
    return services.run_preview(preview_id=preview.id)


def agree_all(second):
    for change in ProposedChange.objects.filter(state=ChangeState.PROPOSED):
        proposals.agree(change_id=change.pk, by=second, answer="")


def said(answer):
    return (str(answer.decision.effect), answer.decision.code)


def named(effect, tool, when=""):
    return f'{effect}(principal, action == Muster::Action::"{tool}", resource){when};'


# Each kind of change: what is asked about, and how it is then made


def put_policy(office, by):
    text = named("permit", office.tool.name, f" when {{ {SMALL} }}")
    change = {"kind": "policy", "slug": "small-refunds", "text": text}
    return change, lambda: services.propose_policy(slug="small-refunds", text=text, by=by)


def put_forbid(office, by):
    group = f'Muster::Action::"system={office.desk.system.slug}"'
    text = f"forbid(principal, action in [{group}], resource) when {{ context.tier < 1 }};"
    change = {"kind": "policy", "slug": "nothing-public", "text": text}
    return change, lambda: services.propose_policy(slug="nothing-public", text=text, by=by)


def replace_policy(office, by):
    make_policy(
        f'permit(principal, action == Muster::Action::"{office.tool.name}", resource);',
        slug="refunds",
    )
    text = named("permit", office.tool.name).replace("principal,", "principal is Muster::Agent,")
    change = {"kind": "policy", "slug": "refunds", "text": text}
    return change, lambda: services.propose_policy(slug="refunds", text=text, by=by)


def retire_forbid(office, by):
    make_policy(
        f'forbid(principal, action == Muster::Action::"{office.tool.name}", resource);',
        slug="no-refunds",
    )
    change = {"kind": "policy", "slug": "no-refunds", "retire": True}
    return change, lambda: services.retire_policy(slug="no-refunds", by=by)


def only_log(office, by):
    text = f'forbid(principal, action == Muster::Action::"{office.tool.name}", resource);'
    make_policy(text, slug="no-refunds")
    change = {"kind": "policy", "slug": "no-refunds", "text": text, "log_only": True}
    return change, lambda: services.propose_policy(
        slug="no-refunds", text=text, log_only=True, by=by
    )


def take_tool(office, by):
    slug = office.desk.role.slug
    change = {"kind": "role", "slug": slug, "remove": {"tools": [office.read.name]}}
    return change, lambda: services.save_role(slug=slug, tools=[office.tool], by=by)


def give_role(office, by):
    slug = office.desk.role.slug
    change = {
        "kind": "role",
        "slug": slug,
        "add": {"tools": [office.spare.name], "people": [office.otto.pid]},
        "remove": {"agents": [office.other.slug]},
    }
    return change, lambda: services.save_role(
        slug=slug,
        tools=[office.tool, office.read, office.spare],
        agents=[office.desk.agent],
        people=[office.jane, office.otto],
        by=by,
    )


def remove_entry(office, by):
    agent = office.desk.agent
    change = {"kind": "allowlist", "agent": agent.slug, "tool": office.tool.name, "remove": True}
    return change, lambda: register.remove_allowlist_entry(
        agent_id=agent.pk, tool=office.tool, by=by
    )


def narrow_entry(office, by):
    agent, narrowing = office.other, {"properties": {"amount": {"maximum": 300}}}
    change = {
        "kind": "allowlist",
        "agent": agent.slug,
        "tool": office.tool.name,
        "narrowing": narrowing,
    }
    return change, lambda: register.set_allowlist_entry(
        agent_id=agent.pk, tool=office.tool, narrowing=narrowing, by=by
    )


def add_entry(office, by):
    agent = office.other
    office.desk.role.tools.add(office.spare)
    change = {"kind": "allowlist", "agent": agent.slug, "tool": office.spare.name}
    return change, lambda: register.set_allowlist_entry(agent_id=agent.pk, tool=office.spare, by=by)


TIER_POLICY = "forbid(principal, action, resource) when { context.tier > 1 };"


def raise_system(office, by):
    make_policy(TIER_POLICY)
    slug = office.desk.system.slug
    change = {"kind": "system", "slug": slug, "tier": "restricted", "categories": ["payments"]}
    return change, lambda: register.save_system(
        slug=slug, tier="restricted", categories=["payments"], by=by
    )


def recategorize_system(office, by):
    make_policy(
        "forbid(principal, action, resource) when "
        f'{{ context.system.categories.contains("payments") && {SMALL} }};'
    )
    slug = office.desk.system.slug
    change = {"kind": "system", "slug": slug, "categories": ["payments"]}
    return change, lambda: register.save_system(slug=slug, categories=["payments"], by=by)


def raise_resource(office, by):
    make_policy(TIER_POLICY)
    system = office.desk.system
    change = {
        "kind": "resource",
        "system": system.slug,
        "name": "CL-2",
        "match": "prefix",
        "tier": "confidential",
    }
    return change, lambda: register.save_resource(
        system_id=system.pk, name="CL-2", match="prefix", tier="confidential", by=by
    )


def unlist_resource(office, by):
    make_policy("forbid(principal, action, resource) when { context.tier > 0 };")
    row = office.desk.system.resources.get()
    change = {
        "kind": "resource",
        "system": office.desk.system.slug,
        "name": row.name,
        "match": row.match,
        "remove": True,
    }
    return change, lambda: register.remove_resource(resource_id=row.pk, by=by)


def remove_what_made_it_sensitive(office, by):
    """Its row is then cleared for less, and policies see that."""
    desk, vault = office.desk, make_system(tier="restricted")
    tool = make_tool(vault, name="vault.open")
    AllowlistEntry.objects.create(agent=desk.agent, tool=tool)
    clear(desk.agent)
    make_policy(
        "forbid(principal is Muster::Agent, action, resource) when { principal.tier == 3 };"
    )
    change = {"kind": "allowlist", "agent": desk.agent.slug, "tool": tool.name, "remove": True}
    return change, lambda: register.remove_allowlist_entry(agent_id=desk.agent.pk, tool=tool, by=by)


def clear(agent):
    reach = reach_of(agents_for_reach().get(pk=agent.pk))
    Clearance.objects.create(
        agent=agent, reach_digest=reach.digest, tier=reach.tier, basis="security",
        by=make_person(), at=clock.now(),
    )  # fmt: skip


KINDS = [
    put_policy, put_forbid, replace_policy, retire_forbid, only_log, take_tool, give_role,
    remove_entry, narrow_entry, add_entry, raise_system, recategorize_system, raise_resource,
    unlist_resource,
    remove_what_made_it_sensitive,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_preview_equals_what_then_happens(kind, office, security, second):
    change, make = kind(office, security)
    asks = office.asks()
    before = decide(in_clean_sessions(asks), office.desk.gateway_caller)

    preview = previewed(change, security)
    make()
    agree_all(second)
    after = decide(in_clean_sessions(asks), office.desk.gateway_caller)

    happened = {
        (was.id, *said(was), *said(now))
        for was, now in zip(before, after, strict=True)
        if said(was) != said(now)
    }
    told = {
        (
            each.record,
            each.before["effect"],
            each.before["code"],
            each.after["effect"],
            each.after["code"],
        )
        for each in preview.differences.all()
    }
    assert told == happened
    assert preview.result["moved"] == 0
    assert preview.result["compared"] == preview.total
    assert len(told) > 3


def test_what_the_register_decides_otherwise_by_now_is_told_apart(office, security):
    text = f'forbid(principal, action == Muster::Action::"{office.read.name}", resource);'
    asks = in_clean_sessions(office.asks())
    before = decide(asks, office.desk.gateway_caller)
    office.desk.role.tools.remove(office.tool)
    Client.objects.update(version=7)

    preview = previewed({"kind": "policy", "slug": "no-reads", "text": text}, security)

    reads = {each.id for each in before if each.ask.tool == office.read.name and each.allowed}
    refunds = {each.id for each in before if each.ask.tool == office.tool.name and each.allowed}
    found = preview.differences
    assert {each.record for each in found.filter(moved=False)} == reads
    assert {each.record for each in found.filter(moved=True)} == refunds
    assert preview.result["moved"] == len(refunds)
    assert "the register has moved on" in telling.moved(preview)


def test_names_mean_whom_they_mean_now(office, security):
    alone = {"kind": SubjectKind.PERSON, "agent": "", "subject_type": "user"}
    asks = [
        office.desk.ask(agent="late-desk"),
        office.desk.ask(**alone, person="late"),
        office.desk.ask(**alone, person="jane"),
    ]
    decide(asks, office.desk.gateway_caller)
    late = make_agent(make_person(), slug="late-desk")
    AllowlistEntry.objects.create(agent=late, tool=office.tool)
    office.desk.role.agents.add(late)
    name_person(office.jane, "okta", "late")
    office.jane.identities.filter(external_id="jane").delete()
    change = {
        "kind": "role", "slug": office.desk.role.slug,
        "remove": {"people": [office.jane.pid], "agents": ["late-desk"]},
    }  # fmt: skip

    preview = previewed(change, security)
    Role.objects.get(slug=change["slug"]).agents.remove(late)
    Role.objects.get(slug=change["slug"]).people.remove(office.jane)
    after = decide(asks, office.desk.gateway_caller)

    told = [
        (each.moved, each.before["code"], each.after["code"])
        for each in preview.differences.order_by("at", "moved")
    ]
    assert sorted(told) == [
        (False, "", "role.none"), (False, "", "role.none"),
        (True, "", "identity.unknown_person"),
        (True, "identity.unknown_agent", ""), (True, "identity.unknown_person", ""),
    ]  # fmt: skip
    assert [said(answer)[1] for answer in after] == [
        "role.none", "role.none", "identity.unknown_person",
    ]  # fmt: skip


def test_consents_and_what_was_handed_over_stay_as_they_were(office, security):
    giver, receiver, jane = office.desk.agent, office.other, office.jane
    Agent.objects.filter(pk__in=[giver.pk, receiver.pk]).update(pattern="impersonation")
    declare(giver, receiver)
    handed = {office.tool.name: {}}
    grants.give_grant(agent_id=giver.pk, tools=handed, by=jane)
    link = delegations.delegate(
        caller=office.desk.caller, wanted=HandOver(receiver.slug, handed, user=jane.pid)
    )
    ask = office.desk.ask(agent=receiver.slug, user=jane.pid, delegation=str(link.pk))
    (answer,) = decide([ask], caller_of(receiver.client))
    grants.end_own_grants(by=jane)

    preview = previewed(
        {"kind": "role", "slug": office.desk.role.slug, "remove": {"agents": [giver.slug]}},
        security,
    )

    assert answer.allowed
    (found,) = preview.differences.all()
    assert (found.moved, found.before["code"], found.after["code"]) == (False, "", "role.none")


def test_the_title_is_the_answer(office, security):
    change, _ = take_tool(office, security)
    decide(office.asks(), office.desk.gateway_caller)
    nothing = {"kind": "role", "slug": office.desk.role.slug, "add": {"tools": [office.tool.name]}}

    preview = previewed(change, security)
    same = previewed(nothing, security)

    denied = preview.differences.count()
    actors = {each.agent or each.user for each in preview.differences.all()}
    agents = len([name for name in actors if not name.startswith("p_")])
    assert agents == 2
    assert len(actors) == 3
    assert telling.title(preview) == (
        f"It would have denied {denied} calls by two agents and one person that were allowed"
    )
    assert telling.title(same) == "None of 120 calls would have been decided otherwise"


def test_a_log_only_policy_tells_where_it_would_have_applied(office, security):
    text = f'forbid(principal, action == Muster::Action::"{office.tool.name}", resource);'
    asks = [office.desk.ask(), office.desk.ask(tool=office.read.name), office.desk.ask()]
    decide(asks, office.desk.gateway_caller)

    preview = previewed(
        {"kind": "policy", "slug": "watch", "text": text, "log_only": True}, security
    )

    assert preview.differences.count() == 0
    assert telling.watched(preview) == "It would have applied to 2 calls, and been logged there."


def test_what_is_left_out_is_said(office, security):
    change, _ = take_tool(office, security)
    answers = decide(office.asks(30), office.desk.gateway_caller)

    preview = previewed(change, security, most=10)

    newest = {answer.id for answer in answers[-10:]}
    assert preview.result["compared"] == 10
    assert preview.result["left_out"] >= 20
    assert {each.record for each in preview.differences.all()} <= newest
    assert telling.left_out(preview)[0].endswith("the newest 10 are compared.")


def test_a_call_that_hangs_on_a_secret_is_counted_apart(security):
    desk = make_desk(
        tool_fields={
            "schema": {
                "type": "object",
                "properties": {"claim": {"type": "string"}, "pin": {"type": "integer"}},
            },
            "secret_parameters": ["pin"],
            "amount_parameter": "",
        }
    )
    decide([desk.ask(parameters={"claim": "CL-1", "pin": 1234})], desk.caller)

    preview = previewed(
        {"kind": "role", "slug": desk.role.slug, "remove": {"tools": [desk.tool.name]}}, security
    )

    assert preview.result["compared"] == 0
    assert preview.result["unjudgeable"] == {"secret": 1}


def test_refusals_that_no_change_lifts_stay(office, security):
    wrong = office.desk.caller
    Client.objects.filter(pk=office.desk.client.pk).update(version=9)
    own = decide([office.desk.ask(), office.desk.ask(agent=office.other.slug)], wrong)
    alone = office.desk.ask(kind=SubjectKind.PERSON, agent="", person=office.jane.pid)
    own += decide([alone], wrong)
    change, _ = take_tool(office, security)

    preview = previewed(change, security)

    assert [said(answer)[1] for answer in own] == [
        "identity.token_outdated",
        "identity.mismatch",
        "identity.gateway_required",
    ]
    assert (preview.result["compared"], preview.result["turns"]) == (3, {})


@pytest.mark.bulk
def test_ten_thousand_decisions_are_compared(office, security, capsys):
    change, _ = take_tool(office, security)
    asks = office.asks(10_000)
    for start in range(0, len(asks), 50):
        decide(asks[start : start + 50], office.desk.gateway_caller)
    began = time.monotonic()

    preview = previewed(change, security)
    middle = time.monotonic()
    found = coverage()

    with capsys.disabled():
        print(
            f"\n{preview.result['compared']} compared in {middle - began:.1f} s, "
            f"coverage in {time.monotonic() - middle:.2f} s"
        )
    assert preview.result["compared"] == 10_000
    assert preview.differences.count() == preview.result["turns"]["allow>deny"]
    assert found.unused_entries == ()


# Who may, and what is recorded


@pytest.mark.parametrize("group", [GroupName.PLATFORM_ADMIN, GroupName.SOURCE_OWNER, None])
def test_only_who_may_read_every_decision_may_preview(office, group):
    person = make_person(groups=[group] if group else [])
    change, _ = take_tool(office, person)

    with pytest.raises(NotAllowed, match="Only security, the DPO and auditors"):
        services.ask_preview(change=change, by=person)


def test_a_preview_and_its_reading_are_recorded(office, security, mark, records_after):
    change, _ = put_policy(office, security)
    decide(office.asks(5), office.desk.gateway_caller)
    marked = mark()

    preview = previewed(change, security)

    from audit.leaf import parse_body

    asked, reading = (parse_body(bytes(each["body"])) for each in records_after(marked))
    assert (asked["kind"], asked["actor"]) == ("access", security.pid)
    assert asked["asked"]["did"] == "preview_asked"
    assert set(asked["asked"]["digests"]) == {"change"}
    assert (reading["kind"], reading["actor"]) == ("payload_read", security.pid)
    assert reading["asked"]["reason"] == f"preview {preview.id}"
    assert reading["asked"]["entries"] == preview.total


def test_nothing_that_was_sent_is_kept_with_a_preview(office, security):
    decide(
        [office.desk.ask(parameters={"claim": "CL-zebra", "amount": 5, "note": "unicorn"})],
        office.desk.gateway_caller,
    )
    change, _ = narrow_entry(office, security)
    change = {
        **change,
        "agent": office.desk.agent.slug,
        "narrowing": {"properties": {"amount": {"maximum": 3}}},
    }

    preview = previewed(change, security)

    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(p)::text FROM authz_preview AS p")
        kept = str(cursor.fetchall())
        cursor.execute("SELECT row_to_json(d)::text FROM authz_previewdifference AS d")
        kept += str(cursor.fetchall())
    assert preview.differences.count() == 1
    assert "zebra" not in kept
    assert "unicorn" not in kept


# Runs


def test_a_run_happens_once_and_again_after_a_crash(office, security, monkeypatch):
    change, _ = take_tool(office, security)
    decide(office.asks(20), office.desk.gateway_caller)
    preview = services.ask_preview(change=change, by=security)
    module = services.previews
    monkeypatch.setattr(module, "compare", _breaks_after_a_page(module.compare))

    with pytest.raises(RuntimeError):
        services.run_preview(preview_id=preview.id)
    preview.refresh_from_db()
    crashed = (preview.state, preview.failure, preview.differences.count() > 0)
    monkeypatch.undo()
    services.restart_preview(preview_id=preview.id, by=security)
    done = services.run_preview(preview_id=preview.id)
    again = services.run_preview(preview_id=preview.id)

    assert crashed == ("failed", module.STOPPED, True)
    assert (done.state, done.run, again.run) == ("done", 2, 2)
    assert done.differences.count() == sum(done.result["turns"].values())


def _breaks_after_a_page(compare):
    def broken(*args, **more):
        yield from compare(*args, **more)
        raise RuntimeError

    return broken


def test_a_run_that_is_alive_is_left_alone_and_a_silent_one_is_overtaken(office, security):
    change, _ = take_tool(office, security)
    decide(office.asks(5), office.desk.gateway_caller)
    preview = services.ask_preview(change=change, by=security)
    type(preview).objects.filter(pk=preview.pk).update(state="running", run=1, heard_at=clock.now())

    alive = services.run_preview(preview_id=preview.id)
    with pytest.raises(GovernanceError, match="runs already"):
        services.restart_preview(preview_id=preview.id, by=security)
    type(preview).objects.filter(pk=preview.pk).update(heard_at=clock.now() - timedelta(hours=1))
    silent = services.run_preview(preview_id=preview.id)

    assert (alive.state, alive.run) == ("running", 1)
    assert (silent.state, silent.run) == ("done", 2)


def test_a_change_that_fits_no_longer_fails_with_its_sentence(office, security):
    change, _ = take_tool(office, security)
    preview = services.ask_preview(change=change, by=security)
    Role.objects.all().delete()

    ended = services.run_preview(preview_id=preview.id)

    assert ended.state == "failed"
    assert ended.failure == f"There is no role {office.desk.role.slug}."
    assert telling.title(ended) == "This preview could not be finished"


def test_the_task_runs_a_preview(office, security):
    from authz.tasks import run_preview

    change, _ = take_tool(office, security)
    preview = services.ask_preview(change=change, by=security)

    run_preview(str(preview.id))

    preview.refresh_from_db()
    assert preview.state == "done"


@pytest.mark.parametrize("span", [{"days": 0}, {"days": 91}, {"most": 0}, {"most": 10_001}])
def test_a_span_out_of_bounds_is_refused(office, security, span):
    change, _ = take_tool(office, security)

    with pytest.raises(Invalid, match="Compare with 1 to"):
        services.ask_preview(change=change, by=security, **span)


LONG = "x" * 100_000
WRONG = [
    None, [], "policy", {}, {"kind": None}, {"kind": LONG}, {"kind": ["policy"]},
    {"kind": "policy"}, {"kind": "policy", "slug": 7}, {"kind": "policy", "slug": LONG},
    {"kind": "policy", "slug": "A B", "text": "permit(principal, action, resource);"},
    {"kind": "policy", "slug": "x", "text": "permit("},
    {"kind": "policy", "slug": "x", "text": LONG},
    {"kind": "policy", "slug": "x", "text": "\0"},
    {"kind": "policy", "slug": "x", "retire": "yes"},
    {"kind": "policy", "slug": "x", "retire": True},
    {"kind": "policy", "slug": "x", "version": "1"},
    {"kind": "policy", "slug": "x", "version": 2**40},
    {"kind": "policy", "slug": "x", "version": 1},
    {"kind": "role", "slug": "nobody"}, {"kind": "role", "slug": "\0"},
    {"kind": "role", "slug": "ROLE", "add": []}, {"kind": "role", "slug": "ROLE", "add": {"x": []}},
    {"kind": "role", "slug": "ROLE"}, {"kind": "role", "slug": "ROLE", "add": {"tools": "x"}},
    {"kind": "role", "slug": "ROLE", "add": {"tools": [7]}},
    {"kind": "role", "slug": "ROLE", "add": {"tools": [LONG]}},
    {"kind": "role", "slug": "ROLE", "add": {"tools": ["x"] * 501}},
    {"kind": "role", "slug": "ROLE", "add": {"people": ["nobody@example.org", "\0"]}},
    {"kind": "role", "slug": "ROLE", "remove": {"agents": ["nobody"]}},
    {"kind": "allowlist", "agent": "nobody", "tool": "x"},
    {"kind": "allowlist", "agent": "AGENT", "tool": "no.tool"},
    {"kind": "allowlist", "agent": "AGENT", "tool": "SPARE", "remove": True},
    {"kind": "allowlist", "agent": "AGENT", "tool": "TOOL", "narrowing": "x"},
    {"kind": "allowlist", "agent": "AGENT", "tool": "TOOL", "narrowing": {"type": "nothing"}},
    {"kind": "allowlist", "agent": "AGENT", "tool": "TOOL", "narrowing": {"not": {}}},
    {"kind": "system", "slug": "nowhere"}, {"kind": "system", "slug": "SYSTEM", "tier": "secret"},
    {"kind": "system", "slug": "SYSTEM", "tier": ["public"]},
    {"kind": "system", "slug": "SYSTEM", "categories": "x"},
    {"kind": "system", "slug": "SYSTEM", "categories": ["A B"]},
    {"kind": "resource", "system": "SYSTEM"},
    {"kind": "resource", "system": "SYSTEM", "name": "x", "match": "like"},
    {"kind": "resource", "system": "SYSTEM", "name": "x", "match": {}},
    {"kind": "resource", "system": "SYSTEM", "name": "x", "remove": True},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_a_change_that_is_none_is_refused_with_a_sentence(office, security, number):
    named = {
        "ROLE": office.desk.role.slug, "AGENT": office.desk.agent.slug, "TOOL": office.tool.name,
        "SPARE": office.spare.name, "SYSTEM": office.desk.system.slug,
    }  # fmt: skip

    def real(value):
        if isinstance(value, dict):
            return {key: real(each) for key, each in value.items()}
        return named.get(value, value) if isinstance(value, str) else value

    with pytest.raises((Invalid, NotFound)) as refused:
        services.ask_preview(change=real(WRONG[number]), by=security)

    assert len(refused.value.message.split()) > 3
    assert Record.objects.filter(actor=security.pid).count() == 0
