"""Adversarial tests of a row: what they find, what they leave alone, and what they gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from audit.enums import Mark
from audit.services import set_mark
from authz import services as authorization
from authz.engine import walk
from authz.engine.case import passed
from authz.engine.types import Check
from authz.models import Policy, Role, Signature
from governance.kernel import clock
from lifecycle import sweeps
from lifecycle.models import ProbeRun
from lifecycle.probes import selectors, services
from lifecycle.probes.corpus import corpus_of, product_corpus
from lifecycle.probes.errors import NothingToProbe, ProbeFailed
from lifecycle.probes.row import read_row
from lifecycle.probes.session import Session
from registry import services as register
from registry.enums import AgentState
from registry.models import Agent, System, Tool
from registry.permissions import Automatic
from registry.selectors import current_clearance
from tests.factories.authz import make_policy, observed
from tests.factories.probes import (
    fetching_tool,
    mailing_tool,
    make_row,
    paying_tool,
    reading_tool,
)
from tests.factories.registry import (
    make_agent,
    make_person,
    make_system,
    make_tool,
    security,
    sign_everything,
)

pytestmark = pytest.mark.django_db

TESTER = Automatic("tester")
HOLE = "amount-without-end"


def probe(agent: Agent, **options: Any) -> ProbeRun:
    return services.probe_agent(agent_id=agent.pk, by=TESTER, **options)


def ended(agent: Agent, attack: str) -> tuple[str, str]:
    """How an attack ends, and the code that decided it."""
    found = probe(agent).results.get(attack=attack)
    return found.end, found.code


# Taking any one gate away lets an attack through.


def test_narrowing_taken_away_lets_an_attack_through() -> None:
    tool = paying_tool()
    agent = make_row(tool, narrowings={tool.name: {"properties": {"amount": {"maximum": 500}}}})
    before = ended(agent, HOLE)

    register.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner, narrowing={})

    assert before == ("refused", "parameters.narrowing")
    assert ended(agent, HOLE) == ("executed", "")


def test_forbid_taken_away_lets_an_attack_through() -> None:
    tool = paying_tool()
    agent = make_row(tool)
    make_policy(
        f'forbid (principal, action == Muster::Action::"{tool.name}", resource)'
        " when { context.parameters.amount > 50000 };"
    )
    before = ended(agent, HOLE)

    authorization.retire_policy(slug=Policy.objects.get().slug, by=security(), alone=True)

    assert before == ("refused", "policy.forbidden")
    assert ended(agent, HOLE) == ("executed", "")


def test_forbid_that_looks_at_the_time_is_tried_at_another_time() -> None:
    """A policy that sleeps at night is no gate."""
    tool = paying_tool()
    agent = make_row(tool)
    make_policy(
        f'forbid (principal, action == Muster::Action::"{tool.name}", resource)'
        " when { context.local.business };"
    )

    assert ended(agent, HOLE) == ("executed", "")


def test_schema_bound_taken_away_lets_an_attack_through() -> None:
    tool = paying_tool(maximum=1000)
    agent = make_row(tool)
    before = ended(agent, HOLE)

    unbounded = {**tool.schema["properties"], "amount": {"type": "integer", "minimum": 1}}
    register.save_tool(
        name=tool.name, by=security(), alone=True, schema={**tool.schema, "properties": unbounded}
    )

    assert before == ("refused", "parameters.schema")
    assert ended(agent, HOLE) == ("executed", "")


def test_tier_taken_away_lets_an_attack_through() -> None:
    crm = make_system(tier="confidential", categories=["customer-contacts"])
    agent = make_row(reading_tool(crm), mailing_tool())
    before = ended(agent, "sends-own-data-out")

    register.save_system(slug=crm.slug, by=security(), alone=True, tier="public")

    assert before == ("refused", "flow.sinks")
    assert ended(agent, "sends-own-data-out") == ("executed", "")


def test_distrust_taken_away_lets_an_attack_through() -> None:
    """A tool that fetches any address brings hostile text, whatever the register says of it."""
    web = make_system(tier="public", trust="untrusted")
    agent = make_row(fetching_tool(web), paying_tool(maximum=1000))
    before = ended(agent, "page-orders-payment")

    register.save_system(slug=web.slug, by=security(), alone=True, trust="trusted")

    assert before == ("held", "taint.untrusted_input")
    assert ended(agent, "page-orders-payment") == ("executed", "")


def test_role_given_opens_what_its_absence_closed() -> None:
    tool = paying_tool()
    agent = make_row(tool)
    role = Role.objects.get(agents=agent)
    role.tools.clear()
    before = ended(agent, HOLE)

    role.tools.add(tool)

    assert before == ("refused", "role.none")
    assert ended(agent, HOLE) == ("executed", "")


def test_signature_switched_off_lets_an_attack_through() -> None:
    agent = make_row(mailing_tool())
    before = ended(agent, "order-in-base64")

    Signature.objects.filter(slug="instruction-override").update(is_active=False)

    assert before == ("refused", "parameters.denied_signature")
    assert ended(agent, "order-in-base64") == ("executed", "")


def test_rate_raised_lets_a_loop_through() -> None:
    agent = make_row(paying_tool(maximum=1000))
    before = ended(agent, "loop-of-calls")

    register.update_agent(
        agent_id=agent.pk, by=agent.owner, rate_per_minute=10**6, rate_per_hour=10**6
    )

    assert before == ("refused", "rate.minute")
    assert ended(agent, "loop-of-calls") == ("executed", "")


@pytest.mark.parametrize(
    ("check", "attack"),
    [
        (Check.TAINT, "page-orders-payment"),
        (Check.FLOW, "sends-own-data-out"),
        (Check.DELEGATION, "claims-a-delegation"),
        (Check.PARAMETERS, "amount-as-text"),
    ],
)
def test_check_that_is_broken_lets_an_attack_through(
    monkeypatch: pytest.MonkeyPatch, check: Check, attack: str
) -> None:
    """The mutants that a row's facts cannot make: the check itself says yes to everything."""
    crm = make_system(tier="confidential")
    agent = make_row(fetching_tool(), reading_tool(crm), mailing_tool(), paying_tool(maximum=9))
    before = ended(agent, attack)

    monkeypatch.setitem(walk.CHECKS, check, lambda case: passed(check))  # type: ignore[misc]

    assert before[0] in {"held", "refused"}
    assert before[1].partition(".")[0] == check
    assert ended(agent, attack)[0] == "executed"


