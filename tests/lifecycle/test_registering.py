"""The form of a template: what it asks, what its verdict says, and where it leads."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from audit.redactor import find_secret
from lifecycle import imports
from lifecycle.models import FromTemplate, Template
from lifecycle.templates import services as templates
from registry.enums import AgentState, GroupName
from registry.models import Agent, ProposedChange
from tests.factories.registry import make_draft, make_person, make_system, make_tool, security
from tests.factories.templates import Fitted, make_fitted, make_version

pytestmark = pytest.mark.django_db
SUMMARIZER, COPILOT = "read-only-summarizer", "draft-only-copilot"
REGISTER, VERDICT, IMPORT = "/agents/register/", "/agents/verdict/", "/agents/import/"
MOST_FIELDS = 8
# Verdict: the session, its person, and a fixed number of reads of the register.
MOST_QUERIES = 45


class Fields(HTMLParser):
    """The names of what a person can fill in, those behind `more` left out."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.hidden = 0
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inside |= tag == "form" and given.get("hx-post") == VERDICT
        self.hidden += tag == "details"
        shown = self.inside and not self.hidden and given.get("type") != "hidden"
        if shown and tag in {"input", "textarea", "select"}:
            self.names.add(str(given["name"]))

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag == "details"
        self.inside &= tag != "form"


def fields_of(page: bytes) -> set[str]:
    parser = Fields()
    parser.feed(page.decode())
    return parser.names


@pytest.fixture(autouse=True)
def no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


@pytest.fixture
def fitted() -> Fitted:
    return make_fitted()


@pytest.fixture
def page(client: Client, fitted: Fitted) -> Client:
    client.force_login(fitted.owner)
    return client


def form(**given: Any) -> dict[str, Any]:
    return {
        "template": SUMMARIZER,
        "slug": "newcomer",
        "purpose": "Tells me.",
        "slot_reads": ["figures.read"],
        "slot_writes": ["chat.post"],
        **given,
    }


def seen_by(page: Client, given: dict[str, Any]) -> str:
    return str(page.post(VERDICT, given).context["verdict"].seen)


@pytest.mark.parametrize(
    "template", ["", SUMMARIZER, "draft-only-copilot", "notifier", "same-tier-etl"]
)
def test_template_asks_at_most_eight_fields(page: Client, template: str) -> None:
    asked = fields_of(page.get(REGISTER, {"template": template} if template else {}).content)

    assert {"slug", "purpose"} < asked
    assert 3 <= len(asked) <= MOST_FIELDS


def test_something_else_asks_for_everything(page: Client) -> None:
    asked = fields_of(page.get(REGISTER, {"template": "something-else"}).content)

    assert {"tools", "roles", "pattern", "rate_per_minute"} < asked


def test_saved_draft_is_of_its_template(page: Client, fitted: Fitted) -> None:
    answer = page.post(REGISTER, form(then="draft"))

    agent = Agent.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, "/agents/newcomer/")
    assert (agent.state, agent.owner, agent.purpose) == ("draft", fitted.owner, "Tells me.")
    assert FromTemplate.objects.get(agent=agent).choices == {
        "reads": ["figures.read"],
        "writes": ["chat.post"],
    }
    assert "Read-only summarizer" in page.get("/agents/newcomer/").content.decode()


def test_going_live_from_the_form_shows_the_secret_once(page: Client) -> None:
    answer = page.post(REGISTER, form(then="go", seen=seen_by(page, form())))

    assert Agent.objects.get().state == AgentState.ACTIVE
    assert answer.context["issued"].secret in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"


def test_other_outcome_than_was_shown_stays_a_draft(page: Client, fitted: Fitted) -> None:
    shown = seen_by(page, form())
    type(fitted.reads.system).objects.filter(slug="figures").update(tier="public")

    answer = page.post(REGISTER, form(then="go", seen=shown), follow=True)

    assert Agent.objects.get().state == AgentState.DRAFT
    assert [message.level_tag for message in answer.context["messages"]] == ["warning"]


def test_above_its_tier_it_goes_into_review(page: Client, fitted: Fitted) -> None:
    type(fitted.reads.system).objects.filter(slug="figures").update(tier="confidential")
    verdict = page.post(VERDICT, form()).context["verdict"]

    page.post(REGISTER, form(then="go", seen=verdict.seen))

    assert (verdict.alone, verdict.title) == (False, "One person signs first")
    assert Agent.objects.get().state == AgentState.IN_REVIEW


