"""An agent's row: drafted, filled in, narrowed, widened. Its states are in `agent_states`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, Unpack
from zoneinfo import ZoneInfo

from django.db import transaction

from governance.kernel import clock, json_schema
from governance.kernel.errors import Conflict, Invalid
from registry import changes, permissions, references, rules, selectors
from registry.errors import ChangeOutdated, LooksLikeSecret, WrongState
from registry.models import (
    Agent,
    AllowlistEntry,
    Clearance,
    CredentialReference,
    Person,
    ProposedChange,
    Reliance,
    System,
    Tool,
)
from registry.reach import Reach, reach_of
from registry.services.fields import AgentDetails, AgentFields, EntryFields
from registry.services.saving import (
    Changes,
    Saved,
    assign,
    check_alone,
    found,
    keep,
    locked,
    plain,
    record,
    remove,
)
from registry.services.tools import check_gates
from registry.signals import reach_changed, row_changed

FIELDS_KIND = "agent.fields"
ENTRY_KIND = "agent.allowlist"
# What a live row may not change without a review when it widens.
GUARDED = (
    *rules.LIMITS,
    "spend_cap_month_minor",
    "pattern",
    "isolated_runs",
    "model_provider",
    "currency",
)


class _MustWait(Exception):
    """Undoes a change that needs a second person, so that it can be proposed instead."""

    def __init__(self, tier: str) -> None:
        super().__init__(tier)
        self.tier = tier


# Whose word a live row's new reach has, given that reach; None carries the old word over.
Word = Callable[[Reach], Clearance.Basis | None]


@transaction.atomic
def draft_agent(
    *, slug: str, name: str, owner: Person, by: Person, **fields: Unpack[AgentDetails]
) -> Agent:
    """Begin a row. Nothing follows from it until it is active."""
    permissions.check_may_act(by)
    permissions.check_can_draft_agent(owner, by)
    if not owner.may_act:
        sentence = f"{owner} has left, so they cannot own an agent."
        raise Invalid(sentence, fields={"owner": [sentence]})
    agent = Agent(slug=slug, name=name, owner=owner)
    changed = assign(agent, fields)
    keep(agent, by)
    told = {"name": (None, name), "owner": (None, owner)} | changed
    record("agent_drafted", by=by, agent=slug, resource=f"agent:{slug}", changes=told)
    return agent


@transaction.atomic
def update_agent(
    *, agent_id: int, by: Person, alone: bool = False, **fields: Unpack[AgentFields]
) -> Saved[Agent]:
    """Fill in a row. What widens a live one is a review: see docs/reference/register.md."""
    check_alone(alone)
    agent = _editable(agent_id, by)
    guarded = {name: value for name, value in fields.items() if name in GUARDED}
    before = {name: plain(getattr(agent, name)) for name in guarded}
    after = {name: plain(value) for name, value in guarded.items()}
    widens = rules.widened_agent(before, after) if _is_live(agent) else []
    if not widens:
        return Saved(agent, changed=_change(agent, fields, by))
    rest = {name: value for name, value in fields.items() if name not in GUARDED}
    changed = _change(agent, rest, by)
    waits = _widen(agent, by, alone, lambda: _write_fields(agent, guarded, by))
    if waits is None:
        return Saved(agent, changed=(*changed, *guarded))
    change = changes.propose(
        kind=FIELDS_KIND,
        target=agent.slug,
        agent=agent.slug,
        summary=f"{agent.slug}: {' '.join(widens)}",
        before={"fields": before},
        after={"fields": after, "tier": waits},
        by=by,
    )
    agent.refresh_from_db()
    return Saved(agent, changed=changed, proposed=(change,))


def _change(agent: Agent, fields: Mapping[str, Any], by: Person) -> tuple[str, ...]:
    changed: list[str] = []
    _change_reach(agent, by, lambda: changed.extend(_write_fields(agent, fields, by)))
    return tuple(changed)


def _write_fields(agent: Agent, fields: Mapping[str, Any], by: Person) -> Changes:
    changed = assign(agent, fields)
    if changed:
        agent.version += 1
        keep(agent, by, [*changed, "version"])
        record(
            "agent_changed",
            by=by,
            agent=agent.slug,
            resource=f"agent:{agent.slug}",
            changes=changed,
        )
        row_changed.send(sender=Agent, agent=agent, changed=tuple(changed), by=by)
    return changed


def apply_fields(change: ProposedChange, by: Person) -> None:
    """Let the widening fields of a live row take effect, cleared by who agrees."""
    agent = locked(Agent, "agent", slug=change.target)
    _check_editable(agent)
    was, wanted = change.before["fields"], dict(change.after["fields"])
    if any(plain(getattr(agent, name)) != value for name, value in was.items()):
        raise ChangeOutdated()
    if provider := wanted.get("model_provider"):
        wanted["model_provider"] = locked(System, "system", slug=provider)
    _change_reach(
        agent, by, lambda: _write_fields(agent, wanted, by), lambda reach: _agreed(agent, reach, by)
    )


@transaction.atomic
def set_allowlist_entry(
    *,
    agent_id: int,
    tool: Tool,
    by: Person,
    alone: bool = False,
    narrowing: Mapping[str, Any] | None = None,
    rate_per_minute: int | None = None,
    rate_per_hour: int | None = None,
    write_quota_per_hour: int | None = None,
    gates: Mapping[str, Any] | None = None,
) -> Saved[Agent]:
    """Declare that an agent calls a tool, as narrow as said. On a live row, more is a review.

    Without `gates` those that there are stay.
    """
    check_alone(alone)
    agent = _editable(agent_id, by)
    before = _entry(agent, tool)
    wanted: EntryFields = {
        "narrowing": dict(narrowing or {}),
        "rate_per_minute": rate_per_minute,
        "rate_per_hour": rate_per_hour,
        "write_quota_per_hour": write_quota_per_hour,
        "gates": dict(_gates_of(before) if gates is None else gates),
    }
    _check_narrowing(tool, wanted["narrowing"])
    check_gates(tool, wanted["gates"])
    if before == wanted:
        return Saved(agent)
    widens = rules.widened_entry(tool.schema, before, wanted) if _is_live(agent) else []
    changed = (f"allowlist.{tool.name}",)
    if not widens:
        _change_reach(agent, by, lambda: _write_entry(agent, tool, wanted, by))
        return Saved(agent, changed=changed)
    waits = _widen(agent, by, alone, lambda: _write_entry(agent, tool, wanted, by))
    if waits is None:
        return Saved(agent, changed=changed)
    change = changes.propose(
        kind=ENTRY_KIND,
        target=f"{agent.slug}/{tool.name}",
        agent=agent.slug,
        summary=f"{agent.slug}, {tool.name}: {' '.join(widens)}",
        before={"entry": before},
        after={"tool": tool.name, "entry": dict(wanted), "tier": waits},
        by=by,
    )
    agent.refresh_from_db()
    return Saved(agent, proposed=(change,))


def _gates_of(entry: EntryFields | None) -> Mapping[str, Any]:
    return entry["gates"] if entry else {}


def _check_narrowing(tool: Tool, narrowing: Mapping[str, Any]) -> None:
    """A narrowing compiles, and leaves something of the tool's own schema."""
    try:
        json_schema.compile_schema(narrowing)
    except json_schema.SchemaError as error:
        raise Invalid(
            error.message, code=error.code, fields={"narrowing": [error.message]}
        ) from error
    if not json_schema.satisfiable(tool.schema, narrowing):
        sentence = f"No call of {tool.name} could meet this and its schema at once."
        raise Invalid(sentence, fields={"narrowing": [sentence]})


