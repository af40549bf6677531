"""The catalogue of data that is dangerous together: what it starts with, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authz.models import ToxicCombination
from registry.enums import CombinedEffect, Tier
from registry.reach import Combination

# Each with what it is known from. The last is governed at run time already (an external message
# after untrusted input waits for a human, and private data does not flow to where it is lower),
# so it is only listed: else every agent that answers mail would need the longest review.
FIRST: tuple[dict[str, Any], ...] = (
    {
        "slug": "salary-per-person",
        "categories": ["hr-directory", "compensation"],
        "implied_tier": Tier.RESTRICTED,
        "reason": "Together they tell what each person earns.",
        "reference": "Payroll of about 100,000 staff of Morrisons put on the web, 2014: "
        "WM Morrison Supermarkets plc v Various Claimants [2020] UKSC 12",
    },
    {
        "slug": "relationship-map",
        "categories": ["customer-contacts", "deal-values", "email-metadata"],
        "implied_tier": Tier.RESTRICTED,
        "reason": "Together they map which customers matter and who holds them: "
        "ready for poaching.",
        "reference": "Tokens of a sales chat agent opened the CRM data of hundreds of companies: "
        "Salesloft Drift, August 2025",
    },
    {
        "slug": "supply-chain",
        "categories": ["source-code", "deployment-config", "secrets"],
        "implied_tier": Tier.RESTRICTED,
        "reason": "Together they are everything that an attack on the supply chain needs.",
        "reference": "CircleCI, security incident of 4 January 2023",
    },
    {
        "slug": "behaviour-profile",
        "categories": ["employee-calendars", "email-metadata"],
        "implied_tier": Tier.RESTRICTED,
        "reason": "Together they profile how everyone on the staff spends their days.",
        "reference": "Profiles of employees kept by H&M in Nuremberg: fine of the Hamburg data "
        "protection authority, 1 October 2020",
    },
    {
        "slug": "linked-payments",
        "categories": ["support-tickets", "payment-records"],
        "implied_tier": Tier.RESTRICTED,
        "reason": "Together they tie a person's identity to their money.",
        "reference": "Support agents were bribed to copy customers' data: Coinbase, May 2025",
    },
    {
        "slug": "lethal-trifecta",
        "effects": [
            CombinedEffect.PRIVATE_DATA,
            CombinedEffect.UNTRUSTED_CONTENT,
            CombinedEffect.EXTERNAL_COMMUNICATION,
        ],
        "implied_tier": Tier.CONFIDENTIAL,
        "reason": "Whoever writes what it reads can have it send what is private to the outside.",
        "reference": "EchoLeak, CVE-2025-32711; named by Simon Willison, 16 June 2025",
        "only_listed": True,
    },
)


def catalogue() -> Sequence[Combination]:
    """The combinations that count now."""
    return [
        Combination(
            slug=row.slug,
            categories=frozenset(row.categories),
            tier=Tier(row.implied_tier),
            reason=row.reason,
            effects=frozenset(row.effects),
            only_listed=row.only_listed,
        )
        for row in ToxicCombination.objects.filter(is_active=True)
    ]


def plant_catalogue(**_: Any) -> None:
    """Put the first combinations in place. What was changed or switched off since stays so."""
    for one in FIRST:
        ToxicCombination.objects.get_or_create(slug=one["slug"], defaults=one)
