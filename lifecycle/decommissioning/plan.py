"""The plan of an end: what an agent holds, where it lies, and what of it Muster can end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from authz.models import Delegation, FlowSession, Grant, Hold, Lease, Release, Reservation
from governance import words
from governance.kernel import business_days, clock
from lifecycle.cases import kinds as cases
from lifecycle.credentials.pages import where_of
from lifecycle.decommissioning import ending, reading, rules
from lifecycle.decommissioning.ending import Held
from lifecycle.decommissioning.reading import Dependent
from lifecycle.models import CaseState, EndOrder, Rotation
from lifecycle.models.rotation import OPEN as ROTATING
from registry import services as register
from registry.enums import ChangeState, CredentialKind
from registry.models import Agent, Client, CredentialReference, Person, ProposedChange
from registry.models.credentials import OVER
from registry.models.external_clients import ExternalClientState
from registry.vault import places

# How many people, or agents, a line of the plan names.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Part:
    """What an agent holds of one kind. Without anything it is said all the same."""

    name: str
    title: str
    held: tuple[Held, ...]
    none: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that one should know before an agent ends."""

    agent: Agent
    tier: str
    dependents: tuple[Dependent, ...]
    waits_until: datetime | None
    waits_on: date | None
    order: EndOrder | None
    destroyed_on: date
    parts: tuple[Part, ...]

    @property
    def waiting(self) -> int:
        """How many have not said yet that they know."""
        return sum(each.waited_for for each in self.dependents)

    @property
    def for_people(self) -> int:
        """How many things a person has to end where they lie."""
        return sum(not each.by_muster for part in self.parts for each in part.held)


def plan_of(agent: Agent, by: Person) -> Plan:
    """What would happen if `by` ended it now."""
    now = clock.now()
    tier = str(register.fresh_reach(agent).tier)
    order = reading.open_order(agent)
    dependents = tuple(reading.dependents_of(agent, order.by if order else by))
    waits = agent.is_live and any(each.waited_for for each in dependents)
    begins = rules.begins_at(tier, agent.owner, now)
    until = order.begins_at if order else begins if waits else None
    return Plan(
        agent=agent,
        tier=tier,
        dependents=dependents,
        waits_until=until,
        waits_on=business_days.date_in(agent.owner.zone, until) if until else None,
        order=order,
        destroyed_on=rules.destroy_at(tier, until or now).date(),
        parts=tuple(_parts(agent, now)),
    )


def _parts(agent: Agent, now: datetime) -> Iterable[Part]:
    yield Part("credentials", "Credentials", tuple(_credentials(agent)), "It names none.")
    yield Part("identity", "Its own identity", tuple(_identity(agent)), "It has no key.")
    yield Part("holds", "What waits for a human", tuple(_holds(agent, now)), "Nothing waits.")
    yield Part("runs", "Leases and runs", tuple(_runs(agent, now)), "None is open.")
    yield Part("grants", "People it acts for", tuple(_grants(agent, now)), "It acts for nobody.")
    handed = tuple(_delegations(agent, now))
    yield Part("delegations", "Delegations", handed, "Nothing is handed over, by it or to it.")
    yield Part("cases", "What is asked about it", tuple(_cases(agent)), "Nothing is asked.")
    yield Part("questions", "Changes and reviews", tuple(_questions(agent)), "None is open.")
    yield Part("campaigns", "Campaigns", tuple(_campaigns(agent)), "None names it.")
    yield Part("schedules", "Schedules", tuple(_schedules(agent)), "None.")
    yield Part("names", "What names it", tuple(_names(agent)), "Nothing asks it for approval.")
    yield from _registered(agent)


def _registered(agent: Agent) -> Iterable[Part]:
    """What others give agents, each as it says it."""
    for step in ending.in_order():
        if step.held is not None:
            yield Part(step.name, step.title, tuple(step.held(agent)), "None.")


def _credentials(agent: Agent) -> Iterable[Held]:
    for each in agent.credentials.exclude(state__in=OVER).select_related("system"):
        by_muster, how = _end_of(each)
        yield Held(each.reference, where_of(each), by_muster, how)
    for sentence in reading.live_credentials(agent):
        yield Held(sentence, "revoked", False, "It waits for somebody's word.")


def _end_of(credential: CredentialReference) -> tuple[bool, str]:
    """Whether Muster's end of it ends it at its source as well, as far as it is known here."""
    opens = credential.system.slug if credential.system else "what it is for"
    if credential.kind == CredentialKind.ELSEWHERE:
        return False, f"Muster only names it. End it at {opens}, then say so."
    if credential.generated and credential.last_read_at is None:
        return True, "Nobody has read it: it is revoked, and destroyed later."
    if places.scheme_of(credential.reference) == places.AWS:
        return False, f"AWS rotates it where that is set up. Else end it at {opens}, and say so."
    return False, f"Muster's copy goes. Whoever read it may still open {opens}: end it there."


