"""The pages on which policies are written, tested, compared, agreed to and ended."""

import json
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from authz import services
from authz.enums import PolicyState
from authz.models import Policy
from authz.services import PolicyDraft
from registry import sign_in
from tests.factories.authz import make_person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_factor")]

FORBID = "forbid(principal, action, resource);"
ROLES = ["security", "platform_admin", "dpo", "auditor", "source_owner", ""]
MAY_WRITE = {"security", "platform_admin"}


def signed_in(person, **how):
    client = Client(**how)
    client.force_login(person, backend=sign_in.BACKEND)
    return client


def permit(desk, condition=""):
    return f'permit(principal, action == Muster::Action::"{desk.tool.name}", resource){condition};'


def case(desk, name="pays", effect="allow", **request):
    asked = {
        "agent": desk.agent.slug,
        "tool": desk.tool.name,
        "parameters": {"claim": "CL-1", "amount": 500},
    }
    return {"name": name, "effect": effect, "request": asked | request}


def typed(text, *cases, seen=0, slug="cap", do="save", **more):
    """The editor's form as a browser sends it."""
    form = {"slug": slug, "text": text, "seen": seen, "do": do, "description": "", "why": ""}
    form |= {"case-TOTAL_FORMS": len(cases), "case-INITIAL_FORMS": 0}
    for number, one in enumerate(cases):
        request = dict(one["request"])
        fields = {"name": one["name"], "effect": one["effect"], **request}
        parameters = fields.get("parameters", {})
        fields["parameters"] = parameters if isinstance(parameters, str) else json.dumps(parameters)
        form |= {f"case-{number}-{name}": value for name, value in fields.items()}
    return form | more


def draft(desk, by, text="", **more):
    given = PolicyDraft("cap", text or permit(desk), **more)
    return services.save_draft(draft=given, by=by)


def body(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", answer.content.decode()))


# Writing


def test_draft_is_saved_with_its_cases_and_shown_again(desk, ann):
    client = signed_in(ann)
    for_someone = case(desk, user=ann.email)

    answer = client.post("/policies/new/", typed(permit(desk), for_someone, why="Refunds"))

    policy = Policy.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, "/policies/cap/edit/")
    assert (policy.state, policy.edits, policy.why) == (PolicyState.DRAFT, 1, "Refunds")
    assert policy.cases[0]["request"]["user"] == ann.pid
    said = client.get("/policies/cap/edit/").content.decode()
    assert ann.email in said
    assert ann.pid not in said


def test_wrong_text_is_saved_told_by_line_and_not_proposed(desk, ann):
    client = signed_in(ann)
    text = "permit(\n  principal,\n  action,\n  resource\n) when { context.nothing };"

    client.post("/policies/new/", typed(text))
    said = client.get("/policies/cap/edit/")

    assert Policy.objects.get().text == text
    assert 'href="#line-5" data-caret="5:18"' in said.content.decode()
    assert "Line 5, column 18" in body(said)
    client.post("/policies/cap/1/propose/", {"seen": 1})
    assert Policy.objects.get().state == PolicyState.DRAFT


def test_checking_saves_nothing_and_keeps_what_was_typed(desk, ann):
    answer = signed_in(ann).post(
        "/policies/new/", typed("permit(", case(desk, name="my case"), do="check")
    )

    assert (answer.status_code, Policy.objects.count()) == (200, 0)
    assert "permit(" in answer.content.decode()
    assert 'value="my case"' in answer.content.decode()


def test_a_row_is_added_to_what_was_typed(desk, ann):
    answer = signed_in(ann).post(
        "/policies/new/", typed(permit(desk), case(desk, name="first"), do="add")
    )

    said = answer.content.decode()
    assert 'name="case-TOTAL_FORMS" value="2"' in said
    assert 'name="case-1-name"' in said
    assert 'value="first"' in said
    assert Policy.objects.count() == 0


def test_row_that_stayed_empty_says_nothing(desk, ann):
    form = typed(permit(desk)) | {"case-TOTAL_FORMS": 1, "case-0-effect": "allow"}

    answer = signed_in(ann).post("/policies/new/", form)

    assert (answer.status_code, Policy.objects.get().cases) == (302, [])


@pytest.mark.parametrize(
    "forms", [{"case-TOTAL_FORMS": "x"}, {"case-TOTAL_FORMS": 10**9}, {"case-INITIAL_FORMS": "x"}]
)
@pytest.mark.parametrize("do", ["save", "add", "check"])
def test_broken_counts_of_cases_are_told(desk, ann, forms, do):
    answer = signed_in(ann).post("/policies/new/", typed(permit(desk), do=do) | forms)

    assert (answer.status_code, Policy.objects.count()) == (200, 0)


