"""How long a report takes over a quarter with a hundred thousand decisions, and how much memory.

`./muster bench evidence` builds an installation that is thrown away, with a register of live agents
and a record of their decisions. Then the report of each framework is made, PDF and bundle and all,
in one process that has the worker's rights; its largest memory is what the operating system says.
`--agents N` and `--records N` change the size.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from typing import Any

from governance.runner import testing
from governance.runner.environment import Installation, manage, python
from governance.runner.places import PROJECT

LIMIT_SECONDS, LIMIT_MIB = 30, 500
INSIDE = "--inside"
# One in eight is refused, at one check or another; one in forty waits for a person.
_RECORD = """
INSERT INTO audit.record (id, at, xid, version, kind, agent, actor, tool, resource, effect,
                          "check", code, mode, body, leaf)
SELECT gen_random_uuid(),
    date_trunc('month', now()) + random() * (now() - date_trunc('month', now())),
    pg_current_xact_id(), 1, 'decision', 'bench-' || n %% %(agents)s, 'bench-' || n %% %(agents)s,
    'tool-' || n %% 60, 'system-' || n %% 20 || '/' || n %% 997,
    CASE WHEN n %% 40 = 0 THEN 'hold' WHEN n %% 8 = 0 THEN 'deny' ELSE 'allow' END,
    CASE WHEN n %% 40 = 0 THEN 'gate'
         WHEN n %% 8 = 0 THEN (ARRAY['policy', 'flow', 'parameters', 'rate'])[1 + n / 8 %% 4]
         ELSE '' END,
    '', 'enforce', '{}', sha256(n::text::bytea)
FROM generate_series(1, %(many)s) AS n
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        sys.exit(_inside(given.agents))
    with testing.throw_away() as installation:
        sys.exit(_outside(installation, given.agents, given.records))


def _outside(installation: Installation, agents: int, records: int) -> int:
    """Prepare the database, then measure in a process that has the worker's rights."""
    subprocess.run(
        manage("migrate", "--verbosity", "0"),
        env=testing.environment(installation, "migrate"),
        cwd=PROJECT,
        check=True,
    )
    with installation.database.connect(
        installation.database.name, **installation.database.administrator
    ) as admin:
        began = time.monotonic()
        admin.execute(_RECORD, {"many": records, "agents": agents})
        admin.execute("ANALYZE audit.record")
        print(f"{records:,} decisions made in {time.monotonic() - began:.0f} s", flush=True)
    environment = testing.environment(installation, "worker")
    environment["CELERY_BROKER_URL"] = "memory://"
    size = ("--agents", str(agents), "--records", str(records))
    done = subprocess.run(
        python("-m", "benchmarks.evidence", INSIDE, *size),
        env=environment,
        cwd=PROJECT,
        check=False,
    )
    return done.returncode


def _inside(agents: int) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.settings")
    import django

    django.setup()
    from compliance.catalogue import frameworks

    _build(agents)
    head = ("framework", "seconds", "pages", "PDF KiB", "bundle KiB", "MiB")
    print("{:<12}{:>9}{:>7}{:>10}{:>12}{:>7}".format(*head), flush=True)
    slowest = max(_measured(each.id) for each in frameworks())
    largest = _memory()
    within = slowest < LIMIT_SECONDS and largest < LIMIT_MIB
    verdict = "within" if within else "OVER"
    limits = f"{LIMIT_SECONDS} s and {LIMIT_MIB} MiB"
    print(f"Slowest {slowest:.1f} s, largest {largest} MiB: {verdict} {limits}", flush=True)
    return 0 if within else 1


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _measured(framework_id: str) -> float:
    from compliance import period
    from compliance.models import Report
    from compliance.reports import making
    from governance.kernel import clock
    from registry.models import Person

    now = clock.now()
    span = period.quarter_of(now.date())
    report = Report.objects.create(
        framework=framework_id,
        first=span.first,
        last=span.last,
        asked_by=Person.objects.order_by("pk").first(),
        asked_at=now,
    )
    began = time.monotonic()
    report = making.make_report(report_id=report.pk)
    took = time.monotonic() - began
    sizes = dict(report.files.values_list("name", "size"))
    row = (
        framework_id,
        f"{took:.1f}",
        report.pages,
        sizes["report.pdf"] // 1024,
        sizes["bundle.zip"] // 1024,
        _memory(),
    )
    print("{:<12}{:>9}{:>7}{:>10}{:>12}{:>7}".format(*row), flush=True)
    return took


def _build(agents: int) -> None:
    """A register of live agents of every concern, each with a few tools."""
    from governance.kernel import clock
    from registry.models import Agent, AllowlistEntry, Person, System, Tool

    people = Person.objects.bulk_create(
        Person(email=f"p{number}@bench.example", name=f"Person {number}", chat_handle="@p")
        for number in range(max(agents // 10, 3))
    )
    kinds: list[dict[str, Any]] = [
        {"categories": ["patient-records"], "tier": "restricted"},
        {"categories": ["payment-records"], "tier": "confidential"},
        {"categories": ["customer-contacts"], "tier": "confidential", "provider": "Contactory"},
        {"tier": "internal"},
    ]
    systems = System.objects.bulk_create(
        System(
            slug=f"system-{n}", name=f"System {n}", country="IE", owner=people[0], **kinds[n % 4]
        )
        for n in range(20)
    )
    tools = Tool.objects.bulk_create(
        Tool(name=f"tool-{n}", system=systems[n % 20], effect="read" if n % 3 else "write")
        for n in range(60)
    )
    rows = Agent.objects.bulk_create(
        Agent(
            slug=f"bench-{n}",
            name=f"Agent {n}",
            purpose="Answers questions.",
            owner=people[n % len(people)],
            state="active",
            activated_at=clock.now(),
            rate_per_minute=60,
            rate_per_hour=600,
            spend_cap_minor=10_000,
            ai_act_use="high" if n % 5 == 0 else "minimal",
            ai_act_role="deployer",
        )
        for n in range(agents)
    )
    AllowlistEntry.objects.bulk_create(
        AllowlistEntry(agent=row, tool=tools[(n + step * 7) % 60])
        for n, row in enumerate(rows)
        for step in range(4)
    )


if __name__ == "__main__":
    main()