def _entry(agent: Agent, tool: Tool) -> EntryFields | None:
    entry = AllowlistEntry.objects.filter(agent=agent, tool=tool).first()
    return _facts(entry) if entry else None


def _facts(entry: AllowlistEntry) -> EntryFields:
    return {
        "narrowing": entry.narrowing,
        "rate_per_minute": entry.rate_per_minute,
        "rate_per_hour": entry.rate_per_hour,
        "write_quota_per_hour": entry.write_quota_per_hour,
        "gates": entry.gates,
    }


def _write_entry(agent: Agent, tool: Tool, wanted: EntryFields, by: Person) -> None:
    entry = found(AllowlistEntry, "allowlist entry", agent=agent, tool=tool)
    created = entry is None
    entry = entry or AllowlistEntry(agent=agent, tool=tool)
    changed = assign(entry, wanted)
    keep(entry, by)
    _raise_version(agent, by)
    record(
        "allowlist_entry_added" if created else "allowlist_entry_changed",
        by=by,
        agent=agent.slug,
        resource=f"tool:{tool.name}",
        changes=changed,
    )
    row_changed.send(sender=Agent, agent=agent, changed=(f"allowlist.{tool.name}",), by=by)


def _raise_version(agent: Agent, by: Person) -> None:
    agent.version += 1
    keep(agent, by, ["version"])


