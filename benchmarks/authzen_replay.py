"""Replays the AuthZEN interop sets against a running server, one line a vector.

    python benchmarks/authzen_replay.py todo decisions.json --base-url URL --secrets secrets.json
    python benchmarks/authzen_replay.py certification vectors.json --base-url URL --secrets …

Exit code 1 where a vector fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent))

from replay import Server, sign_in, with_token

Json = Any
BARE = {"Muster-Answer": "bare"}


def replay_todo(server: Server, decisions: Json) -> Iterator[tuple[str, str]]:
    """(name, what is wrong) for each decision; answers are asked bare, as the set's runner does."""
    for number, vector in enumerate(decisions["evaluation"], 1):
        response = server.post("/access/v1/evaluation", json=vector["request"], headers=BARE)
        yield f"evaluation {number}", _differs(response, 200, {"decision": vector["expected"]})
    for number, vector in enumerate(decisions["evaluations"], 1):
        response = server.post("/access/v1/evaluations", json=vector["request"], headers=BARE)
        wanted = {"evaluations": vector["expected"]}
        yield f"evaluations {number}", _differs(response, 200, wanted)


def replay_certification(server: Server, vectors: Json) -> Iterator[tuple[str, str]]:
    """(name, what is wrong) for each vector; a page token is that of the answer before."""
    token = ""
    for vector in vectors:
        name = f"{vector['section']} {vector.get('title', '')} {vector.get('label', '')}".strip()
        asked = _continued(vector, token)
        responses = [_send(server, asked) for _ in range(vector.get("repeat", 1))]
        token = _next_token(responses[-1])
        yield name, next(filter(None, (_fault(vector, each) for each in responses)), "")


def _continued(vector: Json, token: str) -> Json:
    """The vector with the page token for which it holds a placeholder."""
    request = vector.get("request")
    if not isinstance(request, dict) or "token" not in request.get("page", {}):
        return vector
    return {**vector, "request": {**request, "page": {**request["page"], "token": token}}}


def _next_token(response: httpx.Response) -> str:
    page = response.json().get("page") or {}
    return page.get("next_token", "")


def _send(server: Server, vector: Json) -> httpx.Response:
    url = server.base_url + vector["path"]
    headers = dict(vector.get("headers", {}))
    if vector["method"] == "GET":
        return server.client.get(url, headers=headers)
    if "raw_body" in vector:
        headers = {"Content-Type": "application/json", **headers}
        return server.client.post(url, content=vector["raw_body"], headers=headers)
    return server.client.post(url, json=vector["request"], headers=headers)


def _fault(vector: Json, response: httpx.Response) -> str:
    """What is wrong with the answer, or nothing."""
    if wrong := _differs(response, vector["expect_status"], vector.get("expect_body")):
        return wrong
    for name, value in vector.get("expect_headers", {}).items():
        if response.headers.get(name) != value:
            return f"header {name} is {response.headers.get(name)!r}, not {value!r}"
    missing = [
        name for name in vector.get("expect_required_fields", ()) if not response.json().get(name)
    ]
    if missing:
        return f"lacks {', '.join(missing)}"
    if "/search/" in vector["path"] and vector["expect_status"] == 200:
        return _badly_found(vector, response.json())
    return _misshapen(vector.get("expect_shape", ""), response)


def _badly_found(vector: Json, body: Json) -> str:
    """A search finds at least what is wanted, and pages as AuthZEN 1.0 section 8.2 says."""
    wanted = vector.get("expect_body_at_least", {}).get("results", [])
    missing = [one for one in wanted if one not in body["results"]]
    if missing:
        return f"lacks {missing} among {body['results']}"
    asked = vector["request"].get("page", {})
    page = body.get("page", None if "token" in asked else {"next_token": ""})
    if not isinstance(page, dict) or not isinstance(page.get("next_token"), str):
        return f"page is {page!r}"
    longest = asked.get("limit", len(body["results"]))
    return "" if len(body["results"]) <= longest else f"more than {longest} results"


def _differs(response: httpx.Response, status: int, body: Json) -> str:
    if response.status_code != status:
        return f"status {response.status_code}, not {status}: {response.text[:200]}"
    if body is None:
        return ""
    found = _decisions(response.json())
    return "" if found == _decisions(body) else f"{found}, not {_decisions(body)}"


def _decisions(body: Json) -> Json:
    """The decisions, or what was found, alone: contexts may say what they like."""
    if "results" in body:
        return body["results"]
    if "evaluations" in body:
        return [item["decision"] for item in body["evaluations"]]
    return body.get("decision")


def _misshapen(shape: str, response: httpx.Response) -> str:
    """A shape is an example with placeholders: as many items, true and false where it has them."""
    if not shape:
        return ""
    wanted = json.loads(shape.replace("<boolean>", '"any"').replace("<context>", '"any"'))
    found = response.json()["evaluations"]
    if len(found) != len(wanted["evaluations"]):
        return f"{len(found)} items, not {len(wanted['evaluations'])}"
    for item, like in zip(found, wanted["evaluations"], strict=True):
        if not isinstance(item["decision"], bool) or like["decision"] not in (
            "any",
            item["decision"],
        ):
            return f"{item['decision']}, not {like['decision']}"
        if "context" in like and "context" not in item:
            return "an item lacks its context"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("scenario", choices=["todo", "certification"])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--base-url", required=True)
    known = parser.add_mutually_exclusive_group(required=True)
    known.add_argument("--secrets", type=Path, help="what `./muster apply --secrets` wrote (JSON)")
    known.add_argument("--token", help="an access token of the scenario's gateway")
    given = parser.parse_args()
    gateway = f"authzen-{given.scenario}"
    server = (
        with_token(given.base_url, given.token)
        if given.token
        else sign_in(given.base_url, given.secrets, "gateways", gateway)
    )
    replay = replay_todo if given.scenario == "todo" else replay_certification
    failed = total = 0
    for name, wrong in replay(server, json.loads(given.vectors.read_text())):
        total += 1
        failed += bool(wrong)
        print(f"{'FAIL' if wrong else 'pass'}  {name}{': ' + wrong if wrong else ''}")
    print(f"{total - failed} of {total} {given.scenario} vectors pass")
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