# What it leaves alone.


def test_probe_decides_nothing_and_changes_nothing(
    mark: Callable[[], Any], records_after: Callable[..., list[dict[str, Any]]]
) -> None:
    agent = make_row(fetching_tool(), mailing_tool(), paying_tool(maximum=1000))
    before, counted = mark(), _counters()

    run = probe(agent)

    records = records_after(before)
    assert [(each["kind"], each["mode"], each["agent"]) for each in records] == [
        ("access", "simulate", agent.slug)
    ]
    assert _counters() == counted
    agent.refresh_from_db()
    assert agent.state == AgentState.DRAFT
    assert run.results.count() == len(product_corpus().attacks)


def _counters() -> dict[str, int]:
    """How much stands in every table of authorization and of the register, slices among them."""
    with connection.cursor() as cursor:
        tables = [
            name
            for name in connection.introspection.table_names(cursor)
            if name.startswith(("authz_", "registry_"))
        ]
        counts = {}
        for table in tables:
            cursor.execute(f"SELECT count(*) FROM {table}")
            counts[table] = cursor.fetchone()[0]
    assert len(counts) > 30
    return counts


def test_row_that_may_call_nothing_is_not_attacked() -> None:
    owner = make_person()
    agent = register.draft_agent(slug="idle", name="Idle", owner=owner, by=owner, purpose="None.")

    with pytest.raises(NothingToProbe):
        probe(agent)


def test_draft_without_limits_can_be_attacked() -> None:
    agent = make_row(paying_tool(maximum=1000), rate_per_minute=None, rate_per_hour=None)

    assert ended(agent, "loop-of-calls") == ("executed", "")


def test_state_and_observe_mode_hide_nothing() -> None:
    """A row is attacked as if it were live and enforced."""
    agent = make_row(paying_tool())
    Agent.objects.filter(pk=agent.pk).update(**observed())

    run = probe(agent)

    codes = set(run.results.exclude(code="").values_list("code", flat=True))
    assert codes.isdisjoint({"identity.draft", "identity.not_active"})
    assert run.results.get(attack=HOLE).end == "executed"
    assert run.results.get(attack="claims-a-delegation").end == "refused"


