"""The pages of directories: who sees them, what is shown once, and what a press does."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from lifecycle.models import Source
from lifecycle.scim import log, sources
from registry import changes
from registry.enums import GroupName
from registry.models import ClaimedGroup, Person, ProposedChange
from tests.factories.registry import make_person
from tests.factories.scim import GROUP, Directory, make_source

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _without_second_factor(settings) -> None:
    settings.MUSTER_APPROVER_MFA = False
    log.forget_refused()


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def admin() -> Person:
    return make_person(GroupName.PLATFORM_ADMIN)


@pytest.mark.parametrize("group", [*GroupName, None])
def test_who_sees_what_directories_did(group: GroupName | None) -> None:
    source, _ = make_source()
    client = signed_in(make_person(*([group] if group else [])))

    answers = [
        client.get(reverse("directories")),
        client.get(reverse("directory", args=[source.slug])),
        client.get(reverse("provisioning_log")),
    ]

    sees = group in {GroupName.SECURITY, GroupName.PLATFORM_ADMIN, GroupName.AUDITOR}
    assert [each.status_code for each in answers] == ([200] * 3 if sees else [403] * 3)
    if sees:
        may = group == GroupName.PLATFORM_ADMIN
        assert ("New token" in answers[1].content.decode()) == may


def test_a_token_is_shown_once_and_works() -> None:
    client = signed_in(admin())

    made = client.post(
        reverse("directories"), {"title": "Okta", "slug": "okta", "networks": "127.0.0.0/8"}
    )
    token = made.context["token"]
    again = client.get(reverse("directory", args=["okta"]))

    assert token in made.content.decode()
    assert token not in again.content.decode()
    assert Directory(token).get("/Users").status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [{"slug": "Not A Slug"}, {"networks": "everywhere"}, {"title": ""}, {"slug": "log"}],
)
def test_what_is_wrong_is_said_beside_it(wrong: dict[str, str]) -> None:
    given = {"title": "Okta", "slug": "okta", "networks": ""} | wrong

    answer = signed_in(admin()).post(reverse("directories"), given)

    assert answer.status_code == 400
    assert not Source.objects.exists()


def test_each_press_does_its_own_thing() -> None:
    by = admin()
    _, token = sources.open_source(slug="okta", title="Okta", by=by)
    client, directory = signed_in(by), Directory(token)

    def press(word: str, **given: str) -> int:
        return client.post(reverse("directory_change", args=["okta", word]), given).status_code

    assert press("rotate") == 200
    assert press("revoke") == 302
    assert directory.get("/Users").status_code == 401
    assert press("networks", networks="10.0.0.0/8") == 302
    assert Source.objects.get().networks == ["10.0.0.0/8"]
    assert press("nothing") == 302
    assert press("end") == 302
    assert Source.objects.get().is_open is False


def test_what_groups_mean_is_proposed_agreed_and_taken_away_on_one_page() -> None:
    by = admin()
    _, token = sources.open_source(slug="okta", title="Okta", by=by)
    client, directory = signed_in(by), Directory(token)
    theirs = directory.ask("POST", "/Groups", {"schemas": [GROUP], "displayName": "Audit"}).json()
    given = {"source": "okta", "claim": theirs["id"]}

    offered = client.get(reverse("directory", args=["okta"])).content.decode()
    asked = client.get(reverse("source_groups"), given).content.decode()
    empty = client.post(reverse("source_groups"), given)
    sent = client.post(reverse("source_groups"), {**given, "group": "auditor"})
    changes.agree(change_id=ProposedChange.objects.get().pk, by=make_person(GroupName.SECURITY))
    agreed = client.get(reverse("source_groups")).content.decode()
    shown = client.get(reverse("directory", args=["okta"])).content.decode()
    taken = client.post(reverse("source_group_remove", args=[ClaimedGroup.objects.get().pk]))
    again = client.post(reverse("source_group_remove", args=[7]))

    assert f"?source=okta&amp;claim={theirs['id']}" in offered
    assert "The directory calls it Audit" in asked
    assert [empty.status_code, sent.status_code, taken.status_code, again.status_code] == [
        *(400, 302, 302, 302)
    ]
    assert ("Audit" in agreed, "at once" in agreed, "auditor" in shown) == (True, True, True)
    assert not ClaimedGroup.objects.exists()


@pytest.mark.parametrize(
    ("group", "tabs"),
    [
        (None, 0),
        (GroupName.AUDITOR, 3),
        (GroupName.SECURITY, 6),
        (GroupName.PLATFORM_ADMIN, 6),
        (GroupName.DPO, 0),
    ],
)
def test_the_tabs_of_people_lead_where_one_may_go(group: GroupName | None, tabs: int) -> None:
    client = signed_in(make_person(*([group] if group else [])))

    page = client.get(reverse("people")).content.decode()

    nav = page.partition('aria-label="People and where they come from"')[2].partition("</nav>")[0]
    urls = re.findall(r'href="([^"]+)"', nav)
    assert len(urls) == tabs
    assert [client.get(each).status_code for each in urls] == [200] * tabs
    assert nav.count('aria-current="page"') == min(tabs, 1)


def test_the_log_shows_what_is_asked_for() -> None:
    _, token = make_source(slug="okta")
    other, _ = make_source(slug="entra")
    directory = Directory(token)
    directory.create("ann@halvern.example", displayName="Ann <b>")
    directory.ask("POST", "/Users", {"userName": "ANN@halvern.example"})
    log.note(source=other, did="hired", outcome="told")
    client = signed_in(make_person(GroupName.AUDITOR))

    def lines(**asked: str) -> list[str]:
        page = client.get(reverse("provisioning_log"), asked).context["page"]
        return [each.did for each in page.object_list]

    assert lines() == ["hired", "post Users", "user_created"]
    assert lines(source="okta") == ["post Users", "user_created"]
    assert lines(outcome="refused") == ["post Users"]
    assert lines(who="ann <") == ["user_created"]
    assert lines(did="hir") == ["hired"]
    assert lines(source="nobody") == lines()
    shown = client.get(reverse("provisioning_log")).content.decode()
    assert ("Ann &lt;b&gt;" in shown, "Ann <b>" in shown) == (True, False)
