"""What of a question may be kept, and where.

Runs before the decision. Values of fields that the tool declares secret are kept as keyed
hashes. A credential anywhere else is never kept: the part that holds it is left out of the
payload (a name is blotted out), and the call is refused with the place, never the value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from audit.errors import NotRecordable
from audit.payloads import canonical, new_salt
from audit.redactor import find_secret, is_suspect, redact, seal_secret_field
from authz.asks import Ask

# Members of an Ask besides its payload, and what the caller calls them.
_PATHS = {
    "tool": "action.name",
    "agent": "subject.id",
    "person": "subject.id",
    "user": "context.user",
    "subject_type": "subject.type",
    "resource_type": "resource.type",
    "resource_id": "resource.id",
    "session": "context.session",
    "prompt_digest": "context.prompt_digest",
    "code_reference": "context.code_reference",
    "chain": "subject.properties.act",
    "subject_properties": "subject.properties",
    "resource_properties": "resource.properties",
}


@dataclass(frozen=True, slots=True)
class Clean:
    """A question in which no credential is left outside of its parameters.

    `payload` is what is kept of its personal content, `salts` what was used in sealing it,
    `secret_path` where a credential was found ("" for nowhere).
    """

    ask: Ask
    payload: Mapping[str, Any]
    salts: Mapping[str, bytes] = field(default_factory=dict)
    secret_path: str = ""


def clean(ask: Ask, secret: Collection[str]) -> Clean:
    """`ask` as it may be kept; `secret` are the parameters that its tool declares secret."""
    salt = new_salt()
    payload = _payload(ask, secret, salt)
    if not _is_worth_a_look(ask, payload):
        return Clean(ask, payload, {"parameters": salt})
    found = {part: place for part, value in payload.items() if (place := find_secret(value))}
    paths = [f"{part}{place[1:]}" for part, place in found.items()]
    kept = {part: value for part, value in payload.items() if part not in found}
    blotted = _blotted(ask)
    if "inputs" in found:
        # What is not kept is not judged by either.
        ask = replace(ask, read=())
    paths += [_PATHS[member] for member in blotted]
    return Clean(
        ask=replace(ask, **blotted) if blotted else ask,
        payload=kept,
        salts={"parameters": salt} if "parameters" in kept else {},
        secret_path=paths[0] if paths else "",
    )


def _is_worth_a_look(ask: Ask, payload: Mapping[str, Any]) -> bool:
    """A quick look at all of it at once; False only where nothing would be found in any part."""
    try:
        return is_suspect(canonical([payload, *(getattr(ask, member) for member in _PATHS)]))
    except NotRecordable:
        return True


def blot(cleaned: Clean, why: Exception) -> Clean:
    """`cleaned` with nothing left of what was sent but its names, and those blotted out."""
    names = {
        name: redact(value) if isinstance(value, str) else {}
        for name in _PATHS
        if (value := getattr(cleaned.ask, name))
    }
    nothing: dict[str, Any] = {
        "parameters": {},
        "reasoning": "",
        "inputs": None,
        "chain": (),
        "read": (),
    }
    ask = replace(cleaned.ask, **{**names, **nothing})
    fields = getattr(why, "fields", {})
    return Clean(ask, {}, secret_path=next(iter(fields), "") or "parameters")


def _payload(ask: Ask, secret: Collection[str], salt: bytes) -> dict[str, Any]:
    parameters = {
        name: seal_secret_field(value, salt) if name in secret else value
        for name, value in ask.parameters.items()
    }
    parts: dict[str, Any] = {"parameters": parameters}
    if ask.reasoning:
        parts["reasoning"] = ask.reasoning
    if ask.inputs is not None:
        parts["inputs"] = ask.inputs
    return parts


def _blotted(ask: Ask) -> dict[str, Any]:
    values = {member: getattr(ask, member) for member in _PATHS}
    return {member: redact(value) for member, value in values.items() if find_secret(value)}
