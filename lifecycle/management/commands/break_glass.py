"""`./muster break_glass seal`: make the codes that open emergency access, and print them once."""

from __future__ import annotations

from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from governance.kernel.errors import GovernanceError
from lifecycle.break_glass import proving, services
from registry.models import Person


class Command(BaseCommand):
    help = "Seal codes for emergency access: two people, each with their password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["seal"])
        parser.add_argument("--count", type=int, default=4, help="how many codes (4)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            one, other = self._person("First person"), self._person("Second person")
            codes = services.seal_codes(by=one, second=other, count=options["count"])
        except GovernanceError as error:
            raise CommandError(error.message) from error
        self.stdout.write("Print these, seal each in an envelope, and keep no other copy.")
        self.stdout.write("Codes that were made before and not used have ended.\n")
        for code in codes:
            self.stdout.write(code)

    def _person(self, who: str) -> Person:
        email = input(f"{who}, e-mail address: ").strip()
        password = getpass(f"{who}, password: ")
        code = getpass(f"{who}, code of the second factor (empty for none): ")
        return proving.has_password(email, password, code)
