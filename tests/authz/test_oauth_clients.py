"""The whole way by clients that we did not write: npm's openid-client, and Authlib's."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from authlib.integrations.requests_client import OAuth2Session

from authz.models import Grant
from authz.oauth import failures
from registry.identity import tokens
from registry.models import Agent
from tests.factories.consent import ACCESS_TOKEN, EXCHANGE, World, make_world

pytestmark = [pytest.mark.outside, pytest.mark.django_db(transaction=True)]

BACK = "http://127.0.0.1:9/callback"
SCRIPT = Path(__file__).parent.parent / "data" / "oauth_client.mjs"
# Kept between runs, so that npm is asked once.
CACHE = Path(tempfile.gettempdir()) / "muster-tests-oauth"


@pytest.fixture(autouse=True)
def fresh(settings: Any, live_server: Any) -> Iterator[None]:
    settings.MUSTER_BASE_URL = live_server.url
    tokens.forget()
    failures.forget()
    yield
    tokens.forget()
    failures.forget()


@pytest.fixture
def world(fresh: None) -> World:
    made = make_world()
    Agent.objects.filter(pk=made.agent.pk).update(redirect_uris=[BACK])
    return made


def consented(world: World, url: str) -> str:
    """The person's answer to a request that a client made: where the browser is sent with it."""
    form = {"answer": "allow", "tools": [world.read.name], "days": "30"}
    answer = world.browser().post(url[url.index("/oauth/authorize") :], form)
    assert answer.status_code == 303, answer.content
    return str(answer["Location"])


def installed() -> Path:
    """A folder with npm's openid-client in it; skips, and says why, where there can be none."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed, so there is no client to ask")
    CACHE.mkdir(exist_ok=True)
    shutil.copy(SCRIPT, CACHE / SCRIPT.name)
    if not (CACHE / "node_modules" / "openid-client").is_dir():
        quiet = ("--silent", "--no-audit", "--no-fund")
        command = ["npm", "install", *quiet, "--prefix", str(CACHE), "openid-client@6.8.4"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm could not install openid-client: {done.stderr[-200:]}")
    return CACHE


def test_openid_client(world: World, live_server: Any) -> None:
    place = installed()
    given = {
        "issuer": live_server.url,
        "client_id": world.copilot.client_id,
        "client_secret": world.copilot.secret,
        "redirect_uri": BACK,
        "scope": f"{world.read.name} {world.note.name}",
    }
    child = subprocess.Popen(
        ["node", str(place / SCRIPT.name), json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=place,
    )
    assert child.stdin is not None
    assert child.stdout is not None

    with child:
        url = json.loads(child.stdout.readline())["url"]
        child.stdin.write(consented(world, url) + "\n")
        child.stdin.flush()
        told = json.loads(child.stdout.readline())

    assert (told["scope"], told["issued"]) == (world.read.name, ACCESS_TOKEN)
    assert told["seen"]["sub"] == world.person.pid
    assert told["seen"]["act"] == {"sub": world.agent.slug}
    assert told["seen"]["grant"] == str(Grant.objects.get(person=world.person).pk)
    assert told["after"] == {"active": False}


def test_authlib(world: World, live_server: Any) -> None:
    client = OAuth2Session(
        world.copilot.client_id,
        world.copilot.secret,
        token_endpoint_auth_method="client_secret_basic",
        redirect_uri=BACK,
        scope=world.read.name,
        code_challenge_method="S256",
    )
    base, verifier = live_server.url, "a" * 64
    url, state = client.create_authorization_url(f"{base}/oauth/authorize", code_verifier=verifier)

    granted = client.fetch_token(
        f"{base}/oauth/token",
        authorization_response=consented(world, url),
        state=state,
        code_verifier=verifier,
    )
    # The scope of the session is one of tools; that of the agent's own token is another.
    client.scope = None
    own = client.fetch_token(f"{base}/oauth/token", grant_type="client_credentials")
    acting = client.fetch_token(
        f"{base}/oauth/token",
        grant_type=EXCHANGE,
        subject_token=granted["access_token"],
        subject_token_type=ACCESS_TOKEN,
        actor_token=own["access_token"],
        actor_token_type=ACCESS_TOKEN,
    )
    seen = client.introspect_token(f"{base}/oauth/introspect", token=acting["access_token"])
    revoked = client.revoke_token(f"{base}/oauth/revoke", token=acting["access_token"])
    after = client.introspect_token(f"{base}/oauth/introspect", token=acting["access_token"])

    assert (granted["scope"], revoked.status_code) == (world.read.name, 200)
    assert (seen.json()["sub"], seen.json()["act"]) == (
        world.person.pid,
        {"sub": world.agent.slug},
    )
    assert after.json() == {"active": False}
