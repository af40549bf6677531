"""What `./muster` runs once the packages are there."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from governance import configuration
from governance.kernel import secret_key
from governance.runner import (
    audit,
    backup,
    bench,
    command,
    compose,
    docs,
    doctor,
    requirements,
    restore,
    sbom,
    sealer,
    serving,
    testing,
    up,
)
from governance.runner.places import CannotStart

DEFAULT_PORT = 8000


def main(arguments: list[str]) -> int:
    word, rest = arguments[0], arguments[1:]
    try:
        return _run(word, rest)
    except CannotStart as refusal:
        print(f"muster: {refusal}", file=sys.stderr)
        return 1


def _run(word: str, rest: list[str]) -> int:
    words: dict[str, Callable[[list[str]], int]] = {
        "up": lambda rest: up.up(_wanted(rest)),
        "demo": lambda rest: up.up(_wanted([*rest, "--demo"])),
        "serve": serving.run,
        "backup": backup.run,
        "restore": restore.run,
        "test": testing.run,
        "bench": bench.run,
        # Django has a command of this name, which looks at its own settings.
        "check": lambda rest: command.run(["check_agent", *rest]),
        "doctor": doctor.run,
        "docs": docs.run,
        "lock": requirements.run,
        "sbom": sbom.run,
        "vulnerabilities": audit.run,
        "key": _print_key,
        "sealer": sealer.run,
        "compose-init": compose.prepare,
        "compose-run": compose.become,
        "compose-do": compose.do,
        "compose-sealer": compose.become_sealer,
        "compose-link": compose.print_link,
    }
    if word in words:
        return words[word](rest)
    return command.run([word, *rest])


def _print_key(_: list[str]) -> int:
    print(secret_key.make())
    return 0


def _wanted(arguments: list[str]) -> up.Wanted:
    parser = argparse.ArgumentParser(prog="./muster up")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int)
    parser.add_argument("--data", help="the data folder; MUSTER_DATA, else .muster/ here")
    parser.add_argument("--demo", action="store_true", help="with a made-up company in it")
    found = parser.parse_args(arguments)
    if wrong := configuration.faults(os.environ):
        raise CannotStart(" ".join(wrong))
    for sentence in configuration.unknown_names(os.environ):
        print(f"muster: {sentence}", file=sys.stderr, flush=True)
    asked = os.environ.get("MUSTER_PORT") or DEFAULT_PORT
    port = int(asked) if found.port is None else found.port
    return up.Wanted(found.host, port, found.data, found.demo)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
