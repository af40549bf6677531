"""A real Cerbos behind ours: its server speaks AuthZEN, over TLS as everything that is called."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from authz import outside
from authz.decide import decide
from authz.engine.types import Effect
from authz.models import ExternalPDP
from tests.factories.authz import Desk, make_desk
from tests.governance.test_egress import _certificate, _names

pytestmark = [pytest.mark.outside, pytest.mark.django_db(transaction=True)]

INSTALL = ("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix")


@dataclass
class Cerbos:
    """A running server, and the folder of its policies."""

    port: int
    policies: Path

    @property
    def name(self) -> str:
        return f"hooks.example:{self.port}"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server out of npm's package; skips, and says why, where there can be none."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, so there is no Cerbos to ask")
    folder = tmp_path_factory.mktemp("npm")
    done = subprocess.run([*INSTALL, folder, "cerbos"], check=False, capture_output=True, text=True)
    found = list(folder.glob("node_modules/@cerbos/cerbos-*/cerbos-*"))
    if done.returncode or not found:
        pytest.skip(f"npm could not install Cerbos: {done.stderr[-200:]}")
    return found[0]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def cerbos(program: Path, tmp_path: Path) -> Iterator[Cerbos]:
    policies = tmp_path / "policies"
    policies.mkdir()
    certificate, key = _certificate(tmp_path)
    port = _free_port()
    configuration = {
        "server": {
            "httpListenAddr": f"127.0.0.1:{port}",
            "grpcListenAddr": f"127.0.0.1:{_free_port()}",
            "tls": {"cert": str(certificate), "key": str(key)},
        },
        "storage": {
            "driver": "disk",
            "disk": {"directory": str(policies), "watchForChanges": True},
        },
        "telemetry": {"disabled": True},
    }
    (tmp_path / "conf.yaml").write_text(yaml.safe_dump(configuration))
    with (tmp_path / "server.log").open("wb") as log:
        child = subprocess.Popen(
            [program, "server", "--config", tmp_path / "conf.yaml"],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        )
    try:
        _await(port, child, tmp_path / "server.log")
        yield Cerbos(port, policies)
    finally:
        child.terminate()
        child.wait(30)


def _await(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert child.poll() is None, log.read_text()[-2000:]
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text()[-2000:])


def policy_of(desk: Desk, most: int) -> str:
    """Cerbos's policy: a holder of the desk's role may call its tool up to an amount."""
    rule = {
        "actions": [desk.tool.name],
        "effect": "EFFECT_ALLOW",
        "roles": [desk.role.slug],
        "condition": {"match": {"expr": f"R.attr.amount <= {most}"}},
    }
    return yaml.safe_dump(
        {
            "apiVersion": "api.cerbos.dev/v1",
            "resourcePolicy": {"resource": "claim", "version": "default", "rules": [rule]},
        }
    )


def test_cerbos_allows_and_denies_and_when_it_is_gone_nothing_goes_on(
    cerbos: Cerbos,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    desk = make_desk()
    (cerbos.policies / "claim.yaml").write_text(policy_of(desk, 100))
    settings.MUSTER_EGRESS_CA = str(tmp_path / "ca.pem")
    settings.MUSTER_EGRESS_ALLOWED = frozenset({cerbos.name})
    _names(monkeypatch, ["127.0.0.1"])
    outside.forget()
    ExternalPDP.objects.create(
        slug="cerbos",
        owner=desk.owner,
        url=f"https://{cerbos.name}/access/v1/evaluation",
        timeout_ms=1000,
        tools=[desk.tool.name],
        resource_type="claim",
        roles_as="cerbos.roles",
        parameters=["amount"],
        parameters_in="resource",
    )

    def decided(amount: int) -> tuple[Effect, str]:
        ask = desk.ask(parameters={"claim": "CL-1", "amount": amount})
        (answer,) = decide([ask], desk.caller)
        return answer.decision.effect, answer.decision.code

    for _ in range(100):  # until it has read its policy
        if decided(5)[0] is Effect.ALLOW:
            break
        time.sleep(0.1)
    within, above = decided(100), decided(101)
    settings.MUSTER_EGRESS_ALLOWED = frozenset()
    away = decided(100)

    assert within == (Effect.ALLOW, "")
    assert above == (Effect.DENY, "policy.external_denied")
    assert away == (Effect.DENY, "policy.external_unanswered")
