"""Settings that are each right alone and cannot hold together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from governance.kernel import tiers

Values = Mapping[str, Any]


def contradictions(values: Values) -> Iterator[str]:
    """A sentence for each. `values` has every setting by its name."""
    yield from _rotation(values)
    if values["MUSTER_NEVER_FIRED_DAYS"] > values["MUSTER_IDLE_DAYS"]:
        yield "MUSTER_NEVER_FIRED_DAYS must be no more than MUSTER_IDLE_DAYS."
    if "kv" in values["MUSTER_VAULTS"]:
        for name in ("MUSTER_KV_URL", "MUSTER_KV_ROLE_ID"):
            if not values[name]:
                yield f"{name} is not set, and MUSTER_VAULTS names kv, which needs it."
    for name in ("MUSTER_ANCHORS", "MUSTER_STREAMS"):
        if values[name] and values[f"{name}_FILE"]:
            yield f"{name} and {name}_FILE are both set. Set one of them."
    if values["MUSTER_SIGN_IN_PROVIDERS"] and values["MUSTER_SIGN_IN_FILE"]:
        yield "MUSTER_SIGN_IN_PROVIDERS and MUSTER_SIGN_IN_FILE are both set. Set one of them."


def _rotation(values: Values) -> Iterator[str]:
    shortest = min(values[f"MUSTER_ROTATION_DAYS_{tier.upper()}"] for tier in tiers.TIERS)
    if values["MUSTER_ROTATION_OVERLAP_DAYS"] >= shortest:
        yield (
            f"MUSTER_ROTATION_OVERLAP_DAYS must be shorter than the time to the next rotation, "
            f"which MUSTER_ROTATION_DAYS_… puts at {shortest} days."
        )
