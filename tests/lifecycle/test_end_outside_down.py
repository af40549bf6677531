"""The end of an agent while its vaults and its identity provider are away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Site

from authz.enums import HoldState
from authz.models import Lease
from governance.kernel import clock
from governance.kernel.errors import Conflict, Invalid, NotAllowed
from lifecycle.decommissioning import services, sweep, working
from lifecycle.models import EndRun
from registry import services as register
from registry import vault
from registry.identity import clients, providers
from registry.models import Agent, Client, CredentialReference, ExternalClient
from registry.vault.embedded import Embedded
from tests.factories.registry import SWEEP, make_agent, make_person, security
from tests.lifecycle.test_decommissioning import NAMES, OUTSIDE, full_desk, states
from tests.registry.peers import Keycloak, configure
from tests.registry.vault.conftest import Vault, kv  # noqa: F401  a fixture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(tmp_path: Path, settings: Any) -> Iterator[Keycloak]:
    found = Keycloak(tmp_path)
    configure(settings, found, tmp_path)
    yield found
    found.close()


def tried_again(run: EndRun) -> EndRun:
    """The sweep, once its time has come."""
    EndRun.objects.filter(pk=run.pk).update(next_try_at=run.started_at)
    ExternalClient.objects.update(next_at=run.started_at)
    now = clock.now()
    assert sweep.due(now) == [str(run.pk)]
    working.carry_on(run_id=run.pk)
    return EndRun.objects.get(pk=run.pk)


def page_of(agent: Agent) -> str:
    site = Site()
    site.force_login(agent.owner)
    return site.get(f"/agents/{agent.slug}/end/").content.decode()


@pytest.fixture
def ended(
    settings: Any,
    kv: Vault,  # noqa: F811
    house: Keycloak,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[EndRun, Any]:
    """An agent that held something of each kind, ended while everything outside was away."""
    settings.MUSTER_APPROVER_MFA = False
    desk, waiting, _ = full_desk()
    agent = desk.agent
    clients.new_secret(agent=agent, by=agent.owner)
    vault.create(f"kv://secret/{agent.slug}/crm", "worth", agent=agent, by=agent.owner)
    assert providers.register(agent_id=agent.pk, provider="house").is_live

    sound = Embedded.revoke

    def broken(self: Embedded, place: Any, *, ours: bool) -> Any:
        if house.broken:
            raise RuntimeError("a text that is shown to nobody")
        return sound(self, place, ours=ours)

    monkeypatch.setattr(Embedded, "revoke", broken)
    kv.peer.sealed = house.broken = True
    register.begin_decommissioning(agent_id=agent.pk, by=SWEEP, reason="Its task is over.")
    run = EndRun.objects.get(agent=agent)
    working.carry_on(run_id=run.pk)
    return EndRun.objects.get(pk=run.pk), waiting


def test_everything_inside_ends_at_once(ended: tuple[EndRun, Any]) -> None:
    run, waiting = ended
    agent = run.agent

    rows = CredentialReference.objects.filter(agent=agent)
    waiting.refresh_from_db()
    assert states(run) == dict.fromkeys(NAMES, "done") | dict.fromkeys(OUTSIDE, "waiting")
    assert sorted(rows.values_list("state", "settled_at")) == [("revoked", None)] * 2
    assert not clients.has_keys(Client.objects.get(agent=agent))
    assert not Lease.objects.filter(agent=agent, ended_at__isnull=True).exists()
    assert waiting.state == HoldState.REJECTED
    assert Agent.objects.get(pk=agent.pk).state == "decommissioning"


def test_what_is_away_is_on_the_page_until_it_answers(
    ended: tuple[EndRun, Any],
    house: Keycloak,
    kv: Vault,  # noqa: F811
) -> None:
    run, _ = ended
    references = [each.reference for each in run.agent.credentials.all()]
    client = f"muster-{run.agent.slug}"
    still = tried_again(run)
    before = page_of(run.agent)

    kv.peer.sealed = house.broken = False
    after = tried_again(still)

    assert "This may still be live at its source." in before
    assert [each for each in (*references, client) if before.count(each) < 2] == []
    assert "a text that is shown to nobody" not in before
    assert (after.state, dict(house.clients)) == ("done", {})
    assert states(after) == dict.fromkeys(NAMES, "done")
    assert not CredentialReference.objects.filter(settled_at__isnull=True).exists()


def test_what_is_away_is_on_the_page_until_a_person_says_that_it_is_gone(
    ended: tuple[EndRun, Any],
) -> None:
    run, _ = ended
    agent, said = run.agent, {"reason": "Switched off by hand today."}
    owner = agent.owner

    for each in agent.credentials.all():
        vault.confirm_ended(each.reference, by=owner, **said)
    with pytest.raises(NotAllowed):
        services.confirm_client(agent_id=agent.pk, provider="house", by=make_person(), **said)
    with pytest.raises(Invalid):
        services.confirm_client(agent_id=agent.pk, provider="house", by=owner, reason=" ")
    site = Site()
    site.force_login(owner)
    site.post(f"/agents/{agent.slug}/end/gone/house/", said)
    after = tried_again(run)

    assert (after.state, Agent.objects.get(pk=agent.pk).state) == ("done", "decommissioned")
    assert ExternalClient.objects.get().state == "deleted"
    page = page_of(agent)
    assert "Not everything is ended" not in page
    assert "It is gone there" not in page


def test_nobody_says_that_of_an_agent_that_runs(house: Keycloak) -> None:
    agent = make_agent()
    providers.register(agent_id=agent.pk, provider="house")

    with pytest.raises(Conflict):
        providers.confirm_deleted(
            agent_id=agent.pk, provider="house", by=security(), reason="It is gone."
        )

    assert ExternalClient.objects.get().state == "live"
    assert clock.now() - ExternalClient.objects.get().changed_at < timedelta(minutes=5)
