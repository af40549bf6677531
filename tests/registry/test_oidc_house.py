"""Sign-in end to end, against npm's oidc-provider."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.conf import settings as configured
from django.test import Client

from governance.kernel import clock
from governance.kernel.errors import NotAllowed
from registry import changes, services, sign_in
from registry.enums import GroupName
from registry.models import ExternalIdentity, Person
from tests.factories.registry import make_person, security
from tests.registry.peers import House

pytestmark = [pytest.mark.django_db, pytest.mark.outside]
GO, PASSWORD = "/sign-in/with/house/", "correct horse battery staple"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    found = House(tmp_path_factory.mktemp("house"))
    yield found
    found.stop()


@pytest.fixture
def house(started: House, settings: Any) -> House:
    settings.MUSTER_EGRESS_CA = str(started.ca)
    settings.MUSTER_EGRESS_ALLOWED = frozenset({f"localhost:{started.port}"})
    configure(settings, started)
    started.people.clear()
    return started


def configure(settings: Any, house: House, **more: Any) -> None:
    entry = {"id": "house", "name": "House", "issuer": house.issuer, "client_id": "muster"}
    entry |= {"secret": house.secret, "groups_claim": "groups"}
    entry |= {"scope": "openid profile email groups"}
    settings.MUSTER_SIGN_IN_PROVIDERS = [entry | more]


def known(house: House, person: Person, name: str = "ada", **more: Any) -> None:
    house.knows(name, **{"email": person.email.upper(), "email_verified": True} | more)


def come_in(client: Client, house: House, name: str = "ada", query: str = "") -> Any:
    there = client.get(GO + query)
    assert there.status_code == 302, there.content
    return client.get(path_of(house.signed_in(there.url, name)))


def path_of(url: str) -> str:
    return re.sub(r"^https?://[^/]+", "", url)


def who(client: Client) -> str:
    return str(client.session.get("_auth_user_id", ""))


def test_someone_is_known_by_a_verified_address_and_then_by_their_id(
    house: House, client: Client, mark: Any, records_after: Any
) -> None:
    person, before = make_person(), mark()
    known(house, person, amr=["pwd"])

    answer = come_in(client, house, query="?next=/systems/")
    house.knows("ada", email="someone.else@example.org", email_verified=True)
    again = Client()
    come_in(again, house)

    assert (answer.status_code, answer.url, who(client)) == (302, "/systems/", str(person.pk))
    assert who(again) == str(person.pk)
    identity = ExternalIdentity.objects.get()
    assert (identity.source, identity.external_id, identity.person) == ("house", "ada", person)
    told = [bytes(each["body"]).decode() for each in records_after(before, kind="access")]
    assert [('"way":"oidc"' in each, '"provider":"house"' in each) for each in told] == [
        (True, True)
    ] * 2
    assert '"amr":["pwd"]' in told[0]


def test_what_is_asked_is_bound_to_this_browser(house: House, client: Client) -> None:
    known(house, make_person())

    there = client.get(GO)
    asked = parse_qs(urlsplit(there.url).query)
    place = path_of(house.signed_in(there.url, "ada"))
    stranger = Client().get(place)
    first = client.get(place)
    replayed = Client()
    second = client.get(place)

    assert there.url.startswith(f"{house.issuer}/auth?")
    assert (asked["code_challenge_method"], asked["redirect_uri"]) == (["S256"], [house.back])
    assert len({asked[name][0] for name in ("state", "nonce", "code_challenge")}) == 3
    assert (stranger.status_code, first.status_code, second.status_code) == (403, 302, 403)
    assert who(replayed) == ""


def test_a_token_for_another_sign_in_is_refused(house: House, client: Client) -> None:
    known(house, make_person())
    place = house.signed_in(client.get(GO).url, "ada")
    session = client.session
    (state,) = session["socialaccount_states"].values()
    state[0]["data"]["nonce"] = "another"
    session.save()

    answer = client.get(path_of(place))

    assert (answer.status_code, who(client)) == (403, "")
    assert "belongs to another sign-in" in answer.content.decode()


def test_another_issuer_is_refused_before_and_after(
    house: House, client: Client, settings: Any
) -> None:
    known(house, make_person())
    place = path_of(house.signed_in(client.get(GO).url, "ada"))
    mixed = re.sub(r"iss=[^&]+", "iss=https%3A%2F%2Fevil.example", place)
    assert mixed != place
    refused = client.get(mixed)
    configure(settings, house, issuer=f"{house.issuer}/")

    elsewhere = client.get(GO)

    assert (refused.status_code, elsewhere.status_code, who(client)) == (403, 403, "")
    assert "another issuer" in elsewhere.content.decode()


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "javascript:1"])
def test_nobody_is_sent_elsewhere(house: House, client: Client, wanted: str) -> None:
    known(house, make_person())

    assert come_in(client, house, query=f"?next={wanted}").url == "/"


def test_nobody_is_sent_to_sign_in_from_another_site(house: House, client: Client) -> None:
    answer = client.get(GO, headers={"Sec-Fetch-Site": "cross-site"})

    assert (answer.status_code, answer.url) == (302, "/accounts/login/")


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"email_verified": False}, "did not say that your e-mail address is verified"),
        ({"email": "nobody@example.org"}, "You are not on the register yet"),
    ],
)
def test_who_is_not_known_is_told_whom_to_ask(
    house: House, client: Client, claims: dict[str, Any], sentence: str
) -> None:
    known(house, make_person(), **claims)

    answer = come_in(client, house)

    assert (answer.status_code, who(client), ExternalIdentity.objects.count()) == (403, "", 0)
    assert sentence in answer.content.decode()
    assert "security or a platform admin" in answer.content.decode()


def test_a_provider_may_bring_people_as_plain_owners(
    house: House, client: Client, settings: Any
) -> None:
    configure(settings, house, create_people=True)
    house.knows(
        "eve", email="Eve@example.org", email_verified=True, name="Eve", groups=["security"]
    )

    come_in(client, house, "eve")

    person = Person.objects.get()
    assert (person.email, person.name, person.group_names) == ("eve@example.org", "Eve", set())
    assert (person.is_staff, person.has_usable_password(), who(client)) == (
        *(False, False),
        str(person.pk),
    )


def test_who_has_left_stays_out_and_nobody_inherits(house: House, client: Client) -> None:
    person = make_person()
    known(house, person)
    come_in(client, house)
    services.set_employment(
        person_id=person.pk, employment="left", last_day=clock.now().date(), by=security()
    )
    known(house, person, "new")

    old, new = Client(), Client()
    answers = [come_in(old, house).status_code, come_in(new, house, "new").status_code]

    assert (answers, who(old), who(new)) == ([403, 403], "", "")
    assert ExternalIdentity.objects.count() == 1


def test_a_second_account_with_the_same_address_is_refused(house: House, client: Client) -> None:
    person = make_person()
    known(house, person)
    come_in(client, house)
    known(house, person, "other")

    answer = come_in(Client(), house, "other")

    assert (answer.status_code, ExternalIdentity.objects.count()) == (403, 1)


def test_who_is_switched_off_there_is_refused_now_and_within_the_hour(
    house: House, client: Client
) -> None:
    known(house, make_person())
    come_in(client, house)
    house.knows("ada", off=True)

    refused = come_in(Client(), house)
    during = client.get("/systems/").status_code
    with time_machine.travel(clock.now() + timedelta(minutes=61), tick=True):
        later = client.get("/systems/?a=1")
        posted = client.post("/notices/read/")
    with time_machine.travel(clock.now() + timedelta(minutes=76), tick=True):
        fetched = client.get("/api/v1/agents")

    assert (refused.status_code, during) == (403, 200)
    assert later.url == "/sign-in/with/house/?next=%2Fsystems%2F%3Fa%3D1"
    assert posted.status_code == 302
    assert (fetched.status_code, who(client)) == (401, "")


def test_keys_are_rotated_at_the_provider(house: House) -> None:
    person = make_person()
    known(house, person)
    one, two = Client(), Client()

    come_in(one, house)
    house.rotate()
    come_in(two, house)

    assert (who(one), who(two)) == (str(person.pk), str(person.pk))


def test_an_approvers_second_factor_at_the_provider_counts(house: House) -> None:
    person = make_person(GroupName.SECURITY)
    known(house, person, amr=["pwd"])
    weak, strong = Client(), Client()
    come_in(weak, house)
    known(house, person, amr=["pwd", "otp"])
    come_in(strong, house)

    assert weak.get("/systems/").url == "/accounts/2fa/"
    assert strong.get("/systems/").status_code == 200


def test_an_old_second_factor_is_asked_for_again_at_the_provider(house: House) -> None:
    from django.test import RequestFactory

    from lifecycle.inbox.second_factor import confirm_url, second_factor_at

    person = make_person(GroupName.SECURITY)
    known(house, person, amr=["mfa"])
    client, browser = Client(), house.browser()
    come_in(client, house)
    request = RequestFactory().get("/inbox/")
    request.user = person
    request.session = client.session
    session = client.session
    session["signed_in_at_provider"]["auth_time"] -= 3600
    session.save()
    request.session = client.session
    before = second_factor_at(request)

    url = confirm_url(request, "/inbox/?item=hold:1")
    there = client.get(url)
    asked = parse_qs(urlsplit(there.url).query)
    answer = client.get(path_of(house.signed_in(there.url, "ada", browser)))
    request.session = client.session
    after = second_factor_at(request)

    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert answer.url == "/inbox/?item=hold:1"
    assert before is not None
    assert after is not None
    assert (clock.now() - before > timedelta(minutes=59), clock.now() - after) == (
        True,
        pytest.approx(timedelta(0), abs=timedelta(minutes=1)),
    )


def test_someone_else_confirms_nothing(house: House, client: Client) -> None:
    known(house, make_person(), amr=["mfa"])
    come_in(client, house)
    known(house, make_person(), "bob", amr=["mfa"])
    come_in(Client(), house, "bob")

    answer = come_in(client, house, "bob", "?fresh=1")

    assert answer.status_code == 403
    assert "Someone else confirmed" in answer.content.decode()


def test_local_passwords_can_be_switched_off(house: House, client: Client, settings: Any) -> None:
    person = make_person()
    services.set_own_password(person_id=person.pk, password=PASSWORD, by=person)
    known(house, person)
    settings.MUSTER_LOCAL_SIGN_IN = "off"
    form = {"login": person.email, "password": PASSWORD}

    page = client.get("/accounts/login/").content.decode()
    answer = client.post("/accounts/login/", form)

    assert ('name="password"' in page, "Sign in with House" in page) == (False, True)
    assert (answer.status_code, who(client)) == (302, "")
    come_in(client, house)
    assert who(client) == str(person.pk)
    settings.MUSTER_LOCAL_SIGN_IN = "on"
    local = Client()
    local.post("/accounts/login/", form)
    assert who(local) == str(person.pk)


def test_signing_out_offers_to_sign_out_there(house: House, client: Client) -> None:
    known(house, make_person())
    come_in(client, house)

    out = client.post("/accounts/logout/")
    page = client.get(out.url).content.decode()

    assert (out.url, who(client)) == ("/sign-in/ended/", "")
    assert f"{house.issuer}/session/end?client_id=muster&amp;id_token_hint=ey" in page
    assert client.get(out.url).status_code == 302


def test_a_provider_that_is_away_is_a_sentence(house: House, client: Client, settings: Any) -> None:
    configure(settings, house, issuer="https://localhost:1")

    inside = client.get(GO)
    settings.MUSTER_EGRESS_ALLOWED = frozenset({"localhost:1"})
    away = client.get(GO)

    assert (inside.status_code, away.status_code) == (503, 503)
    assert "emergency access" in away.content.decode()


def test_a_row_of_the_librarys_own_table_opens_nothing(client: Client) -> None:
    from allauth.socialaccount.models import SocialApp

    SocialApp.objects.create(provider="openid_connect", provider_id="evil", client_id="x")

    assert (client.get("/sign-in/with/evil/").status_code, configured.MUSTER_LOCAL_SIGN_IN) == (
        *(404, "on"),
    )
    assert sign_in.BACKEND in configured.AUTHENTICATION_BACKENDS


def test_a_mapping_that_two_agreed_to_is_followed(house: House) -> None:
    person, one, two = make_person(GroupName.AUDITOR), security(), security()
    change = services.propose_claimed_group(source="house", claim="sec", group="security", by=one)
    known(house, person, groups=["sec"])
    come_in(Client(), house)
    before = Person.objects.get(pk=person.pk).group_names
    with pytest.raises(NotAllowed):
        changes.agree(change_id=change.pk, by=one)
    changes.agree(change_id=change.pk, by=two)

    come_in(Client(), house)
    inside = Person.objects.get(pk=person.pk).group_names
    known(house, person, groups=[])
    come_in(Client(), house)
    after = Person.objects.get(pk=person.pk).group_names

    assert (before, inside, after) == ({"auditor"}, {"auditor", "security"}, {"auditor"})
