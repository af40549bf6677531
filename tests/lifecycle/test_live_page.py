"""The result page: what it shows, to whom, how often, and what is pasted from it."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.test import Client as Browser

from authz.decide import decide
from lifecycle import services
from lifecycle.provisioning.snippets import snippets_of
from registry import services as register
from registry.models import Agent, Client, Person
from tests.factories.authz import make_desk
from tests.factories.registry import make_agent, make_draft, make_person, make_system, make_tool

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"mst_[A-Za-z0-9_-]{40,}")


@pytest.fixture
def owner() -> Person:
    return make_person()


@pytest.fixture
def page(client: Browser, owner: Person) -> Browser:
    client.force_login(owner)
    return client


def text(answer: Any) -> str:
    return unescape(answer.content.decode())


def test_attesting_shows_the_secret_once(page: Browser, owner: Person) -> None:
    agent = make_draft(owner=owner)

    shown = page.post(f"/agents/{agent.slug}/attest/")
    again = page.get(f"/agents/{agent.slug}/live/")

    secret = set(SECRET.findall(text(shown)))
    assert len(secret) == 1
    assert shown["Cache-Control"] == "no-store"
    assert SECRET.findall(text(again)) == []
    assert secret.pop() not in str(list(Client.objects.values()))
    assert f"/agents/{agent.slug}/suspend/" in text(shown)


def test_page_without_secret_offers_to_make_it(page: Browser, owner: Person) -> None:
    agent = make_agent(owner=owner)

    said = text(page.get(f"/agents/{agent.slug}/live/"))

    assert "Make its secret and show it once" in said
    assert Client.objects.get(agent=agent).client_id in said
    assert Client.objects.get(agent=agent).secret_digest == ""


def test_reading_the_page_makes_nothing(page: Browser, owner: Person) -> None:
    agent = make_agent(owner=owner)
    before = Client.objects.get(agent=agent)

    page.get(f"/agents/{agent.slug}/live/")
    page.get(f"/agents/{agent.slug}/secret/")

    assert Client.objects.get(agent=agent).version == before.version


def test_agent_of_others_is_not_there(page: Browser) -> None:
    agent = make_agent()

    answers = [
        page.get(f"/agents/{agent.slug}/live/"),
        page.get(f"/agents/{agent.slug}/live/steps/"),
        page.get(f"/agents/{agent.slug}/live/first/"),
        page.post(f"/agents/{agent.slug}/live/again/"),
        page.post(f"/agents/{agent.slug}/secret/"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5


def test_suspended_agent_has_a_page_that_says_so(page: Browser, owner: Person) -> None:
    agent = make_agent(owner=owner)
    page.post(f"/agents/{agent.slug}/suspend/", {"reason": "Too fast."})

    said = text(page.get(f"/agents/{agent.slug}/live/"))

    assert "gets nothing now" in said
    assert "only an active agent gets a secret" in said
    assert 'hx-trigger="every 2s"' not in said


def test_line_turns_green_with_the_first_decision(client: Browser) -> None:
    desk = make_desk()
    client.force_login(desk.owner)
    place = f"/agents/{desk.agent.slug}/live/first/"

    before = text(client.get(place))
    decide([desk.ask()], desk.caller)
    after = text(client.get(place))

    assert ("Waiting for the first call" in before, 'hx-trigger="every 2s"' in before) == (
        True,
        True,
    )
    assert ("Its first call has arrived" in after, 'hx-trigger="every 2s"' in after) == (
        True,
        False,
    )
    assert "/trail/" in after


def test_snippets_carry_real_ids_and_the_secret_only_when_it_is_shown() -> None:
    agent = make_agent()
    issued = services.new_secret(agent_id=agent.pk, by=agent.owner)

    shown = {one.key: one.code for one in snippets_of(agent, issued.client_id, issued.secret)}
    later = {one.key: one.code for one in snippets_of(agent, issued.client_id)}

    tool = Agent.objects.get(pk=agent.pk).allowlist.get().tool
    # What is chosen is shown by a rule of the sheet, one for each.
    sheet = (settings.BASE_DIR / "static" / "css" / "tokens.css").read_text()
    assert all(f'[value="{key}"]:checked) > [data-way="{key}"]' in sheet for key in shown)
    hooks = ["claude-code", "claude-code-http"]
    assert list(shown) == ["curl", "python", "mcp", *hooks, "prompt", "env"]
    assert json.loads(shown["mcp"])["mcpServers"]["muster"]["env"] == {
        "MUSTER_URL": settings.MUSTER_BASE_URL,
        "MUSTER_AGENT": agent.slug,
        "MUSTER_CLIENT_ID": issued.client_id,
        "MUSTER_CLIENT_SECRET": issued.secret,
    }
    assert all(tool.name in shown[key] for key in ("curl", "python"))
    assert {key for key, code in shown.items() if issued.secret in code} == {"curl", "mcp", "env"}
    assert not any(issued.secret in code for code in later.values())


def test_claude_codes_settings_block_whatever_fails_before_a_call() -> None:
    shown = {one.key: one.code for one in snippets_of(make_agent(), "id")}
    hooks = {key: json.loads(shown[key])["hooks"] for key in ("claude-code", "claude-code-http")}

    for events in hooks.values():
        assert list(events) == ["PreToolUse", "PostToolUse", "PostToolUseFailure"]
        (before,) = events["PreToolUse"]
        assert "matcher" not in before
        assert before["hooks"][0]["onFailure"] == "block"
    assert hooks["claude-code"]["PreToolUse"][0]["hooks"][0] == {
        "type": "command",
        "command": "muster hook claude-code || exit 2",
        "timeout": 30,
        "onFailure": "block",
    }
    asked = hooks["claude-code-http"]["PreToolUse"][0]["hooks"][0]
    assert asked["url"] == f"{settings.MUSTER_BASE_URL}/hooks/claude-code"
    assert asked["headers"] == {"Authorization": "Bearer $MUSTER_TOKEN"}
    assert asked["allowedEnvVars"] == ["MUSTER_TOKEN"]


@pytest.mark.parametrize("value", ['a"""b', "a\\nb", "{x}", "'"])
def test_python_snippet_asks_what_it_says(value: str) -> None:
    agent = make_agent()
    tool = agent.allowlist.get().tool
    tool.schema = {"required": ["q"], "properties": {"q": {"default": value}}}
    tool.save()

    code = next(one.code for one in snippets_of(agent, "id") if one.key == "python")

    asked: dict[str, Any] = {}
    source = code.split("question = ")[1].split("answer = ")[0]
    exec("import json\nquestion = " + source, asked)
    assert asked["question"]["action"]["properties"] == {"q": value}


def test_first_call_is_a_read_that_the_row_allows() -> None:
    schema = {
        "type": "object",
        "properties": {"to": {"type": "string"}, "day": {"type": "string", "examples": ["Monday"]}},
        "required": ["day"],
    }
    agent = make_agent(tool=make_tool(make_system(), name="a.post", effect="write", schema=schema))
    reads = make_tool(make_system(), name="z.read", effect="read", schema=schema)
    narrowing = {"properties": {"to": {"const": "@me"}}, "required": ["to"]}
    register.set_allowlist_entry(agent_id=agent.pk, tool=reads, by=agent.owner, narrowing=narrowing)

    asked = snippets_of(Agent.objects.get(pk=agent.pk), "id")[0].code

    question = json.loads(asked.split("<<'EOF'\n")[1].removesuffix("\nEOF"))
    assert question["action"] == {"name": "z.read", "properties": {"day": "Monday", "to": "@me"}}
