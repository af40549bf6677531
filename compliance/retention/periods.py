"""The periods: of the record by frameworks, of payloads by tier. Read from a file and settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

from compliance.enums import Concern

RULES = Path(__file__).with_name("rules.yaml")
# Payloads of entries without a tier: what was changed, by whom, why.
NO_TIER = ""
TIERS = (NO_TIER, "public", "internal", "confidential", "restricted")


@dataclass(frozen=True, slots=True)
class Rule:
    """A least time for the record, for whom it holds, and where it comes from."""

    id: str
    title: str
    months: int
    begins: str
    concern: Concern
    source: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule beside how many agents bring it in."""

    rule: Rule
    agents: int

    @property
    def applies(self) -> bool:
        return self.rule.id == "own" or self.agents > 0


@cache
def _file() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(RULES.read_text())
    return read


def rules() -> list[Rule]:
    """Every rule; one that a setting makes longer says so."""
    return [_rule(each) for each in _file()["record"]]


def never() -> list[str]:
    """What is never deleted."""
    return list(_file()["never"])


def _rule(each: dict[str, Any]) -> Rule:
    months = getattr(settings, each["setting"]) if "setting" in each else each["months"]
    concern = Concern(each["concern"])
    return Rule(
        each["id"], each["title"], int(months), each["from"], concern, each["source"].strip()
    )


def standing(agents_of: Callable[[Concern], int]) -> list[Standing]:
    """Every rule with how many agents bring it in, the longest first."""
    found = [Standing(each, agents_of(each.concern)) for each in rules()]
    return sorted(found, key=lambda each: (-each.applies, -each.rule.months))


def longest(found: Sequence[Standing]) -> Rule:
    """The one that wins: the longest of those that apply."""
    return max((each.rule for each in found if each.applies), key=lambda rule: rule.months)


def payloads() -> dict[str, int]:
    """For how many days payloads of each tier are kept."""
    return {tier or "none": payload_days(tier) for tier in TIERS}


def payload_days(tier: str) -> int:
    """For how many days what was sent and returned is kept, by the tier of its entry."""
    return int(settings.MUSTER_PAYLOAD_DAYS[tier or "none"])
