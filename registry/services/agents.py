"""An agent's row: drafted, filled in, narrowed, widened. Its states are in `agent_states`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Unpack

from django.db import transaction

from governance.kernel import business_days, clock, json_schema
from governance.kernel.errors import Conflict, Invalid, NotAllowed
from registry import absences, changes, clearing, permissions, references, rules, selectors, signing
from registry.enums import AgentState, Tier
from registry.errors import ChangeOutdated, LooksLikeSecret, NotCleared, ReachChanged, WrongState
from registry.models import (
    Agent,
    AllowlistEntry,
    Clearance,
    CredentialReference,
    Person,
    ProposedChange,
    Reliance,
    SubAgent,
    System,
    Tool,
)
from registry.reach import Reach, reach_of
from registry.row import row_digest
from registry.services.fields import AgentDetails, AgentFields, EntryFields, SubAgentFields
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
from registry.signals import agent_cleared, reach_changed, row_changed

FIELDS_KIND = "agent.fields"
ENTRY_KIND = "agent.allowlist"
SUB_AGENT_KIND = "agent.sub_agent"
STAY_KIND = "agent.stay"
# What a live row may not change without a review when it widens.
GUARDED = (
    *rules.LIMITS,
    "spend_cap_month_minor",
    "pattern",
    "isolated_runs",
    "redirect_uris",
    "model_provider",
    "currency",
)


class _MustWait(Exception):
    """Undoes a change that needs others' words, so that it can be proposed instead."""

    def __init__(self, reach: Reach) -> None:
        super().__init__(reach.digest)
        self.reach = reach


# Gives the words that a live row's new reach needs; False carries the old ones over.
Word = Callable[[Reach], bool]


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
    _check_backup(agent, fields.get("backup_owner"))
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
        after={"fields": after, **_needs(waits)},
        by=by,
    )
    agent.refresh_from_db()
    return Saved(agent, changed=changed, proposed=(change,))


def _check_backup(agent: Agent, to: Person | None) -> None:
    """On a live row. Before, becoming one makes one's word count no more."""
    if _is_live(agent) and to is not None and to.pk != agent.backup_owner_id:
        check_signed_nothing(agent, to, "stand in for its owner")


def check_signed_nothing(agent: Agent, person: Person, what: str) -> None:
    """Whoever cleared an agent does not answer for it."""
    if any(
        word.by_id == person.pk and word.basis in clearing.OF_OTHERS
        for word in words_for(agent, fresh_reach(agent))
    ):
        raise Conflict(f"{person} cleared {agent.slug}, so they cannot {what}.")


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
    """Let the widening fields of a live row take effect, signed by all who must."""
    _apply(change, by, _write_proposed_fields)


def _apply(
    change: ProposedChange, by: Person, write: Callable[[Agent, ProposedChange, Person], None]
) -> None:
    agent = locked(Agent, "agent", slug=change.agent)
    _change_reach(
        agent,
        by,
        lambda: write(agent, change, by),
        lambda reach: _agreed(agent, reach, by, change),
    )


def _write_proposed_fields(agent: Agent, change: ProposedChange, by: Person) -> None:
    _check_editable(agent)
    was, wanted = change.before["fields"], dict(change.after["fields"])
    if any(plain(getattr(agent, name)) != value for name, value in was.items()):
        raise ChangeOutdated()
    if provider := wanted.get("model_provider"):
        wanted["model_provider"] = locked(System, "system", slug=provider)
    _write_fields(agent, wanted, by)


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
        after={"tool": tool.name, "entry": dict(wanted), **_needs(waits)},
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
    """Let a live row call what was proposed, signed by all who must."""
    _apply(change, by, _write_proposed_entry)


def _write_proposed_entry(agent: Agent, change: ProposedChange, by: Person) -> None:
    _check_editable(agent)
    tool = locked(Tool, "tool", name=change.after["tool"])
    if _entry(agent, tool) != change.before["entry"]:
        raise ChangeOutdated()
    entry = change.after["entry"]
    _check_narrowing(tool, entry["narrowing"])
    check_gates(tool, entry.get("gates", {}))
    _write_entry(agent, tool, entry, by)


