"""The pages of credentials: stored and never shown, revoked at once, live until confirmed."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from governance.kernel import clock
from lifecycle.credentials import sweep
from lifecycle.sweeps.run import run_sweep
from registry import vault
from registry.models import CredentialReference
from registry.vault import back_ends
from registry.vault.types import Place
from tests.factories.identity import make_agent, make_person
from tests.registry.vault.conftest import kv, vault_key  # noqa: F401

pytestmark = pytest.mark.django_db

REF = "vault://care/refund-desk/helpdesk"
VALUE = "line one of s3cret\nline two"


@pytest.fixture
def agent(vault_key):  # noqa: F811
    return make_agent()


@pytest.fixture
def page(client: Client, agent) -> Client:
    client.force_login(agent.owner)
    return client


def store(page: Client, agent, **changed: object):
    given = {"reference": REF, "value": VALUE, "holder": "own"} | changed
    url = reverse("agent_credential_store", args=[agent.slug])
    return page.post(url, given, follow=True)


def url_of(name: str = "agent_credential_page") -> str:
    found = CredentialReference.objects.select_related("agent").get(reference=REF)
    return reverse(name, args=[found.agent.slug, found.pk])


def value_of(agent) -> str:
    place = Place(agent.slug, REF, REF.partition("://")[2])
    return back_ends.of(REF).read(place)[0].reveal()


def test_a_secret_is_stored_and_no_page_shows_it(page, agent) -> None:
    answer = store(page, agent, value=VALUE.replace("\n", "\r\n"))

    assert value_of(agent) == VALUE
    assert answer["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    for each in (answer, page.get(url_of()), page.get(reverse("agent", args=[agent.slug]))):
        assert each.status_code == 200
        assert b"s3cret" not in each.content
        assert REF in each.content.decode()


def test_what_was_wrong_is_told_and_the_secret_is_not_written_back(page, agent) -> None:
    answer = store(page, agent, reference="no such place")

    assert answer.status_code == 200
    assert not CredentialReference.objects.exists()
    assert b"s3cret" not in answer.content


@pytest.mark.parametrize("wrong", [{"value": ""}, {"generate": "on"}])
def test_a_secret_is_typed_or_made_and_not_both(page, agent, wrong) -> None:
    answer = store(page, agent, **wrong)

    assert "one of the two" in answer.content.decode()
    assert not CredentialReference.objects.exists()


def test_muster_makes_one_that_nobody_sees(page, agent) -> None:
    store(page, agent, value="", generate="on")

    made = value_of(agent)
    assert len(made) >= 43
    assert made.encode() not in page.get(url_of()).content


def test_it_is_rotated_and_revoked_and_confirmed(page, agent) -> None:
    store(page, agent)
    page.post(url_of("agent_credential_rotate"), {"value": "second", "overlap": 0})
    assert value_of(agent) == "second"
    CredentialReference.objects.update(last_read_at=clock.now())

    page.post(url_of("agent_credential_revoke"), {"reason": "leaked"})

    mark = "Still live at its source"
    for url in (url_of(), reverse("agent", args=[agent.slug]), reverse("home")):
        assert mark in page.get(url).content.decode()
    page.post(url_of("agent_credential_confirm"), {"reason": "Deleted in the helpdesk."})
    for url in (url_of(), reverse("agent", args=[agent.slug]), reverse("home")):
        assert mark not in page.get(url).content.decode()


def test_a_refusal_is_a_sentence(page, agent) -> None:
    store(page, agent)

    answer = page.post(url_of("agent_credential_revoke"), {"reason": ""}, follow=True)
    assert "This field is required." in answer.content.decode()
    answer = page.post(url_of("agent_credential_rotate"), {"value": "", "overlap": 1}, follow=True)
    assert "Enter the new one." in answer.content.decode()


def test_strangers_see_and_do_nothing(client, agent) -> None:
    vault.create(REF, VALUE, agent=agent, by=agent.owner)
    client.force_login(make_person())

    assert store(client, agent, reference="vault://care/x").status_code == 404
    assert client.get(url_of()).status_code == 404
    for name in ("rotate", "revoke", "confirm"):
        url = url_of(f"agent_credential_{name}")
        assert client.post(url, {"reason": "x", "value": "x", "overlap": 1}).status_code == 404


def test_who_sees_it_but_may_not_change_it_is_told_why(client, agent) -> None:
    vault.create(REF, VALUE, agent=agent, by=agent.owner)
    client.force_login(make_person(groups=("auditor",)))

    told = client.get(url_of()).content.decode()

    assert f"Only its owner {agent.owner}" in told
    assert store(client, agent, reference="vault://care/x").status_code == 403


def test_another_agents_credential_is_not_found_under_this_one(page, agent) -> None:
    vault.create(REF, VALUE, agent=agent, by=agent.owner)
    other = make_agent(owner=agent.owner)
    found = CredentialReference.objects.get()

    url = reverse("agent_credential_page", args=[other.slug, found.pk])

    assert page.get(url).status_code == 404


def test_the_sweep_finishes_what_a_vault_that_was_away_has_left(
    agent,
    kv,  # noqa: F811
    django_capture_on_commit_callbacks,
) -> None:
    vault.create("kv://secret/care", VALUE, agent=agent, by=agent.owner)
    kv.peer.sealed = True
    revoked = vault.revoke("kv://secret/care", by=agent.owner, reason="leaked")
    kv.peer.sealed = False
    assert sweep.due(clock.now()) == [revoked.pk]

    assert sweep.handle(revoked.pk, clock.now())
    vault.settle(revoked.pk)

    assert sweep.due(clock.now()) == []
    assert vault.versions("kv://secret/care") == []


def test_the_sweep_wipes_what_an_overlap_kept(agent) -> None:
    from datetime import timedelta

    vault.create(REF, VALUE, agent=agent, by=agent.owner)
    vault.rotate(REF, value="second", by=agent.owner, overlap=timedelta(seconds=-1))

    run_sweep("vault")

    assert [each.name for each in vault.versions(REF)] == ["2"]
    assert sweep.due(clock.now()) == []
