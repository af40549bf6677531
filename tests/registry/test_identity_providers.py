"""Clients of agents in identity providers outside: only for active rows, ended with them."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction

from governance.kernel import clock
from governance.kernel.errors import Conflict, NotAllowed
from lifecycle.sweeps import run_sweep
from registry import services
from registry.enums import AgentState, Employment
from registry.errors import AgentNotActive
from registry.identity import providers
from registry.identity.providers import keycloak
from registry.models import ExternalClient
from tests.factories.oauth import holder_of
from tests.factories.registry import SWEEP, make_agent, make_person, security
from tests.registry.peers import INITIAL, Keycloak, oidc_provider

pytestmark = pytest.mark.django_db(transaction=True)
STANDS_FOR_NOBODY = """
SELECT count(*) FROM registry_externalclient c JOIN registry_agent a ON a.id = c.agent_id
JOIN registry_person p ON p.id = a.owner_id
WHERE c.state = 'live' AND (a.state <> 'active' OR p.employment = 'left')
"""


def live_without_row() -> int:
    with connection.cursor() as cursor:
        cursor.execute(STANDS_FOR_NOBODY)
        return int(cursor.fetchone()[0])


@pytest.fixture
def house(tmp_path: Path, settings: Any) -> Iterator[Keycloak]:
    found = Keycloak(tmp_path)
    (tmp_path / "secret").write_text("s3\n")
    settings.MUSTER_EGRESS_CA = str(found.ca)
    settings.MUSTER_EGRESS_ALLOWED = frozenset({found.name})
    settings.MUSTER_IDENTITY_PROVIDERS = [
        {
            "name": "house",
            "kind": "keycloak",
            "url": f"https://{found.name}",
            "realm": "house",
            "client_id": "muster",
            "secret_file": str(tmp_path / "secret"),
        }
    ]
    yield found
    found.close()


def the_one() -> ExternalClient:
    return ExternalClient.objects.get()


def test_an_active_agent_gets_its_client_once(
    house: Keycloak, mark: Any, records_after: Any
) -> None:
    agent, before = make_agent(), mark()

    first = providers.register(agent_id=agent.pk, provider="house")
    again = providers.register(agent_id=agent.pk, provider="house")

    assert (first, first.is_live, len(house.clients)) == (again, True, 1)
    (made,) = house.clients.values()
    assert (made["clientId"], made["enabled"]) == (f"muster-{agent.slug}", True)
    assert (made["publicClient"], made["standardFlowEnabled"]) == (False, False)
    (record,) = [each for each in records_after(before) if each["agent"] == agent.slug]
    assert record["actor"] == "system:identities"


@pytest.mark.parametrize("state", [state for state in AgentState if state != AgentState.ACTIVE])
def test_no_row_no_client(house: Keycloak, state: AgentState) -> None:
    agent = make_agent(state)

    with pytest.raises(AgentNotActive):
        providers.register(agent_id=agent.pk, provider="house")
    run_sweep("identities")

    assert (house.clients, house.asked, ExternalClient.objects.count()) == ({}, [], 0)


def test_the_sweep_makes_what_is_missing_and_nothing_twice(house: Keycloak) -> None:
    agents = [make_agent() for _ in range(3)]
    make_agent(AgentState.DRAFT)

    runs = [run_sweep("identities") for _ in range(2)]

    assert sorted(each["clientId"] for each in house.clients.values()) == sorted(
        f"muster-{agent.slug}" for agent in agents
    )
    assert [run.done for run in runs if run] == [3, 0]


def test_a_suspended_agents_client_is_switched_off_and_on_again(house: Keycloak) -> None:
    agent, stranger = make_agent(), make_person()
    providers.register(agent_id=agent.pk, provider="house")
    secret = providers.take_secret(external_id=the_one().pk, by=agent.owner)
    name = f"muster-{agent.slug}"
    assert house.token(name, secret) == 200

    services.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Stop.")
    at_once = the_one().state
    run_sweep("identities")

    assert (at_once, the_one().state, house.token(name, secret)) == ("ending", "disabled", 401)
    services.resume_agent(agent_id=agent.pk, by=agent.owner)
    run_sweep("identities")
    assert (the_one().state, house.token(name, secret)) == ("live", 200)
    with pytest.raises(Conflict):
        providers.take_secret(external_id=the_one().pk, by=agent.owner)
    with pytest.raises(NotAllowed):
        providers.take_secret(external_id=the_one().pk, by=stranger)


def test_a_decommissioned_agents_client_is_deleted(house: Keycloak) -> None:
    agent = make_agent()
    providers.register(agent_id=agent.pk, provider="house")

    services.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Over.")
    run_sweep("identities")

    row = the_one()
    assert (row.state, bytes(row.sealed), row.has_secret, house.clients) == (
        *("deleted", b"", False),
        {},
    )


def test_a_leavers_agents_lose_their_clients(house: Keycloak) -> None:
    agent = make_agent()
    providers.register(agent_id=agent.pk, provider="house")
    operator = security()

    services.set_employment(
        person_id=agent.owner.pk,
        employment=Employment.LEFT,
        last_day=clock.now().date(),
        by=operator,
    )
    at_once = (the_one().state, live_without_row())
    run_sweep("identities")

    assert (at_once, the_one().state) == (("ending", 0), "disabled")


def test_what_the_provider_refuses_is_tried_again_later(house: Keycloak) -> None:
    agent = make_agent()
    house.broken = True

    told = providers.register(agent_id=agent.pk, provider="house")
    early = run_sweep("identities")
    house.broken = False
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=True):
        settled = providers.settle(external_id=told.id)

    assert (told.is_live, "answered 500" in told.why) == (False, True)
    assert (early.done if early else None, settled, the_one().state) == (0, True, "live")


def test_an_agent_that_is_stopped_while_its_client_is_made_has_none(
    house: Keycloak, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, real = make_agent(), keycloak.register

    def stopped_meanwhile(*given: Any) -> Any:
        made = real(*given)
        services.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Stop.")
        return made

    monkeypatch.setattr(keycloak, "register", stopped_meanwhile)
    told = providers.register(agent_id=agent.pk, provider="house")
    state = (told.state, live_without_row())
    providers.settle(external_id=told.id)

    assert (state, the_one().state) == (("ending", 0), "disabled")
    (left,) = house.clients.values()
    assert left["enabled"] is False


def test_two_at_once_make_one_client(house: Keycloak) -> None:
    agent = make_agent()
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        providers.register(agent_id=agent.pk, provider="house")
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    posts = [path for method, path in house.asked if method == "POST" and "admin" in path]
    assert (len(posts), len(house.clients), the_one().state) == (1, 1, "live")


def test_what_was_interrupted_is_found_by_its_name_and_ended(house: Keycloak) -> None:
    agent = make_agent()
    told = providers.register(agent_id=agent.pk, provider="house")
    # As a process leaves it that was killed between asking and writing down.
    ExternalClient.objects.filter(pk=told.id).update(
        state="registering", client_id="", sealed=b"", has_secret=False, place=""
    )
    services.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Stop.")

    run_sweep("identities")

    assert (the_one().state, house.clients) == ("deleted", {})


def test_new_keys_are_told_and_replace_the_secret(house: Keycloak) -> None:
    agent = make_agent()
    providers.register(agent_id=agent.pk, provider="house")
    holder_of(agent)

    run_sweep("identities")

    (made,) = house.clients.values()
    assert made["clientAuthenticatorType"] == "client-jwt"
    assert json.loads(made["attributes"]["jwks.string"])["keys"][0]["crv"] == "Ed25519"


def test_a_provider_is_not_waited_for_inside_a_transaction(house: Keycloak) -> None:
    agent = make_agent()

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        providers.register(agent_id=agent.pk, provider="house")

    assert house.asked == []


def test_what_is_stored_opens_for_its_own_row_alone(house: Keycloak) -> None:
    one, two = make_agent(), make_agent()
    for each in (one, two):
        providers.register(agent_id=each.pk, provider="house")
    first, second = ExternalClient.objects.order_by("pk")
    ExternalClient.objects.filter(pk=second.pk).update(sealed=bytes(first.sealed))

    with pytest.raises(providers.ProviderRefused):
        providers.take_secret(external_id=second.pk, by=two.owner)

    assert b"of uid" not in bytes(first.sealed)


@pytest.mark.parametrize(
    "setting",
    [
        {"name": "a"},
        [{"name": "", "kind": "rfc7591", "registration": "https://idp.example/reg"}],
        [{"name": "a", "kind": "okta"}],
        [{"name": "a", "kind": "rfc7591"}],
        [{"name": "a", "kind": "rfc7591", "registration": "http://idp.example/reg"}],
        [{"name": "a", "kind": "rfc7591", "registration": "https://idp.example/reg", "x": "y"}],
        [{"name": "a", "kind": "rfc7591", "registration": "https://idp.example/reg"}] * 2,
    ],
)
def test_a_setting_that_cannot_be_used_says_so(settings: Any, setting: Any) -> None:
    settings.MUSTER_IDENTITY_PROVIDERS = setting

    with pytest.raises(ImproperlyConfigured, match=r"identity provider|MUSTER_IDENTITY_PROVIDERS"):
        providers.check_configured()


# Against npm's oidc-provider


@pytest.fixture
def idp(tmp_path: Path, settings: Any) -> Iterator[str]:
    (tmp_path / "token").write_text(INITIAL)
    with oidc_provider(tmp_path) as issuer:
        settings.MUSTER_EGRESS_CA = str(tmp_path / "ca.pem")
        settings.MUSTER_EGRESS_ALLOWED = frozenset({issuer.removeprefix("https://")})
        settings.MUSTER_IDENTITY_PROVIDERS = [
            {
                "name": "corp",
                "kind": "rfc7591",
                "registration": f"{issuer}/reg",
                "token_file": str(tmp_path / "token"),
            }
        ]
        yield issuer


def ask_token(issuer: str, ca: Path, form: dict[str, str], auth: Any = None) -> httpx.Response:
    import ssl

    trust = ssl.create_default_context(cafile=str(ca))
    with httpx.Client(verify=trust, trust_env=False) as client:
        return client.post(f"{issuer}/token", data=form, auth=auth)


@pytest.mark.outside
@pytest.mark.parametrize("end", ["suspend", "decommission"])
def test_register_token_end_refused(idp: str, tmp_path: Path, end: str) -> None:
    agent = make_agent()
    form = {"grant_type": "client_credentials"}

    told = providers.register(agent_id=agent.pk, provider="corp")
    assert (told.is_live, told.why) == (True, "")
    secret = providers.take_secret(external_id=told.id, by=agent.owner)
    given = ask_token(idp, tmp_path / "ca.pem", form, (told.client_id, secret))
    if end == "suspend":
        services.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Stop.")
    else:
        services.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Over.")
    run_sweep("identities")
    refused = ask_token(idp, tmp_path / "ca.pem", form, (told.client_id, secret))

    assert given.status_code == 200
    claims = given.json()["access_token"].split(".")[1]
    shown = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert (shown["iss"], shown["client_id"]) == (idp, told.client_id)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert the_one().state == "deleted"


@pytest.mark.outside
def test_a_resumed_agent_is_registered_anew(idp: str, tmp_path: Path) -> None:
    agent = make_agent()
    first = providers.register(agent_id=agent.pk, provider="corp")
    services.suspend_agent(agent_id=agent.pk, by=agent.owner, reason="Stop.")
    run_sweep("identities")
    services.resume_agent(agent_id=agent.pk, by=agent.owner)
    run_sweep("identities")

    again = the_one()
    secret = providers.take_secret(external_id=again.pk, by=agent.owner)
    form = {"grant_type": "client_credentials"}
    answer = ask_token(idp, tmp_path / "ca.pem", form, (again.client_id, secret))

    assert (again.state, again.client_id != first.client_id, answer.status_code) == (
        *("live", True),
        200,
    )


@pytest.mark.outside
def test_a_client_is_read_and_changed_to_its_agents_keys(idp: str, tmp_path: Path) -> None:
    agent = make_agent()
    told = providers.register(agent_id=agent.pk, provider="corp")
    provider = providers.configured()[0]
    from registry.identity.providers import rfc7591, sealing

    before = rfc7591.read(provider, sealing.unseal(the_one()))
    holder = holder_of(agent)
    run_sweep("identities")
    after = rfc7591.read(provider, sealing.unseal(the_one()))
    claims = {"iss": told.client_id, "sub": told.client_id, "aud": idp}
    form = {
        "grant_type": "client_credentials",
        "client_id": told.client_id,
        **holder.assertion(**claims),
    }
    answer = ask_token(idp, tmp_path / "ca.pem", form)

    assert before["token_endpoint_auth_method"] == "client_secret_basic"
    assert (after["token_endpoint_auth_method"], the_one().has_secret) == ("private_key_jwt", False)
    assert (answer.status_code, the_one().client_id) == (200, told.client_id), answer.text


@pytest.mark.outside
def test_a_wrong_initial_token_makes_nothing_and_says_so(idp: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("another")

    told = providers.register(agent_id=make_agent().pk, provider="corp")

    assert (told.is_live, told.client_id) == (False, "")
    assert told.why == "corp registers no client: it answered 401 (invalid_token)."
    assert INITIAL not in told.why
