"""Directories as they speak: what they send, what they are told, and what becomes of people."""

from datetime import timedelta
from typing import Any

import pytest

from governance.kernel import clock
from lifecycle import asking
from lifecycle.models import ScimResource, SourceEvent
from lifecycle.scim import log, storage
from registry import guard, services
from registry.enums import Employment
from registry.models import Person
from registry.permissions import Automatic
from tests.factories.registry import make_agent, make_person
from tests.factories.scim import ENTERPRISE, GROUP, OURS, USER, Directory, make_source
from tests.factories.scim import make_directory as directory

pytestmark = pytest.mark.django_db

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@pytest.fixture(autouse=True)
def _forget() -> None:
    asking.forget()
    log.forget_refused()


def person(of: dict) -> Person:
    found = ScimResource.objects.get(pk=of["id"]).person
    assert found is not None
    return Person.objects.get(pk=found.pk)


def test_entra_takes_someone_on_finds_them_and_lets_them_go() -> None:
    entra = directory()
    probe = entra.get("/Users", filter='userName eq "0f4f2ab8-0d7c-4d26-9b3f-2f3a3e4b8f60"')
    made = entra.create(
        "Jane.Doe@halvern.example",
        externalId="jdoe",
        displayName="Jane Doe",
        emails=[{"primary": True, "type": "work", "value": "Jane.Doe@halvern.example"}],
        name={"givenName": "Jane", "familyName": "Doe"},
        **{ENTERPRISE: {"department": "Claims"}},
    )
    at = f"/Users/{made['id']}"
    by_mail = entra.get(
        "/Users", filter='emails[type eq "work"].value eq "jane.doe@halvern.example"'
    )

    hired = person(made)
    moved = entra.patch(
        at,
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "jd@halvern.example"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Finance"},
        {"op": "Replace", "path": "name.familyName", "value": "Roe"},
    )
    changed = person(made)
    off = entra.patch(at, {"op": "Replace", "path": "active", "value": "False"})
    gone = person(made)
    seen = entra.get("/Users", filter='userName eq "jane.doe@halvern.example"').json()
    again = entra.patch(at, {"op": "Replace", "path": "active", "value": "True"})

    assert (probe.status_code, probe.json()["totalResults"]) == (200, 0)
    assert [each["id"] for each in by_mail.json()["Resources"]] == [made["id"]]
    assert (hired.name, hired.email, hired.department, hired.employment) == (
        "Jane Doe",
        "jane.doe@halvern.example",
        "Claims",
        "employed",
    )
    assert (moved.status_code, off.status_code, again.status_code) == (204, 204, 204)
    assert (changed.email, changed.department) == ("jd@halvern.example", "Finance")
    assert (gone.pk, gone.employment, gone.is_active) == (hired.pk, "left", False)
    assert [each["active"] for each in seen["Resources"]] == [False]
    assert (person(made).employment, person(made).is_active) == ("employed", True)


def test_okta_replaces_the_whole_and_speaks_without_a_path() -> None:
    okta = directory()
    made = okta.create("a@halvern.example", emails=[{"value": "a@halvern.example"}])
    at = f"/Users/{made['id']}"

    whole = {"schemas": [USER], "id": made["id"], "userName": "a@halvern.example", "active": True}
    put = okta.ask("PUT", at, {**whole, "displayName": "Ann", "name": {"givenName": "Ann"}})
    off = okta.patch(at, {"op": "replace", "value": {"active": False}})
    left_out = okta.ask("PUT", at, {k: v for k, v in whole.items() if k != "active"})
    page = okta.get("/Users", startIndex="1", count="100", filter='userName eq "a@halvern.example"')

    assert (put.status_code, put.json()["displayName"]) == (200, "Ann")
    assert (off.status_code, left_out.status_code) == (204, 200)
    # What is left out lets nobody in again.
    assert person(made).employment == "left"
    assert (page.json()["startIndex"], page.json()["itemsPerPage"]) == (1, 1)
    assert okta.get("/Users", filter="active eq false").json()["totalResults"] == 1


