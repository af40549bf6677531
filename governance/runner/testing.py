"""`./muster test`: everything that CI checks, on a database that is thrown away afterwards."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from governance.runner import (
    audit,
    children,
    database,
    keyfiles,
    places,
    postgres,
    roles,
    system,
    up,
)
from governance.runner.environment import Installation, manage, python
from governance.runner.places import PROJECT, Places

# Each in a pytest run of its own, one after the other, and how it is spread over two processes:
# where bringing up takes longest, what shares an installation stays together. A benchmark is alone.
MARKS = {
    "browser": "loadgroup",
    "kill": "loadfile",
    "fuzz": "loadfile",
    "bench": "",
    "outside": "",
    "clone": "loadgroup",
}
BROWSERS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
AT_ONCE = 2
NO_TESTS = 5  # pytest's exit code
# Migrated once, among the checks; what each pytest process tests on is a copy of it.
TEMPLATE = "test_template"
# A check that says 75 could not be made, which is not that it passed.
VERDICTS = {0: "ok", audit.SKIPPED: "skipped"}
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed|deselected|warnings?)")


@dataclass(frozen=True)
class Check:
    """A command that must end with 0."""

    name: str
    argv: Sequence[str]
    environment: str = "test"


def run(arguments: list[str]) -> int:
    """Checks, then pytest with `arguments`; a path among them means: only pytest, on it.

    The names of checks alone mean: only those.
    """
    everything, rest = "--all" in arguments, [part for part in arguments if part != "--all"]
    all_checks = [*checks(), *(long_checks() if everything else [])]
    named = [check for check in [*checks(), *long_checks()] if check.name in rest]
    children.stop_on_signals()
    with throw_away() as installation:
        if named and len(named) == len(rest):
            return 1 if _run_checks(installation, named) else 0
        failed = [] if _names_tests(rest) else _run_checks(installation, all_checks)
        # In their order: what commits, and leaves something in the record, comes last.
        groups = [rest] if _names_tests(rest) else [[*_spread("load"), *rest]]
        if everything:
            _bring_browser()
            # These share one database: each leaves it as it found it.
            groups += [
                ["--reuse-db", *_spread(MARKS[mark]), "-m", mark, *_files(mark, rest), *rest]
                for mark in MARKS
            ]
        copied = {} if _names_tests(rest) else {"MUSTER_TEST_TEMPLATE": TEMPLATE}
        code = _run_groups(groups, {**environment(installation, "test"), **copied})
    if failed:
        print(f"Failed before the tests: {', '.join(failed)}", flush=True)
    return 1 if failed else code


@contextmanager
def throw_away() -> Iterator[Installation]:
    """An installation in a temporary folder, on a server that may lose everything."""
    with tempfile.TemporaryDirectory(prefix="muster-test-") as folder:
        ours = Places(Path(folder))
        places.prepare(ours)
        keyfiles.make(ours)
        logins = roles.load_logins(ours.logins)
        cluster = postgres.Cluster(ours, throw_away=True)
        with postgres.running(cluster):
            ready = database.embedded(cluster)
            for each in (ready, replace(ready, name=TEMPLATE)):
                database.make_ready(each, logins, queue=False)
            with ready.connect(database.MAINTENANCE, **ready.administrator) as admin:
                roles.let_tests_in(admin)
            yield Installation(ours, ready, logins, "https://muster.example")


def environment(installation: Installation, process: str) -> dict[str, str]:
    if process == "template":
        template = replace(installation.database, name=TEMPLATE)
        return replace(installation, database=template).environment("migrate")
    more = {"MUSTER_SSL_REDIRECT": "1"}
    if process == "test":
        # Tests speak plain HTTP, and open real logins to attack the record with.
        more = {
            "MUSTER_BASE_URL": "http://127.0.0.1:8000",
            "MUSTER_LOGINS": str(installation.places.logins),
            "CELERY_BROKER_URL": "memory://",
        }
    return {**installation.environment(process), **more}


def checks() -> list[Check]:
    """What is checked before the tests; pre-commit runs the same tools."""
    folders = (PROJECT / "templates", *(PROJECT / app / "templates" for app in up.APPS))
    templates = [str(path) for folder in folders for path in sorted(folder.rglob("*.html"))]
    return [
        Check("types", python("-m", "mypy", ".")),
        Check("database", manage("migrate", "--noinput", "-v0"), "template"),
        Check("format", python("-m", "ruff", "format", "--check", ".")),
        Check("lint", python("-m", "ruff", "check", ".")),
        Check(
            "imports",
            python("-c", "from importlinter.cli import lint_imports_command as run; run()"),
        ),
        Check("templates", python("-m", "djhtml", "--check", "--tabwidth", "2", *templates)),
        Check("migrations", manage("makemigrations", "--check", "--dry-run")),
        Check(
            "deployment",
            manage("check", "--deploy", "--database", "default", "--fail-level", "WARNING"),
            "web",
        ),
        Check("requirements", python("-m", "governance.runner", "lock", "--check")),
    ]


def long_checks() -> list[Check]:
    """What `--all` checks as well: it takes long, or asks somebody outside."""
    return [
        Check("vulnerabilities", python("-m", "governance.runner", "vulnerabilities")),
        Check("site", python("-m", "governance.runner", "docs")),
    ]


def _run_checks(installation: Installation, wanted: Sequence[Check]) -> list[str]:
    """The names of the checks that failed, their output printed."""

    def outcome(check: Check) -> tuple[Check, subprocess.CompletedProcess[str], float]:
        began = time.monotonic()
        done = subprocess.run(
            check.argv,
            env=environment(installation, check.environment),
            cwd=PROJECT,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return check, done, time.monotonic() - began

    failed = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for check, done, seconds in pool.map(outcome, wanted):
            verdict = VERDICTS.get(done.returncode, "FAILED")
            print(f"{check.name:<16}{verdict} ({seconds:.1f} s)", flush=True)
            if done.returncode == audit.SKIPPED:
                print(done.stdout, end="", flush=True)
            elif done.returncode:
                print(done.stdout, flush=True)
                failed.append(check.name)
    return failed


def _spread(how: str) -> tuple[str, ...]:
    """Over two processes in xdist's way `how`; none means one process."""
    return ("-n", str(AT_ONCE), "--dist", how) if how else ()


