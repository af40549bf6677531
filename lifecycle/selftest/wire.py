"""The same over HTTP, at the running server: by someone who never stood on the register."""

from __future__ import annotations

import time
from typing import Any

import httpx

from authz.api.metadata import EVALUATION
from lifecycle.selftest import stage
from lifecycle.selftest.report import Try
from lifecycle.selftest.ways import GRANT, TOOL

SECONDS = 10.0


def answers(url: str) -> bool:
    """Whether a server of Muster is up there."""
    try:
        return httpx.get(f"{url}/healthz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def tries(url: str) -> list[Try]:
    """What leaves a trace says whose it is: `muster-selftest`."""
    subject = stage.unknown()
    body = {
        "subject": {"type": "agent", "id": subject.slug},
        "action": {"name": TOOL},
        "resource": {"type": "muster", "id": subject.slug},
    }
    spoilt = f"Bearer {subject.token[:-8]}AAAAAAAA"
    asked: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("A token, by a secret that is made up", "/oauth/token", {"data": GRANT, "auth": subject}),
        ("A decision, with a token whose agent is unknown", EVALUATION, {"json": body}),
        ("A decision, with a token that was altered", EVALUATION, {"json": body, "bearer": spoilt}),
        ("A decision, without a token", EVALUATION, {"json": body, "bearer": ""}),
        ("A session, with a token whose agent is unknown", "/api/v1/sessions", {"json": {}}),
    )
    with httpx.Client(base_url=url, timeout=SECONDS, trust_env=False) as client:
        return [_one(client, way, path, dict(more), subject) for way, path, more in asked]


def _one(
    client: httpx.Client, way: str, path: str, more: dict[str, Any], subject: stage.Subject
) -> Try:
    began = time.monotonic()
    if more.pop("auth", None):
        more["auth"] = (subject.client_id, subject.secret)
    elif bearer := more.pop("bearer", f"Bearer {subject.token}"):
        more["headers"] = {"Authorization": bearer}
    row = f"{stage.NEVER}, over HTTP"
    try:
        answer = client.post(path, **more)
        told = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return Try(way, row, f"no answer ({type(error).__name__})")
    took = round((time.monotonic() - began) * 1000)
    context = told.get("context") or {}
    code = told.get("code") or told.get("error") or context.get("code") or ""
    said = told.get("detail") or told.get("error_description") or context.get("message") or ""
    no = told.get("decision") is False or 400 <= answer.status_code < 500
    return Try(way, row, "" if no else f"an answer {answer.status_code}", code, said, took)