def test_a_leavers_agents_are_denied_when_the_answer_is_there() -> None:
    source = directory()
    owner = make_person(email="owner@halvern.example")
    agent = make_agent(owner=owner)
    made = source.create("owner@halvern.example", externalId="o1")

    source.patch(f"/Users/{made['id']}", {"op": "replace", "path": "active", "value": False})

    agent.refresh_from_db()
    assert person(made) == owner
    assert guard.refusal(agent) is not None


def test_a_last_day_is_said_moved_and_taken_back() -> None:
    source, today = directory(), clock.now().date()
    made = source.create("a@halvern.example", **{OURS: {"lastDay": f"{today + timedelta(9)}"}})
    at, path = f"/Users/{made['id']}", f"{OURS}:lastDay"
    leaving = person(made)

    source.patch(at, {"op": "replace", "path": path, "value": f"{today + timedelta(3)}T00:00:00Z"})
    sooner = person(made)
    bad = source.patch(at, {"op": "replace", "path": path, "value": "soon"})
    source.patch(at, {"op": "remove", "path": path})
    stays = person(made)
    source.patch(at, {"op": "add", "path": path, "value": f"{today - timedelta(1)}"})

    assert (leaving.employment, leaving.last_day) == ("leaving", today + timedelta(9))
    assert (sooner.employment, sooner.last_day) == ("leaving", today + timedelta(3))
    assert (bad.status_code, bad.json()["scimType"]) == (400, "invalidValue")
    assert (stays.employment, stays.last_day) == ("employed", None)
    assert (person(made).employment, person(made).last_day) == ("left", today - timedelta(1))


def test_a_last_day_that_never_comes_is_none_and_one_long_gone_a_slip() -> None:
    source = directory()
    made = source.create("a@halvern.example", **{OURS: {"lastDay": "9999-12-31"}})
    at, path = f"/Users/{made['id']}", f"{OURS}:lastDay"

    bad = source.patch(at, {"op": "replace", "path": path, "value": "0001-01-01"})
    stays = person(made)
    source.patch(at, {"op": "replace", "path": path, "value": f"{clock.now().date()}"})

    assert (bad.status_code, bad.json()["scimType"]) == (400, "invalidValue")
    assert (stays.employment, stays.last_day) == ("employed", None)
    assert person(made).employment == "leaving"


@pytest.mark.parametrize("never", ["9999-12-31", "2999-12-31", "2170-01-01"])
def test_who_has_a_last_day_that_never_comes_can_be_deactivated(never: str) -> None:
    source = directory()
    made = source.create("a@halvern.example", **{OURS: {"lastDay": never}})
    at = f"/Users/{made['id']}"

    source.patch(at, {"op": "replace", "path": "active", "value": False})

    assert person(made).employment == "left"


def test_deleted_is_gone_there_and_left_here_and_the_same_person_when_hired_again() -> None:
    source = directory()
    made = source.create("a@halvern.example", externalId="e1")
    known = person(made)

    deleted = source.ask("DELETE", f"/Users/{made['id']}")
    after = source.get(f"/Users/{made['id']}")
    twice = source.ask("DELETE", f"/Users/{made['id']}")
    employment = Person.objects.get(pk=known.pk).employment
    again = source.create("a@halvern.example", externalId="e1")

    assert (deleted.status_code, after.status_code, twice.status_code) == (204, 404, 404)
    assert (deleted.content, after.json()["schemas"]) == (b"", [ERROR])
    assert employment == Employment.LEFT
    assert again["id"] != made["id"]
    assert (person(again), person(again).employment) == (known, "employed")


def test_the_next_holder_of_an_address_inherits_nothing() -> None:
    source = directory()
    first = source.create("desk@halvern.example", externalId="e1")
    source.ask("DELETE", f"/Users/{first['id']}")
    old = Person.objects.get(email="desk@halvern.example")

    second = source.create("DESK@halvern.example", externalId="e2")

    assert person(second) != old
    assert person(second).email == "desk@halvern.example"
    assert Person.objects.get(pk=old.pk).email.endswith("@left.invalid")


