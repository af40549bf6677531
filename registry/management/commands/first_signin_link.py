"""Print a one-time way in for the first administrator, until one has signed in."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from governance.kernel.errors import NotAllowed
from registry import services, sign_in


class Command(BaseCommand):
    help = "Print a sign-in link (once, 15 minutes) while nobody has ever administered this place."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--email", default="admin@localhost", help="of the administrator, if there is none"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            person = services.create_first_administrator(email=options["email"])
        except NotAllowed:
            return
        self.stdout.write(sign_in.make_link(person))