@transaction.atomic
def remove_allowlist_entry(*, agent_id: int, tool: Tool, by: Person) -> Agent:
    """Take a tool from an agent, at once. Nothing happens where it does not have it."""
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_narrow_agent(agent, by)
    _check_editable(agent)
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


# Agents that it hands over to


@transaction.atomic
def set_sub_agent(
    *,
    agent_id: int,
    sub_agent: Agent,
    by: Person,
    alone: bool = False,
    result_schema: Mapping[str, Any] | None = None,
    result_tier: str = Tier.INTERNAL,
    result_trusted: bool = False,
) -> Saved[Agent]:
    """Declare that an agent may hand over to another, and what of its answers it takes in.

    An answer meets `result_schema` and is `result_tier` at the most. On a live row, more is a
    review, as it is for a tool.
    """
    check_alone(alone)
    agent = _editable(agent_id, by)
    _check_sub_agent(agent, sub_agent)
    before = _declared(agent, sub_agent)
    wanted: SubAgentFields = {
        "result_schema": dict(result_schema or {}),
        "result_tier": str(result_tier),
        "result_trusted": result_trusted,
    }
    _check_result_schema(wanted["result_schema"])
    if before == wanted:
        return Saved(agent)
    widens = rules.widened_sub_agent(before, wanted) if _is_live(agent) else []
    changed = (f"sub_agents.{sub_agent.slug}",)
    if not widens:
        _change_reach(agent, by, lambda: _write_sub_agent(agent, sub_agent, wanted, by))
        return Saved(agent, changed=changed)
    waits = _widen(agent, by, alone, lambda: _write_sub_agent(agent, sub_agent, wanted, by))
    if waits is None:
        return Saved(agent, changed=changed)
    change = changes.propose(
        kind=SUB_AGENT_KIND,
        target=f"{agent.slug}/{sub_agent.slug}",
        agent=agent.slug,
        summary=f"{agent.slug}, {sub_agent.slug}: {' '.join(widens)}",
        before={"declared": before},
        after={"sub_agent": sub_agent.slug, "declared": dict(wanted), **_needs(waits)},
        by=by,
    )
    agent.refresh_from_db()
    return Saved(agent, proposed=(change,))


def _check_sub_agent(agent: Agent, sub_agent: Agent) -> None:
    sentence = ""
    if sub_agent.pk == agent.pk:
        sentence = "An agent hands over to another one."
    elif sub_agent.state in {AgentState.DECOMMISSIONING, AgentState.DECOMMISSIONED}:
        sentence = f"{sub_agent.slug} is {sub_agent.state_word}, so nothing is handed over to it."
    if sentence:
        raise Invalid(sentence, fields={"sub_agent": [sentence]})


def _check_result_schema(schema: Mapping[str, Any]) -> None:
    try:
        json_schema.compile_schema(schema)
    except json_schema.SchemaError as error:
        raise Invalid(
            error.message, code=error.code, fields={"result_schema": [error.message]}
        ) from error


def _declared(agent: Agent, sub_agent: Agent) -> SubAgentFields | None:
    row = SubAgent.objects.filter(agent=agent, sub_agent=sub_agent).first()
    if row is None:
        return None
    return {
        "result_schema": row.result_schema,
        "result_tier": str(row.result_tier),
        "result_trusted": row.result_trusted,
    }


def _write_sub_agent(agent: Agent, sub_agent: Agent, wanted: SubAgentFields, by: Person) -> None:
    row = found(SubAgent, "sub-agent", agent=agent, sub_agent=sub_agent)
    created = row is None
    row = row or SubAgent(agent=agent, sub_agent=sub_agent)
    changed = assign(row, wanted)
    keep(row, by)
    _sub_agent_changed(
        agent, sub_agent, by, "sub_agent_added" if created else "sub_agent_changed", changed
    )


def _sub_agent_changed(
    agent: Agent, sub_agent: Agent, by: Person, did: str, changed: Changes | None = None
) -> None:
    _raise_version(agent, by)
    record(did, by=by, agent=agent.slug, resource=f"agent:{sub_agent.slug}", changes=changed)
    row_changed.send(sender=Agent, agent=agent, changed=(f"sub_agents.{sub_agent.slug}",), by=by)