def test_two_sources_never_see_each_other() -> None:
    one, other = directory(), directory()
    made = one.create("a@halvern.example", externalId="e1")

    seen = other.get(f"/Users/{made['id']}")
    found = other.get("/Users")
    same = other.create("a@halvern.example", externalId="e1")

    assert (seen.status_code, found.json()["totalResults"]) == (404, 0)
    # Two directories that both know an address know one person.
    assert person(same) == person(made)


def test_our_own_ids_find_nothing() -> None:
    source, someone = directory(), make_person()
    made = source.create("a@halvern.example", externalId=str(someone.pk))

    answers = [
        source.get(f"/Users/{each}") for each in (someone.pid, someone.pk, made["id"].upper())
    ]

    assert [each.status_code for each in answers] == [404, 404, 404]
    assert person(made) != someone


def test_twice_the_same_name_is_a_conflict_in_any_case() -> None:
    source = directory()
    made = source.create("a@halvern.example", externalId="e1")

    twice = source.ask("POST", "/Users", {"schemas": [USER], "userName": "A@halvern.example"})
    same = source.ask("POST", "/Users", {"schemas": [USER], "userName": "b", "externalId": "e1"})

    assert (twice.status_code, twice.json()["scimType"]) == (409, "uniqueness")
    assert (same.status_code, same.json()["scimType"]) == (409, "uniqueness")
    assert "constraint" not in twice.content.decode() + same.content.decode()
    assert source.get("/Users").json()["totalResults"] == 1
    assert made["meta"]["location"].endswith(f"/scim/v2/Users/{made['id']}")


def test_versions_guard_against_what_was_not_seen() -> None:
    source = directory()
    made = source.create("a@halvern.example")
    at, tag = f"/Users/{made['id']}", made["meta"]["version"]
    change = {"op": "replace", "path": "title", "value": "Clerk"}

    read = source.client.get(
        f"/scim/v2{at}",
        headers={"Authorization": f"Bearer {source.token}", "If-None-Match": tag},
    )
    first = source.patch(at, change, **{"If-Match": tag})
    stale = source.patch(at, {**change, "value": "Chief"}, **{"If-Match": tag})
    nothing_new = source.patch(at, change)

    assert (read.status_code, first.status_code, stale.status_code) == (304, 204, 412)
    assert first.headers["ETag"] == nothing_new.headers["ETag"] == 'W/"2"'


def test_managers_are_people_that_the_source_named() -> None:
    source = directory()
    boss = source.create("boss@halvern.example", externalId="b1")

    made = source.create("a@halvern.example", **{ENTERPRISE: {"manager": {"value": boss["id"]}}})
    at, path = f"/Users/{made['id']}", f"{ENTERPRISE}:manager"
    manager = person(made).manager
    source.patch(at, {"op": "replace", "path": path, "value": {"value": made["id"]}})
    own = person(made).manager
    source.patch(at, {"op": "remove", "path": path})

    assert manager == own == person(boss)
    assert person(made).manager is None


def test_the_newest_word_is_not_undone_by_an_old_one_said_again() -> None:
    source = directory()
    made = source.create("ann@halvern.example", displayName="Ann")
    facts: services.Facts = {"email": "ann@halvern.example", "name": "Annie"}
    services.sync_person(source="hr", external_id="1", facts=facts, by=Automatic("source:hr"))

    source.patch(f"/Users/{made['id']}", {"op": "replace", "path": "title", "value": "Clerk"})

    assert person(made).name == "Annie"


