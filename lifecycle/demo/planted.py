"""What is not in order in the made-up company, so that whoever evaluates Muster finds it.

All of it is such as a company really has, done through the services by whoever could do it, and
what Muster refuses was refused. `docs/howto/find-ten-things.md` says where each shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from authz.models import Hold
from authz.services import holds
from governance.kernel.emergency import under
from lifecycle.break_glass import services as break_glass
from lifecycle.demo.days import Days, at, person
from lifecycle.demo.reviews import ask_for_a_late_one
from lifecycle.models import BreakGlass
from registry import changes
from registry import services as register
from registry.enums import AgreementKind, Tier
from registry.errors import OwnMatter
from registry.models import Agent, System

Step = tuple[datetime, Callable[[], object]]
# How long the agreement about health data has been over, and since when nobody changed a key.
BAA_OVER, KEY_UNCHANGED = timedelta(days=12), timedelta(days=200)
# What was looked at in the emergency.
LOOKED_AT = ("/agents/", "/agents/invoice-approver/", "/trail/")
# On how many of the last business days something was done that would have been refused.
OBSERVED = 4


class Asks(Protocol):
    """Have an agent ask for a call."""

    def __call__(
        self, slug: str, tool: str, parameters: dict[str, Any], session: str = ""
    ) -> None: ...


def steps(days: Days, ask: Asks) -> Iterator[Step]:
    """What happens, each at its time, in no order."""
    yield at(days.since["health-quotes"], 11), partial(_sign_for_health_data, days)
    yield at(days.back(9), 10, 20), _find_names_in_complaints
    yield at(days.back(8), 10), ask_for_a_late_one
    yield from _down_the_tiers(days, ask)
    yield from _observed(days, ask)
    yield at(days.back(5), 18, 40), _open_emergency
    for minute, place in enumerate(LOOKED_AT, start=42):
        yield at(days.back(5), 18, minute), partial(_look_at, place)
    yield at(days.back(5), 19, 5), _end_emergency
    yield at(days.back(4), 9, 15), _review_emergency
    yield days.now, partial(_say_when_it_was_changed, days)


def _sign_for_health_data(days: Days) -> None:
    """A BAA that ends, while the agent goes on reading health data."""
    register.add_agreement(
        system_id=System.objects.get(slug="lumen").pk,
        kind=AgreementKind.BAA,
        reference="BAA-2025-003",
        signed_on=days.today - BAA_OVER - timedelta(days=365),
        expires_on=days.today - BAA_OVER,
        by=person("marco.ferri"),
    )


def _find_names_in_complaints() -> None:
    """Their owner tags them higher, and nobody looks at the agent that reads them."""
    register.save_system(
        slug="complaints",
        tier=Tier.CONFIDENTIAL,
        categories=["complaint-notes", "customer-complaints"],
        by=person("sofia.lindqvist"),
    )


def _down_the_tiers(days: Days, ask: Asks) -> Iterator[Step]:
    """What was read of somebody's health is to be posted to a channel; it is refused."""
    day, session = days.back(3), "quote-20397"
    yield (
        at(day, 11, 2),
        partial(ask, "health-quotes", "claims.read", {"claim": "CL-20397"}, session),
    )
    text = {"channel": "#support", "text": "CL-20397: class 3, because of the operation in May"}
    yield at(day, 11, 3), partial(ask, "health-quotes", "chat.post", text, session)


def _observed(days: Days, ask: Asks) -> Iterator[Step]:
    """An agent that is observed, and writes what its row does not let it write."""
    yield at(days.back(OBSERVED + 1), 14, 10), _observe
    for number in range(OBSERVED, 0, -1):
        status = {"contact": str(20417 + number), "status": "solved"}
        yield (
            at(days.back(number), 9, 20 + number),
            partial(ask, "contact-cleaner", "crm.update_status", status),
        )


def _observe() -> None:
    change = register.propose_observation(
        agent_id=Agent.objects.get(slug="contact-cleaner").pk,
        days=14,
        by=person("sofia.lindqvist"),
        reason="It is to close doubles as well; we look first what that would take.",
    )
    changes.agree(change_id=change.pk, by=person("aiko.mori"))


def _open_emergency() -> None:
    """Two people open emergency access, which is in order: it is reviewed the next morning."""
    break_glass.open_with_second(
        person=person("marco.ferri"),
        second=person("tomasz.lewandowski"),
        reason="The directory's sign-in is down, and somebody has to see that payments go on.",
        minutes=30,
    )


def _look_at(place: str) -> None:
    used = _emergency()
    with under(break_glass.emergency_of(used)):
        break_glass.note_request(used, method="GET", place=place)


def _end_emergency() -> None:
    used = _emergency()
    with under(break_glass.emergency_of(used)):
        break_glass.end(used_id=used.pk, by=used.person)


def _review_emergency() -> None:
    break_glass.close(
        used_id=_emergency().pk,
        by=person("noor.haddad"),
        review="Marco looked at one agent and at the trail and changed nothing. It was needed.",
    )


def _emergency() -> BreakGlass:
    return BreakGlass.objects.select_related("person").get()


def _say_when_it_was_changed(days: Days) -> None:
    """The key to the payments is older than its tier allows."""
    register.add_credential_reference(
        agent_id=Agent.objects.get(slug="refund-desk").pk,
        reference="vault://care/refund-desk/payments",
        system=System.objects.get(slug="payments"),
        scope="refunds only",
        rotated_on=days.today - KEY_UNCHANGED,
        by=person("jane.okafor"),
    )


def approve_ones_own() -> None:
    """The owner of an agent tries to approve what it asks, and is refused."""
    hold = Hold.objects.filter(agent="invoice-approver").order_by("made_at").first()
    if hold is not None:
        with suppress(OwnMatter):
            holds.approve_hold(hold_id=hold.pk, by=person("lars.holm"))
