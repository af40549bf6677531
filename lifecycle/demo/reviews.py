"""Reviews of the made-up company in different places: real ones, made through the services."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from authz.models import Role
from governance.kernel.database_clock import database_now
from lifecycle import services
from lifecycle.demo.days import person
from lifecycle.models import Review
from lifecycle.reviews import services as reviews
from registry import services as register
from registry.models import System, Tool

_LIMITS = {"rate_per_minute": 20, "rate_per_hour": 400, "spend_cap_minor": 1_500}


def ask_for_reviews() -> None:
    """Three agents that ask to go live: unsigned, toxic, and sent back."""
    _quote_helper()
    _refund_insight()
    _partner_sync()
    _stand_in()


def ask_for_a_late_one() -> None:
    """Restricted: security has signed, the DPO has not, and it is her turn for days."""
    review = _ask(
        "claims-followup",
        "jane.okafor",
        "Tells a customer how far their claim is, from the claims archive.",
        ["claims.read", "crm.contact.read"],
    )
    _sign(review, "security", "aiko.mori", "It reads the status fields that the desk shows anyway.")
    reviews.add_comment(
        review_id=review.pk,
        by=person("ingrid.solheim"),
        text="I wait for the retention period of the archive before I sign.",
    )


def _quote_helper() -> None:
    """Confidential: nobody has answered yet."""
    _ask(
        "quote-helper",
        "lars.holm",
        "Looks deals up for the finance desk when a quote is written.",
        ["crm.deal.read", "doc.read"],
    )


def _refund_insight() -> None:
    """Tickets and payments together are toxic: the owner of one source has signed."""
    review = _ask(
        "refund-insight",
        "emil.brandt",
        "Finds out which tickets lead to refunds.",
        ["ticket.search", "refund.export"],
    )
    payments = System.objects.get(slug="payments")
    if review.steps.filter(system=payments, state="waiting").exists():
        said = "Monthly sums are enough for this, and the narrowing says so."
        _sign(review, "source_owner", "priya.raman", said, payments)


def _partner_sync() -> None:
    """Sent back, with what must change."""
    review = _ask(
        "partner-sync",
        "sofia.lindqvist",
        "Keeps partners' contacts the same in the customer register and the warehouse.",
        ["crm.contact.search", "metrics.query"],
    )
    reviews.ask_for_change(
        step_id=review.steps.get(role="security").pk,
        by=person("tomasz.lewandowski"),
        reason="Name a backup owner, and read the segments alone.",
    )


def _stand_in() -> None:
    """A source owner hands her duty on for a week."""
    owner, today = person("priya.raman"), database_now().date()
    deputy = person("sofia.lindqvist")
    register.declare_absence(
        person=owner,
        stand_in=deputy,
        first_day=today,
        last_day=today + timedelta(days=7),
        by=owner,
        reason="Year-end close",
    )


def _ask(slug: str, owner: str, purpose: str, tools: list[str]) -> Review:
    by = person(owner)
    facts: dict[str, Any] = {"purpose": purpose, "model": "Meridian M2", **_LIMITS}
    facts["model_provider"] = System.objects.get(slug="meridian")
    agent = services.register_agent(
        by=by,
        slug=slug,
        facts=facts,
        tools=Tool.objects.filter(name__in=tools).order_by("name"),
        roles=list(Role.objects.filter(slug="support-read")),
    )
    return reviews.open_review(agent_id=agent.pk, by=by)


def _sign(
    review: Review, role: str, signer: str, reason: str, system: System | None = None
) -> None:
    step = review.steps.get(role=role, system=system)
    reviews.approve_step(step_id=step.pk, by=person(signer), reason=reason, digest=review.digest)