def test_groups_have_members_and_users_say_theirs() -> None:
    source = directory()
    ann, bob = source.create("ann"), source.create("bob")
    made = source.ask(
        "POST",
        "/Groups",
        {"schemas": [GROUP], "displayName": "Desk", "members": [{"value": ann["id"]}]},
    ).json()
    at = f"/Groups/{made['id']}"

    added = source.patch(at, {"op": "Add", "path": "members", "value": [{"value": bob["id"]}]})
    without = source.get(at, excludedAttributes="members").json()
    mine = source.get(f"/Users/{bob['id']}").json()["groups"]
    in_it = source.get("/Groups", filter=f'members.value eq "{bob["id"]}"').json()
    gone = source.patch(at, {"op": "Remove", "path": f'members[value eq "{ann["id"]}"]'})
    unknown = source.patch(
        at, {"op": "Add", "path": "members", "value": [{"value": made["id"][::-1]}]}
    )
    source.ask("DELETE", f"/Users/{bob['id']}")

    assert (added.status_code, gone.status_code, unknown.status_code) == (204, 204, 400)
    assert "members" not in without
    assert [(each["value"], each["display"]) for each in mine] == [(made["id"], "Desk")]
    assert [each["id"] for each in in_it["Resources"]] == [made["id"]]
    assert source.get(at).json().get("members", []) == []


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ('userName eq "ANN"', ["ann"]),
        ('userName sw "b" or externalId eq "E1"', ["ann", "bob"]),
        ('externalId eq "e1"', []),
        ('not (userName eq "ann")', ["bob", "cyd"]),
        ('displayName co "ob"', ["bob"]),
        ("displayName pr", ["bob"]),
        ('emails eq "cyd@halvern.example"', ["cyd"]),
        ('emails[type eq "home" and value eq "cyd@halvern.example"]', ["cyd"]),
        ('emails[type eq "work" and value eq "cyd@halvern.example"]', []),
        ('active eq true and userName ne "ann"', ["bob", "cyd"]),
        ('title eq "clerk"', ["bob"]),
        ('title eq "clerk" and userName eq "ann"', []),
        ('meta.lastModified gt "2020-01-01T00:00:00Z"', ["ann", "bob", "cyd"]),
        ('meta.created gt "2099-01-01T00:00:00Z"', []),
        ('id eq "x"', []),
        (f'{ENTERPRISE}:department eq "claims"', ["cyd"]),
    ],
)
def test_filters_find_what_they_say(wanted: str, names: list[str]) -> None:
    source = directory()
    source.create("ann", externalId="E1")
    source.create("bob", displayName="Bob", title="Clerk")
    source.create(
        "cyd",
        emails=[{"type": "home", "value": "Cyd@halvern.example"}],
        **{ENTERPRISE: {"department": "Claims"}},
    )

    found = source.get("/Users", filter=wanted, sortBy="userName")
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": wanted}
    posted = source.ask("POST", "/Users/.search", body)

    assert [each["userName"] for each in found.json()["Resources"]] == names
    assert sorted(each["userName"] for each in posted.json()["Resources"]) == names


def test_pages_are_in_order_and_whole() -> None:
    source = directory()
    for name in ("c", "a", "b"):
        source.create(name)

    down = source.get("/Users", sortBy="userName", sortOrder="descending", count="2").json()
    rest = source.get("/Users", sortBy="userName", startIndex="3", count="2").json()
    none = source.get("/Users", count="0").json()

    assert [each["userName"] for each in down["Resources"]] == ["c", "b"]
    assert [each["userName"] for each in rest["Resources"]] == ["c"]
    assert (none["totalResults"], none.get("Resources", [])) == (3, [])


def test_what_the_database_cannot_tell_is_looked_at_only_while_it_is_little(monkeypatch) -> None:
    source = directory()
    for name in ("a", "b", "c"):
        source.create(name)
    monkeypatch.setattr(storage, "MAX_LOOKED_AT", 2)

    many = source.get("/Users", filter='nickName eq "x"')
    few = source.get("/Users", filter='nickName eq "x" and userName sw "a"')

    assert (many.status_code, many.json()["scimType"]) == (400, "tooMany")
    assert (few.status_code, few.json()["totalResults"]) == (200, 0)