def apply_sub_agent(change: ProposedChange, by: Person) -> None:
    """Let a live row hand over to what was proposed, signed by all who must."""
    _apply(change, by, _write_proposed_sub_agent)


def _write_proposed_sub_agent(agent: Agent, change: ProposedChange, by: Person) -> None:
    _check_editable(agent)
    sub_agent = Agent.objects.get(slug=change.after["sub_agent"])
    _check_sub_agent(agent, sub_agent)
    if _declared(agent, sub_agent) != change.before["declared"]:
        raise ChangeOutdated()
    wanted = change.after["declared"]
    _check_result_schema(wanted["result_schema"])
    _write_sub_agent(agent, sub_agent, wanted, by)


@transaction.atomic
def remove_sub_agent(*, agent_id: int, sub_agent: Agent, by: Person) -> Agent:
    """Take a sub-agent from an agent, at once: what was handed over to it is worth nothing then.

    Nothing happens where it is not declared.
    """
    agent = locked(Agent, "agent", pk=agent_id)
    permissions.check_can_narrow_agent(agent, by)
    _check_editable(agent)
    row = found(SubAgent, "sub-agent", agent=agent, sub_agent=sub_agent)
    if row is None:
        return agent

    def act() -> None:
        remove(row, by)
        _sub_agent_changed(agent, sub_agent, by, "sub_agent_removed")

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


def _no_new_word(reach: Reach) -> bool:
    return False


def _change_reach(
    agent: Agent, by: Person, act: Callable[[], object], word: Word = _no_new_word
) -> None:
    """Act, and keep a live row cleared for what it reaches then.

    A narrower reach keeps the words that were given for the wider one; a wider one gets new
    ones, or `word` raises and everything is undone.
    """
    if not _is_live(agent):
        act()
        return
    before = fresh_reach(agent)
    act()
    after = fresh_reach(agent)
    if after.digest == before.digest:
        return
    if not word(after):
        _carry(agent, before, after)
    _bring_dates_forward(agent, after, by)
    reach_changed.send(sender=Agent, agent=agent, before=before, after=after, by=by)


def _carry(agent: Agent, before: Reach, after: Reach) -> None:
    """Give every word for the reach before for the narrower one after, by who gave it."""
    carried = set()
    for word in words_for(agent, before):
        key = (word.basis, word.by_id, word.system_id)
        if key not in carried:
            carried.add(key)
            write_clearance(
                agent, after, Clearance.Basis(word.basis), word.by, system=word.system,
                reason=word.reason, tier=word.tier if word.basis == "template" else "",
            )  # fmt: skip


def words_for(agent: Agent, reach: Reach) -> list[Clearance]:
    """The words that an agent has for this reach, newest first."""
    return list(selectors.words_for(agent, reach.digest))


def _widen(agent: Agent, by: Person, alone: bool, act: Callable[[], object]) -> Reach | None:
    """Widen a live row at once where one person's word is enough; else undo it.

    Returns None where it is done, else what the row would reach.
    """

    def word(reach: Reach) -> bool:
        if not alone and permissions.can(permissions.check_can_attest_agent, agent, reach, by):
            raise _MustWait(reach)
        basis = Clearance.Basis.BOOTSTRAP if alone else Clearance.Basis.ATTESTATION
        write_clearance(agent, reach, basis, by)
        return True

    try:
        with transaction.atomic():
            _change_reach(agent, by, act, word)
    except _MustWait as wait:
        return wait.reach
    return None


def _agreed(agent: Agent, reach: Reach, by: Person, change: ProposedChange) -> bool:
    """Add the word of who agrees, and see that nobody's is missing; raises where one is."""
    if not permissions.can(permissions.check_can_attest_agent, agent, reach, by):
        write_clearance(agent, reach, Clearance.Basis.ATTESTATION, by, change=change)
        return True
    words = words_for(agent, reach)
    if clearing.missing(agent, reach, words):
        basis, system = _role_of(agent, reach.steps, words, by)
        write_clearance(agent, reach, basis, by, system=system, change=change)
    require_signed(agent, reach)
    return True


