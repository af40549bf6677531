"""The command line against a real Muster."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from authz.decide import decide
from authz.enums import HoldState
from authz.models import Hold
from client.muster_client.cli import decisions
from registry.enums import GroupName
from registry.models import Agent, DeviceRequest, PersonToken
from tests.factories.authz import Desk, bearer, make_desk, make_person

pytestmark = pytest.mark.django_db(transaction=True)

GATES = {"amount": {"above": 400, "currency": "EUR"}}
SECURITY = [GroupName.SECURITY]
Run = Callable[..., Result]
SignIn = Callable[..., None]


@pytest.fixture
def desk() -> Desk:
    make_person(groups=SECURITY)
    return make_desk(tool_fields={"gates": GATES, "effect": "financial"})


def decided(desk: Desk, amount: int) -> str:
    (answer,) = decide([desk.ask(parameters={"claim": "CL-1", "amount": amount})], desk.caller)
    return str(answer.settled["hold"]["id"]) if answer.settled.get("hold") else ""


def test_signing_in_and_out(run: Run, sign_in: SignIn, muster: str, kept: Path) -> None:
    person = make_person(name="Ada")

    sign_in(person)

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    told = json.loads(run("whoami", "--json").stdout)
    assert (told["id"], told["url"], told["scope"]) == (person.pid, muster, "write")
    assert run("logout").stdout == "Signed out.\n"
    assert json.loads(kept.read_text())["token"] == ""
    assert PersonToken.objects.get().ended_at is not None
    assert run("whoami").exit_code == 3


def test_a_sign_in_that_is_refused(
    run: Run, muster: str, confirm: Callable[..., None], kept: Path
) -> None:
    confirm(make_person(), "refuse")

    result = run("login", muster, "--no-browser")

    assert (result.exit_code, kept.exists()) == (3, False)
    assert "It was refused." in result.stderr


def test_it_waits_longer_where_it_is_told_to(
    run: Run, muster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 4:
            DeviceRequest.objects.all().delete()

    monkeypatch.setattr("client.muster_client.cli.login.time.sleep", sleep)

    assert run("login", muster, "--no-browser").exit_code == 3
    assert waited == [5, 5, 10, 15]


def test_a_token_from_elsewhere_and_for_this_address_alone(
    run: Run, sign_in: SignIn, muster: str, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(make_person())
    token = json.loads(kept.read_text())["token"]
    kept.unlink()

    assert run("login", muster, "--token-stdin", input="mcl_wrong\n").exit_code == 3
    assert not kept.exists()
    assert run("login", muster, "--token-stdin", input=f"{token}\n").exit_code == 0
    elsewhere = run("whoami", "--url", "http://127.0.0.1:9")
    assert (elsewhere.exit_code, "not signed in" in elsewhere.stderr) == (3, True)
    monkeypatch.setenv("MUSTER_TOKEN", token)
    away = run("whoami", "--url", "http://127.0.0.1:9")
    assert (away.exit_code, "could not be reached" in away.stderr) == (3, True)


def test_agents(run: Run, sign_in: SignIn, desk: Desk) -> None:
    sign_in(desk.owner)

    rows = json.loads(run("agents", "list", "--json").stdout)
    assert [row["slug"] for row in rows] == [desk.agent.slug]
    assert desk.agent.slug in run("agents", "list").stdout
    assert run("agents", "list", "--state", "draft").stdout.startswith("There is no such agent")
    assert json.loads(run("agents", "show", desk.agent.slug, "--json").stdout)["state"] == "active"
    assert "Pays refunds." in run("agents", "show", desk.agent.slug).stdout
    missing = run("agents", "show", "../people")
    assert missing.exit_code == 2


def test_check_tells_a_pipeline(
    run: Run, sign_in: SignIn, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(desk.owner)
    told = json.loads(run("check", desk.agent.slug, "--json").stdout)
    assert run("check", desk.agent.slug).exit_code == (0 if told["passed"] else 1)
    Agent.objects.filter(pk=desk.agent.pk).update(state="suspended")

    stopped = run("check", desk.agent.slug)

    assert (stopped.exit_code, "is not in order: suspended" in stopped.stdout) == (1, True)
    assert run("check", "no-such-agent").exit_code == 2
    # The token of the agent itself is no token any more.
    monkeypatch.setenv("MUSTER_TOKEN", bearer(desk.client).removeprefix("Bearer "))
    assert run("check", desk.agent.slug).exit_code == 3


def test_an_agents_own_token_is_enough_to_check_it(
    run: Run, muster: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_URL", muster)
    monkeypatch.setenv("MUSTER_TOKEN", bearer(desk.client).removeprefix("Bearer "))

    assert json.loads(run("check", desk.agent.slug, "--json").stdout)["agent"] == desk.agent.slug
    assert run("whoami").exit_code == 3


def test_a_hold_is_looked_at_and_approved(run: Run, sign_in: SignIn, desk: Desk) -> None:
    approver = make_person(groups=SECURITY)
    hold = decided(desk, 500)
    sign_in(approver)

    rows = json.loads(run("holds", "list", "--mine", "--json").stdout)
    assert [row["id"] for row in rows] == [hold]
    declined = run("holds", "approve", hold, input="n\n")
    assert (declined.exit_code, Hold.objects.get().state) == (1, HoldState.OPEN)
    assert "amount = 500" in declined.stderr
    approved = run("holds", "approve", hold, input="y\n")
    assert (approved.exit_code, Hold.objects.get().state) == (0, HoldState.APPROVED)
    assert Hold.objects.get().decided_by == approver
    again = run("holds", "approve", hold, "--seen", rows[0]["id"].replace("-", "") * 2)
    assert again.exit_code == 1
    assert run("holds", "list").stdout == "Nothing waits.\n"


def test_what_was_not_seen_is_not_approved(run: Run, sign_in: SignIn, desk: Desk) -> None:
    hold = decided(desk, 500)
    sign_in(make_person(groups=SECURITY))
    late = run("holds", "approve", hold, "--seen", "ab" * 32)

    assert (late.exit_code, Hold.objects.get().state) == (3, HoldState.OPEN)


def test_a_hold_is_rejected_with_a_reason(run: Run, sign_in: SignIn, desk: Desk) -> None:
    hold = decided(desk, 500)
    sign_in(desk.owner)

    assert run("holds", "approve", hold, "--seen", Hold.objects.get().digest).exit_code == 3
    assert run("holds", "reject", hold, "--reason", " ").exit_code == 2
    assert run("holds", "reject", hold, "--reason", "Paid before.").stdout == "Rejected.\n"

    assert (Hold.objects.get().state, Hold.objects.get().reason) == ("rejected", "Paid before.")


def test_without_a_second_factor_no_money_is_approved(
    run: Run, sign_in: SignIn, desk: Desk, settings: Any
) -> None:
    approver = make_person(groups=SECURITY)
    hold = decided(desk, 500)
    sign_in(approver)
    settings.MUSTER_APPROVER_MFA = True
    # It was used at the provider, at a time that the provider did not tell.
    PersonToken.objects.update(strong=True)

    result = run("holds", "approve", hold, "--seen", Hold.objects.get().digest)

    assert (result.exit_code, Hold.objects.get().state) == (3, HoldState.OPEN)
    assert "second factor" in result.stderr


def test_decisions_are_followed_each_once(
    run: Run, sign_in: SignIn, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(desk, 100)
    sign_in(desk.owner)
    rounds = iter(range(3))

    def sleep(_: float) -> None:
        if next(rounds, None) is None:
            raise KeyboardInterrupt
        decided(desk, 101)

    monkeypatch.setattr(decisions.time, "sleep", sleep)
    result = run("decisions", "tail", "--follow", "--json")

    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert len(rows) == len({row["id"] for row in rows}) == 4
    assert {row["agent"] for row in rows} == {desk.agent.slug}
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert desk.tool.name in run("decisions", "tail", "-n", "1").stdout
    assert run("decisions", "tail", "--effect", "deny").stdout == ""


def test_an_inventory_is_planned_applied_and_exported(
    run: Run, sign_in: SignIn, tmp_path: Path
) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "systems.yaml").write_text(
        "muster: 1\nsystems:\n  - slug: crm\n    name: CRM\n    tier: internal\n"
    )
    sign_in(make_person(groups=[*SECURITY, GroupName.PLATFORM_ADMIN]))
    secrets = tmp_path / "secrets.json"

    plan = run("plan", str(folder))
    assert (plan.exit_code, "+ systems crm" in plan.stdout) == (1, True)
    applied = run("apply", str(folder), "--yes", "--secrets", str(secrets))
    assert (applied.exit_code, secrets.exists()) == (0, False), applied.output
    assert run("plan", str(folder)).exit_code == 0
    assert "slug: crm" in run("export", "--kind", "systems").stdout
    (folder / "systems.yaml").write_text("muster: 1\nsystems:\n  - slug: crm\n    wrong: 1\n")
    wrong = run("plan", str(folder))
    assert (wrong.exit_code, "systems.yaml:4:5" in wrong.stderr) == (2, True), wrong.stderr
    assert "/tmp" not in wrong.stderr


def test_inventories_are_for_those_who_read_everything(
    run: Run, sign_in: SignIn, tmp_path: Path
) -> None:
    (tmp_path / "one.yaml").write_text("muster: 1\n")
    secrets = tmp_path / "secrets.json"
    sign_in(make_person())

    for words in (("plan", "one.yaml"), ("apply", "one.yaml", "--yes", "--secrets", str(secrets))):
        place = [str(tmp_path / word) if word == "one.yaml" else word for word in words]
        assert run(*place).exit_code == 3
    assert run("export").exit_code == 3
    assert not secrets.exists()


def test_a_sign_in_changes_nothing_unless_it_is_asked_for(
    run: Run, sign_in: SignIn, desk: Desk
) -> None:
    hold = decided(desk, 500)
    sign_in(make_person(groups=SECURITY), write=False)

    assert run("holds", "list").exit_code == 0
    refused = run("holds", "reject", hold, "--reason", "No.")

    assert (refused.exit_code, Hold.objects.get().state) == (3, HoldState.OPEN)
    assert "may only read" in refused.stderr


def test_a_row_is_attacked(run: Run, sign_in: SignIn, desk: Desk) -> None:
    sign_in(desk.owner)

    result = run("probe", desk.agent.slug, "--json")

    told = json.loads(result.stdout)
    assert (told["agent"], told["results"] != []) == (desk.agent.slug, True)
    assert result.exit_code == (0 if told["passed"] else 1)
