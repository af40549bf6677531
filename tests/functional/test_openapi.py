"""Hostile input against a running server: the OpenAPI description, and bodies that others wrote."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests import public
from tests.functional.installation import Installation

pytestmark = pytest.mark.fuzz


@pytest.fixture(scope="module")
def session(demo: Installation) -> httpx.Client:
    """Someone of security, signed in."""
    user = demo.user("security")
    client = httpx.Client(base_url=demo.base_url, timeout=30, follow_redirects=True)
    client.get("/accounts/login/")
    answer = client.post(
        "/accounts/login/",
        data={
            "login": user["email"],
            "password": user["password"],
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
        },
        headers={"Referer": f"{demo.base_url}/accounts/login/"},
    )
    assert answer.status_code == 200
    assert "muster_session" in client.cookies
    return client


@pytest.fixture(scope="module")
def bearer(demo: Installation) -> dict[str, str]:
    agent = next(each for each in demo.demo["agents"] if each["id"] == "refund-desk")
    token = demo.token(agent["client_id"], agent["client_secret"])
    return {"Authorization": f"Bearer {token}"}


def test_no_operation_of_the_api_answers_with_a_server_error(
    demo: Installation, session: httpx.Client, bearer: dict[str, str], tmp_path: Path
) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
    headers = {
        "Cookie": cookies,
        "X-CSRFToken": session.cookies["csrftoken"],
        "Referer": demo.base_url,
        **bearer,
    }
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        "run",
        f"{demo.base_url}/api/schema",
        "--checks=not_a_server_error",
        "--max-examples=10",
        "--phases=examples,coverage,fuzzing",
        "--generation-database=none",
        "--suppress-health-check=all",
        *(f"--header={name}: {value}" for name, value in headers.items()),
    ]

    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_json_bodies_are_read_or_refused(demo: Installation, bearer: dict[str, str]) -> None:
    question = (
        b'{"subject":{"type":"agent","id":"refund-desk"},"resource":{"type":"tool","id":"x"},'
        b'"action":{"name":"ticket.search","properties":{"query":%s}}}'
    )
    headers = {**bearer, "Content-Type": "application/json"}
    wrong = []
    with httpx.Client(base_url=demo.base_url, headers=headers, timeout=30) as client:
        for line in public.path("corpora/jsontestsuite_parsing.jsonl").read_text().splitlines():
            case = json.loads(line)
            raw = base64.b64decode(case["b64"])
            for shape, body in (("raw", raw), ("embedded", question.replace(b"%s", raw))):
                status = client.post("/access/v1/evaluation", content=body).status_code
                refused = 400 <= status < 500
                if not (refused or (status == 200 and shape == "embedded")):
                    wrong.append((case["name"], shape, status))
                if case["expect"] == "reject" and not refused:
                    wrong.append((case["name"], shape, status))

    assert wrong == []


def test_naughty_strings_are_kept_or_refused(
    session: httpx.Client, demo: Installation, bearer: dict[str, str]
) -> None:
    strings = public.naughty_strings()
    wrong = []
    for text in strings:
        body = {
            "subject": {"type": "agent", "id": "refund-desk"},
            "action": {"name": "ticket.search", "properties": {"query": text}},
            "resource": {"type": "tool", "id": "ticket.search"},
            "context": {"reasoning": text, "session": text[:100]},
        }
        answers = {
            "decision": session.post(
                "/access/v1/evaluation", content=json.dumps(body), headers=_json(bearer)
            ),
            "trail": session.get("/trail/", params={"agent": text, "resource": text}),
            "agents": session.get("/agents/", params={"all": 1, "q": text}),
        }
        wrong += [(name, text, a.status_code) for name, a in answers.items() if a.is_server_error]

    assert wrong == []


def _json(headers: dict[str, str]) -> dict[str, str]:
    return {**headers, "Content-Type": "application/json"}