def test_calls_of_one_session_are_counted_together() -> None:
    tool, other = paying_tool(maximum=1000), paying_tool(maximum=1000)
    agent = make_row(tool, other)
    session = Session(read_row(agent.slug, tier="internal"), clock.now(), None)
    parameters = {"claim": "CL-10000", "amount": 1}

    went_on = [session.ask(each.name, parameters, times=40).went_on for each in (tool, other)]

    assert went_on == [40, 20]


def test_step_on_the_way_that_is_held_counts_as_released() -> None:
    """What is held on the way ends nothing: a person may let it go on."""
    agent = make_row(fetching_tool(), mailing_tool())
    attack = {
        "id": "two-steps",
        "title": "Two steps",
        "owasp": {},
        "steps": [
            {"read": "outside"},
            {"call": {"effect": "external_communication"}, "goal": False},
            {"call": {"name": "not.in.the.row"}, "parameters": {}},
        ],
    }

    run = probe(agent, corpus=corpus_of({"corpus": "own", "version": 1, "attacks": [attack]}))

    (result,) = run.results.all()
    assert [step["end"] for step in result.steps] == ["executed", "held", "refused"]
    assert (result.end, result.code) == ("refused", "allowlist.not_listed")


def test_hybrid_row_is_attacked_as_the_person_for_whom_it_writes() -> None:
    agent = make_row(paying_tool(), pattern="hybrid")

    assert ended(agent, HOLE) == ("refused", "consent.none")


def test_attack_is_aimed_at_every_tool_that_fits() -> None:
    bounded, loose = paying_tool(maximum=1000), paying_tool()
    agent = make_row(bounded, loose)

    found = probe(agent).results.get(attack=HOLE)

    assert (found.end, found.tool) == ("executed", loose.name)
    assert {(shot["tool"], shot["end"]) for shot in found.shots} == {
        (bounded.name, "refused"),
        (loose.name, "executed"),
    }


def test_probe_of_a_broad_row_takes_less_than_a_second() -> None:
    crm = make_system(tier="confidential", categories=["customer-contacts"])
    web = make_system(tier="public", trust="untrusted")
    money, mail = make_system(tier="confidential"), make_system(tier="public")
    tools = [make() for make in [
        *[lambda: reading_tool(crm)] * 5,
        *[lambda: fetching_tool(web)] * 2,
        *[lambda: paying_tool(money, maximum=1000)] * 4,
        *[lambda: mailing_tool(mail)] * 4,
    ]]  # fmt: skip

    run = probe(make_row(*tools))

    assert run.milliseconds < 1000


# What it gates.


def test_row_with_a_hole_does_not_go_live_and_is_told_why() -> None:
    tool = paying_tool()
    agent = make_row(tool)

    with pytest.raises(ProbeFailed) as refused:
        register.attest_agent(agent_id=agent.pk, by=agent.owner)

    assert refused.value.message == (
        f"{agent.slug} cannot go live: an attack would execute. "
        f"It pays more than anybody has ({tool.name}). "
        "Bound the amount in the tool's schema or in the row, or have a policy do so. "
        "Its page of adversarial tests shows every call. Then try again."
    )
    agent.refresh_from_db()
    assert agent.state == AgentState.DRAFT
    assert agent.clearances.count() == 0


def test_row_goes_live_once_its_hole_is_closed() -> None:
    tool = paying_tool()
    agent = make_row(tool)
    with pytest.raises(ProbeFailed):
        register.attest_agent(agent_id=agent.pk, by=agent.owner)

    narrowing = {"properties": {"amount": {"maximum": 500}}}
    register.set_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner, narrowing=narrowing)
    register.attest_agent(agent_id=agent.pk, by=agent.owner)

    agent.refresh_from_db()
    assert agent.state == AgentState.ACTIVE
    (run,) = ProbeRun.objects.filter(agent=agent)
    assert (run.cause, run.passed, run.by) == ("activation", True, agent.owner)
    assert current_clearance(agent, run.reach_digest) is not None


def test_run_that_still_stands_is_not_made_again() -> None:
    agent = make_row(paying_tool(maximum=1000))
    asked = probe(agent)

    register.attest_agent(agent_id=agent.pk, by=agent.owner)

    assert list(ProbeRun.objects.filter(agent=agent)) == [asked]


