"""./muster probe AGENT: aim attacks at an agent's row, and say what would become of each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from governance.kernel.errors import GovernanceError, Invalid, NotFound
from lifecycle.models import ProbeRun
from lifecycle.probes import reporting, services
from lifecycle.probes.corpus import Corpus, load_corpus, product_corpus
from registry.models import Agent, Person
from registry.permissions import Actor, Automatic

BAD_INPUT = 2


class Command(BaseCommand):
    help = (
        "Aim a corpus of attacks at an agent's row in simulated sessions. Ends with 1 where "
        "attacks would execute that keep it from going live, with 2 where nothing could be run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT")
        parser.add_argument(
            "--corpus", default="", metavar="FILE", help="attacks of your own (YAML or JSON)"
        )
        parser.add_argument(
            "--live", default="", metavar="URL", help="feed the attacks to the running agent there"
        )
        parser.add_argument("--as", dest="by", default="", metavar="EMAIL", help="who asks for it")
        parser.add_argument("--junit", default="", metavar="FILE", help="write JUnit XML there")
        parser.add_argument("--json", action="store_true", help="print the run as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            run = self._run(options)
        except GovernanceError as error:
            if options["json"]:
                problem = {"code": error.code, "message": error.message}
                self.stdout.write(json.dumps({"problems": [problem]}, indent=2))
            self.stderr.write(error.message)
            sys.exit(BAD_INPUT)
        self._print(run, as_json=options["json"])
        if run.blocking:
            sys.exit(1)

    def _run(self, options: dict[str, Any]) -> ProbeRun:
        agent = Agent.objects.filter(slug=options["agent"]).first()
        if agent is None:
            raise NotFound(f"There is no agent {options['agent'][:80]}.")
        corpus = _corpus(options["corpus"])
        by = _actor(options["by"])
        if options["live"]:
            run = services.probe_live(agent_id=agent.pk, url=options["live"], by=by, corpus=corpus)
        else:
            run = services.probe_agent(agent_id=agent.pk, by=by, corpus=corpus)
        if options["junit"]:
            _write(Path(options["junit"]), reporting.junit(run))
        return run

    def _print(self, run: ProbeRun, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(reporting.document(run), indent=2))
            return
        for line in reporting.lines(run):
            self.stdout.write(line)


def _corpus(path: str) -> Corpus:
    return load_corpus(path) if path else product_corpus()


def _actor(email: str) -> Actor:
    if not email:
        return Automatic("command")
    person = Person.objects.filter(email__iexact=email).first()
    if person is None:
        raise Invalid(f"Nobody on the register has the address {email[:254]}.")
    return person


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{path} cannot be written: {error.strerror}.") from error