def test_removed_case_is_gone(desk, ann):
    policy = draft(desk, ann, cases=[case(desk), case(desk, name="other")])
    form = typed(permit(desk), *policy.cases, seen=1) | {"case-0-DELETE": "on"}

    signed_in(ann).post("/policies/cap/edit/", form)

    assert [one["name"] for one in Policy.objects.get().cases] == ["other"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ("{", "This is not JSON"),
        ("[1]", "Parameters are a JSON object"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": "\\u0000"}', "NUL"),
    ],
)
def test_wrong_parameters_are_told_beside_their_field(desk, ann, parameters, said):
    answer = signed_in(ann).post(
        "/policies/new/", typed(permit(desk), case(desk, parameters=parameters))
    )

    assert (answer.status_code, Policy.objects.count()) == (200, 0)
    assert said in body(answer)


def test_who_is_quicker_wins_and_nothing_typed_is_lost(desk, ann, ben):
    draft(desk, ann)
    theirs = permit(desk, " when { true }")
    mine = permit(desk, " when { 1 < 2 }")
    signed_in(ben).post("/policies/cap/edit/", typed(theirs, seen=1))

    answer = signed_in(ann).post(
        "/policies/cap/edit/", typed(mine, case(desk, name="only mine"), seen=1, why="Because")
    )

    said = answer.content.decode()
    assert answer.status_code == 409
    assert Policy.objects.get().text == theirs
    assert "when { 1 &lt; 2 }" in said
    assert 'value="only mine"' in said
    assert 'value="Because"' in said
    assert "Ben saved this draft" in said
    again = signed_in(ann).post("/policies/cap/edit/", typed(mine, seen=2))
    assert (again.status_code, Policy.objects.get().text) == (302, mine)


def test_draft_that_was_proposed_meanwhile_is_told(desk, ann):
    policy = draft(desk, ann)
    services.propose_draft(policy_id=policy.pk, by=ann, seen=1)

    answer = signed_in(ann).post("/policies/cap/edit/", typed(permit(desk, " "), seen=1))

    assert answer.status_code == 409
    assert "is proposed meanwhile" in answer.content.decode()
    assert Policy.objects.count() == 1


def test_preview_marks_the_word_that_is_wrong(desk, ann):
    text = permit(desk, " when {\n  context.parameters.amuont < 5 }")

    said = signed_in(ann).post("/policies/check/", typed(text)).content.decode()

    assert '<li id="line-2" class="wrong" tabindex="-1">' in said
    assert "<mark>parameters</mark>" in said


def test_panel_tells_the_parameters_of_the_tools_that_are_named(desk, ann):
    said = body(signed_in(ann).post("/policies/check/", typed(permit(desk))))

    assert "context.parameters.amountwhole number, ask has first" in said
    assert "context.parameters.claimtext" in said
    assert "Not available to policies: note." in said


# Deciding


def test_from_draft_to_force_and_out_again(desk, ann, ben):
    client = signed_in(ann)
    client.post("/policies/new/", typed(permit(desk), case(desk)))
    client.post("/policies/cap/1/propose/", {"seen": 1})
    proposed = Policy.objects.get().state

    signed_in(ben).post("/policies/cap/1/agree/", {"answer": ""})
    active = Policy.objects.get()
    client.post("/policies/cap/retire/", {"answer": "No refunds any more."})

    retired = Policy.objects.get()
    assert (proposed, active.state, active.agreed_by) == (
        PolicyState.PROPOSED,
        PolicyState.ACTIVE,
        ben,
    )
    assert (retired.state, retired.ended_why) == (PolicyState.RETIRED, "No refunds any more.")


def test_nobody_agrees_to_their_own_and_reads_why(desk, ann):
    policy = draft(desk, ann)
    services.propose_draft(policy_id=policy.pk, by=ann, seen=1)
    client = signed_in(ann)

    client.post("/policies/cap/1/agree/")
    said = body(client.get("/policies/cap/1/"))

    assert Policy.objects.get().state == PolicyState.PROPOSED
    assert "You proposed this, so someone else must agree to it." in said