def carrying(mark: str) -> list[str]:
    """The test files in which this mark stands; to import all the others takes half a minute."""
    files = sorted((PROJECT / "tests").rglob("test_*.py"))
    return [str(file) for file in files if f"mark.{mark}" in file.read_text("utf-8")]


def _files(mark: str, arguments: Sequence[str]) -> list[str]:
    return [] if _names_tests(arguments) else carrying(mark)


def _names_tests(arguments: Sequence[str]) -> bool:
    return any(Path(part.split("::")[0]).exists() for part in arguments)


def _bring_browser() -> None:
    """Browser tests skip themselves, and say so, where there is none."""
    if any(map(Path.exists, map(Path, BROWSERS))) or not system.can_install():
        return
    print("Installing chromium with apt-get for the browser tests …", flush=True)
    system.install("chromium")


def _run_groups(groups: Sequence[Sequence[str]], env: Mapping[str, str]) -> int:
    """Run pytest once a group; the worst exit code. Several end in one summary of all."""
    codes, counts, began = [], Counter[str](), time.monotonic()
    for group in groups:
        code, summary = _run_pytest(group, env)
        codes.append(0 if code == NO_TESTS and len(groups) > 1 else code)
        counts.update({what: int(count) for count, what in COUNT.findall(summary)})
    if len(groups) > 1:
        told = ", ".join(
            f"{count} {what}" for what, count in counts.items() if what != "deselected"
        )
        print(
            f"===== {told or 'no tests ran'} in {time.monotonic() - began:.2f}s =====", flush=True
        )
    return max(codes)


def _run_pytest(group: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Run pytest and pass on what it prints; its exit code and last line."""
    command = python("-m", "pytest", *group)
    last = ""
    with subprocess.Popen(command, env=dict(env), stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout or ():
            print(line, end="", flush=True)
            last = line if COUNT.search(line) else last
    return child.returncode, last
