"""The authorization endpoint: who is asked, what they see, what the agent is told, and codes."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from authz.models import AuthorizationCode, Grant
from governance.kernel import clock
from governance.kernel.errors import Invalid
from registry import services as register
from registry.enums import AgentState, Employment, IdentityPattern
from registry.identity import tokens
from registry.identity.tokens import Use
from registry.models import Agent, System
from tests.factories import identity
from tests.factories.consent import (
    REDIRECT,
    World,
    answered,
    forged,
    make_world,
    refusal,
    told,
    version_of,
)
from tests.factories.oauth import send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_token_known")]


@pytest.fixture
def world(db: None) -> World:
    return make_world()


def grants(world: World) -> list[dict[str, Any]]:
    return [each.tools for each in Grant.objects.filter(person=world.person, ended_at=None)]


# The page


def test_the_page_shows_what_is_asked_and_ticks_reads_alone(world: World) -> None:
    answer = world.browser().get(world.query())

    page = answer.context["page"]
    assert answer.status_code == 200
    assert sorted((row.tool.name, row.ticked) for row in page.rows) == sorted(
        [(world.read.name, True), (world.note.name, False)]
    )
    assert [tool.name for tool in page.withheld] == [world.delete.name]
    assert page.beyond == ()
    assert world.agent.owner.name in answer.content.decode()
    assert "form-action 'self' https://copilot.example" in answer["Content-Security-Policy"]
    assert "no-store" in answer["Cache-Control"]


def test_the_page_names_what_cannot_be_let(world: World) -> None:
    asked = f"{world.read.name} {world.delete.name} {world.other.name} nothing.there"

    page = world.browser().get(world.query(scope=asked)).context["page"]

    assert [row.tool.name for row in page.rows] == [world.read.name]
    assert page.beyond == (world.delete.name, world.other.name, "nothing.there")
    assert {tool.name for tool in page.withheld} == {world.note.name, world.delete.name}


def test_the_page_says_the_limits_of_the_row(world: World) -> None:
    entry = world.agent.allowlist.get(tool=world.note)
    entry.narrowing = {"properties": {"account": {"enum": ["A-1", "A-2"]}}}
    entry.write_quota_per_hour = 20
    entry.save()

    rows = world.browser().get(world.query()).context["page"].rows

    assert {row.tool.name: row.limits for row in rows}[world.note.name] == (
        "account only A-1 or A-2",
        "at most 20 records written an hour",
    )


def test_who_is_not_signed_in_signs_in_first(world: World) -> None:
    answer = Browser().get(world.query())

    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=/oauth/authorize%3F")


def test_without_a_page_the_agent_is_told_that_nobody_is_signed_in(world: World) -> None:
    said = answered(Browser().get(world.query(prompt="none")))  # type: ignore[arg-type]

    assert (said["error"], said["state"]) == ("login_required", "s-1")


def test_a_refusal_is_told_to_the_agent_and_gives_nothing(world: World) -> None:
    answer = world.browser().post(world.query(), {"answer": "refuse"})

    assert answered(answer) == {  # type: ignore[arg-type]
        "from": "muster",
        "error": "access_denied",
        "error_description": "The person refused.",
        "state": "s-1",
        "iss": "http://127.0.0.1:8000",
    }
    assert grants(world) == []


def test_what_is_ticked_is_let_and_told(world: World) -> None:
    said = answered(world.allow(world.read, days="7"))

    grant = Grant.objects.get(person=world.person)
    assert (said["state"], said["iss"]) == ("s-1", "http://127.0.0.1:8000")
    assert (grant.agent, grant.tools) == (world.agent, {world.read.name: {}})
    assert grant.until - grant.given_at < timedelta(days=7)
    assert AuthorizationCode.objects.filter(digest=said["code"]).count() == 0


@pytest.mark.parametrize("days", ["365", "0", "-1", "x", ""])
def test_a_day_that_is_not_offered_is_asked_again(world: World, days: str) -> None:
    answer = world.allow(world.read, days=days)

    assert answer.status_code == 400
    assert grants(world) == []


def test_a_tool_that_was_not_asked_for_is_not_let(world: World) -> None:
    answer = world.allow(world.note, scope=world.read.name)

    assert answer.status_code == 400
    assert grants(world) == []


def test_all_that_the_person_may_do_is_not_let(world: World) -> None:
    world.role.tools.remove(world.delete)

    everything = world.allow(world.read, world.note)
    less = world.allow(world.read)

    assert everything.status_code == 400
    assert "gets less than you, never as much" in everything.content.decode()
    assert less.status_code == 303
    assert grants(world) == [{world.read.name: {}}]


def test_nothing_ticked_is_not_let(world: World) -> None:
    assert world.allow().status_code == 400
    assert grants(world) == []


def test_a_second_consent_takes_the_place_of_the_first(world: World) -> None:
    world.allow(world.read, world.note)

    page = world.browser().get(world.query()).context["page"]
    world.allow(world.note)

    assert page.earlier.tools == {world.read.name: {}, world.note.name: {}}
    assert grants(world) == [{world.note.name: {}}]


# Who may ask


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "a\0b"},
        {"redirect_uri": None},
        {"redirect_uri": "https://copilot.example/callback"},
        {"redirect_uri": f"{REDIRECT}&x=1"},
        {"redirect_uri": "https://evil.example/callback?from=muster"},
        {"redirect_uri": "https://copilot.example:443/callback?from=muster"},
        {"redirect_uri": "HTTPS://copilot.example/callback?from=muster"},
    ],
)
def test_nobody_is_sent_to_an_address_that_the_row_does_not_name(
    world: World, changed: dict[str, str | None]
) -> None:
    answer = world.browser().get(world.query(**changed))

    assert answer.status_code == 400
    assert "Location" not in answer


def test_a_redirect_uri_that_stands_twice_leads_nowhere(world: World) -> None:
    answer = world.browser().get(world.query() + "&redirect_uri=https://evil.example/")

    assert (answer.status_code, "Location" in answer) == (400, False)


@pytest.mark.parametrize("state", [each for each in AgentState if each != AgentState.ACTIVE])
def test_a_row_that_is_not_active_asks_nobody(world: World, state: AgentState) -> None:
    identity.move(world.agent, state)

    answers = [world.browser().get(world.query()), world.allow(world.read)]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert grants(world) == []


def test_an_agent_whose_owner_has_left_asks_nobody(world: World) -> None:
    identity.employ(world.agent.owner, Employment.LEFT)

    assert world.browser().get(world.query()).status_code == 400


def test_the_pattern_service_asks_nobody(world: World) -> None:
    Agent.objects.filter(pk=world.agent.pk).update(pattern=IdentityPattern.SERVICE)

    assert world.allow(world.read).status_code == 400
    assert grants(world) == []


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "=" * 43}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "  "}, "invalid_scope"),
        ({"scope": " ".join(f"tool{n}.x" for n in range(101))}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"prompt": "login"}, "invalid_request"),
        ({"prompt": "none"}, "consent_required"),
    ],
)
def test_what_is_wrong_is_told_to_the_agent(
    world: World, changed: dict[str, str | None], error: str
) -> None:
    said = answered(world.browser().get(world.query(**changed)))  # type: ignore[arg-type]

    assert (said["error"], said["state"]) == (error, "s-1")
    assert "code" not in said


def test_a_state_that_cannot_be_sent_back_is_refused(world: World) -> None:
    said = answered(world.browser().get(world.query(state="s" * 501)))  # type: ignore[arg-type]

    assert (said["error"], "state" in said) == ("invalid_request", False)


def test_a_consent_that_stands_is_renewed_without_asking(world: World) -> None:
    world.allow(world.read, world.note)

    said = answered(world.browser().get(world.query(scope=world.read.name, prompt="none")))  # type: ignore[arg-type]

    assert told(world.redeem(said["code"]))["scope"].split() == sorted(
        [world.read.name, world.note.name]
    )
    assert len(grants(world)) == 1


# Codes


def test_a_code_becomes_a_token_that_stands_for_the_grant(world: World) -> None:
    answer = told(world.redeem(world.code(world.read)))

    token = tokens.verify_token(answer["access_token"], Use.GRANT)
    grant = Grant.objects.get(person=world.person)
    assert answer | {"access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": world.read.name,
    }
    assert (token.client_id, token.slug) == (world.copilot.client_id, world.agent.slug)
    assert (token.acting.user, token.acting.grant) == (world.person.pid, str(grant.pk))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"code_verifier": "é" * 43}, "invalid_request"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": "https://copilot.example/callback"}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"code": "x" * 43}, "invalid_grant"),
        ({"code": ""}, "invalid_request"),
    ],
)
def test_a_code_is_good_only_with_what_it_is_bound_to(
    world: World, changed: dict[str, str], error: str
) -> None:
    code = world.code(world.read)

    assert refusal(world.redeem(**({"code": code} | changed))) == (400, error)  # type: ignore[arg-type]
    assert world.redeem(code).status_code == 200


def test_a_code_is_worth_nothing_to_another_agent(world: World) -> None:
    code = world.code(world.read)

    assert refusal(world.redeem(code, world.helper)) == (400, "invalid_grant")
    assert world.redeem(code).status_code == 200


def test_a_code_lasts_a_minute(world: World) -> None:
    code = world.code(world.read)
    kept = AuthorizationCode.objects.get()
    assert kept.until - kept.made_at == timedelta(seconds=60)

    AuthorizationCode.objects.update(
        made_at=kept.made_at - timedelta(seconds=61), until=kept.until - timedelta(seconds=61)
    )

    assert refusal(world.redeem(code)) == (400, "invalid_grant")


def test_a_code_that_comes_again_ends_what_came_of_it(
    world: World, mark: Any, records_after: Any
) -> None:
    code = world.code()
    grant_token = told(world.redeem(code))["access_token"]
    acting = world.on_behalf(grant_token)
    assert world.decide(acting, world.read)["decision"] is True
    marked = mark()

    again = refusal(world.redeem(code))

    assert again == (400, "invalid_grant")
    after = world.decide(acting, world.read)["context"]["code"]
    spent = world.exchange(subject_token=grant_token, actor_token="")
    assert (after, refusal(spent)) == ("identity.token_revoked", (400, "invalid_request"))
    assert len(records_after(marked, kind="access")) == 1
    assert len(grants(world)) == 1


def test_a_code_of_an_ended_grant_is_over(world: World) -> None:
    code = world.code(world.read)
    world.allow(world.note)

    assert refusal(world.redeem(code)) == (400, "invalid_grant")


def test_an_old_code_is_dropped_when_the_next_is_made(world: World) -> None:
    world.code(world.read)
    long_ago = clock.now() - timedelta(hours=2)
    AuthorizationCode.objects.update(made_at=long_ago, until=long_ago + timedelta(seconds=60))

    world.code(world.read)

    assert AuthorizationCode.objects.count() == 1


# The row


def test_a_further_address_of_a_live_agent_is_a_review(world: World) -> None:
    System.objects.filter(pk=world.read.system_id).update(tier="confidential")
    owner, more = world.agent.owner, "https://copilot.example/other"

    saved = register.update_agent(agent_id=world.agent.pk, by=owner, redirect_uris=[REDIRECT, more])
    (waits,) = saved.proposed
    answer = world.browser().get(world.query(redirect_uri=more))

    assert (saved.changed, answer.status_code) == ((), 400)
    assert "What people consent to would be sent to a further address." in waits.summary


def test_an_address_is_taken_away_by_one_person(world: World) -> None:
    saved = register.update_agent(agent_id=world.agent.pk, by=world.agent.owner, redirect_uris=[])

    assert (saved.changed, saved.proposed) == (("redirect_uris",), ())
    assert world.browser().get(world.query()).status_code == 400


@pytest.mark.parametrize(
    "address",
    [
        "http://copilot.example/callback",
        "https://copilot.example",
        "https://copilot.example/#part",
        "https://user@copilot.example/",
        "https://copilot.example\\@evil.example/",
        "https://copilot.example:99999/",
        "javascript:alert(1)",
        "https://copilot.example/ space",
        "//copilot.example/",
        "",
    ],
)
def test_what_is_no_exact_address_is_not_declared(world: World, address: str) -> None:
    with pytest.raises(Invalid) as refused:
        register.update_agent(
            agent_id=world.agent.pk, by=world.agent.owner, redirect_uris=[REDIRECT, address]
        )

    assert list(refused.value.fields) == ["redirect_uris"]


def test_addresses_of_this_machine_are_declared(world: World) -> None:
    local = ["http://127.0.0.1:8765/cb", "http://[::1]/cb", "http://localhost:1/cb?from=x"]

    saved = register.update_agent(
        agent_id=world.agent.pk, by=world.agent.owner, redirect_uris=local
    )

    assert saved.row.redirect_uris == local


def test_a_forged_grant_token_of_another_version_is_over(world: World) -> None:
    """Signed by Muster's own key, but of credentials that were replaced."""
    world.allow(world.read)
    grant = Grant.objects.get(person=world.person)
    old = forged(
        Use.GRANT,
        aud="http://127.0.0.1:8000/oauth/token",
        sub=world.person.pid,
        client_id=world.copilot.client_id,
        ver=version_of(world.copilot) - 1,
        grant=str(grant.pk),
        may_act={"sub": world.agent.slug},
    )

    introspected = send("/oauth/introspect", {"token": old}, headers=world.copilot.basic())

    assert told(introspected) == {"active": False}
