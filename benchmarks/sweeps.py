"""How long all sweeps take together over a large register.

`./muster bench sweeps` builds an installation that is thrown away, with ten thousand agents in
realistic shape: owners, tools, limits, keys, renewal and review dates, some silent, some suspended,
some whose owner left; and a record of their decisions. Then every sweep runs until it has nothing
left, and again, which shows what looking costs; `cpu` are the worker's own seconds of that.
`--agents N` and `--records N` change the size.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from governance.runner import testing
from governance.runner.environment import Installation, manage, python
from governance.runner.places import PROJECT

LIMIT_MINUTES = 10
SEED = 7
INSIDE = "--inside"


@dataclass(frozen=True)
class Shape:
    """How large it is, and how much of it has something due."""

    agents: int
    records: int
    people: int
    systems: int = 40
    tools: int = 200
    most_tools: int = 9
    silent: float = 0.02
    suspended: float = 0.03
    left: float = 0.01
    key_due: float = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    shape = Shape(given.agents, given.records, max(given.agents // 20, 5))
    if given.inside:
        _inside(shape)
        return
    with testing.throw_away() as installation:
        sys.exit(_outside(installation, shape))


def _outside(installation: Installation, shape: Shape) -> int:
    """Prepare the database, then measure in a process that has the worker's rights."""
    for word in (["migrate", "--verbosity", "0"], ["createcachetable"]):
        subprocess.run(
            manage(*word), env=testing.environment(installation, "migrate"), cwd=PROJECT, check=True
        )
    with installation.database.connect(
        installation.database.name, **installation.database.administrator
    ) as admin:
        began = time.monotonic()
        admin.execute(_RECORD, {"many": shape.records, "agents": shape.agents})
        admin.execute("ANALYZE audit.record")
        print(f"{shape.records:,} records made in {time.monotonic() - began:.0f} s", flush=True)
    environment = testing.environment(installation, "worker")
    environment["CELERY_BROKER_URL"] = "memory://"
    size = ("--agents", str(shape.agents), "--records", str(shape.records))
    done = subprocess.run(
        python("-m", "benchmarks.sweeps", INSIDE, *size), env=environment, cwd=PROJECT, check=False
    )
    return done.returncode


# Entries as the index sees them; their bodies are never read here. Every fiftieth agent is silent.
_RECORD = """
INSERT INTO audit.record (id, at, xid, version, kind, agent, actor, tool, resource, effect,
                          "check", mode, body, leaf)
SELECT gen_random_uuid(),
    date_trunc('month', now()) + random() * (now() - date_trunc('month', now())),
    pg_current_xact_id(), 1, 'decision', 'bench-' || number, 'bench-' || number,
    'tool-' || number %% 200, 'system/' || number, 'allow', '', 'enforce', '{}',
    sha256(n::text::bytea)
FROM (SELECT n, (random() * random() * (%(agents)s - 1))::int AS number
      FROM generate_series(1, %(many)s) AS n) AS made
WHERE number %% 50 <> 0
"""


def _inside(shape: Shape) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
    import django

    django.setup()
    from lifecycle import sweeps

    began = time.monotonic()
    build(shape)
    print(f"{shape.agents:,} agents made in {time.monotonic() - began:.0f} s", flush=True)
    names = [each.name for each in sweeps.registered()]
    for title in ("With what is due", "Again, with nothing due"):
        total = sum(_measured(title, names))
        verdict = "under" if total < 60 * LIMIT_MINUTES else "OVER"
        print(f"{title}: {total:.1f} s together, {verdict} {LIMIT_MINUTES} minutes\n", flush=True)


def _measured(title: str, names: list[str]) -> Iterator[float]:
    from lifecycle import sweeps

    heads = f"{'sweep':<18}{'seconds':>9}{'cpu':>7}{'runs':>6}{'done':>8}{'failed':>8}"
    print(f"{title}:\n{heads}", flush=True)
    for name in names:
        began, used, runs, done, failed = time.monotonic(), time.process_time(), 0, 0, 0
        while run := sweeps.run_sweep(name):
            runs, done, failed = runs + 1, done + run.done, failed + run.failed
            if not run.left:
                break
        took, cpu = time.monotonic() - began, time.process_time() - used
        print(f"{name:<18}{took:>9.2f}{cpu:>7.1f}{runs:>6}{done:>8,}{failed:>8,}", flush=True)
        yield took


def build(shape: Shape) -> None:
    """Fill the register by the handful of statements that it takes."""
    from django.db import transaction

    chance = random.Random(SEED)
    with transaction.atomic():
        people = _people(shape, chance)
        tools = _tools(shape, people, chance)
        agents = _agents(shape, people, chance)
        _entries(shape, agents, tools, chance)
        _keys(shape, agents, chance)
        _counted()
    _tests(agents)


