"""Every page as each kind of person sees it: axe, widths, both themes, nothing refused by CSP."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.functional.installation import Installation

pytestmark = pytest.mark.browser

OWNER = [
    "/",
    "/agents/",
    "/agents/?all=1",
    "/agents/register/",
    "/agents/register/?template=notifier",
    "/agents/register/?template=something-else",
    "/agents/import/",
    "/agents/templates/",
    "/agents/templates/draft-only-copilot/",
    "/agents/refund-desk/",
    "/agents/refund-desk/change/",
    "/agents/refund-desk/history/",
    "/agents/refund-desk/narrow/refund.issue/",
    "/agents/refund-desk/suspend/",
    "/agents/refund-desk/runs/",
    "/agents/refund-desk/runs/?taint=yes&state=open",
    "/systems/",
    "/systems/crm/",
    "/tools/",
    "/tools/refund.issue/",
    "/people/",
    "/policies/",
    "/policies/?state=active",
    "/policies/refunds-under-500/",
    "/policies/refunds-under-500/1/",
    "/policies/words/",
    "/policies/toxic/",
    "/toxic/",
    "/toxic/?state=open",
    "/toxic/catalogue/salary-per-person/",
    "/roles/",
    "/roles/refund-agent/",
    "/relationships/",
    "/simulator/",
    "/simulator/?agent=refund-desk&tool=refund.issue",
    "/policies/signatures/",
    "/callers/",
    "/trail/",
    "/trail/?effect=deny",
    "/trail/?code=flow.sinks",
    "/inbox/",
    "/suspended/",
    "/notices/",
    "/notices/channels/",
    "/mail/",
    "/due/",
    "/renewals/",
    "/my/grants/",
    "/my/grants/calls/",
    "/my/command-lines/",
    "/device/",
    "/agents/survey-digest/idle/",
]
SECURITY = [
    "/deviations/",
    "/bypass/",
    "/policies/decision-points/",
    "/agents/templates/notifier/propose/",
    "/inbox/",
    "/inbox/deciding/",
    "/suspended/",
    "/suspended/many/",
    "/suspended/many/?family=all",
    "/sweeps/",
    "/strays/",
    "/grants/",
    "/leavers/",
    "/renewals/?whose=all",
    "/agents/deal-archive/renew/",
    "/agents/rate-table/end/",
    "/agents/credit-check/end/",
    "/directories/",
    "/directories/log/",
    "/admin/inbox/",
    "/policies/",
    "/policies/new/",
    "/policies/refunds-under-500/edit/",
    "/policies/refunds-under-500/1/",
    "/policies/no-posting-at-night/retire/",
    "/roles/new/",
    "/roles/refund-agent/",
    "/relationships/",
    "/relationships/new/",
    "/coverage/",
    "/simulator/",
    "/preview/",
    "/preview/agent/refund-desk/?tool=refund.issue",
    "/preview/policy/refunds-under-500/",
    "/preview/role/refund-agent/",
    "/preview/system/crm/",
    "/policies/refunds-under-500/preview/1/",
    "/admin/",
    "/admin/registry/agent/",
    "/admin/registry/system/",
    "/admin/registry/person/",
    "/admin/registry/proposedchange/",
    "/admin/authz/role/",
    "/admin/authz/policy/add/",
    "/admin/authz/policy/1/change/",
    "/admin/authz/signature/add/",
]
# Colours fade into each other when the theme changes.
SETTLE_MS = 400
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def contexts(demo: Installation, browser: Browser) -> dict[str, BrowserContext]:
    """One signed-in context for each kind of person."""
    people = {"owner": "jane.okafor", "security": "tomasz"}
    return {role: _signed_in(demo, browser, name) for role, name in people.items()}


def _signed_in(demo: Installation, browser: Browser, name: str) -> BrowserContext:
    user = demo.person(name)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(f"{demo.base_url}/accounts/login/")
    page.fill("input[name=login]", user["email"])
    page.fill("input[name=password]", user["password"])
    page.press("input[name=password]", "Enter")
    page.wait_for_url(f"{demo.base_url}/")
    page.close()
    return context


# Pages without an address that is known before: found by following links from one that is.
FOLLOWED = [
    ["/trail/?agent=mail-writer&kind=decision", "td a[href^='/trail/']"],
    ["/agents/refund-desk/runs/", "th a[href^='/sessions/']"],
    ["/trail/?code=flow.sinks&agent=refund-desk", "td a[href^='/trail/']", "a[href^='/sessions/']"],
    ["/trail/?code=flow.sinks&agent=refund-desk", "td a[href^='/trail/']"],
    [
        "/trail/?agent=support-copilot&kind=decision",
        "td a[href^='/trail/']",
        "a[href^='/sessions/']",
    ],
    ["/due/", "th a[href^='/reviews/']"],
    ["/leavers/", "a.btn[href^='/leavers/']"],
    ["/due/?kind=case", "th a[href^='/cases/']"],
]
CASES = [("owner", path) for path in OWNER] + [("security", path) for path in SECURITY]


@pytest.mark.parametrize(("role", "path"), CASES)
def test_page_is_accessible_at_every_width(
    demo: Installation, contexts: dict[str, BrowserContext], role: str, path: str
) -> None:
    check(demo, contexts[role], path)


@pytest.mark.parametrize("links", FOLLOWED, ids=" ".join)
def test_page_behind_a_link_is_accessible_at_every_width(
    demo: Installation, contexts: dict[str, BrowserContext], links: list[str]
) -> None:
    start, *rest = links
    page = contexts["security"].new_page()
    page.goto(demo.base_url + start)
    for link in rest:
        page.locator(link).first.click()
    path = page.url.removeprefix(demo.base_url)
    page.close()

    check(demo, contexts["security"], path)


def check(demo: Installation, context: BrowserContext, path: str) -> None:
    """Axe in both themes, no scrolling sideways, nothing on the console."""
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    answer = page.goto(demo.base_url + path)
    assert answer is not None
    assert answer.status == 200

    # axe itself loads sheets in ways that the policy refuses, so listen to the page alone.
    ours = list(said)
    found = {}
    for width, theme in ((1440, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.wait_for_timeout(SETTLE_MS)
        found[width, theme] = [v["id"] for v in Axe().run(page).response["violations"]]
    over = {width: _over(page, width) for width in (320, 720, 1440)}
    page.close()

    assert found == {key: [] for key in found}
    assert over == dict.fromkeys(over, 0)
    assert ours == []


def test_a_preview_is_compared_and_every_call_opened(
    demo: Installation, contexts: dict[str, BrowserContext]
) -> None:
    page = contexts["security"].new_page()
    page.goto(f"{demo.base_url}/preview/role/support-read/")
    page.check("input[name=remove_tools] >> nth=0")
    page.click("main button.primary")

    # The queue compares a month of the demo; the page loads itself again at the end.
    page.wait_for_selector("td a:has-text('Compare')", timeout=120_000)
    result, answer = _wrong(page), page.inner_text("h1")
    page.click("td a:has-text('Compare') >> nth=0")
    page.wait_for_selector("text=With the change")
    both = _wrong(page)
    page.close()

    assert answer.startswith("It would have denied ")
    assert (result, both) == ([], [])


def test_a_simulation_is_shown_opened(
    demo: Installation, contexts: dict[str, BrowserContext]
) -> None:
    page = contexts["owner"].new_page()
    page.goto(f"{demo.base_url}/simulator/")
    page.select_option("select[name=agent]", "refund-desk")
    page.select_option("select[name=tool]", "refund.issue")
    expect(page.locator("#id_parameters")).to_have_value(re.compile("claim"), timeout=30_000)
    page.click("main button.primary")
    page.wait_for_selector("text=Ask it for real")
    heading, wrong = page.inner_text("h1"), _wrong(page)
    page.close()

    assert heading.startswith("Would be ")
    assert wrong == []


def _wrong(page: Page) -> list[str]:
    """What axe finds, and the widths at which the page scrolls sideways."""
    found = []
    for width, theme in ((1440, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.wait_for_timeout(SETTLE_MS)
        found += [each["id"] for each in Axe().run(page).response["violations"]]
    return found + [f"{width} px" for width in (320, 720, 1440) if _over(page, width)]


def _over(page: Page, width: int) -> int:
    page.set_viewport_size({"width": width, "height": 900})
    return int(page.evaluate(WIDE))
