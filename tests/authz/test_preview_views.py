"""The pages of previews, the simulator and coverage, as a browser asks for them."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from authz import services
from authz.decide import decide
from authz.models import Preview
from authz.services import previews as module
from governance.kernel import clock
from registry import sign_in
from registry.enums import GroupName
from registry.models import Resource
from tests.factories.authz import make_desk, make_person, make_policy

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_factor")]

LONG = "x" * 100_000


@pytest.fixture
def auditor():
    return make_person(groups=[GroupName.AUDITOR])


def signed_in(person):
    client = Client()
    client.force_login(person, backend=sign_in.BACKEND)
    return client


@pytest.fixture
def page(auditor):
    return signed_in(auditor)


def text_of(answer):
    said = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", said)


def heading(answer):
    found = re.search(r"<h1[^>]*>(.*?)</h1>", answer.content.decode(), re.S)
    return re.sub(r"<[^>]+>", "", found[1]).strip()


def test_pages_want_someone_signed_in(client, desk):
    places = [
        "/preview/",
        f"/preview/role/{desk.role.slug}/",
        f"/preview/agent/{desk.agent.slug}/",
        f"/preview/system/{desk.system.slug}/",
        "/preview/policy/x/",
        "/simulator/",
        "/simulator/example/",
        "/coverage/",
    ]

    answers = {place: client.get(place).status_code for place in places}

    assert answers == dict.fromkeys(places, 302)


def test_who_may_not_is_told_who_can(desk):
    page = signed_in(desk.owner)

    previews, role, coverage = (
        page.get(place) for place in ("/preview/", f"/preview/role/{desk.role.slug}/", "/coverage/")
    )

    assert [answer.status_code for answer in (previews, role, coverage)] == [403] * 3
    assert "so only they may preview." in text_of(previews)
    assert "see what is covered by policies." in text_of(coverage)


def test_a_role_without_a_tool_is_previewed(page, desk):
    decide([desk.ask(), desk.ask()], desk.caller)

    form = page.get(f"/preview/role/{desk.role.slug}/")
    sent = page.post(
        f"/preview/role/{desk.role.slug}/", {"days": 7, "remove_tools": [desk.tool.name]}
    )
    result = page.get(sent["Location"])
    both = page.get(f"{sent['Location']}changed/0/")

    assert (form.status_code, sent.status_code, result.status_code) == (200, 302, 200)
    assert heading(result) == "It would have denied 2 calls by one agent that were allowed"
    assert heading(both) == f"Would be denied: {desk.agent.slug} may not call {desk.tool.name}"
    assert "With the change" in text_of(both)
    assert "None of its roles grants the tool" in text_of(result)
    assert f"{desk.agent.slug} {desk.tool.name} allowed denied 2" in text_of(result)


@pytest.mark.parametrize(
    ("place", "given", "told"),
    [
        ("agent/{agent}", {"tool": "{tool}", "remove": "on"}, "denied 1 call by one agent"),
        ("agent/{agent}", {"tool": "{tool}", "narrowing": '{"properties": {"amount": '
                           '{"maximum": 3}}}'}, "denied 1 call by one agent"),
        ("system/{system}", {"tier": "restricted", "categories": "pay, hr", "match": "exact"},
         "denied 1 call by one agent"),
        ("system/{system}", {"tier": "restricted", "resource": "CL-1", "match": "exact"},
         "denied 1 call by one agent"),
        ("policy/none", {"text": "forbid(principal, action, resource);"},
         "denied 1 call by one agent"),
        ("policy/tiers", {"retire": "on"}, "None of 1 call would have"),
    ],
)  # fmt: skip
def test_each_form_leads_to_its_answer(page, desk, place, given, told):
    make_policy("forbid(principal, action, resource) when { context.tier > 1 };", slug="tiers")
    decide([desk.ask()], desk.caller)
    named = {"agent": desk.agent.slug, "tool": desk.tool.name, "system": desk.system.slug}
    # The names alone are filled in: JSON has braces of its own.
    filled = {
        key: named.get(value.strip("{}"), value) if value.startswith("{") else value
        for key, value in given.items()
    }

    sent = page.post(f"/preview/{place.format(**named)}/", {"days": 7, **filled})

    assert sent.status_code == 302, text_of(sent)
    assert told in heading(page.get(sent["Location"]))


def test_a_version_is_previewed_by_its_number_or_the_id_of_its_row(page, desk):
    row = make_policy("forbid(principal, action, resource);", slug="stop", state="draft", version=3)
    decide([desk.ask()], desk.caller)

    shown = page.get("/policies/stop/preview/3/")
    by_version = page.post("/policies/stop/preview/3/", {"days": 1})
    by_row = page.post(f"/policies/stop/preview/{row.pk}/", {"days": 1})
    unknown = [
        page.get(f"/policies/stop/preview/{wrong}/").status_code
        for wrong in ("99999999", "x", "9" * 50, "-1")
    ]

    assert heading(shown) == "What would change with stop@v3 in force?"
    for sent in (by_version, by_row):
        assert heading(page.get(sent["Location"])) == (
            "It would have denied 1 call by one agent that was allowed"
        )
    assert unknown == [404] * 4


def test_a_large_preview_goes_to_the_queue_and_shows_its_progress(page, desk, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 1)
    decide([desk.ask() for _ in range(3)], desk.caller)

    sent = page.post(
        f"/preview/role/{desk.role.slug}/", {"days": 7, "remove_tools": [desk.tool.name]}
    )
    waiting = page.get(sent["Location"])
    fragment = page.get(f"{sent['Location']}progress/")
    preview = Preview.objects.get()
    Preview.objects.update(at=clock.now() - timedelta(hours=1))
    silent = page.get(sent["Location"])
    services.run_preview(preview_id=preview.pk)
    ended = page.get(f"{sent['Location']}progress/")

    assert preview.state == "waiting"
    assert heading(waiting) == "0 of 3 calls compared so far"
    assert 'hx-trigger="every 2s"' in fragment.content.decode()
    assert "HX-Refresh" not in fragment.headers
    assert "Run it again" not in text_of(waiting)
    assert "Run it again" in text_of(silent)
    assert ended["HX-Refresh"] == "true"
    assert heading(page.get(sent["Location"])).startswith("It would have denied 3 calls")


def test_a_preview_that_failed_is_run_again(page, desk, auditor):
    decide([desk.ask()], desk.caller)
    change = {"kind": "role", "slug": desk.role.slug, "remove": {"tools": [desk.tool.name]}}
    preview = services.ask_preview(change=change, by=auditor)
    Preview.objects.update(state="failed", failure="It stopped.")

    failed = page.get(f"/preview/{preview.pk}/")
    sent = page.post(f"/preview/{preview.pk}/again/")

    assert "It stopped." in text_of(failed)
    assert heading(page.get(sent["Location"])).startswith("It would have denied 1 call")


@pytest.mark.parametrize(
    ("place", "given"),
    [
        ("role", {"remove_tools": ["no.tool"]}), ("role", {"remove_tools": [LONG]}), ("role", {}),
        ("role", {"days": "many"}), ("role", {"days": LONG}), ("role", {"days": "91"}),
        ("agent", {"tool": "no.tool"}), ("agent", {"tool": LONG}), ("agent", {}),
        ("agent", {"tool": "TOOL", "narrowing": "{"}),
        ("agent", {"tool": "TOOL", "narrowing": "[1]"}),
        ("agent", {"tool": "TOOL", "narrowing": '{"type": "nothing"}'}),
        ("agent", {"tool": "TOOL", "narrowing": '{"a": 1, "a": 2}'}),
        ("agent", {"tool": "TOOL", "narrowing": "[" * 50_000}),
        ("agent", {"tool": "TOOL", "narrowing": "x" * 300_000}),
        ("system", {"tier": "secret"}), ("system", {"tier": LONG, "match": "exact"}),
        ("system", {"categories": "A B", "match": "exact"}), ("system", {"match": "like"}),
        ("system", {"resource": LONG, "match": "exact"}),
        ("system", {"resource": "\0", "match": "exact"}),
        ("system", {"resource": "x", "remove": "on", "match": "exact"}),
        ("policy", {"text": ""}), ("policy", {"text": "permit("}), ("policy", {"text": LONG}),
        ("policy", {"text": "permit(principal, action, resource) when { context.nothing };"}),
        ("policy", {"retire": "on"}),
    ],
)  # fmt: skip
def test_a_form_that_is_wrong_says_so_beside_the_field(page, desk, place, given):
    address = {
        "role": desk.role.slug, "agent": desk.agent.slug, "system": desk.system.slug,
        "policy": "x",
    }[place]  # fmt: skip
    given = {key: desk.tool.name if value == "TOOL" else value for key, value in given.items()}

    answer = page.post(f"/preview/{place}/{address}/", {"days": "7", **given})

    assert answer.status_code == 200
    assert 'class="error"' in answer.content.decode() or "not sent" in text_of(answer)
    assert Preview.objects.count() == 0


@pytest.mark.parametrize(
    ("query", "told"),
    [("kind=role&slug=nobody", "There is no role of this name."),
     ("kind=zebra&slug=x", "Select a valid choice"), ("kind=role", "This field is required"),
     (f"kind=agent&slug={'x' * 3000}", "at most 60 characters")],
)  # fmt: skip
def test_the_picker_says_what_it_does_not_know(page, query, told):
    answer = page.get(f"/preview/?{query}")

    assert answer.status_code == 200
    assert told in text_of(answer)


def test_the_picker_leads_on(page, desk):
    answer = page.get(f"/preview/?kind=system&slug={desk.system.slug}")

    assert answer["Location"] == f"/preview/system/{desk.system.slug}/"


def test_unknown_addresses_are_404(page):
    nothing = "01890000-0000-7000-8000-000000000000"
    places = [
        "/preview/role/nobody/", "/preview/agent/nobody/", "/preview/system/nowhere/",
        f"/preview/{nothing}/", f"/preview/{nothing}/progress/", f"/preview/{nothing}/changed/0/",
        "/policies/none/preview/1/",
    ]  # fmt: skip

    assert {place: page.get(place).status_code for place in places} == dict.fromkeys(places, 404)


# The simulator


def form(desk, **given):
    return {
        "kind": "agent", "agent": desk.agent.slug, "tool": desk.tool.name,
        "parameters": '{"claim": "CL-1", "amount": 500}', **given,
    }  # fmt: skip


def test_a_simulation_shows_the_walk_and_the_request_as_curl(page, desk):
    allowed = page.post("/simulator/", form(desk))
    denied = page.post(
        "/simulator/",
        form(
            desk,
            parameters='{"claim": "it\'s"}',
            session="s",
            resource_type=desk.system.slug,
            resource_id="CL-2",
        ),
    )

    assert heading(allowed) == f"Would be allowed: {desk.agent.slug} may call {desk.tool.name}"
    assert 'class="walk"' in allowed.content.decode()
    assert "/access/v1/evaluation" in text_of(allowed)
    assert "parameters.resource_mismatch" in text_of(denied)
    assert allowed["Cache-Control"] == "no-store"


def test_the_curl_of_a_simulation_asks_the_same(page, desk):
    import json
    import shlex

    from authz.views.simulator import curl_of
    from authz.wire import read_evaluation

    body = desk.body(action={"name": desk.tool.name, "properties": {"claim": "it's 'so'"}})

    words = shlex.split(curl_of(body).replace("\\\n", " "))

    assert json.loads(words[-1]) == body
    assert read_evaluation(json.loads(words[-1])).tool == desk.tool.name


def test_an_example_comes_with_the_tool(page, desk):
    fragment = page.get(f"/simulator/example/?tool={desk.tool.name}")
    nothing = page.get("/simulator/example/?tool=%00")
    started = page.get(f"/simulator/?tool={desk.tool.name}&agent={desk.agent.slug}")

    assert "&quot;claim&quot;" in fragment.content.decode()
    assert nothing.status_code == 400
    assert "&quot;claim&quot;" in started.content.decode()


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "zebra"}, {"agent": ""}, {"agent": "nobody"}, {"agent": LONG}, {"tool": "no.tool"},
        {"parameters": "{"}, {"parameters": "[]"}, {"parameters": '{"a": 1, "a": 2}'},
        {"parameters": '{"a": "\\u0000"}'}, {"parameters": '{"__entity": 1}'},
        {"parameters": "x" * 300_000}, {"at": "soon"}, {"at": "1969-12-31T23:59"},
        {"at": "9999-12-31T23:59"}, {"gateway": "nowhere"}, {"session": LONG},
        {"kind": "person", "person": ""}, {"kind": "person", "person": "p_" + "0" * 20},
        {"resource_id": "\0"},
    ],
)  # fmt: skip
def test_a_request_that_is_none_says_so_beside_the_field(page, desk, given):
    answer = page.post("/simulator/", form(desk, **given))

    assert answer.status_code == 200
    assert 'class="error"' in answer.content.decode()


def test_owners_see_their_own_agents_in_the_simulator(desk):
    other = make_desk()
    page = signed_in(desk.owner)

    choices = page.get("/simulator/").content.decode()
    mine = page.post("/simulator/", form(desk))
    theirs = page.post("/simulator/", form(desk, agent=other.agent.slug))
    alone = page.post("/simulator/", form(desk, kind="person", person=desk.owner.pid))

    assert f'value="{desk.agent.slug}"' in choices
    assert f'value="{other.agent.slug}"' not in choices
    assert heading(mine).startswith("Would be allowed")
    assert heading(theirs) == heading(alone) == "What would be decided?"
    assert "may simulate any request" in text_of(alone)


# Coverage


def test_coverage_says_since_when_it_knows(page, desk):
    Resource.objects.create(system=desk.system, name="x", match="exact")
    decide([desk.ask()], desk.caller)

    answer = page.get("/coverage/")

    assert answer.status_code == 200
    assert "The record reaches back to" in text_of(answer)
    assert desk.tool.name in text_of(answer)
