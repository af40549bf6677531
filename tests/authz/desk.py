"""Slices and requests for tests of the engine, from documents."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from authz.engine.acting import givers_in
from authz.engine.types import Input, Request, Slice, Snapshot, SubjectKind, Token

CASES = Path(__file__).parent / "cases"
NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)  # a Monday, 14:00 in Copenhagen
REQUEST_FIELDS = frozenset(field.name for field in fields(Request))


def documents(name: str = "desk") -> dict[str, Any]:
    """A named set of slice documents, fresh for each test."""
    return copy.deepcopy(_loaded(name))


@cache
def _loaded(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CASES / "worlds" / f"{name}.yaml").read_text())
    return loaded


def a_slice(key: str, document: Mapping[str, Any] | None) -> Slice | None:
    if document is None:
        return None
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return Slice(key=key, revision=1, digest=digest, document=document)


def snapshot(docs: Mapping[str, Any], request: Request) -> Snapshot:
    """The slices that belong to a request."""
    world = a_slice("global", docs["world"])
    assert world is not None
    chain = a_slice(f"chain:{request.delegation}", docs.get("chains", {}).get(request.delegation))
    return Snapshot(
        world=world,
        agent=a_slice(f"agent:{request.agent}", docs["agents"].get(request.agent)),
        person=a_slice(f"user:{request.person}", docs["people"].get(request.person)),
        user=a_slice(f"user:{request.user}", docs["people"].get(request.user)),
        gateway=a_slice(f"gateway:{request.gateway}", docs["gateways"].get(request.gateway)),
        session=a_slice(
            f"session:{request.session}", docs.get("sessions", {}).get(request.session)
        ),
        chain=chain,
        givers=tuple(
            a_slice(f"agent:{giver}", docs["agents"].get(giver)) for giver in givers_in(chain)
        ),
    )


def a_request(**given: Any) -> Request:
    """A request of the desk agent with its own valid token, changed by `given`."""
    unknown = set(given) - REQUEST_FIELDS
    assert not unknown, unknown
    wanted: dict[str, Any] = {
        "kind": "agent",
        "tool": "crm.find",
        "agent": "desk" if given.get("kind", "agent") == "agent" else "",
        "parameters": {},
        "token": {"client_version": 1 if given.get("gateway") else 2, "jti": "new"},
        **given,
    }
    wanted["kind"] = SubjectKind(wanted["kind"])
    wanted["token"] = Token(**wanted["token"]) if wanted["token"] else None
    wanted["chain"] = tuple(wanted.get("chain", ()))
    wanted["inputs"] = tuple(Input(**each) for each in wanted.get("inputs", ()))
    wanted["untrusted"] = tuple(wanted.get("untrusted", ()))
    return Request(**wanted)