def test_a_search_costs_the_same_at_ten_and_at_three(django_assert_max_num_queries) -> None:
    source = directory()
    for number in range(10):
        source.create(f"u{number}")

    with django_assert_max_num_queries(9):
        answer = source.get("/Users", count="10")

    assert answer.json()["itemsPerPage"] == 10


@pytest.mark.parametrize("path", ["/Users", "/ServiceProviderConfig", "/Nowhere"])
@pytest.mark.parametrize("token", ["", "wrong", "muster_scim_" + "a" * 43])
def test_without_a_token_nothing_is_told(path: str, token: str) -> None:
    directory()

    answer = Directory(token).get(path)

    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/scim+json")
    assert (answer.json()["schemas"], answer.json()["status"]) == ([ERROR], "401")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_opens_nothing_else() -> None:
    source = directory()

    answers = [
        source.client.get(path, headers={"Authorization": f"Bearer {source.token}"})
        for path in ("/api/v1/agents", "/people/")
    ]

    assert [each.status_code for each in answers] == [401, 302]


def test_only_from_its_networks() -> None:
    _, token = make_source(networks=["10.1.0.0/16"])

    inside = Directory(token, REMOTE_ADDR="10.1.2.3").get("/Users")
    mapped = Directory(token, REMOTE_ADDR="::ffff:10.1.2.3").get("/Users")
    outside = Directory(token, REMOTE_ADDR="10.2.2.3").get("/Users")

    assert (inside.status_code, mapped.status_code, outside.status_code) == (200, 200, 403)
    assert outside.json()["schemas"] == [ERROR]


def test_failures_are_limited_and_the_right_token_is_not(mark, records_after) -> None:
    source, marked = directory(), mark()

    answers = [Directory("wrong").get("/Users").status_code for _ in range(25)]

    assert (answers[:20], set(answers[20:])) == ([401] * 20, {429})
    assert source.get("/Users").status_code == 200
    assert len(records_after(marked)) == 1


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "invalidSyntax"),
        (b"[]", 400, "invalidSyntax"),
        (b'"x"', 400, "invalidSyntax"),
        (b"", 400, "invalidSyntax"),
        (b'{"userName":"a","userName":"b"}', 400, "invalidSyntax"),
        (b'{"userName":"a\\u0000"}', 400, "invalidSyntax"),
        (b'{"userName":"\\ud800"}', 400, "invalidSyntax"),
        (b"\xff", 400, "invalidSyntax"),
        (b"[" * 100 + b"]" * 100, 400, "invalidSyntax"),
        (b'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]}', 400, "invalidValue"),
        (b'{"schemas":["x"],"userName":"a"}', 400, None),
        (b'{"schemas":[],"userName":7}', 400, None),
        (b" " * (2 * 1024 * 1024 + 1), 413, None),
    ],
)
def test_bad_bodies_are_refused_in_the_words_of_scim(body: bytes, status: int, kind: str) -> None:
    source = directory()

    for method, path in (("POST", "/Users"), ("POST", "/Bulk"), ("POST", "/.search")):
        answer = source.ask(method, path, body)
        assert answer.status_code in {status, 400, 413}, (path, answer.content)
        assert answer.json()["schemas"] == [ERROR]
    answer = source.ask("POST", "/Users", body)
    assert answer.status_code == status
    assert kind is None or answer.json()["scimType"] == kind
    assert ScimResource.objects.count() == 0


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "userName eq"},
        {"filter": 'userName eq "a\\u0000b"'},
        {"filter": 'userName eq "\\ud800"'},
        {"filter": "(" * 500},
        {"filter": 'nothing eq "x"'},
        {"filter": "userName gt true"},
        {"sortBy": "nothing"},
        {"startIndex": "x"},
        {"count": "9" * 40},
        {"filter": 'id eq "\\u0000"'},
        {"filter": 'externalId co ""'},
        {"filter": 'emails.value eq "\\u0000"'},
    ],
)
def test_bad_questions_are_never_our_failure(query: dict[str, str]) -> None:
    source = directory()
    source.create("a")

    answer = source.get("/Users", **query)

    assert answer.status_code in {200, 400}, answer.content
    assert answer.headers["Content-Type"] == "application/scim+json"