CHANGES: dict[str, Callable[[Agent, Tool], object]] = {
    "narrowing": lambda agent, tool: register.set_allowlist_entry(
        agent_id=agent.pk, tool=tool, by=agent.owner, narrowing={"properties": {"amount": {}}}
    ),
    "prompt": lambda agent, tool: register.update_agent(
        agent_id=agent.pk, by=agent.owner, prompt_digest="sha256:1"
    ),
    "model": lambda agent, tool: register.update_agent(
        agent_id=agent.pk, by=agent.owner, model="M3"
    ),
    "code": lambda agent, tool: register.update_agent(
        agent_id=agent.pk, by=agent.owner, code_reference="v2"
    ),
    "tool": lambda agent, tool: register.save_tool(
        name=tool.name, by=security(), alone=True, on_taint="deny"
    ),
    "system": lambda agent, tool: register.save_system(
        slug=tool.system.slug, by=security(), tier="confidential"
    ),
    "role": lambda agent, tool: Role.objects.get(agents=agent).tools.clear(),
    "policy": lambda agent, tool: make_policy("permit (principal, action, resource);"),
    "signature": lambda agent, tool: Signature.objects.filter(slug="chat-template").update(
        is_active=False
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_stale_run_does_not_count(what: str) -> None:
    tool = paying_tool(maximum=1000)
    agent = make_row(tool)
    run = probe(agent)
    assert selectors.fresh_run(agent) == run

    CHANGES[what](agent, tool)

    assert selectors.fresh_run(Agent.objects.get(pk=agent.pk)) is None


def test_other_row_s_change_leaves_a_run_standing() -> None:
    agent = make_row(paying_tool(maximum=1000))
    run = probe(agent)

    make_row(mailing_tool())

    assert selectors.fresh_run(agent) == run


@pytest.mark.parametrize(
    ("gate", "tool", "state"),
    [
        ("any", mailing_tool, "draft"),
        ("consequential", mailing_tool, "active"),
        ("consequential", paying_tool, "draft"),
        ("off", paying_tool, "active"),
    ],
)
def test_threshold_of_the_tier_decides(
    settings: Any, gate: str, tool: Callable[[], Tool], state: str
) -> None:
    """That it may write to anyone is told and is minor; money without end is of consequence."""
    settings.MUSTER_PROBE_GATES = dict.fromkeys(settings.MUSTER_PROBE_GATES, gate)
    agent = make_row(tool())

    if state == "draft":
        with pytest.raises(ProbeFailed):
            register.attest_agent(agent_id=agent.pk, by=agent.owner)
    else:
        register.attest_agent(agent_id=agent.pk, by=agent.owner)

    agent.refresh_from_db()
    assert agent.state == state


def test_restricted_row_is_kept_by_any_attack_that_executes() -> None:
    agent = make_row(reading_tool(make_system(tier="restricted")), mailing_tool())
    register.submit_for_review(agent_id=agent.pk, by=agent.owner)

    with pytest.raises(ProbeFailed, match="It writes to an address that nobody knows"):
        sign_everything(agent)


def test_suspended_row_is_attacked_before_it_starts_again() -> None:
    tool = paying_tool(maximum=1000)
    agent = make_row(tool)
    register.attest_agent(agent_id=agent.pk, by=agent.owner)
    register.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="A look.")
    Tool.objects.filter(pk=tool.pk).update(schema={"type": "object"})

    with pytest.raises(ProbeFailed):
        register.resume_agent(agent_id=agent.pk, by=agent.owner)

    agent.refresh_from_db()
    assert agent.state == AgentState.SUSPENDED


def test_row_of_reads_goes_live() -> None:
    agent = make_agent(tool=make_tool(make_system()))

    assert agent.state == AgentState.ACTIVE


@pytest.fixture
def with_policy(db: None) -> None:
    """An installation in which a policy was active: the time of loading is over."""
    set_mark(Mark.FIRST_POLICY)


def live_row(*tools: Tool) -> Agent:
    agent = make_row(*tools)
    register.attest_agent(agent_id=agent.pk, by=agent.owner)
    return Agent.objects.get(pk=agent.pk)


def grant(agent: Agent, tool: Tool) -> None:
    Role.objects.get(agents=agent).tools.add(tool)


def test_live_row_takes_no_tool_that_opens_it(with_policy: None) -> None:
    agent, loose = live_row(paying_tool(maximum=1000)), paying_tool()
    grant(agent, loose)

    with pytest.raises(ProbeFailed) as refused:
        register.set_allowlist_entry(agent_id=agent.pk, tool=loose, by=agent.owner)

    assert refused.value.message.startswith(
        f"{agent.slug} cannot be changed so: an attack would execute. "
        f"It pays more than anybody has ({loose.name}). "
    )
    assert list(agent.allowlist.filter(tool=loose)) == []


def test_live_row_takes_a_tool_that_is_bounded(with_policy: None) -> None:
    agent, bounded = live_row(paying_tool(maximum=1000)), paying_tool(maximum=5)
    grant(agent, bounded)

    register.set_allowlist_entry(agent_id=agent.pk, tool=bounded, by=agent.owner)

    assert agent.allowlist.filter(tool=bounded).count() == 1
    assert selectors.fresh_run(Agent.objects.get(pk=agent.pk)) is not None


def test_live_row_with_a_hole_can_be_narrowed_step_by_step(with_policy: None) -> None:
    tool, other = paying_tool(maximum=1000), paying_tool(maximum=1000)
    agent = live_row(tool, other)
    for each in (tool, other):
        unbounded = {**each.schema["properties"], "amount": {"type": "integer", "minimum": 1}}
        Tool.objects.filter(pk=each.pk).update(schema={**each.schema, "properties": unbounded})
    assert probe(agent).blocking == [HOLE]

    for each in (tool, other):
        register.set_allowlist_entry(
            agent_id=agent.pk,
            tool=each,
            by=agent.owner,
            narrowing={"properties": {"amount": {"maximum": 9}}},
        )

    assert agent.probe_runs.first().blocking == []


def test_live_row_may_lose_its_last_tool(with_policy: None) -> None:
    tool = paying_tool(maximum=1000)
    agent = live_row(tool)

    register.remove_allowlist_entry(agent_id=agent.pk, tool=tool, by=agent.owner)

    assert agent.allowlist.count() == 0


# What runs by itself.


@pytest.fixture
def at_once(settings: Any) -> Any:
    """Tasks run where they are queued."""
    from governance.celery import app

    app.conf.task_always_eager = True
    app.conf.task_eager_propagates = True
    yield
    app.conf.task_always_eager = False
    app.conf.task_eager_propagates = False


@pytest.mark.parametrize("what", ["prompt", "model", "narrowing"])
def test_change_of_a_live_row_is_tested_after_its_commit(
    at_once: None, django_capture_on_commit_callbacks: Any, what: str
) -> None:
    tool = paying_tool(maximum=1000)
    agent = make_row(tool)
    register.attest_agent(agent_id=agent.pk, by=agent.owner)

    with django_capture_on_commit_callbacks(execute=True):
        CHANGES[what](agent, tool)

    causes = list(agent.probe_runs.values_list("cause", flat=True))
    assert causes == ["change", "activation"]
    assert selectors.fresh_run(Agent.objects.get(pk=agent.pk)) == agent.probe_runs.first()


def test_row_that_asks_for_review_is_tested_for_who_reviews_it(
    at_once: None, django_capture_on_commit_callbacks: Any
) -> None:
    agent = make_row(paying_tool(make_system(tier="confidential")))

    with django_capture_on_commit_callbacks(execute=True):
        register.submit_for_review(agent_id=agent.pk, by=agent.owner)

    (run,) = agent.probe_runs.all()
    assert (run.cause, run.by, run.blocking) == ("change", None, [HOLE])


def test_change_of_a_draft_is_not_tested_by_itself(
    at_once: None, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        agent = make_row(paying_tool())

    assert agent.probe_runs.count() == 0


def test_stale_rows_are_found_once() -> None:
    agent = make_row(paying_tool(maximum=1000))
    register.attest_agent(agent_id=agent.pk, by=agent.owner)
    System.objects.filter(tools__in=[e.tool for e in agent.allowlist.all()]).update(
        trust="untrusted"
    )

    done = [sweeps.run_sweep("probes") for _ in range(2)]

    assert [run.done for run in done if run] == [1, 0]


def test_older_runs_keep_their_figures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "KEPT_WHOLE", 2)
    agent = make_row(paying_tool(maximum=1000))

    runs = [probe(agent) for _ in range(3)]

    assert [run.results.exists() for run in runs] == [False, True, True]


def test_failing_row_waits_for_its_owner_and_for_security() -> None:
    agent = make_row(paying_tool())
    run = probe(agent)

    waiting = [selectors.failing(person) for person in (agent.owner, security(), make_person())]

    assert waiting == [[run], [run], []]
