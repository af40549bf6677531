"""./muster check AGENT: is it in order? The gate of a pipeline."""

from __future__ import annotations

import json
import sys
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandParser

from lifecycle.checking.report import Checked, check_agent, document, lines
from registry.models import Agent

BAD_INPUT = 2


class Command(BaseCommand):
    help = (
        "Look whether an agent is in order. Ends with 1 where it is not, with 2 where there is no "
        "such agent."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """It is called by the word that people write."""
        return super().create_parser("./muster", "check", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", metavar="AGENT")
        parser.add_argument("--json", action="store_true", help="print the answer as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        agent = Agent.objects.filter(slug=options["agent"]).first()
        if agent is None:
            self._refuse(f"There is no agent {options['agent'][:80]}.", as_json=options["json"])
        checked = check_agent(agent.pk)
        self._print(checked, as_json=options["json"])
        if not checked.passed:
            sys.exit(1)

    def _print(self, checked: Checked, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(document(checked), indent=2))
            return
        for line in lines(checked):
            self.stdout.write(line)

    def _refuse(self, sentence: str, *, as_json: bool) -> NoReturn:
        if as_json:
            problem = {"code": "not_found", "message": sentence}
            self.stdout.write(json.dumps({"problems": [problem]}, indent=2))
        self.stderr.write(sentence)
        sys.exit(BAD_INPUT)
