"""What is told of the seal: on an entry's page, to programs, to everyone, to monitoring."""

import json
from typing import Any

import pytest
from django.test import Client

from audit import services
from audit.enums import Kind
from audit.sealing import certificates, notes
from registry.enums import GroupName
from tests.factories.registry import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_second_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def test_an_entrys_page_says_whether_it_is_sealed_and_gives_its_proof(
    auditor: Client, seal_now: Any
) -> None:
    entry = services.record(kind=Kind.SYSTEM, actor="system:test")
    before = auditor.get(f"/trail/{entry}/").content.decode()
    refused = auditor.get(f"/api/v1/records/{entry}/proof")

    checkpoint = seal_now()
    after = auditor.get(f"/trail/{entry}/").content.decode()
    proof = auditor.get(f"/api/v1/records/{entry}/proof")
    page = auditor.get(f"/trail/{entry}/proof")

    assert "not yet: it will be within seconds" in before
    assert (refused.status_code, refused.json()["code"]) == (409, "not_sealed")
    assert f"in checkpoint {checkpoint.size}, signed" in after
    assert f'href="/trail/{entry}/proof"' in after
    assert proof.content == page.content
    assert proof.content.decode().endswith(f"\n\n{checkpoint.note}")
    assert proof["Content-Disposition"] == f'attachment; filename="{entry}.tlog-proof"'


def test_a_proof_is_for_who_may_see_the_entry(client: Client, seal_now: Any) -> None:
    entry = services.record(kind=Kind.SYSTEM, actor="system:test")
    seal_now()

    nobody = client.get(f"/api/v1/records/{entry}/proof")
    client.force_login(make_person())
    somebody = client.get(f"/api/v1/records/{entry}/proof")

    assert (nobody.status_code, somebody.status_code) == (401, 404)


def test_keys_and_the_newest_checkpoint_are_open_to_all(client: Client, seal_now: Any) -> None:
    services.record(kind=Kind.SYSTEM, actor="system:test")
    checkpoint = seal_now()

    keys = client.get("/log/keys").content.decode()
    newest = client.get("/log/checkpoint").content.decode()

    head, certificate = keys.split("\n\n", 1)
    key = notes.read_vkey(head.removeprefix("checkpoint "))
    assert certificates.read(certificate, [key]).vkey == key.vkey
    assert notes.open_checkpoint(newest, [key]).size == checkpoint.size


def test_the_page_says_how_far_the_record_is_sealed(auditor: Client, seal_now: Any) -> None:
    services.record(kind=Kind.SYSTEM, actor="system:test")
    checkpoint = seal_now()
    told = auditor.get("/api/v1/log").json()

    page = auditor.get("/proof/").content.decode()

    assert (told["size"], told["is_sealing"]) == (checkpoint.size, False)
    assert checkpoint.root_text in page
    assert checkpoint.note.split("\n", 1)[0] in page


def test_metrics_are_for_this_machine_or_for_who_has_the_token(
    client: Client, seal_now: Any, settings: Any
) -> None:
    services.record(kind=Kind.SYSTEM, actor="system:test")
    checkpoint = seal_now()

    here = client.get("/metrics", REMOTE_ADDR="127.0.0.1")
    answers = [
        client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code,
        client.get(
            "/metrics", REMOTE_ADDR="127.0.0.1", headers={"x-forwarded-for": "::1"}
        ).status_code,
        client.get("/metrics", REMOTE_ADDR="local").status_code,
    ]
    settings.MUSTER_METRICS_TOKEN = "a-token"
    wrong = client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code
    right = client.get("/metrics", headers={"authorization": "Bearer a-token"})

    assert f"\nmuster_log_size {float(checkpoint.size)}\n" in here.content.decode()
    assert "\nmuster_log_unsealed 0.0\n" in here.content.decode()
    assert answers == [404, 404, 404]
    assert (wrong, right.status_code) == (404, 200)


def test_home_tells_security_that_no_sealer_runs(client: Client, as_owner: Any) -> None:
    services.record(kind=Kind.SYSTEM, actor="system:test")
    with as_owner() as cursor:
        cursor.execute("SELECT audit.raise_alarm('behind', %s)", [json.dumps({})])

    def home(person: Any) -> str:
        client.force_login(person)
        return client.get("/").content.decode()

    assert "The record is not sealed" in home(make_person(GroupName.SECURITY))
    assert "The record is not sealed" not in home(make_person())