def test_nul_in_the_address_is_refused_in_the_words_of_scim() -> None:
    source = directory()

    answers = [source.ask("GET", each) for each in ("/Users/a%00b", "/Users?filter=a%00b")]

    assert [each.status_code for each in answers] == [400, 400]
    assert [each.json()["schemas"] for each in answers] == [[ERROR], [ERROR]]


def test_what_entra_sends_by_its_own_habits_takes_effect() -> None:
    entra = directory()
    boss, ann = entra.create("boss@halvern.example"), entra.create("ann@halvern.example")
    group = {"schemas": [GROUP], "displayName": "Desk", "members": [{"value": ann["id"]}]}
    made = entra.ask("POST", "/Groups", group).json()
    at = f"/Users/{ann['id']}"

    moved = entra.patch(
        at,
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "a@halvern.example"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": boss["id"]},
        {"op": "Replace", "value": {"name.givenName": "Ann", f"{ENTERPRISE}:department": "Desk"}},
    )
    out = entra.patch(
        f"/Groups/{made['id']}",
        {"op": "Remove", "path": "members", "value": [{"value": ann["id"]}]},
    )

    known = person(ann)
    assert (moved.status_code, out.status_code) == (204, 204)
    assert (known.email, known.manager, known.department, known.name) == (
        *("a@halvern.example", person(boss)),
        *("Desk", "Ann"),
    )
    assert entra.get(f"/Groups/{made['id']}").json().get("members", []) == []


def test_a_patch_that_fails_halfway_changes_nothing() -> None:
    source = directory()
    made = source.create("a@halvern.example", displayName="Ann")

    failed = source.patch(
        f"/Users/{made['id']}",
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "path": "title", "value": ["no title"]},
    )

    assert (failed.status_code, failed.json()["scimType"]) == (400, "invalidValue")
    assert "pydantic" not in failed.content.decode()
    assert source.get(f"/Users/{made['id']}").json()["meta"]["version"] == 'W/"1"'
    assert person(made).employment == "employed"


@pytest.mark.parametrize("empty", ["", "  "])
def test_nobody_and_nothing_is_nameless(empty: str) -> None:
    source = directory()
    made = source.create("a@halvern.example")
    clear = {"op": "replace", "path": "userName", "value": empty}

    answers = [
        source.ask("POST", "/Users", {"schemas": [USER], "userName": empty}),
        source.ask("POST", "/Groups", {"schemas": [GROUP], "displayName": empty}),
        source.patch(f"/Users/{made['id']}", clear),
    ]

    assert [each.status_code for each in answers] == [400, 400, 400]
    assert [each.json()["scimType"] for each in answers] == ["invalidValue"] * 3


def test_a_look_without_the_body_and_a_part_of_what_was_made() -> None:
    source = directory()
    body = {"schemas": [USER], "userName": "a", "title": "Clerk"}

    made = source.ask("POST", "/Users?attributes=title", body)
    head = source.ask("HEAD", f"/Users/{made.json()['id']}")
    whole, gone = source.ask("GET", ""), source.ask("HEAD", "/Users/none")

    assert sorted(made.json()) == ["id", "schemas", "title"]
    assert made.headers["Location"].endswith(made.json()["id"])
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", 'W/"1"')
    assert (gone.status_code, gone.content) == (404, b"")
    assert (whole.status_code, whole.json()["totalResults"]) == (200, 1)


def test_what_there_is_not_is_said() -> None:
    source = directory()

    assert source.get("/Me").status_code == 501
    assert source.ask("PUT", "/Users", {}).status_code == 405
    assert source.get("/Nothing").status_code == 404


