"""Idle agents: asked about once, answered in three ways, ended where nobody answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from authz.decide import decide
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotAllowed
from lifecycle import sweeps
from lifecycle.cases.errors import CaseClosed
from lifecycle.checking.report import check_agent
from lifecycle.idle import selectors, services
from lifecycle.idle.services import NothingToAsk
from lifecycle.models import Case, Notice
from registry import services as register
from registry.enums import AgentState, GroupName
from registry.models import Agent, AllowlistEntry
from tests.factories.authz import Desk, make_desk, make_tool
from tests.factories.registry import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def desk() -> Desk:
    """An agent that never asked, live for a hundred days."""
    return silent_desk()


def silent_desk(days: int = 100) -> Desk:
    desk = make_desk()
    desk.owner.zone, desk.owner.calendar = "UTC", ""
    desk.owner.save(update_fields=["zone", "calendar"])
    went_live(desk, days)
    return desk


def went_live(desk: Desk, days: int) -> None:
    at = clock.now() - timedelta(days=days)
    Agent.objects.filter(pk=desk.agent.pk).update(state_changed_at=at, activated_at=at)


def run() -> None:
    for name in ("idle", "cases"):
        done = sweeps.run_sweep(name)
        assert done is not None
        assert (done.failed, done.failure) == (0, "")


def flagged(desk: Desk) -> Case:
    run()
    return Case.objects.get(agent=desk.agent, state="open")


def state_of(desk: Desk) -> str:
    return Agent.objects.get(pk=desk.agent.pk).state


def pass_due(case: Case, days: int = 0) -> Case:
    """Let the last day of a case lie so many days behind."""
    back = case.due_at - clock.now() + timedelta(days=days, minutes=1)
    Case.objects.filter(pk=case.pk).update(
        due_at=case.due_at - back, due_on=(case.due_at - back).date(), counts_from="2020-01-01"
    )
    return Case.objects.get(pk=case.pk)


# Who is asked about


def test_what_never_asked_is_flagged_after_thirty_days_and_no_sooner() -> None:
    early, late = silent_desk(29), silent_desk(31)

    run()

    assert list(Case.objects.values_list("agent", "kind")) == [(late.agent.pk, "idle")]
    assert early.agent.pk != late.agent.pk


def test_what_asked_within_ninety_days_is_not_flagged(desk: Desk) -> None:
    decide([desk.ask()], desk.caller)

    run()

    assert not Case.objects.exists()


def test_a_denial_is_a_sign_of_life(desk: Desk) -> None:
    decide([desk.ask(parameters={"claim": "CL-1", "amount": -1})], desk.caller)

    run()

    assert not Case.objects.exists()


def test_its_owner_has_ten_business_days_from_when_they_are_asked(desk: Desk) -> None:
    case = flagged(desk)

    assert case.about["never_fired"] is True
    assert case.counts_from == clock.now().date()
    days = [
        case.counts_from + timedelta(n + 1) for n in range((case.due_on - case.counts_from).days)
    ]
    assert sum(day.weekday() < 5 for day in days) == 10
    assert case.due_on.weekday() < 5
    notice = Notice.objects.get(person=desk.owner, code="idle.asked")
    assert notice.path == f"/agents/{desk.agent.slug}/idle/"


def test_a_suspended_agent_is_left_alone_and_counts_anew_once_it_runs(desk: Desk) -> None:
    case = flagged(desk)
    register.suspend_agent(agent_id=desk.agent.pk, by=desk.owner, reason="We look at it.")

    run()

    case.refresh_from_db()
    assert (case.state, case.outcome) == ("dropped", "no_longer_true")
    Agent.objects.filter(pk=desk.agent.pk).update(state="active", state_changed_at=clock.now())
    run()
    assert not Case.objects.filter(state="open").exists()


def test_an_agent_whose_owner_left_is_a_case_of_its_own_kind(desk: Desk) -> None:
    desk.owner.employment, desk.owner.last_day = "left", clock.now().date()
    desk.owner.save(update_fields=["employment", "last_day"])

    assert selectors.to_flag(clock.now()) == []


# What is answered


def test_renewing_needs_a_reason_and_begins_the_clock_anew(desk: Desk) -> None:
    case = flagged(desk)
    with pytest.raises(Invalid):
        services.renew_idle(agent_id=desk.agent.pk, by=desk.owner, reason="  ")

    services.renew_idle(agent_id=desk.agent.pk, by=desk.owner, reason="Runs each quarter.")

    case.refresh_from_db()
    assert (case.state, case.outcome, case.reason) == ("answered", "renewed", "Runs each quarter.")
    assert case.closed_by == desk.owner
    silence = selectors.silence_of(Agent.objects.get(pk=desk.agent.pk))
    assert silence.since == case.closed_at
    run()
    assert not Case.objects.filter(state="open").exists()


def test_narrowing_takes_tools_away_and_leaves_one(desk: Desk) -> None:
    other = make_tool(desk.system, name="other.read")
    AllowlistEntry.objects.create(agent=desk.agent, tool=other)
    held = set(desk.agent.allowlist.values_list("tool__name", flat=True))
    flagged(desk)
    for drop in ([], sorted(held)):
        with pytest.raises(Invalid):
            services.narrow_idle(agent_id=desk.agent.pk, drop=drop, by=desk.owner)
    with pytest.raises(Conflict):
        services.narrow_idle(agent_id=desk.agent.pk, drop=["gone.call"], by=desk.owner)

    services.narrow_idle(agent_id=desk.agent.pk, drop=["other.read"], by=desk.owner)

    left = set(desk.agent.allowlist.values_list("tool__name", flat=True))
    assert left == held - {"other.read"}
    assert Case.objects.get().outcome == "narrowed"
    assert state_of(desk) == AgentState.ACTIVE


def test_who_stands_in_narrows_it_too(client: Client, desk: Desk) -> None:
    backup = make_person()
    Agent.objects.filter(pk=desk.agent.pk).update(backup_owner=backup)
    other = make_tool(desk.system, name="other.read")
    AllowlistEntry.objects.create(agent=desk.agent, tool=other)
    flagged(desk)
    client.force_login(backup)

    page = client.get(f"/agents/{desk.agent.slug}/idle/", secure=True).content.decode()
    client.post(
        f"/agents/{desk.agent.slug}/idle/narrow/", {"narrow-drop": "other.read"}, secure=True
    )

    case = Case.objects.get()
    assert "may change" not in page
    assert (case.outcome, case.closed_by) == ("narrowed", backup)


def test_ending_it_begins_its_decommissioning(desk: Desk) -> None:
    flagged(desk)

    services.end_idle(agent_id=desk.agent.pk, by=desk.owner, reason="")

    assert state_of(desk) == AgentState.DECOMMISSIONING
    case = Case.objects.get()
    assert (case.outcome, case.closed_by) == ("ended", desk.owner)


def test_only_who_answers_for_it_answers_and_only_once(desk: Desk) -> None:
    flagged(desk)
    with pytest.raises(NotAllowed):
        services.renew_idle(
            agent_id=desk.agent.pk, by=make_person(GroupName.SECURITY), reason="Mine."
        )

    services.renew_idle(agent_id=desk.agent.pk, by=desk.owner, reason="Needed.")

    with pytest.raises(NothingToAsk):
        services.renew_idle(agent_id=desk.agent.pk, by=desk.owner, reason="Needed.")


def test_a_decision_meanwhile_closes_the_case_by_itself(desk: Desk) -> None:
    case = flagged(desk)
    decide([desk.ask()], desk.caller)

    run()

    case.refresh_from_db()
    assert (case.state, case.outcome, case.closed_by) == ("dropped", "no_longer_true", None)
    assert state_of(desk) == AgentState.ACTIVE


def test_without_an_answer_it_is_decommissioned_and_the_true_due_date_is_said(
    desk: Desk, mark: Any, records_after: Any
) -> None:
    case = pass_due(flagged(desk), days=3)
    marked = mark()
    with pytest.raises(CaseClosed):
        services.renew_idle(agent_id=desk.agent.pk, by=desk.owner, reason="Too late.")

    run()

    assert state_of(desk) == AgentState.DECOMMISSIONING
    bodies = [bytes(each["body"]) for each in records_after(marked, kind="registry")]
    ended = next(body for body in bodies if b'"did":"case_ended"' in body)
    assert f'"due_on":"{case.due_on.isoformat()}"'.encode() in ended


# What is shown


def test_check_fails_an_idle_agent_and_says_until_when(desk: Desk) -> None:
    case = flagged(desk)

    found = {each.code: each for each in check_agent(desk.agent.pk).findings}

    assert found["idle"].fails
    assert f"{case.due_on:%d %b %Y}" in found["idle"].sentence


def test_the_page_and_its_three_answers(client: Client, desk: Desk) -> None:
    flagged(desk)
    client.force_login(desk.owner)
    address = f"/agents/{desk.agent.slug}/idle/"

    shown = client.get(address)
    refused = client.post(f"{address}renew/", {"renew-reason": ""})
    kept = client.post(f"{address}renew/", {"renew-reason": "Runs each quarter."})

    assert "is idle: is it still needed?" in shown.content.decode()
    assert "This field is required." in refused.content.decode()
    assert kept.status_code == 302
    assert Case.objects.get().outcome == "renewed"
    assert "Runs each quarter." in client.get(address).content.decode()


def test_over_rest(client: Client, desk: Desk) -> None:
    flagged(desk)
    client.force_login(desk.owner)
    address = f"/api/v1/agents/{desk.agent.slug}/idle"

    found = client.get(address).json()
    all_of_it = {"drop": [each["name"] for each in found["tools"]]}
    refused = client.post(f"{address}/narrow", all_of_it, content_type="application/json")
    ended = client.post(f"{address}/end", {}, content_type="application/json")

    assert (found["idle"], found["case"]["state"]) == (True, "open")
    assert refused.status_code == 400
    assert ended.json()["state"] == "decommissioning"
    assert ended.json()["case"]["outcome"] == "ended"