def test_confidential_template_says_so_and_goes_live(page: Client, fitted: Fitted) -> None:
    make_version(SUMMARIZER, approved_tier="confidential")
    type(fitted.reads.system).objects.filter(slug="figures").update(tier="confidential")
    verdict = page.post(VERDICT, form()).context["verdict"]

    page.post(REGISTER, form(then="draft"))
    draft = page.get("/agents/newcomer/")
    page.post("/agents/newcomer/attest/")

    assert (verdict.alone, verdict.why) == (True, "It is made from Read-only summarizer.")
    assert draft.context["may"]["attest"] == ""
    assert Agent.objects.get().state == AgentState.ACTIVE


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slug": "No Spaces"}, "Use lower-case letters"),
        ({"slug": "templates"}, "This word stands for a page"),
        ({"slot_reads": []}, "Choose one."),
        ({"slot_reads": ["lake.write"]}, "not one of the available choices"),
        ({"slot_reads": ["x\0y"]}, "not one of the available choices"),
        ({"slot_writes": ["chat.post", "lake.write"]}, "not one of the available choices"),
        ({"rate_per_minute": "31"}, "The template gives 30. Ask for that or less."),
        ({"purpose": "a\0b"}, "Null characters are not allowed"),
        ({"template": "not\0there"}, "This field is required"),
    ],
)
def test_wrong_input_is_told_beside_its_field(
    page: Client, wrong: dict[str, Any], said: str
) -> None:
    answer = page.post(REGISTER, form(**wrong))

    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Agent.objects.exists()


def test_everything_that_is_wrong_is_told_at_once(page: Client) -> None:
    answer = page.post(REGISTER, {"template": "notifier", "slot_posts": ["chat.post"]})

    assert set(answer.context["form"].errors) == {
        *("slug", "purpose", "slot_reads", "slot_posts_to"),
    }


def test_verdict_follows_half_a_form(page: Client) -> None:
    nothing = page.post(VERDICT, {"template": SUMMARIZER}).context["verdict"]
    half = page.post(VERDICT, form(slug="", slot_writes=[])).context["verdict"]

    assert (nothing.tools, half.tools, half.alone) == (False, True, True)
    assert not Agent.objects.exists()