def test_many_at_once_are_each_for_themselves() -> None:
    source = directory()
    user = {"schemas": [USER], "userName": "a"}
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "POST", "path": "/Users", "bulkId": "1", "data": user},
            {"method": "POST", "path": "/Users", "bulkId": "2", "data": user},
            {
                "method": "POST",
                "path": "/Groups",
                "bulkId": "3",
                "data": {
                    "schemas": [GROUP],
                    "displayName": "G",
                    "members": [{"value": "bulkId:1"}],
                },
            },
        ],
    }

    answer = source.ask("POST", "/Bulk", body)

    assert [each["status"] for each in answer.json()["Operations"]] == ["201", "409", "201"]
    assert ScimResource.objects.count() == 2


def test_the_log_tells_what_a_source_did_with_its_record(mark, records_after) -> None:
    source = directory()
    made = source.create("a@halvern.example")
    marked = mark()

    source.patch(f"/Users/{made['id']}", {"op": "replace", "path": "active", "value": False})
    source.ask("PUT", f"/Users/{made['id']}", {"schemas": [USER]})
    source.ask("PUT", f"/Users/{made['id']}", {"schemas": [USER], "userName": "b"})

    noted = list(SourceEvent.objects.order_by("pk"))[1:]
    assert [(each.did, each.status) for each in noted] == [
        ("user_changed", 200),
        ("put Users", 400),
        ("user_changed", 200),
    ]
    assert (noted[0].outcome, noted[2].outcome) == ("active", "active, userName")
    assert noted[0].record in {each["id"] for each in records_after(marked)}
    assert noted[0].person == person(made)


def test_a_password_is_kept_nowhere() -> None:
    source = directory()

    made = source.create("a@halvern.example", password="correct horse battery")

    assert "password" not in made
    assert "password" not in ScimResource.objects.get(pk=made["id"]).said
    assert person(made).has_usable_password() is False


def test_who_is_known_keeps_their_name_where_the_directory_says_none() -> None:
    known = make_person(name="Olga Berg", email="olga@halvern.example")

    made = directory().create("olga@halvern.example")
    stranger = directory().create("nils")

    assert (person(made), person(made).name) == (known, "Olga Berg")
    assert person(stranger).name == "nils"


CUSTOM = "urn:ietf:params:scim:schemas:extension:halvern:2.0:User"


def test_what_is_not_known_here_is_left_out_of_what_comes_whole_and_the_log_names_it() -> None:
    source = directory()
    more = {"shoeSize": 38, CUSTOM: {"badge": "7"}, "name": {"givenName": "Ann", "clan": "X"}}
    made = source.create("ann@halvern.example", **more)
    at = f"/Users/{made['id']}"
    whole = {"schemas": [USER, CUSTOM], "userName": "ann@halvern.example", "displayName": "Annie"}

    put = source.ask("PUT", at, {**whole, **more})

    noted = list(SourceEvent.objects.order_by("pk").values_list("did", "outcome"))
    assert (put.status_code, put.json()["displayName"]) == (200, "Annie")
    assert [name for name in ("shoeSize", CUSTOM) if name in put.json()] == []
    assert [did for did, _ in noted] == ["user_created", "user_changed"]
    assert [said.partition("; ")[2] for _, said in noted] == [f"left out: shoeSize, {CUSTOM}"] * 2


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "shoeSize", "value": 38},
        {"op": "add", "path": f"{CUSTOM}:badge", "value": "7"},
        {"op": "replace", "value": {"shoeSize": 38}},
        {"op": "remove", "path": "activ"},
    ],
)
def test_a_patch_of_what_is_not_known_here_is_refused(operation: dict[str, Any]) -> None:
    source = directory()
    made = source.create("ann@halvern.example")

    refused = source.patch(f"/Users/{made['id']}", operation)

    assert refused.status_code == 400
    assert refused.json()["scimType"] in {"invalidPath", "invalidValue"}
