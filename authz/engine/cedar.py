"""One call of the policy engine, read so that only an allow without errors is an allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import cedarpy
import orjson

from authz.engine import names
from authz.engine.types import Json

KEPT_VERDICTS = 8192
MAX_KEPT_CONTEXT = 1024  # bytes


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks for which action on what, in which context, among which entities."""

    principal: Mapping[str, str]
    action: str
    resource: Mapping[str, str]
    context: Mapping[str, Json]
    entities: Any
    schema: Any


@dataclass(frozen=True, slots=True)
class Verdict:
    """The engine's answer. `denied` and `allowed` are both False where it came to none.

    `reasons` are the statements that determined it, `errors` the engine's words, which may repeat
    a caller's values: they are looked through for names of statements and kept nowhere.
    """

    allowed: bool
    denied: bool
    reasons: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def is_allow(self) -> bool:
        """The engine allows although a forbid failed by an error; here that is no allow."""
        return self.allowed and not self.errors

    @property
    def is_forbidden(self) -> bool:
        """A forbid applied: certain, whatever else failed."""
        return self.denied and bool(self.reasons)

    @property
    def has_failed(self) -> bool:
        """An error, or no answer at all."""
        return bool(self.errors) or not (self.allowed or self.denied)

    def without(self, lacking: Collection[str], permits: Collection[str]) -> Verdict:
        """The verdict with those statements still open that failed for want of `lacking`.

        An open one of `permits` counts as permitting where nothing else decided.
        """
        waiting = [error for error in self.errors if _wants(error, lacking)]
        may_permit = any(f"`{uid}`" in error for uid in permits for error in waiting)
        opened = may_permit and self.denied and not self.reasons
        return Verdict(
            allowed=self.allowed or opened,
            denied=self.denied and not opened,
            reasons=self.reasons,
            errors=tuple(error for error in self.errors if error not in waiting),
        )


def _wants(error: str, lacking: Collection[str]) -> bool:
    return any(f"record does not have the attribute `{name}`" in error for name in lacking)


# The engine is a pure function of its arguments. A verdict is kept by all of them: texts by value,
# parsed objects by identity. Each entry holds its objects, so that no other can have their places.
_kept: dict[tuple[Any, ...], tuple[Verdict, tuple[Any, ...]]] = {}


def put(asked: Question, policies: Any) -> Verdict:
    """Put a question to a policy set; one that was put before to the same is not put again."""
    parsed = (policies, asked.entities, asked.schema)
    # As text, which the wrapper does not copy.
    context = orjson.dumps(asked.context).decode()
    key = (*map(id, parsed), *asked.principal.values(), asked.action, *asked.resource.values())
    found = _kept.get((*key, context))
    if found is not None:
        return found[0]
    verdict = _put(asked, policies, context)
    # The engine's words for an error may repeat a caller's values, so they are not kept.
    if not verdict.errors and len(context) <= MAX_KEPT_CONTEXT:
        if len(_kept) >= KEPT_VERDICTS:
            _kept.clear()
        _kept[(*key, context)] = verdict, parsed
    return verdict


def _put(asked: Question, policies: Any, context: str) -> Verdict:
    request = {
        "principal": asked.principal,
        "action": {"type": names.ACTION, "id": asked.action},
        "resource": asked.resource,
        "context": context,
    }
    answer = cedarpy.is_authorized(request, policies, asked.entities, asked.schema)
    return Verdict(
        allowed=answer.decision is cedarpy.Decision.Allow,
        denied=answer.decision is cedarpy.Decision.Deny,
        reasons=tuple(answer.diagnostics.reasons),
        errors=tuple(answer.diagnostics.errors),
    )


def named_in(errors: tuple[str, ...], known: Mapping[str, str]) -> tuple[str, ...]:
    """The policies whose statements the engine's errors name."""
    found = {policy for uid, policy in known.items() if any(f"`{uid}`" in one for one in errors)}
    return tuple(sorted(found))
