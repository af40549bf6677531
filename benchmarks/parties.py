"""The two sides of the benchmark, with the same policies: Muster as `up` starts it, and Cerbos."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.load import Question, Unusable
from governance.runner import database, places, postgres, roles
from governance.runner.places import PROJECT

OTHER_POLICIES = 200
OTHERS_IN_A_BATCH = 20
AGENTS = 8
ROLE = "refund-agent"
TOOL = "refund.issue"
SYSTEM = "payments"
ZONE = "Europe/Copenhagen"
MOST = 50_000
REGION = "nordics"
OWNER = "owner@bench.example"
# The administrator whom `up` makes.
FIRST = "admin@localhost"
START_SECONDS = 240
ENOUGH = 2_000_000_000
# npm's package carries the server for this machine.
CERBOS = "cerbos"
WITHHELD = ("MUSTER_", "DATABASE_URL", "CELERY_", "DJANGO_", "PG", "PYTHON")


@dataclass(frozen=True)
class Side:
    """A running server: its address, and the processes whose time is its cost."""

    name: str
    base_url: str
    pids: tuple[int, ...]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# What is asked of both, byte for byte


def agent_slug(number: int) -> str:
    return f"payer-{number}"


def questions(tokens: Mapping[str, str]) -> tuple[Question, Question]:
    """One decision a request, and twenty."""
    slugs = sorted(tokens)
    given = [tokens[slug] for slug in slugs]
    single = [_evaluation(slug, number) for number, slug in enumerate(slugs)]
    many = [
        {
            "subject": one["subject"],
            "context": {"source": "benchmark"},
            "evaluations": [
                {"action": each["action"], "resource": each["resource"]}
                for each in (_evaluation(slug, n) for n in range(OTHERS_IN_A_BATCH))
            ],
        }
        for slug, one in zip(slugs, single, strict=True)
    ]
    return (
        Question("/access/v1/evaluation", single, given),
        Question("/access/v1/evaluations", many, given, OTHERS_IN_A_BATCH),
    )


def _evaluation(slug: str, number: int) -> dict[str, Any]:
    """Each side reads the facts where its own rules look for them."""
    facts = {"amount": 500 + number, "region": REGION}
    claim = f"CL-{number}"
    return {
        "subject": {"type": "agent", "id": slug, "properties": {"cerbos.roles": [ROLE]}},
        "action": {"name": TOOL, "properties": {"claim": claim, **facts}},
        "resource": {"type": SYSTEM, "id": claim, "properties": facts},
    }


# Cerbos


def cerbos_policies() -> Iterator[dict[str, Any]]:
    hours = f'now().getHours("{ZONE}")'
    terms = [
        f"R.attr.amount <= {MOST}",
        f'R.attr.region == "{REGION}"',
        f"{hours} >= 0",
        f"{hours} < 24",
    ]
    yield _cerbos_policy(SYSTEM, TOOL, ROLE, terms)
    for number in range(OTHER_POLICIES):
        terms = [f"R.attr.amount <= {number}", f'R.attr.region == "{REGION}"']
        yield _cerbos_policy(f"other-{number}", f"other.{number}", f"role-{number}", terms)


def _cerbos_policy(kind: str, action: str, role: str, terms: Sequence[str]) -> dict[str, Any]:
    rule = {
        "actions": [action],
        "effect": "EFFECT_ALLOW",
        "roles": [role],
        "condition": {"match": {"all": {"of": [{"expr": term} for term in terms]}}},
    }
    return {
        "apiVersion": "api.cerbos.dev/v1",
        "resourcePolicy": {"resource": kind, "version": "default", "rules": [rule]},
    }


def cerbos_program(scratch: Path) -> Path:
    """The server, installed into the scratch folder with npm."""
    folder = scratch / "npm"
    found = list(folder.glob("node_modules/@cerbos/cerbos-*/cerbos-*"))
    if not found:
        if shutil.which("npm") is None:
            raise Unusable("npm is not installed, so there is no Cerbos to compare with.")
        folder.mkdir(exist_ok=True)
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, CERBOS],
            check=True,
        )
        found = list(folder.glob("node_modules/@cerbos/cerbos-*/cerbos-*"))
    if not found:
        raise Unusable("npm's package cerbos carries no server for this machine.")
    return found[0]


@contextmanager
def cerbos(scratch: Path) -> Iterator[Side]:
    """Cerbos as it comes, with its file audit log on, which it writes without fsync."""
    program, folder, port = cerbos_program(scratch), scratch / "cerbos", free_port()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "policies").mkdir(parents=True)
    for number, policy in enumerate(cerbos_policies()):
        (folder / "policies" / f"{number}.yaml").write_text(yaml.safe_dump(policy))
    configuration = {
        "server": {
            "httpListenAddr": f"127.0.0.1:{port}",
            "grpcListenAddr": f"127.0.0.1:{free_port()}",
        },
        "storage": {"driver": "disk", "disk": {"directory": str(folder / "policies")}},
        "telemetry": {"disabled": True},
        "audit": {
            "enabled": True,
            "backend": "file",
            "file": {"path": str(folder / "audit.log")},
        },
    }
    (folder / "conf.yaml").write_text(yaml.safe_dump(configuration))
    with (folder / "server.log").open("wb") as log:
        child = subprocess.Popen(
            [program, "server", "--config", folder / "conf.yaml"],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    base_url = f"http://127.0.0.1:{port}"
    try:
        _await(base_url, "/_cerbos/health", child, folder / "server.log")
        yield Side("cerbos", base_url, (child.pid,))
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


# Muster


@dataclass(frozen=True)
class Muster:
    """An installation of Muster that was brought up for the benchmark."""

    side: Side
    data: Path

    def tokens(self) -> dict[str, str]:
        """A fresh token for each agent."""
        entries = json.loads((self.data.parent / "secrets.json").read_text())["agents"]
        return {each["id"]: self._token(each) for each in entries}

    def _token(self, entry: Mapping[str, str]) -> str:
        answer = httpx.post(
            f"{self.side.base_url}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(entry["client_id"], entry["client_secret"]),
            timeout=30,
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def database(self) -> tuple[database.Database, Mapping[str, str]]:
        ours = places.choose(str(self.data))
        return database.embedded(postgres.Cluster(ours)), roles.load_logins(ours.logins)

    def allows(self) -> int:
        """How many allows stand on the record."""
        (count,) = self._asked("SELECT count(*) FROM audit.record WHERE effect = 'allow'", [])
        return int(count)

    def missing(self, ids: Sequence[str]) -> int:
        """How many of these decisions do not stand on the record as allows."""
        (found,) = self._asked(
            "SELECT count(*) FROM audit.record WHERE id = ANY(%s::uuid[]) AND effect = 'allow'",
            [list(ids)],
        )
        return len(set(ids)) - int(found)

    def _asked(self, statement: str, values: Sequence[Any]) -> tuple[Any, ...]:
        server, logins = self.database()
        with server.connect(
            server.name, user="muster_web", password=logins["muster_web"]
        ) as connection:
            row = connection.execute(statement, values).fetchone()  # type: ignore[call-overload]
            return tuple(row or ())


def inventory(agents: int = AGENTS) -> dict[str, Any]:
    """The register: agents that may issue refunds, and as many other policies as Cerbos has."""
    schema = {
        "type": "object",
        "properties": {
            "claim": {"type": "string"},
            "amount": {"type": "integer", "minimum": 0, "x-muster-unit": "minor"},
            "region": {"type": "string"},
        },
        "required": ["claim", "amount"],
        "additionalProperties": False,
    }
    others = range(OTHER_POLICIES)
    return {
        "muster": 1,
        "people": [
            {
                "email": OWNER,
                "name": "Benchmark owner",
                "chat_handle": "@owner",
                "zone": ZONE,
                "groups": ["platform_admin", "security"],
            }
        ],
        "systems": [{"slug": SYSTEM, "name": "Payments", "tier": "internal", "owner": OWNER}],
        "tools": [
            {
                "name": TOOL,
                "system": SYSTEM,
                "effect": "write",
                "schema": schema,
                "amount_parameter": "amount",
                "resource_parameter": "claim",
            },
            *(
                {"name": f"other.{n}", "system": SYSTEM, "effect": "read", "schema": schema}
                for n in others
            ),
        ],
        "roles": [
            {"slug": ROLE, "tools": [TOOL]},
            *({"slug": f"role-{n}", "tools": [f"other.{n}"]} for n in others),
        ],
        "policies": [
            {"slug": "refunds", "text": _cedar(ROLE, TOOL, MOST, hours=True)},
            *(
                {"slug": f"other-{n}", "text": _cedar(f"role-{n}", f"other.{n}", n, hours=False)}
                for n in others
            ),
        ],
        "agents": [_agent(agent_slug(number)) for number in range(agents)],
    }


def _cedar(role: str, tool: str, most: int, *, hours: bool) -> str:
    within = " && context.local.hour >= 0 && context.local.hour < 24" if hours else ""
    return (
        f'permit (principal in Muster::Role::"{role}",'
        f' action == Muster::Action::"{tool}", resource)'
        f" when {{ context.parameters.amount <= {most} && context.parameters has region"
        f' && context.parameters.region == "{REGION}"{within} }};'
    )


def _agent(slug: str) -> dict[str, Any]:
    return {
        "slug": slug,
        "name": slug,
        "purpose": "Issues refunds in the benchmark.",
        "owner": OWNER,
        "pattern": "service",
        "roles": [ROLE],
        "allowlist": [{"tool": TOOL}],
        "rate_per_minute": ENOUGH,
        "rate_per_hour": ENOUGH,
        "spend_cap_minor": ENOUGH,
    }


@contextmanager
def muster(scratch: Path, agents: int = AGENTS) -> Iterator[Muster]:
    """Muster as `./muster up` starts it, in a data folder of its own, with the inventory in it."""
    folder, port = scratch / "muster", free_port()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # Under root the processes have accounts of their own, which must get to their folders.
    folder.chmod(0o711)
    data, log = folder / "data", folder / "up.log"
    command = [str(PROJECT / "muster"), "up", "--data", str(data), "--port", str(port)]
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, env=_environment(), stdout=output, stderr=subprocess.STDOUT
        )
    base_url = f"http://127.0.0.1:{port}"
    try:
        _await(base_url, "/readyz", child, log)
        _apply(folder, data, agents)
        yield Muster(Side("muster", base_url, (child.pid,)), data)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(90)


def _apply(folder: Path, data: Path, agents: int) -> None:
    document = folder / "inventory.yaml"
    document.write_text(yaml.safe_dump(inventory(agents), sort_keys=False))
    done = subprocess.run(
        [
            *(str(PROJECT / "muster"), "apply", str(document), "--bootstrap"),
            *("--as", FIRST, "--secrets", str(folder / "secrets.json")),
        ],
        env=_environment(MUSTER_DATA=str(data)),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Unusable(f"The inventory was not applied:\n{done.stdout}{done.stderr}")


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(WITHHELD)}
    # What decides how the web process runs may be tried out from outside.
    tried = {name: value for name, value in os.environ.items() if name.startswith("MUSTER_WEB_")}
    return {**kept, **tried, **more}


def _await(base_url: str, path: str, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        if child.poll() is not None or time.monotonic() > deadline:
            raise Unusable(f"A server did not start:\n{log.read_text(errors='replace')}")
        try:
            if httpx.get(f"{base_url}{path}", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