def _needs(reach: Reach) -> dict[str, Any]:
    """What is kept with a proposal: the tier and reach that the row would have, and who signs."""
    signs = [[step.role, *step.systems] for step in reach.steps]
    return {"tier": str(reach.tier), "signs": signs, "reach": reach.digest}


def require_signed(agent: Agent, reach: Reach, words: Sequence[Clearance] | None = None) -> None:
    """Raise `NotCleared`, which says whose word is missing, unless the row has all it needs."""
    given = words_for(agent, reach) if words is None else words
    if left := clearing.missing(agent, reach, given):
        raise NotCleared(f"{agent.slug} needs the word of {signing.whom(left)} first.")


def _role_of(
    agent: Agent, steps: Sequence[signing.Step], words: Sequence[Clearance], by: Person
) -> tuple[Clearance.Basis, System | None]:
    """As what a person signs who does not say it: the first step that is theirs."""
    refusal = NotAllowed(f"Only security may clear {agent.slug}.")
    owners_alone = signing.roles_of(steps) == (signing.OWNER,)
    slots = [(step.role, slug) for step in steps for slug in step.systems or ("",)]
    for role, slug in [(signing.SECURITY, "")] if owners_alone else slots:
        system = System.objects.filter(slug=slug).first() if slug else None
        basis = clearing.BASES[role]
        try:
            check_may_sign(agent, basis, by, words, system=system)
        except NotAllowed as error:
            refusal = error
            continue
        return basis, system
    raise refusal


def check_may_sign(
    agent: Agent,
    basis: Clearance.Basis,
    by: Person,
    words: Sequence[Clearance],
    *,
    system: System | None = None,
) -> None:
    """The right person, who has not signed in another role: two hats on one head count once."""
    permissions.check_can_sign_agent(agent, basis, by, system)
    others = {word.basis for word in words if word.by_id == by.pk} - {str(basis)}
    if others & clearing.OF_OTHERS:
        signed = Clearance.Basis(min(others)).label
        raise NotAllowed(
            f"{agent.slug} was {signed} by you. Two hats on one head count once, so someone "
            "else must sign here."
        )


class _Tried(Exception):
    """Undoes a change that was only tried."""

    def __init__(self, reach: Reach) -> None:
        super().__init__(reach.digest)
        self.reach = reach


def reach_after(change: ProposedChange) -> Reach:
    """What a live row would reach if this change took effect now. Nothing is changed.

    Raises `ChangeOutdated` where the change no longer fits the row.
    """
    write = {
        FIELDS_KIND: _write_proposed_fields,
        ENTRY_KIND: _write_proposed_entry,
        SUB_AGENT_KIND: _write_proposed_sub_agent,
        STAY_KIND: _write_nothing,
    }[change.kind]
    try:
        with transaction.atomic():
            agent = locked(Agent, "agent", slug=change.agent)
            write(agent, change, change.proposed_by)
            raise _Tried(fresh_reach(agent))
    except _Tried as tried:
        return tried.reach


@transaction.atomic
def propose_staying(
    *, agent_id: int, by: Person, because: str, about: Mapping[str, Any], reason: str
) -> ProposedChange:
    """Ask whether a live row may stay as it is, of all who must sign what it reaches.

    `because` names what has them asked; `about` is shown to them. Nothing changes by it.
    """
    agent = _editable(agent_id, by)
    return changes.propose(
        kind=STAY_KIND,
        target=f"{agent.slug}/{because}",
        agent=agent.slug,
        summary=f"{agent.slug}: stay as it is although {because}"[:300],
        before={},
        after={**about, **_needs(fresh_reach(agent))},
        by=by,
        reason=reason,
    )


def _write_nothing(agent: Agent, change: ProposedChange, by: Person) -> None:
    _check_editable(agent)


def apply_staying(change: ProposedChange, by: Person) -> None:
    """See that everyone signed what it reaches since they were asked; who agrees signs as well."""
    agent = locked(Agent, "agent", slug=change.agent)
    reach = fresh_reach(agent)
    if reach.digest != change.after["reach"]:
        raise ChangeOutdated()
    words = [word for word in words_for(agent, reach) if word.at >= change.proposed_at]
    if clearing.missing(agent, reach, words):
        basis, system = _role_of(agent, reach.steps, words, by)
        words.append(write_clearance(agent, reach, basis, by, system=system, change=change))
    require_signed(agent, reach, words)


