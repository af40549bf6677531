"""What nobody answers, on a clock that moves: its days on the pages, and what follows each."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from playwright.sync_api import Browser, Page, expect

from authz.decide import decide
from governance.kernel import clock
from governance.kernel.business_days import add_business_days
from lifecycle.decommissioning import working
from lifecycle.models import Case, EndRun, Notice
from registry import services as register
from registry.enums import GroupName
from registry.models import Agent, Person
from registry.permissions import Automatic
from tests.factories.authz import make_desk
from tests.factories.registry import make_agent, make_person, security
from tests.factories.sweeping import sweep_at
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong_at_a_glance
from tests.lifecycle.moved import Moved, moved_clock

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]
CLOCKS = ("renewals", "periodic", "reviews", "idle", "cases")
DAY = timedelta(days=1)


def heard(owner: Person) -> Agent:
    """An agent of this owner that asks once, now."""
    desk = make_desk(agent_fields={"slug": "quarter-desk"})
    Agent.objects.filter(pk=desk.agent.pk).update(owner=owner, state_changed_at=clock.now())
    decide([desk.ask()], desk.caller)
    return desk.agent


def dated(name: str, owner: Person, renewal: date, review: date) -> Agent:
    agent = make_agent(slug=name, owner=owner)
    by = Automatic("renewals")
    register.renew_agent(agent_id=agent.pk, by=by, due=renewal, because="For a test.")
    register.set_review_due(agent_id=agent.pk, by=by, due=review, because="For a test.")
    return agent


def built(agent: Agent) -> tuple[int, str]:
    """What a build has of `./muster check`: its exit code, and what it prints."""
    out = StringIO()
    try:
        call_command("check_agent", agent.slug, stdout=out, stderr=out)
    except SystemExit as end:
        return int(end.code or 0), out.getvalue()
    return 0, out.getvalue()


def state(agent: Agent) -> str:
    return Agent.objects.get(pk=agent.pk).state


def told(code: str) -> set[str]:
    return set(Notice.objects.filter(code=code).values_list("person__name", flat=True))


def test_what_nobody_answers_comes_to_its_end_day_by_day(
    browser: Browser,
    live_server: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.MUSTER_CALENDAR, settings.MUSTER_APPROVER_MFA = "", False
    start = clock.now()
    owner = make_person(name="Olga Berg", manager=make_person(name="Mara Holm"))
    by, _ = security(), make_person(GroupName.PLATFORM_ADMIN, name="Pia Falk")
    idle, today = heard(owner), (start + 90 * DAY).date()
    late = dated("night-desk", owner, today, today + 300 * DAY)
    kept = dated("refund-desk", owner, today, today + 300 * DAY)
    unseen = dated("care-desk", owner, today + 300 * DAY, today)
    # Only one of them is idle: the others are live since a day.
    others = Agent.objects.exclude(pk=idle.pk)
    others.update(activated_at=start + 89 * DAY, state_changed_at=start + 89 * DAY)

    time = moved_clock(monkeypatch, start + 90 * DAY - timedelta(minutes=1))
    sweep_at(time.at, "idle")
    assert not Case.objects.exists()
    time.shift(timedelta(minutes=5))
    code, said = built(kept)
    assert code == 0, said
    sweep_at(time.at, *CLOCKS)
    assert Case.objects.filter(agent=idle, kind="idle", state="open").exists()

    with signed_in(browser, live_server.url, owner) as context:
        page = context.new_page()
        days = the_days_go_by(page, live_server.url, time, {"renew": late, "idle": idle}, kept)

    # Day 0 is the one from which it counts.
    last = add_business_days(today, 10)
    assert {name: seen[-1] for name, seen in days.items()} == {"renew": 10, "idle": 10}
    assert all(sorted(set(seen)) == list(range(seen[0], 11)) for seen in days.values())
    assert (state(late), state(idle), state(unseen), state(kept)) == (
        *("decommissioned", "decommissioned", "suspended", "active"),
    )
    ends = Case.objects.filter(agent__in=[late, idle]).values_list("state", "due_on")
    assert set(ends) == {("ended", last)}
    assert {"Pia Falk", by.name} <= told("review.overdue")
    with signed_in(browser, live_server.url, owner) as context:
        page = context.new_page()
        page.goto(f"{live_server.url}/agents/{unseen.slug}/")
        expect(page.get_by_text("and nobody looked at it").first).to_be_visible()
        assert wrong_at_a_glance(page, "unseen-agent") == []


def the_days_go_by(
    page: Page, base: str, time: Moved, asked: dict[str, Agent], kept: Agent
) -> dict[str, list[int]]:
    """Look at each page on each day until nothing is asked any more: the days that it showed.

    Meanwhile a build of another agent fails, until its owner has answered.
    """
    days: dict[str, list[int]] = defaultdict(list)
    # In the morning, whenever the test runs: the last day ends in the afternoon.
    time.move_to((time.at + DAY).replace(hour=9))
    while Case.objects.filter(agent__in=asked.values(), state="open").exists():
        sweep_at(time.at, *CLOCKS)
        for name, agent in asked.items():
            if state(agent) == "active":
                page.goto(f"{base}/agents/{agent.slug}/{name}/")
                today = " ".join(page.locator("[aria-current=date]").all_inner_texts())
                days[name] += map(int, re.findall(r"business day (\d+)", today))
        if days["renew"] == [1, 2, 3]:
            code, said = built(kept)
            assert (code, "fail  unrenewed" in said) == (1, True), said
            the_owner_renews(page, base, kept)
            assert built(kept)[0] == 0
        time.shift(DAY)
    for run in EndRun.objects.all():
        working.carry_on(run_id=run.pk)
    return days


def the_owner_renews(page: Page, base: str, agent: Agent) -> None:
    page.goto(f"{base}/agents/{agent.slug}/renew/")
    assert wrong_at_a_glance(page, "renewal-overdue") == []
    page.get_by_label("Yes, it goes on").check()
    page.get_by_role("button", name="Answer").click()
    expect(page.get_by_text(f"{agent.slug} is renewed until")).to_be_visible()
