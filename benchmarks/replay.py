"""What the replays share: credentials from a secrets file, a token, questions over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

Json = Any


@dataclass(frozen=True)
class Server:
    """A running Muster, asked with the token of one agent or gateway."""

    client: httpx.Client
    base_url: str

    def post(self, path: str, **request: Any) -> httpx.Response:
        return self.client.post(f"{self.base_url}{path}", **request)

    def evaluate(self, question: Mapping[str, Json]) -> Json:
        """The answer to one evaluation request; raises for anything but 200."""
        response = self.post("/access/v1/evaluation", json=question)
        response.raise_for_status()
        return response.json()


def sign_in(base_url: str, secrets: Path, kind: str, slug: str) -> Server:
    """A server with the token of the agent or gateway `slug`; `kind` is `agents` or `gateways`."""
    entries = json.loads(secrets.read_text())[kind]
    found = next((entry for entry in entries if entry["id"] == slug), None)
    if found is None:
        raise SystemExit(f"{secrets} holds no secret of {slug}.")
    return with_token(base_url, _token(base_url, found["client_id"], found["client_secret"]))


def with_token(base_url: str, token: str) -> Server:
    client = httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=30)
    return Server(client, base_url.rstrip("/"))


def _token(base_url: str, client_id: str, client_secret: str) -> str:
    response = httpx.post(
        f"{base_url.rstrip('/')}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(client_id, client_secret),
        timeout=30,
    )
    response.raise_for_status()
    return str(response.json()["access_token"])