def _people(shape: Shape, chance: random.Random) -> list[Any]:
    from registry.models import Person

    zones = ("Europe/Copenhagen", "America/New_York", "Asia/Tokyo", "UTC")
    rows = [
        Person(
            email=f"owner{number}@example.org",
            name=f"Owner {number}",
            zone=chance.choice(zones),
            calendar=chance.choice(("DK", "US", "JP", "")),
            chat_handle=f"@owner{number}",
        )
        for number in range(shape.people)
    ]
    return list(Person.objects.bulk_create(rows, batch_size=1000))


def _tools(shape: Shape, people: list[Any], chance: random.Random) -> list[Any]:
    from registry.models import System, Tool

    tiers = ("public", "internal", "internal", "confidential", "restricted")
    systems = System.objects.bulk_create(
        System(slug=f"system-{n}", name=f"System {n}", tier=tiers[n % 5], owner=people[n % 5])
        for n in range(shape.systems)
    )
    return list(
        Tool.objects.bulk_create(
            Tool(name=f"tool-{n}", system=systems[n % shape.systems], effect="read")
            for n in range(shape.tools)
        )
    )


def _agents(shape: Shape, people: list[Any], chance: random.Random) -> list[Any]:
    from governance.kernel import clock
    from registry.models import Agent, Person

    now = clock.now()
    gone = [person.pk for person in people if chance.random() < shape.left]
    Person.objects.filter(pk__in=gone).update(employment="left", last_day=now.date())
    rows = []
    for number in range(shape.agents):
        live = now - timedelta(days=chance.randint(40, 700))
        due = timedelta(days=chance.randint(-2, 540))
        rows.append(
            Agent(
                slug=f"bench-{number}",
                name=f"Agent {number}",
                purpose="Answers questions.",
                owner=people[number % len(people)],
                backup_owner=people[(number + 1) % len(people)],
                state="suspended" if chance.random() < shape.suspended else "active",
                state_changed_at=live,
                activated_at=live,
                rate_per_minute=60,
                rate_per_hour=600,
                spend_cap_minor=10_000,
                renewal_due=now.date() + due,
                review_due=now.date() + timedelta(days=chance.randint(-2, 365)),
            )
        )
    return list(Agent.objects.bulk_create(rows, batch_size=1000))


def _entries(shape: Shape, agents: list[Any], tools: list[Any], chance: random.Random) -> None:
    from registry.models import AllowlistEntry

    rows = [
        AllowlistEntry(agent=agent, tool=tool)
        for agent in agents
        for tool in chance.sample(tools, chance.randint(1, shape.most_tools))
    ]
    AllowlistEntry.objects.bulk_create(rows, batch_size=2000)


def _keys(shape: Shape, agents: list[Any], chance: random.Random) -> None:
    from governance.kernel import clock
    from registry.models import Client

    now = clock.now()

    def changed() -> Any:
        return now - timedelta(days=95 if chance.random() < shape.key_due else 3)

    rows = [
        Client(
            client_id=f"client-{agent.slug}",
            agent=agent,
            secret_digest=f"{agent.pk:064x}",
            rotated_at=changed(),
        )
        for agent in agents
    ]
    Client.objects.bulk_create(rows, batch_size=1000)


def _counted() -> None:
    """The hours of the record are counted until yesterday: a day of them is left to do."""
    from governance.kernel import clock
    from lifecycle.anomalies.counting import hour_of
    from lifecycle.models import Counted

    until = hour_of(clock.now() - timedelta(days=1))
    Counted.objects.create(pk=1, until=until, uses_from=until - timedelta(days=100))


def _tests(agents: list[Any]) -> None:
    """An adversarial test of each row that stands, as after a week of work."""
    from governance.kernel import clock
    from lifecycle.models import ProbeRun
    from lifecycle.probes.corpus import product_corpus
    from lifecycle.probes.selectors import standings

    corpus = product_corpus()
    live = [agent for agent in agents if agent.state == "active"]
    standing = standings(live, dict.fromkeys((agent.pk for agent in live), ()))
    rows = [
        ProbeRun(
            agent=agent,
            at=clock.now(),
            cause="change",
            corpus="product",
            corpus_digest=corpus.digest,
            standing=standing[agent.pk],
            things=[],
            reach_digest="",
            tier="internal",
            gate="off",
            executed=0,
            held=0,
            refused=0,
            not_aimed=0,
            milliseconds=1,
        )
        for agent in live
    ]
    ProbeRun.objects.bulk_create(rows, batch_size=1000)


if __name__ == "__main__":
    main()
