"""An agent reads a credential: decided and recorded first, its own alone, and never after."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import DatabaseError

from audit.errors import AuditUnavailable
from authz import leases
from authz.decide import decide
from authz.models import Lease, Policy
from governance.kernel import clock
from governance.kernel.errors import Invalid
from registry import services, vault
from registry.enums import AgentState
from registry.models import CredentialReference
from registry.vault import back_ends
from registry.vault.errors import CredentialRevoked, NoFreshDecision
from tests.factories.authz import (
    bearer,
    caller_of,
    make_agent,
    make_client,
    make_desk,
    make_person,
    make_policy,
    make_tool,
)
from tests.registry.vault.conftest import aws, kv, moto_endpoint, vault_key  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)

REF = "vault://care/refund-desk/helpdesk"
VALUE = "s3cret-value"


@pytest.fixture
def desk(vault_key):  # noqa: F811
    return make_desk()


@pytest.fixture
def stored(desk):
    return vault.create(REF, VALUE, agent=desk.agent, by=desk.owner)


@pytest.fixture
def ask(client):
    def send(of, reference=REF, body=None):
        return client.post(
            f"/api/v1/credentials/{quote(reference, safe='')}/lease",
            data=json.dumps(body) if body is not None else "",
            content_type="application/json",
            headers={"authorization": bearer(of)},
        )

    return send


def test_an_agent_is_given_its_own_credential_for_a_short_while(desk, stored, ask) -> None:
    answer = ask(desk.client)

    told = answer.json()
    assert answer.status_code == 201, told
    assert answer["Cache-Control"] == "no-store"
    assert (told["value"], told["version"], told["reference"]) == (VALUE, "1", REF)
    lease = Lease.objects.get()
    assert (str(lease.pk), str(lease.record)) == (told["lease_id"], told["decision_id"])
    assert lease.expires_at - lease.at <= timedelta(seconds=300)


def test_the_decision_is_recorded_before_and_the_reading_with_it(
    desk, stored, ask, mark, records_after
) -> None:
    marked = mark()

    told = ask(desk.client).json()

    decision, read = records_after(marked)
    assert str(decision["id"]) == told["decision_id"]
    assert (decision["kind"], decision["effect"], decision["tool"], decision["tier"]) == (
        "decision",
        "allow",
        "credential.read",
        "restricted",
    )
    assert decision["resource"] == read["resource"] == f"muster/{REF}"
    assert (read["kind"], read["parent"]) == ("access", decision["id"])
    assert not any(VALUE.encode() in bytes(each["body"]) for each in (decision, read))


@pytest.mark.parametrize(
    "written", [REF, "vault:/care/refund-desk/helpdesk", "vault:///care/refund-desk/helpdesk"]
)
def test_a_proxy_that_merges_slashes_does_no_harm(desk, stored, ask, written) -> None:
    assert ask(desk.client, written).status_code == 201


def test_anothers_reference_and_nobodys_are_refused_alike(desk, stored, ask) -> None:
    other = make_agent(desk.owner)
    theirs = make_client(agent=other)
    vault.create("vault://care/other/helpdesk", "mine", agent=other, by=desk.owner)

    taken, nobodys = ask(theirs), ask(theirs, "vault://care/nobody/helpdesk")

    assert taken.status_code == nobodys.status_code == 403
    assert taken.json()["code"] == nobodys.json()["code"] == "parameters.narrowing"
    strip = ("decision_id", "limits", "receipt")
    said = [
        {name: value for name, value in each.json()["context"].items() if name not in strip}
        for each in (taken, nobodys)
    ]
    assert said[0] == said[1]
    assert not Lease.objects.exists()


def test_an_agent_without_a_credential_is_refused_by_its_allowlist(desk, ask) -> None:
    answer = ask(desk.client)

    assert (answer.status_code, answer.json()["code"]) == (403, "allowlist.not_listed")


@pytest.mark.parametrize(
    "reference",
    ["../../etc/passwd", "vault://care/../care/refund-desk/helpdesk", "VAULT://CARE", "%2e%2e/x"],
)
def test_what_is_no_reference_of_the_row_is_refused(desk, stored, ask, reference) -> None:
    assert ask(desk.client, reference).status_code == 403


def test_a_gateway_is_given_nothing(desk, stored, ask) -> None:
    answer = ask(desk.gateway_client)

    assert (answer.status_code, answer.json()["code"]) == (403, "lease.agents_only")


def test_without_a_token_nothing_is_given(desk, stored, client) -> None:
    assert client.post(f"/api/v1/credentials/{REF}/lease").status_code == 401


@pytest.mark.parametrize("body", [[], "x", {"more": "y"}, {"session": 1}, {"approval": None}])
def test_a_body_that_is_none_is_400(desk, stored, ask, body) -> None:
    assert ask(desk.client, body=body).status_code == 400


@pytest.mark.parametrize("state", [each for each in AgentState if each != AgentState.ACTIVE])
def test_only_an_active_row_is_given_anything(desk, stored, ask, state) -> None:
    desk.agent.state = state
    desk.agent.save()

    answer = ask(desk.client)

    assert answer.status_code in (401, 403)
    assert not Lease.objects.exists()


def test_a_policy_can_forbid_reading_credentials(desk, stored, ask) -> None:
    make_policy(
        'forbid (principal, action == Muster::Action::"credential.read", resource);', slug="no"
    )

    answer = ask(desk.client)

    assert (answer.status_code, answer.json()["code"]) == (403, "policy.forbidden")
    assert Policy.objects.exists()


def test_reading_a_credential_raises_no_label(desk, stored, ask) -> None:
    told = ask(desk.client).json()

    shown = decide([desk.ask()], desk.caller)[0]
    assert told["decision_id"] != str(shown.id)
    assert shown.allowed
    assert shown.decision.label == "public"


# Nothing leaves without the record, and nothing without the vault


def test_nothing_leaves_while_the_record_is_down(desk, stored, ask, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AuditUnavailable()

    monkeypatch.setattr("registry.vault.reading.record.record", broken)

    answer = ask(desk.client)

    assert (answer.status_code, answer.json()["code"]) == (503, "audit_unavailable")
    assert VALUE.encode() not in answer.content
    assert not Lease.objects.exists()


def test_nothing_leaves_that_no_lease_could_be_noted_of(desk, stored, ask, monkeypatch) -> None:
    def broken(**_: object) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(Lease.objects, "create", broken)

    answer = ask(desk.client)

    assert (answer.status_code, answer.json()["code"]) == (503, "not_recorded")
    assert VALUE.encode() not in answer.content


def test_nothing_leaves_while_the_vault_is_down(desk, kv, ask) -> None:  # noqa: F811
    reference = "kv://secret/care/helpdesk"
    vault.create(reference, VALUE, agent=desk.agent, by=desk.owner)
    kv.peer.sealed = True

    answer = ask(desk.client, reference)

    assert (answer.status_code, answer.json()["code"]) == (503, "vault_unavailable")
    kv.peer.sealed = False
    assert ask(desk.client, reference).json()["value"] == VALUE


def test_a_secret_of_aws_that_the_row_names_is_read(desk, aws, ask) -> None:  # noqa: F811
    reference = aws.reference()
    vault.create(reference, VALUE, agent=desk.agent, by=desk.owner)

    assert ask(desk.client, reference).json()["value"] == VALUE


def test_the_key_is_not_the_one_it_was(desk, stored, ask) -> None:
    from registry.vault import keyring

    keyring.path().write_text("A" * 42 + "E\n")

    answer = ask(desk.client)

    assert (answer.status_code, answer.json()["code"]) == (503, "vault_wrong_key")


# One decision, one reading


def test_a_decision_is_good_for_one_reading_of_that_credential(desk, stored, ask) -> None:
    told = ask(desk.client).json()

    with pytest.raises(NoFreshDecision):
        vault.read(REF, told["decision_id"])


def test_a_decision_on_something_else_opens_nothing(desk, stored) -> None:
    (other,) = decide([desk.ask()], desk.caller)

    with pytest.raises(NoFreshDecision):
        vault.read(REF, other.id)
    with pytest.raises(NoFreshDecision):
        vault.read(REF, "0199f0a0-0000-7000-8000-000000000000")


def test_a_decision_about_another_credential_opens_nothing(desk, stored) -> None:
    vault.create("vault://care/second", "other", agent=desk.agent, by=desk.owner)
    answer = leases._decided("vault://care/second", desk.caller, "", "")

    with pytest.raises(NoFreshDecision):
        vault.read(REF, answer.id)


def test_a_denied_or_old_decision_opens_nothing(desk, stored, settings) -> None:
    other = make_agent(desk.owner)
    denied = leases._decided(REF, caller_of(make_client(agent=other)), "", "")
    with pytest.raises(NoFreshDecision):
        vault.read(REF, denied.id)
    allowed = leases._decided(REF, desk.caller, "", "")
    settings.MUSTER_DECISION_SECONDS = -1

    with pytest.raises(NoFreshDecision):
        vault.read(REF, allowed.id)


# Ended


def test_a_revoked_credential_is_refused_at_the_next_call(desk, stored, ask) -> None:
    assert ask(desk.client).status_code == 201

    vault.revoke(REF, by=desk.owner, reason="leaked")

    assert ask(desk.client).status_code == 403
    lease = Lease.objects.get()
    assert lease.ended_at is not None
    assert CredentialReference.objects.get().live_at_source


@pytest.mark.parametrize("what", ["credential", "agent"])
def test_what_is_revoked_while_the_vault_is_asked_does_not_leave(
    desk, stored, ask, monkeypatch, what
) -> None:
    embedded = type(back_ends.of(REF))
    read = embedded.read

    def interrupted(self: object, place: object) -> object:
        found = read(self, place)
        if what == "credential":
            vault.revoke(REF, by=desk.owner, reason="leaked")
        else:
            services.suspend_agent(agent_id=desk.agent.pk, by=desk.owner, reason="odd")
        return found

    monkeypatch.setattr(embedded, "read", interrupted)

    answer = ask(desk.client)

    assert answer.status_code == 403
    assert VALUE.encode() not in answer.content
    assert not Lease.objects.exists()


def test_the_leases_of_a_suspended_agent_end_with_it(
    desk, stored, ask, mark, records_after
) -> None:
    ask(desk.client)
    marked = mark()

    services.suspend_agent(agent_id=desk.agent.pk, by=desk.owner, reason="odd")

    lease = Lease.objects.get()
    assert lease.ended_at is not None
    assert lease.ended_at <= clock.now()
    assert b"leases_ended" in bytes(records_after(marked, kind="access")[0]["body"])


@pytest.mark.parametrize("stop", ["suspend", "revoke", "remove"])
def test_what_is_stopped_before_the_lease_is_noted_does_not_leave(
    desk, stored, ask, monkeypatch, stop
) -> None:
    """The vault has answered, and the leases that there were have ended already."""
    read = vault.read

    def read_and_stop(*given):
        leased = read(*given)
        if stop == "suspend":
            services.suspend_agent(agent_id=desk.agent.pk, by=desk.owner, reason="Stop.")
        elif stop == "revoke":
            vault.revoke(REF, by=desk.owner, reason="It leaked.")
        else:
            CredentialReference.objects.filter(reference=REF).delete()
        return leased

    monkeypatch.setattr(vault, "read", read_and_stop)

    answer = ask(desk.client)

    assert answer.status_code == 403
    assert VALUE not in answer.content.decode()
    assert not Lease.objects.filter(ended_at__isnull=True).exists()


def test_a_credential_that_was_revoked_between_decision_and_reading_stays(desk, stored) -> None:
    answer = leases._decided(REF, desk.caller, "", "")
    vault.revoke(REF, by=desk.owner, reason="leaked")

    with pytest.raises(CredentialRevoked):
        vault.read(REF, answer.id)


# Names of its own


@pytest.mark.parametrize("name", ["muster", "credential.read", "muster.credentials"])
def test_nobody_registers_a_name_of_musters_own(desk, name) -> None:
    from authz.services import roles

    security = make_person(groups=("security",))
    makers = {
        "muster": lambda: services.save_system(slug=name, by=security, name="Ours"),
        "credential.read": lambda: services.save_tool(name=name, by=security, system=desk.system),
        "muster.credentials": lambda: roles.save_role(slug=name, by=security),
    }

    with pytest.raises(Invalid) as refused:
        makers[name]()

    assert refused.value.message == f"{name} is a name of Muster's own. Choose another one."


def test_a_row_that_went_around_the_register_replaces_nothing(desk, stored, ask) -> None:
    """A tool of that name, put into the table by hand, decides nothing about credentials."""
    make_tool(desk.system, name="credential.read", resource_parameter="")

    assert ask(desk.client).status_code == 201
