"""The catalogue of data that is dangerous together: what it starts with, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authz.models import ToxicCombination
from registry.enums import Tier
from registry.reach import Combination

# slug, categories, the tier that they imply, why
FIRST = (
    (
        "salary-per-person",
        ["hr-directory", "compensation"],
        Tier.RESTRICTED,
        "Together they tell what each person earns.",
    ),
    (
        "relationship-map",
        ["customer-contacts", "deal-values", "email-metadata"],
        Tier.RESTRICTED,
        "Together they map which customers matter and who holds them: ready for poaching.",
    ),
    (
        "supply-chain",
        ["source-code", "deployment-config", "secrets"],
        Tier.RESTRICTED,
        "Together they are everything that an attack on the supply chain needs.",
    ),
    (
        "behaviour-profile",
        ["employee-calendars", "email-metadata"],
        Tier.RESTRICTED,
        "Together they profile how everyone on the staff spends their days.",
    ),
    (
        "linked-payments",
        ["support-tickets", "payment-records"],
        Tier.RESTRICTED,
        "Together they tie a person's identity to their money.",
    ),
)


def catalogue() -> Sequence[Combination]:
    """The combinations that count now."""
    return [
        Combination(row.slug, frozenset(row.categories), Tier(row.implied_tier), row.reason)
        for row in ToxicCombination.objects.filter(is_active=True)
    ]


def plant_catalogue(**_: Any) -> None:
    """Put the first combinations in place. What was changed or switched off since stays so."""
    for slug, categories, tier, reason in FIRST:
        ToxicCombination.objects.get_or_create(
            slug=slug,
            defaults={"categories": categories, "implied_tier": tier, "reason": reason},
        )
