"""Inventories and holds over REST: who may, bodies meant to break out, and what OpenAPI says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from lifecycle.apply import api
from registry.enums import GroupName
from registry.models import Person, System
from tests.factories.authz import make_person

pytestmark = pytest.mark.django_db

OPERATOR = [GroupName.SECURITY, GroupName.PLATFORM_ADMIN]
SYSTEM = "muster: 1\nsystems:\n  - slug: {0}\n    name: {0}\n    tier: internal\n"


@pytest.fixture(autouse=True)
def one_factor(settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False


def send(person: Person, word: str, files: Any) -> tuple[int, dict[str, Any]]:
    client = Client()
    client.force_login(person)
    answer = client.post(
        f"/api/v1/inventory/{word}", json.dumps({"files": files}), content_type="application/json"
    )
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "name",
    [
        "../out.yaml",
        "/tmp/out.yaml",
        "a/../../out.yaml",
        ".hidden.yaml",
        "a//b.yaml",
        "a\\b.yaml",
        "a\nb.yaml",
        "",
        "x" * 101 + ".yaml",
        "a/" * 9 + "b.yaml",
    ],
)
def test_no_file_leaves_its_folder(name: str) -> None:
    by = make_person(groups=OPERATOR)

    status, told = send(by, "apply", {name: SYSTEM.format("crm")})

    assert (status, told["code"], System.objects.count()) == (400, "invalid", 0)


@pytest.mark.parametrize(
    "files",
    [
        {},
        [],
        {"one.yaml": 1.5e400},
        {"one.yaml": {}},
        {"one.txt": "muster: 1"},
        {"one.yaml": "[" * 5000},
        {"one.yaml": "muster: 1\nsystems: 7\n"},
        {"one": "a folder and a file", "one/two.yaml": "muster: 1\n"},
        {f"{number}.yaml": "muster: 1\n" for number in range(api.MAX_FILES + 1)},
    ],
)
def test_what_is_no_inventory_is_refused(files: Any) -> None:
    status, told = send(make_person(groups=OPERATOR), "plan", files)

    assert (status, told["code"] in ("invalid", "bad_inventory", "bad_json")) == (400, True), told
    assert "/tmp" not in json.dumps(told)


def test_all_or_nothing_and_a_plan_is_nothing() -> None:
    by = make_person(groups=OPERATOR)
    good, bad = {"a.yaml": SYSTEM.format("crm")}, {"b.yaml": SYSTEM.format("no good slug")}

    planned, told = send(by, "plan", good)
    refused, _ = send(by, "apply", good | bad)

    assert (planned, told["dry_run"], refused, System.objects.count()) == (200, True, 400, 0)
    assert send(by, "apply", good)[0] == 200
    assert System.objects.get().slug == "crm"
    assert send(by, "plan", good)[1]["nothing_to_do"] is True


def test_a_file_of_the_machine_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.cedar"
    secret.write_text("forbid(principal, action, resource);")
    text = f"muster: 1\npolicies:\n  - slug: stolen\n    file: {secret}\n"

    status, told = send(make_person(groups=OPERATOR), "plan", {"a.yaml": text})

    assert (status, "forbid(" in json.dumps(told)) == (400, False)


@pytest.mark.parametrize("groups", [(), (GroupName.SOURCE_OWNER,)])
def test_it_is_for_those_who_read_everything(groups: tuple[str, ...]) -> None:
    by = make_person(groups=groups)
    client = Client()
    client.force_login(by)

    told = [send(by, word, {"a.yaml": SYSTEM.format("crm")})[0] for word in ("plan", "apply")]

    assert [*told, client.get("/api/v1/inventory").status_code] == [403, 403, 403]


def test_an_auditor_reads_and_changes_nothing() -> None:
    by = make_person(groups=[GroupName.AUDITOR])
    client = Client()
    client.force_login(by)

    status, told = send(by, "apply", {"a.yaml": SYSTEM.format("crm")})

    assert (status, told["code"], System.objects.count()) == (400, "bad_inventory", 0)
    assert client.get("/api/v1/inventory?kind=systems").content.decode().startswith("muster: 1")
    assert client.get("/api/v1/inventory?kind=secrets").status_code == 400


def test_openapi_has_every_route() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]

    wanted = {
        "/api/v1/me": {"get"},
        "/api/v1/holds": {"get"},
        "/api/v1/holds/{id}": {"get"},
        "/api/v1/holds/{id}/approve": {"post"},
        "/api/v1/holds/{id}/reject": {"post"},
        "/api/v1/inventory": {"get"},
        "/api/v1/inventory/plan": {"post"},
        "/api/v1/inventory/apply": {"post"},
        "/oauth/device_authorization": {"post"},
    }
    found = {path.replace("{pk}", "{id}"): set(one) for path, one in schema["paths"].items()}
    assert {path: found.get(path) for path in wanted} == wanted
    assert {"command_line": []} in schema["paths"]["/api/v1/me"]["get"]["security"]