def apply_entry(change: ProposedChange, by: Person) -> None:
    """Let a live row call what was proposed, cleared by who agrees."""
    agent = locked(Agent, "agent", slug=change.agent)
    _check_editable(agent)
    tool = locked(Tool, "tool", name=change.after["tool"])
    if _entry(agent, tool) != change.before["entry"]:
        raise ChangeOutdated()
    entry = change.after["entry"]
    _check_narrowing(tool, entry["narrowing"])
    check_gates(tool, entry.get("gates", {}))
    _change_reach(
        agent,
        by,
        lambda: _write_entry(agent, tool, entry, by),
        lambda reach: _agreed(agent, reach, by),
    )


@transaction.atomic
def remove_allowlist_entry(*, agent_id: int, tool: Tool, by: Person) -> Agent:
    """Take a tool from an agent, at once. Nothing happens where it does not have it."""
    agent = _editable(agent_id, by)
    entry = found(AllowlistEntry, "allowlist entry", agent=agent, tool=tool)
    if entry is None:
        return agent

    def act() -> None:
        remove(entry, by)
        _raise_version(agent, by)
        record("allowlist_entry_removed", by=by, agent=agent.slug, resource=f"tool:{tool.name}")
        row_changed.send(sender=Agent, agent=agent, changed=(f"allowlist.{tool.name}",), by=by)

    _change_reach(agent, by, act)
    return agent


# Credentials and dependents


@transaction.atomic
def add_credential_reference(
    *,
    agent_id: int,
    reference: str,
    by: Person,
    system: System | None = None,
    scope: str = "",
    rotated_on: date | None = None,
    holder: str = "",
) -> CredentialReference:
    """Note where a credential of this agent lies. A reference belongs to one row.

    Without `holder` it stays whose it was; a new one is the agent's own.
    """
    agent = _editable(agent_id, by)
    if sentence := references.wrong_with(reference):
        raise LooksLikeSecret(sentence, fields={"reference": [sentence]})
    credential = CredentialReference.objects.filter(reference=reference).first()
    if credential and credential.agent_id != agent.pk:
        raise Conflict(f"This credential belongs to {credential.agent.slug}: no shared accounts.")
    credential = credential or CredentialReference(agent=agent, reference=reference)
    _check_own(agent, holder)
    wanted = {"system": system, "scope": scope, "rotated_on": rotated_on or credential.rotated_on}
    wanted |= {"holder": holder} if holder else {}
    changed = assign(credential, wanted)
    if credential.pk and not changed:
        return credential
    keep(credential, by)
    record(
        "credential_reference_added",
        by=by,
        agent=agent.slug,
        resource=f"credential:{reference}",
        changes=changed,
    )
    return credential


def _check_own(agent: Agent, holder: str) -> None:
    """What is named of a live row runs with it at once."""
    if holder and _is_live(agent) and (sentence := rules.not_its_own(holder)):
        raise Conflict(sentence)


@transaction.atomic
def remove_credential_reference(*, agent_id: int, reference: str, by: Person) -> None:
    """Forget a reference. The credential itself lives on where it lies.

    One that Muster keeps, or that may be live at its source, is not forgotten.
    """
    agent = _editable(agent_id, by)
    credential = found(CredentialReference, "credential", agent=agent, reference=reference)
    if credential is None:
        return
    if sentence := rules.must_not_be_forgotten(credential):
        raise Conflict(sentence)
    remove(credential, by)
    record(
        "credential_reference_removed",
        by=by,
        agent=agent.slug,
        resource=f"credential:{reference}",
    )


@transaction.atomic
def set_dependents(
    *, agent_id: int, people: Iterable[Person], agents: Iterable[Agent], by: Person
) -> Agent:
    """Say who relies on an agent; they are told before it ends."""
    agent = _editable(agent_id, by)
    wanted = {("person", one.pk): one.pid for one in people}
    wanted |= {("dependent", one.pk): one.slug for one in agents if one.pk != agent.pk}
    rows = {_key(row): row for row in agent.dependents.select_related("person", "dependent")}
    before = sorted(_dependent(row) for row in rows.values())
    if sorted(wanted.values()) == before:
        return agent
    for key in rows.keys() - wanted.keys():
        rows[key].delete()
    for kind, pk in wanted.keys() - rows.keys():
        Reliance.objects.create(agent=agent, **{f"{kind}_id": pk})
    record(
        "dependents_changed",
        by=by,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        changes={"dependents": (before, sorted(wanted.values()))},
    )
    return agent