@transaction.atomic
def clear_change(
    *,
    change_id: int,
    by: Person,
    basis: Clearance.Basis,
    system: System | None = None,
    reason: str = "",
    reach_digest: str = "",
) -> Clearance:
    """Give one's word for what a live row would reach with a proposed change.

    `reach_digest` is of the reach that was read; another one by now raises `ReachChanged`.
    """
    change = changes.waiting(change_id)
    agent = locked(Agent, "agent", slug=change.agent)
    reach = reach_after(change)
    if reach_digest and reach_digest != reach.digest:
        raise ReachChanged()
    if change.proposed_by_id == by.pk:
        raise NotAllowed("You proposed this, so someone else must sign it.")
    check_may_sign(agent, basis, by, words_for(agent, reach), system=system)
    return write_clearance(agent, reach, basis, by, system=system, reason=reason, change=change)


def check_who_agrees(change: ProposedChange, by: Person) -> None:
    """Whoever has a signature to give or gave one, never for their own agent.

    Up to internal its owner as well. That everyone has signed is seen when it takes effect.
    """
    agent = Agent.objects.select_related("owner", "backup_owner").get(slug=change.agent)
    steps = steps_of(change)
    if signing.roles_of(steps) == (signing.OWNER,) and by.pk == agent.owner_id:
        return
    words = list(selectors.words_for(agent, change.after.get("reach", "")))
    if any(word.by_id == by.pk for word in words) and not permissions.answers_for(agent, by):
        return
    _role_of(agent, steps, words, by)


def steps_of(change: ProposedChange) -> tuple[signing.Step, ...]:
    """Who had to sign a proposed change of a live row when it was proposed."""
    signs = change.after.get("signs") or [[signing.SECURITY]]
    return tuple(signing.Step(role, tuple(systems)) for role, *systems in signs)


def write_clearance(
    agent: Agent,
    reach: Reach,
    basis: Clearance.Basis,
    by: Person,
    *,
    system: System | None = None,
    reason: str = "",
    tier: str = "",
    change: ProposedChange | None = None,
) -> Clearance:
    """Note whose word the row has for this reach; whether it may be given was checked."""
    clearance = Clearance(
        agent=agent,
        reach_digest=reach.digest,
        row_digest=row_digest(agent, reach),
        tier=tier or reach.tier,
        basis=basis,
        system=system,
        by=by,
        stands_in_for=_absent(system, by),
        reason=reason,
        at=clock.now(),
    )
    clearance.save()
    absent = clearance.stands_in_for
    record(
        "agent_cleared",
        by=by,
        agent=agent.slug,
        resource=f"agent:{agent.slug}",
        tier=reach.tier,
        changes={"reason": ("", reason)} if reason else None,
        more={
            "basis": str(basis),
            "reach": reach.digest,
            "row": clearance.row_digest,
            **({"system": system.slug} if system else {}),
            **({"stands_in_for": absent.pid} if absent else {}),
        },
    )
    agent_cleared.send(sender=Agent, agent=agent, clearance=clearance, change=change)
    return clearance


def _absent(system: System | None, by: Person) -> Person | None:
    """The owner of the source whom `by` stands in for, if it is not theirs."""
    owner = system.owner if system else None
    if owner is None or owner.pk == by.pk:
        return None
    deputy = absences.stand_in_of(owner)
    return owner if deputy is not None and deputy.pk == by.pk else None


def _bring_dates_forward(agent: Agent, reach: Reach, by: Person) -> None:
    today = today_of(agent.owner)
    agent.review_due = min(filter(None, (agent.review_due, reach.review_due(today))))
    agent.renewal_due = min(filter(None, (agent.renewal_due, reach.renewal_due(today))))
    keep(agent, by, ["review_due", "renewal_due"])


def today_of(person: Person, at: datetime | None = None) -> date:
    """The date on this person's calendar."""
    return business_days.date_in(person.zone, at or clock.now())
