"""A small company with one thing wrong in each place that evidence looks at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from audit import services as audit
from authz.decide import decide
from authz.models import Hold
from authz.services import holds
from governance.kernel import clock
from governance.kernel.errors import NotAllowed
from lifecycle.models import Anomaly, BreakGlass, Case, Rotation, SealedCode, ToxicFinding
from registry.enums import Employment, GroupName
from registry.models import (
    Agreement,
    CredentialReference,
    Person,
    System,
    UnregisteredCaller,
)
from tests.factories.authz import (
    Desk,
    make_desk,
    make_person,
    make_policy,
    make_system,
    observed,
)
from tests.factories.registry import make_system as register_system

DAY = timedelta(days=1)


@dataclass(frozen=True)
class World:
    """What was planted, by name."""

    now: datetime
    health: Desk
    money: Desk
    orphan: Desk
    idle: Desk
    provider: System
    approver: Person
    hold: Hold


def planted() -> World:
    """Everything that is wrong, each thing in a place of its own."""
    now = clock.now()
    people = [make_person(groups=[GroupName.SECURITY], chat_handle="@s") for _ in range(2)]
    provider = make_system(slug="meridian", provider="Meridian", country="US", tier="restricted")
    world = World(
        now=now,
        health=_health(provider),
        money=_money(now),
        orphan=_orphan(now),
        idle=make_desk(agent_fields=_old(now)),
        provider=provider,
        approver=people[0],
        hold=_held(),
    )
    _agreements(provider, now)
    _wrong_about(world, now)
    return world


def _health(provider: System) -> Desk:
    """Health data read, and a model at a provider outside."""
    return make_desk(
        system_fields={"slug": "patients", "categories": ["patient-records"], "tier": "restricted"},
        tool_fields={"effect": "read", "name": "patients.read"},
        agent_fields={
            "slug": "triage",
            "model_provider": provider,
            "ai_act_use": "high",
            "ai_act_role": "deployer",
            **observed(),
        },
    )


def _money(now: datetime) -> Desk:
    desk = make_desk(
        system_fields={"slug": "ledger", "categories": ["payment-records"], "tier": "confidential"},
        tool_fields={"effect": "financial", "name": "ledger.pay"},
        agent_fields={"slug": "payer", "review_due": now.date() - 3 * DAY},
    )
    CredentialReference.objects.create(
        agent=desk.agent, reference="vault://ledger/payer", holder="personal",
        rotated_on=now.date() - 200 * DAY,
    )  # fmt: skip
    return desk


def _orphan(now: datetime) -> Desk:
    """A live agent of somebody who has left."""
    desk = make_desk(agent_fields={"slug": "orphan", "renewal_due": now.date() - 40 * DAY})
    Person.objects.filter(pk=desk.owner.pk).update(
        employment=Employment.LEFT, last_day=now.date() - 10 * DAY
    )
    Case.objects.create(
        agent=desk.agent, kind="leaver", opened_at=now - 9 * DAY,
        counts_from=(now - 9 * DAY).date(), due_on=(now - 2 * DAY).date(), due_at=now - 2 * DAY,
        zone="UTC",
    )  # fmt: skip
    return desk


def _old(now: datetime) -> dict[str, Any]:
    return {
        "slug": "sleeper",
        "activated_at": now - 200 * DAY,
        "state_changed_at": now - 200 * DAY,
        "renewal_due": now.date() + 100 * DAY,
    }


def _held() -> Hold:
    """An action that waits, which the owner of its agent tried to approve."""
    desk = make_desk(
        tool_fields={
            "gates": {"amount": {"above": 400, "currency": "EUR"}},
            "name": "gated.pay",
            "effect": "financial",
        },
        agent_fields={"slug": "gated"},
    )
    (answer,) = decide([desk.ask()], desk.caller)
    hold = Hold.objects.get(pk=answer.settled["hold"]["id"])
    with pytest.raises(NotAllowed):
        holds.approve_hold(hold_id=hold.pk, by=desk.owner)
    return hold


def _agreements(provider: System, now: datetime) -> None:
    """A BAA that ended before anything flowed; a DPA in force; no safeguard of the transfer."""
    for kind, until in (("baa", now.date() - 30 * DAY), ("dpa", None)):
        Agreement.objects.create(
            system=provider, kind=kind, reference=f"{kind}-1", signed_on=now.date() - 400 * DAY,
            expires_on=until,
        )  # fmt: skip


def _wrong_about(world: World, now: datetime) -> None:
    for effect, check, mode in (
        ("allow", "", "enforce"),
        ("allow", "", "enforce"),
        ("deny", "flow", "observe"),
        ("deny", "flow", "enforce"),
        ("hold", "taint", "enforce"),
        ("deny", "parameters", "enforce"),
    ):
        decided(world.health, effect, check, mode)
    for check in ("identity", "consent", "allowlist", "role", "policy", "rate", "spend", "quota"):
        decided(world.money, "deny", check)
    register_system(slug="wiki")
    make_policy("permit (principal, action, resource);", slug="alone")
    ToxicFinding.objects.create(
        combination="linked-payments", scope="agent", agent=world.health.agent, agents=["triage"],
        categories=["payment-records"], tier="restricted", reason="Linked.", digest="0" * 64,
        since=now - 20 * DAY,
    )  # fmt: skip
    Anomaly.objects.create(
        kind="volume", agent=world.money.agent, tool="ledger.pay", window=now - 5 * DAY,
        latest=now - 5 * DAY, observed=900, expected=3, limit=50, detail={},
        found_at=now - 5 * DAY,
    )  # fmt: skip
    UnregisteredCaller.objects.create(
        claimed="stranger", source="10.0.0.9", first_seen=now - 2 * DAY, last_seen=now - DAY,
        count=7,
    )  # fmt: skip
    _emergency(now)
    Rotation.objects.create(
        agent=world.health.agent, key="client", due_on=(now - 9 * DAY).date(), state="done",
        opened_at=now - 9 * DAY, rotated_at=now - 3 * DAY, done_at=now - 3 * DAY,
        next_at=now,
    )  # fmt: skip


def _emergency(now: datetime) -> None:
    people = [make_person() for _ in range(3)]
    code = SealedCode.objects.create(
        digest="1" * 64, made_by=people[0], agreed_by=people[1], made_at=now - 9 * DAY
    )
    BreakGlass.objects.create(
        person=people[2], code=code, reason="The directory is down.", opened_at=now - 4 * DAY,
        expires_at=now - 4 * DAY + timedelta(minutes=30),
    )  # fmt: skip


def decided(desk: Desk, effect: str, check: str = "", mode: str = "enforce") -> None:
    """One decision on the record, as the batch writes it."""
    audit.record(
        kind="decision",
        actor=desk.agent.slug,
        agent=desk.agent.slug,
        tool=desk.tool.name,
        resource=f"{desk.system.slug}/1",
        effect=effect,
        check=check,
        code=f"{check}.made" if check else "",
        mode=mode,
    )