def test_rejecting_needs_a_reason(desk, ann, ben):
    policy = draft(desk, ann)
    services.propose_draft(policy_id=policy.pk, by=ann, seen=1)

    signed_in(ben).post("/policies/cap/1/reject/", {"answer": " "})
    before = Policy.objects.get().state
    signed_in(ben).post("/policies/cap/1/reject/", {"answer": "Too wide."})

    after = Policy.objects.get()
    assert (before, after.state, after.ended_why) == (
        PolicyState.PROPOSED,
        PolicyState.RETIRED,
        "Too wide.",
    )


def test_failing_cases_close_the_way_and_say_what_they_got(desk, ann):
    draft(desk, ann, cases=[case(desk, effect="deny")])

    client = signed_in(ann)
    client.post("/policies/cap/1/propose/", {"seen": 1})
    said = body(client.get("/policies/cap/1/"))

    assert Policy.objects.get().state == PolicyState.DRAFT
    assert "Wanted deny, got allow." in said
    assert "Its text or its cases are not right yet." in said


def test_difference_names_what_was_added_in_words(desk, ann, ben):
    first = draft(desk, ann, text=permit(desk) + "\n")
    services.propose_draft(policy_id=first.pk, by=ann, seen=1)
    services.agree_policy(policy_id=first.pk, by=ben)
    draft(desk, ann, text=permit(desk) + "\n" + FORBID)

    said = body(signed_in(ann).get("/policies/cap/2/"))

    assert "One line added, no removed." in said
    assert f"+ added{FORBID}" in said.replace(" +", "+").replace("added ", "added")


# Who may


@pytest.mark.parametrize("group", ROLES)
def test_every_page_and_act_by_every_role(desk, ann, ben, group):
    policy = draft(desk, ann)
    someone = make_person(groups=[group] if group else [])
    client = signed_in(someone)
    reads = ["/policies/", "/policies/cap/", "/policies/cap/1/", "/policies/words/"]
    reads += ["/policies/toxic/", "/roles/", f"/roles/{desk.role.slug}/", "/relationships/"]
    writes = ["/policies/new/", "/policies/cap/edit/", "/roles/new/", "/relationships/new/"]
    may = group in MAY_WRITE

    read = {place: client.get(place).status_code for place in reads}
    opened = {place: client.get(place).status_code for place in writes}
    saved = client.post("/policies/cap/edit/", typed(permit(desk, " "), seen=1)).status_code
    checked = client.post("/policies/check/", typed(permit(desk))).status_code
    seen = Policy.objects.get().edits
    client.post("/policies/cap/1/propose/", {"seen": seen})
    policy.refresh_from_db()

    assert read == dict.fromkeys(reads, 200)
    assert opened == dict.fromkeys(writes, 200 if may else 403)
    assert (saved, checked) == ((302, 200) if may else (403, 403))
    assert policy.state == (PolicyState.PROPOSED if may else PolicyState.DRAFT)


def test_nobody_signed_in_sees_nothing(desk, ann, client):
    draft(desk, ann)
    places = ["/policies/", "/policies/cap/", "/policies/cap/1/", "/policies/cap/edit/", "/roles/"]
    places += ["/policies/new/", "/policies/words/", "/relationships/", "/roles/new/"]

    told = {place: client.get(place)["Location"].split("?")[0] for place in places}
    posted = client.post("/policies/cap/1/propose/", {"seen": 1})

    assert told == dict.fromkeys(places, "/accounts/login/")
    assert posted["Location"].startswith("/accounts/login/")
    assert Policy.objects.get().state == PolicyState.DRAFT


def test_posts_want_the_csrf_token(desk, ann):
    draft(desk, ann)
    client = signed_in(ann, enforce_csrf_checks=True)
    posts = {
        "/policies/new/": typed(permit(desk), slug="other"),
        "/policies/check/": typed(permit(desk)),
        "/policies/cap/1/propose/": {"seen": 1},
        "/policies/cap/retire/": {"answer": "x"},
        f"/roles/{desk.role.slug}/remove/": {"kind": "tools", "name": desk.tool.name},
        "/relationships/new/": {},
    }

    told = {place: client.post(place, form).status_code for place, form in posts.items()}

    assert told == dict.fromkeys(posts, 403)
    assert Policy.objects.get().state == PolicyState.DRAFT
    assert desk.role.tools.count() == 1


def test_acts_are_never_done_by_reading(desk, ann):
    draft(desk, ann)

    told = [signed_in(ann).get(f"/policies/cap/1/{word}/").status_code for word in ("propose", "x")]

    assert told == [405, 405]