def _identity(agent: Agent) -> Iterable[Held]:
    client = Client.objects.filter(agent=agent).first()
    if client is not None:
        how = "Secret, keys and tokens end at once. The id is never given again."
        yield Held(client.client_id, "Muster's token endpoint", True, how)
    for each in agent.external_clients.exclude(state=ExternalClientState.DELETED):
        yield Held(each.client_id or "a client", each.provider, True, "It is deleted there.")


def _holds(agent: Agent, now: datetime) -> Iterable[Held]:
    waiting = Hold.objects.filter(agent=agent.slug, state="open").count()
    if waiting:
        yield Held(
            rules.counted(waiting, "hold"), "inbox", True, "Refused: its callers are told why."
        )
    unused = Release.objects.filter(agent=agent.slug, used_by__isnull=True, until__gt=now).count()
    if unused:
        yield Held(rules.counted(unused, "release"), "inbox", True, "Never run any more.")
    reserved = Reservation.objects.open_of(agent.slug)
    if reserved:
        what = f"{words.money(reserved, agent.currency)} reserved"
        how = "Free where it waited; a call under way settles by its report."
        yield Held(what, "limits", True, how)


def _runs(agent: Agent, now: datetime) -> Iterable[Held]:
    leases = Lease.objects.filter(agent=agent, ended_at__isnull=True, expires_at__gt=now).count()
    if leases:
        yield Held(rules.counted(leases, "lease"), "vault", True, "Ended at once.")
    runs = FlowSession.objects.filter(agent=agent, ended_at__isnull=True, expires_at__gt=now)
    ways = sorted({each or "itself" for each in runs.values_list("gateway__slug", flat=True)})
    if ways:
        yield Held(
            rules.counted(runs.count(), "run"), f"opened by {', '.join(ways)}", True, "Ended."
        )


def _grants(agent: Agent, now: datetime) -> Iterable[Held]:
    """How many, not whose: an owner need not know who lets the agent act for them."""
    live = Grant.objects.filter(agent=agent, ended_at__isnull=True, until__gt=now).count()
    if live:
        how = "Ended at once. Each of these people is told."
        yield Held(rules.counted(live, "grant"), "given by people", True, how)


def _delegations(agent: Agent, now: datetime) -> Iterable[Held]:
    live = Delegation.objects.filter(ended_at__isnull=True, until__gt=now)
    for word, other, of in (
        ("handed to", "receiver__slug", {"giver": agent}),
        ("handed by", "giver__slug", {"receiver": agent}),
    ):
        others = list(live.filter(**of).values_list(other, flat=True))
        if others:
            where = f"{word} {_named(sorted(set(others)))}"
            what = rules.counted(len(others), "delegation")
            yield Held(what, where, True, "Ended at once, with all that is handed on below.")


def _named(slugs: list[str]) -> str:
    more = len(slugs) - NAMED
    return ", ".join(slugs[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _cases(agent: Agent) -> Iterable[Held]:
    for case in agent.cases.filter(state=CaseState.OPEN).order_by("due_at"):
        until = f"asked until {case.due_there:%Y-%m-%d}"
        yield Held(cases.of(case).question(case), until, True, "Closed: its end is the answer.")


def _campaigns(agent: Agent) -> Iterable[Held]:
    """What was found of it where it runs. It stays found: whoever runs it there switches it off."""
    rows = agent.candidates.select_related("campaign").order_by("campaign", "position")
    for each in rows:
        how = "Muster refuses it from then on. Switch it off where it was found."
        yield Held(str(each), f"campaign {each.campaign}", False, how)


def _questions(agent: Agent) -> Iterable[Held]:
    waiting = ProposedChange.objects.filter(agent=agent.slug, state=ChangeState.PROPOSED)
    for change in waiting.order_by("pk"):
        yield Held(change.summary, "proposed", True, "Falls away; its proposer is told.")
    for review in reading.open_reviews(agent):
        what = f"A review {review.get_kind_display()}"
        until = f"open until {review.due_on}" if review.due_on else "open"
        yield Held(what, until, True, "Closed.")


def _schedules(agent: Agent) -> Iterable[Held]:
    for rotation in Rotation.objects.filter(agent=agent, state__in=ROTATING):
        yield Held(f"Rotation due on {rotation.due_on}", "rotation", True, "Closed.")
    if agent.is_observed:
        yield Held("Observe mode", "the row", True, "Ended at once.")
    if agent.renewal_due:
        yield Held(f"Renewal on {words.day(agent.renewal_due)}", "the row", True, "Asked no more.")
    if agent.is_live:
        yield Held("Adversarial tests after each change", "the row", True, "Not run any more.")


def _names(agent: Agent) -> Iterable[Held]:
    for sentence in reading.naming(agent):
        yield Held(sentence, "a gate", False, "Its word is never given again.")
