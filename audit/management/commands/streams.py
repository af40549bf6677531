"""`./muster streams`: where the record is sent, how far it is there, and whether one is reached."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.siem import selectors, services
from audit.siem.selectors import State
from governance.kernel.errors import GovernanceError


class Command(BaseCommand):
    help = "Streams: receivers outside that are sent every entry of the record."

    def add_arguments(self, parser: CommandParser) -> None:
        words = parser.add_subparsers(dest="word")
        words.add_parser("list", help="each stream, its place and its last error")
        attempt = words.add_parser("try", help="send the newest entry now, and say what happens")
        attempt.add_argument("name")
        moved = words.add_parser("move", help="go on from another place; it is recorded")
        moved.add_argument("name")
        moved.add_argument("place", type=int)
        moved.add_argument("why")

    def handle(self, *args: Any, **options: Any) -> None:
        word = options["word"] or "list"
        try:
            {"list": self._list, "try": self._try, "move": self._move}[word](options)
        except GovernanceError as error:
            raise CommandError(error.message) from error

    def _list(self, options: dict[str, Any]) -> None:
        found = selectors.standing()
        for state in found:
            stream = state.stream
            self.stdout.write("  ".join((stream.name, stream.where, stream.way, _place(state))))
            if state.sentence:
                self.stdout.write(f"    {state.sentence}")
        if not found:
            self.stdout.write("There is no stream. Name one in MUSTER_STREAMS.")

    def _try(self, options: dict[str, Any]) -> None:
        index = services.try_out(options["name"])
        self.stdout.write(f"{options['name']} took entry {index}. The cursor did not move.")

    def _move(self, options: dict[str, Any]) -> None:
        services.move(name=options["name"], to=options["place"], why=options["why"])
        self.stdout.write(f"{options['name']} goes on from entry {options['place']}.")


def _place(state: State) -> str:
    last = state.row.sent_at if state.row else None
    when = f"last at {last:%Y-%m-%d %H:%M:%S}Z" if last else "nothing sent yet"
    return f"{state.position} of {state.size}, {when}"