def _key(row: Reliance) -> tuple[str, int | None]:
    return ("person", row.person_id) if row.person_id else ("dependent", row.dependent_id)


def _dependent(row: Reliance) -> str:
    return row.person.pid if row.person else row.dependent.slug if row.dependent else ""


# How a live row changes


def _editable(agent_id: int, by: Person) -> Agent:
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_change_agent(agent, by)
    _check_editable(agent)
    return agent


def _check_editable(agent: Agent) -> None:
    if agent.state not in rules.EDITABLE:
        raise WrongState(f"{agent.slug} is {agent.state_word}: its row is closed.")


def _is_live(agent: Agent) -> bool:
    return agent.state in rules.LIVE


def fresh_reach(agent: Agent) -> Reach:
    """The reach of what the database holds now, whatever was prefetched before."""
    return reach_of(selectors.agents_for_reach().get(pk=agent.pk))


def _no_new_word(reach: Reach) -> None:
    return None


def _change_reach(
    agent: Agent, by: Person, act: Callable[[], object], word: Word = _no_new_word
) -> None:
    """Act, and keep a live row cleared for what it reaches then.

    A narrower reach keeps the word that was given for the wider one; a wider one gets the new
    word, or `word` raises and everything is undone.
    """
    if not _is_live(agent):
        act()
        return
    before = fresh_reach(agent)
    act()
    after = fresh_reach(agent)
    if after.digest == before.digest:
        return
    basis, had = word(after), selectors.current_clearance(agent, before.digest)
    if basis:
        write_clearance(agent, after, basis, by)
    elif had:
        write_clearance(agent, after, Clearance.Basis(had.basis), had.by)
    _bring_dates_forward(agent, after, by)
    reach_changed.send(sender=Agent, agent=agent, before=before, after=after, by=by)


def _widen(agent: Agent, by: Person, alone: bool, act: Callable[[], object]) -> str | None:
    """Widen a live row at once where one person's word is enough; else undo it.

    Returns None where it is done, else the tier that the row would have.
    """

    def word(reach: Reach) -> Clearance.Basis:
        if alone:
            return Clearance.Basis.BOOTSTRAP
        if permissions.can(permissions.check_can_attest_agent, agent, reach.tier, by):
            raise _MustWait(reach.tier)
        return Clearance.Basis.ATTESTATION

    try:
        with transaction.atomic():
            _change_reach(agent, by, act, word)
    except _MustWait as wait:
        return str(wait.tier)
    return None


def _agreed(agent: Agent, reach: Reach, by: Person) -> Clearance.Basis:
    """On what basis the second person clears the wider reach; raises where they may not."""
    if not permissions.can(permissions.check_can_attest_agent, agent, reach.tier, by):
        return Clearance.Basis.ATTESTATION
    permissions.check_can_clear_agent(agent, Clearance.Basis.SECURITY, reach.tier, by)
    return Clearance.Basis.SECURITY


def check_who_agrees(change: ProposedChange, by: Person) -> None:
    """Security, never for their own agent; up to internal the owner as well."""
    agent = Agent.objects.select_related("owner", "backup_owner").get(slug=change.agent)
    tier = change.after["tier"]
    if permissions.can(permissions.check_can_attest_agent, agent, tier, by):
        permissions.check_can_clear_agent(agent, Clearance.Basis.SECURITY, tier, by)


def write_clearance(agent: Agent, reach: Reach, basis: Clearance.Basis, by: Person) -> Clearance:
    """Note whose word the row has for this reach; whether it may be given was checked."""
    clearance = Clearance(
        agent=agent, reach_digest=reach.digest, tier=reach.tier, basis=basis, by=by, at=clock.now()
    )
    clearance.save()
    record(
        "agent_cleared",
        by=by,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        tier=reach.tier,
        more={"basis": str(basis), "reach": reach.digest},
    )
    return clearance


def _bring_dates_forward(agent: Agent, reach: Reach, by: Person) -> None:
    today = today_of(agent.owner)
    agent.review_due = min(filter(None, (agent.review_due, reach.review_due(today))))
    agent.renewal_due = min(filter(None, (agent.renewal_due, reach.renewal_due(today))))
    keep(agent, by, ["review_due", "renewal_due"])


def today_of(person: Person, at: datetime | None = None) -> date:
    """The date on this person's calendar."""
    return (at or clock.now()).astimezone(ZoneInfo(person.zone)).date()
