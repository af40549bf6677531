"""The templates that Muster comes with."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from lifecycle.models.templates import Template, TemplateState

_READS: dict[str, Any] = {
    "name": "reads",
    "label": "What does it read?",
    "effects": ["read"],
    "most": 10,
}
_TO_PEOPLE = ["write", "external_communication"]

FIRST: tuple[dict[str, Any], ...] = (
    {
        "slug": "read-only-summarizer",
        "name": "Read-only summarizer",
        "summary": "Reads internal systems and writes a summary to you, to nobody else.",
        "content": {
            "kind": "agent",
            "pattern": "service",
            "purpose": "Reads what is ticked and writes a summary to its owner.",
            "slots": [
                _READS,
                {
                    "name": "writes",
                    "label": "How does the summary reach you?",
                    "help": "It can only write to your own address.",
                    "effects": _TO_PEOPLE,
                    "most": 1,
                    "to": "owner",
                },
            ],
            "limits": {
                "rate_per_minute": 30,
                "rate_per_hour": 600,
                "spend_cap_minor": 500,
                "spend_cap_month_minor": 5_000,
                "write_quota_per_hour": 20,
            },
            "renewal_months": 12,
        },
    },
    {
        "slug": "draft-only-copilot",
        "name": "Draft-only copilot",
        "summary": "Acts for the user who asks: reads what they may read, writes drafts.",
        "content": {
            "kind": "copilot",
            "pattern": "impersonation",
            "purpose": "Reads for the user who asks and writes drafts that they send themselves.",
            "slots": [
                _READS,
                {
                    "name": "drafts",
                    "label": "Where does it write drafts?",
                    "help": "Only tools that write within a system. Nothing is sent to anyone.",
                    "effects": ["write"],
                    "most": 3,
                },
            ],
            "limits": {
                "rate_per_minute": 20,
                "rate_per_hour": 300,
                "spend_cap_minor": 500,
                "spend_cap_month_minor": 5_000,
                "write_quota_per_hour": 60,
            },
            "renewal_months": 12,
            "beforehand": True,
        },
    },
    {
        "slug": "notifier",
        "name": "Notifier",
        "summary": "Reads one system and posts to one channel.",
        "content": {
            "kind": "scheduled_job",
            "pattern": "service",
            "purpose": "Reads one system and posts what changed to one channel.",
            "slots": [
                {**_READS, "label": "Which system does it read?", "systems": 1, "most": 5},
                {
                    "name": "posts",
                    "label": "What does it post with?",
                    "effects": _TO_PEOPLE,
                    "most": 1,
                    "to": "asked",
                    "to_label": "Channel",
                },
            ],
            "limits": {
                "rate_per_minute": 10,
                "rate_per_hour": 120,
                "spend_cap_minor": 100,
                "spend_cap_month_minor": 1_000,
                "write_quota_per_hour": 30,
            },
            "renewal_months": 18,
        },
    },
    {
        "slug": "same-tier-etl",
        "name": "Same-tier ETL processor",
        "summary": "Moves data between systems of one tier, never up and never down.",
        "content": {
            "kind": "scheduled_job",
            "pattern": "service",
            "purpose": "Copies data between systems of the same tier.",
            "slots": [
                {**_READS, "label": "What does it copy from?"},
                {
                    "name": "writes",
                    "label": "What does it copy to?",
                    "help": "Of the same tier as what it reads.",
                    "effects": ["write"],
                    "most": 5,
                },
            ],
            "same_tier": True,
            "limits": {
                "rate_per_minute": 60,
                "rate_per_hour": 1_800,
                "spend_cap_minor": 1_000,
                "spend_cap_month_minor": 10_000,
                "write_quota_per_hour": 5_000,
            },
            "gates": {"records": {"above": 1_000}},
            "renewal_months": 12,
        },
    },
)


def plant_templates(**_: Any) -> None:
    """Put the first templates in place. What was changed or retired since stays so."""
    for each in FIRST:
        Template.objects.get_or_create(
            slug=each["slug"],
            version=1,
            defaults={
                **each,
                "state": TemplateState.ACTIVE,
                "planted": True,
                "activated_at": Now(),
            },
        )