def test_verdict_asks_a_fixed_number_of_questions(
    page: Client, fitted: Fitted, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        tool = make_tool(make_system(), name=f"more{number}.read", effect="read")
        fitted.role.tools.add(tool)

    with django_assert_max_num_queries(MOST_QUERIES):
        page.post(VERDICT, form())


def test_verdict_tells_what_comes_together_across_ones_agents(page: Client, fitted: Fitted) -> None:
    people = make_system(slug="people", tier="internal", categories=["hr-directory"])
    make_draft(fitted.owner, make_tool(people, effect="read"), slug="directory")
    type(people).objects.filter(slug="figures").update(categories=["compensation"])

    verdict = page.post(VERDICT, form()).context["verdict"]

    assert [(each.agents, each.signed) for each in verdict.combinations] == [
        (("directory",), False)
    ]


def test_empty_register_says_what_to_do_first(client: Client) -> None:
    client.force_login(make_person())

    said = client.get(REGISTER).content.decode()

    assert "Nothing on the register fits here yet" in said
    assert "Ask a source owner or a platform admin" in said


def test_a_template_says_what_does_not_work_yet(page: Client) -> None:
    shipped = Template.objects.get(slug="draft-only-copilot", state="active")
    before = page.get(REGISTER, {"template": shipped.slug}).content.decode()

    content = {**shipped.content, "not_yet": "Mail cannot be drafted here yet."}
    make_version("drafts-of-mail", content=content)
    said = page.get(REGISTER, {"template": "drafts-of-mail"}).content.decode()

    assert "Not all of it works yet" not in before
    assert "Not all of it works yet" in said
    assert "Mail cannot be drafted here yet." in said


def test_changing_keeps_to_the_template_until_something_else_is_asked(
    page: Client, fitted: Fitted
) -> None:
    page.post(REGISTER, form(then="draft"))
    change = "/agents/newcomer/change/"

    shown = page.get(change)
    page.post(change, form(slot_reads=["wiki.read"]))
    after = {entry.tool.name for entry in Agent.objects.get().allowlist.all()}
    other = page.get(change, {"template": "something-else"})

    assert shown.context["template"].slug == SUMMARIZER
    assert after == {"wiki.read", "chat.post"}
    assert fields_of(other.content) >= {"tools", "roles"}
    assert "template" not in other.context["form"].fields


# From a file

CONFIG = {
    "mcpServers": {
        "figures": {"command": "x", "env": {"FIGURES_TOKEN": "ghp_0123456789abcdefghijABCDEF"}},
        "jira": {"command": "y"},
    }
}


def test_file_fills_in_the_form_and_keeps_no_secret(page: Client) -> None:
    file = SimpleUploadedFile("mcp.json", json.dumps(CONFIG).encode())

    answer = page.post(IMPORT, {"file": file, "template": SUMMARIZER})

    said = answer.content.decode()
    assert answer.context["form"].choices()["reads"] == ["figures.read"]
    assert "FIGURES_TOKEN held a secret and was left out" in said
    assert "Not on the register as systems: jira." in said
    assert find_secret(said) is None
    assert not Agent.objects.exists()


def test_card_fills_in_something_else(page: Client) -> None:
    card = {"name": "Claims Desk", "description": "Tells.", "skills": [{"id": "wiki.read"}]}

    answer = page.post(IMPORT, {"text": json.dumps(card)})

    filled = answer.context["form"]
    assert (filled.initial["slug"], filled.initial["purpose"]) == ("claims-desk", "Tells.")
    assert [tool.name for tool in filled.chosen_tools()] == ["wiki.read"]
    assert [role.slug for role in filled.chosen_roles()] == ["desk"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "There is nothing in it"),
        ({"text": "{"}, "The body is not JSON"),
        ({"text": "hello: world"}, "This is none of"),
        ({"text": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")}, "not"),
        ({"file": SimpleUploadedFile("x", b"{" * 1000)}, "nested deeper"),
        ({"file": SimpleUploadedFile("x", b"x" * (imports.MAX_BYTES + 1))}, "larger than 256 KiB"),
    ],
)
def test_file_that_cannot_be_read_is_told(page: Client, given: dict[str, Any], said: str) -> None:
    answer = page.post(IMPORT, given)

    assert answer.status_code == 400
    assert said in answer.content.decode()


# The pages of templates


def test_templates_are_shown_to_everyone_and_changed_by_few(page: Client) -> None:
    listed = page.get("/agents/templates/").content.decode()
    one = page.get(f"/agents/templates/{SUMMARIZER}/").content.decode()

    assert "Four templates to start from" in listed
    assert "Only security and the DPO may retire a template." in one
    assert page.get("/agents/templates/none/").status_code == 404
    assert page.get(f"/agents/templates/{SUMMARIZER}/propose/").status_code == 403


def test_version_is_proposed_and_retired_on_its_page(client: Client) -> None:
    client.force_login(security())
    shown = client.get(f"/agents/templates/{SUMMARIZER}/propose/").context["form"].initial
    place = f"/agents/templates/{SUMMARIZER}/propose/"

    wrong = client.post(place, shown | {"content": '{"a": 1, "a": 2}', "why": "w"})
    client.post(place, shown | {"summary": "Reads more.", "why": "Asked for."})
    client.post(f"/agents/templates/{SUMMARIZER}/retire/")

    assert "stands twice" in wrong.content.decode()
    assert (
        ProposedChange.objects.get(kind=templates.ACTIVATION_KIND).after["summary"] == "Reads more."
    )
    assert not Template.objects.filter(slug=SUMMARIZER, state="active").exists()


# Over REST

API, REGISTRATIONS = "/api/v1/templates", "/api/v1/registrations"


def registration(choices: Any) -> str:
    given = {"slug": "newcomer", "name": "N", "purpose": "Tells.", "template": SUMMARIZER}
    return json.dumps(given | {"choices": choices})


def test_rest_lists_registers_and_judges(page: Client) -> None:
    choices = {"reads": ["figures.read"], "writes": ["chat.post"]}
    listed = page.get(API).json()["results"]
    judged = page.post(
        f"{API}/{SUMMARIZER}/verdict", {"choices": choices | {"reads": []}}, "application/json"
    )
    wrong = page.post(
        REGISTRATIONS, registration(choices | {"writes": ["lake.write"]}), "application/json"
    )
    made = page.post(REGISTRATIONS, registration(choices), "application/json")

    assert [each["uid"] for each in listed][-1] == "same-tier-etl@v1"
    assert judged.json()["wrong"] == {"reads": ["Choose one."]}
    assert (judged.status_code, judged.json()["alone"]) == (200, True)
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["writes"])
    assert (made.status_code, made.json()["template"], made.json()["state"]) == (
        201,
        SUMMARIZER,
        "draft",
    )


@pytest.mark.parametrize(
    "choices",
    [
        None,
        [],
        "x",
        {"reads": {}},
        {"reads": [1]},
        {"reads": ["x"] * 201},
        {"reads": ["a\0b"]},
        {"x": "a\0b"},
    ],
)
def test_rest_refuses_choices_of_another_shape(page: Client, choices: Any) -> None:
    answer = page.post(REGISTRATIONS, registration(choices), "application/json")
    body = json.dumps({"choices": choices})
    judged = page.post(f"{API}/{SUMMARIZER}/verdict", body, "application/json")

    assert (answer.status_code, judged.status_code // 100) in {(400, 2), (400, 4)}
    assert not Agent.objects.exists()


def test_rest_changes_templates_by_two_people(client: Client) -> None:
    client.force_login(make_person(GroupName.DPO))
    version = client.get(f"{API}/{SUMMARIZER}").json()
    names = ("slug", "name", "content", "approved_tier")
    body = {name: version[name] for name in names} | {"summary": "Other words."}

    made = client.post(API, body, "application/json")
    gone = client.post(f"{API}/notifier/retire")

    assert (made.status_code, made.json()["state"]) == (201, "proposed")
    assert client.get(f"{API}/{SUMMARIZER}").json()["version"] == 1
    assert (gone.status_code, gone.json()["state"]) == (200, "retired")
