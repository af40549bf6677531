"""./muster apply FILE|DIR: make the register say what an inventory says."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from governance.kernel.errors import GovernanceError
from lifecycle.apply.document import read_inventory
from lifecycle.apply.execute import Outcome, apply_inventory, secret_file
from lifecycle.apply.problems import BadInventory
from lifecycle.apply.render import plan_json, plan_lines

BAD_INPUT = 2


class Command(BaseCommand):
    help = "Apply an inventory: a YAML file, a folder of them, or - for standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", metavar="FILE|DIR")
        parser.add_argument("--as", dest="by", default="", metavar="EMAIL", help="who applies it")
        parser.add_argument("--dry-run", action="store_true", help="print the plan, change nothing")
        parser.add_argument(
            "--bootstrap",
            action="store_true",
            help="act alone; only until a policy was active for the first time",
        )
        parser.add_argument(
            "--secrets", default="", metavar="FILE", help="write new client secrets there, once"
        )
        parser.add_argument(
            "--append", action="store_true", help="add to a secrets file that exists"
        )
        parser.add_argument("--json", action="store_true", help="print the outcome as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = self._apply(options)
        except BadInventory as error:
            self._refuse(error.lines(), [_problem(one) for one in error.problems], options)
        except GovernanceError as error:
            problem = {"code": error.code, "message": error.message}
            self._refuse([error.message], [problem], options)
        else:
            self._print(outcome, as_json=options["json"])

    def _apply(self, options: dict[str, Any]) -> Outcome:
        return apply_inventory(
            read_inventory(options["path"]),
            by_email=options["by"],
            bootstrap=options["bootstrap"],
            dry_run=options["dry_run"],
            secrets=secret_file(options["secrets"], append=options["append"]),
        )

    def _print(self, outcome: Outcome, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(plan_json(outcome), indent=2))
            return
        for line in plan_lines(outcome):
            self.stdout.write(line)
        if outcome.secrets and not outcome.dry_run:
            self.stdout.write(f"{len(outcome.issued)} new secret(s) are in {outcome.secrets}.")

    def _refuse(
        self, lines: list[str], problems: list[dict[str, Any]], options: dict[str, Any]
    ) -> None:
        if options["json"]:
            self.stdout.write(json.dumps({"problems": problems}, indent=2))
        for line in lines:
            self.stderr.write(line)
        self.stderr.write("Nothing was changed.")
        sys.exit(BAD_INPUT)


def _problem(problem: Any) -> dict[str, Any]:
    place = problem.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "message": problem.message,
    }