# Hostile text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "// </li></ol><img src=x onerror=alert(1)>\npermit(",
        "\u202epermit(principal, action, resource);",
        "(" * 5_000,
        "\n" * 60_000,
        '"' * 4_000,
        "permit(principal,action,resource)when{" + "!" * 3000 + "true};",
        "a" * 60_000,
    ],
)
def test_hostile_texts_are_shown_inert(ann, text):
    client = signed_in(ann)

    checked = client.post("/policies/check/", typed(text))
    saved = client.post("/policies/new/", typed(text))
    shown = client.get("/policies/cap/1/") if saved.status_code == 302 else checked

    for answer in (checked, shown):
        said = answer.content.decode()
        assert answer.status_code == 200
        assert "<script>alert" not in said
        assert "<img src=x" not in said
        assert "\u202e" not in said.replace('id="id_text"', "")


@pytest.mark.parametrize("text", ["\n" * 100_000, "permit(\0", "x" * 70_000])
def test_texts_that_cannot_be_kept_are_told_and_not_lost(ann, text):
    answer = signed_in(ann).post("/policies/new/", typed(text))

    assert (answer.status_code, Policy.objects.count()) == (200, 0)
    assert 'id="id_text"' in answer.content.decode()


def test_hostile_names_in_cases_are_shown_inert(desk, ann):
    bad = "</details><script>alert(1)</script>"
    draft(desk, ann, cases=[case(desk, name=bad, agent=bad[:50])], why=bad, description=bad)
    client = signed_in(ann)

    pages = [client.get(f"/policies/cap/{page}").content.decode() for page in ("edit/", "1/", "")]

    assert [page.count("<script>alert") for page in pages] == [0, 0, 0]
    assert "&lt;script&gt;alert" in pages[0]


@pytest.mark.parametrize(
    "place",
    [
        "/policies/nope/",
        "/policies/nope/1/",
        "/policies/cap/99999999999999999999/",
        "/policies/cap/edit/?from=999999",
        "/policies/nope/edit/",
        "/roles/nope/",
    ],
)
def test_what_is_not_there(desk, ann, place):
    draft(desk, ann)
    services.discard_draft(policy_id=Policy.objects.get().pk, by=ann, seen=1)

    assert signed_in(ann).get(place).status_code == 404


@pytest.mark.parametrize("query", ["?state=%FF", "?page=zz", "?state=none", "?q=%F0%9F", "?q=%25"])
def test_filters_take_anything(desk, ann, query):
    draft(desk, ann)
    client = signed_in(ann)

    told = {page: client.get(f"/{page}/{query}").status_code for page in ("policies", "roles")}

    assert told == {"policies": 200, "roles": 200}


# Lists


def test_list_runs_as_many_queries_for_three_rows_as_for_one(desk, ann, ben):
    client = signed_in(ann)

    def queries(*places):
        counted = {}
        for place in places:
            with CaptureQueriesContext(
                connection,
            ) as caught:
                assert client.get(place).status_code == 200
            counted[place] = len(caught)
        return counted

    places = ("/policies/", "/roles/", "/relationships/", "/policies/cap/")
    first = draft(desk, ann)
    _relate(ann, "1")
    client.get("/policies/")
    one = queries(*places)
    services.propose_draft(policy_id=first.pk, by=ann, seen=1)
    services.agree_policy(policy_id=first.pk, by=ben)
    draft(desk, ben)
    services.propose_policy(slug="freeze", text=FORBID, by=ann)
    for number in ("2", "3"):
        services.save_role(slug=f"role-{number}", by=ann)
        services.save_draft(
            draft=PolicyDraft(f"idea-{number}", FORBID), by=make_person(groups=["security"])
        )
        _relate(ann, number)
    three = queries(*places)

    assert one == three


def _relate(by, number):
    services.save_relationship(
        resource_type="document",
        resource_id=number,
        relation="owner",
        subject_type="person",
        subject_id=by.pid,
        by=by,
    )


def test_list_tells_what_waits_first_and_filters(desk, ann):
    services.propose_policy(slug="a-freeze", text=FORBID, by=ann)
    services.propose_policy(slug="b-cap", text=permit(desk), by=ann)
    client = signed_in(ann)

    said = client.get("/policies/").content.decode()
    narrowed = client.get("/policies/?state=active").content.decode()
    found = client.get("/policies/?q=b-cap").content.decode()

    assert said.index("b-cap") < said.index("a-freeze")
    assert "One policy waits for a second person" in body(client.get("/policies/"))
    assert ("b-cap" in narrowed, "a-freeze" in narrowed) == (False, True)
    assert "a-freeze" not in found
