"""./muster replay: judge recorded decisions again, and say where the answer is another one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.leaf import instant
from audit.selectors import Reader, TrailFilters
from authz.replay import Difference, System, Tally, read_decisions, replay, told
from governance.kernel.errors import GovernanceError
from registry.models import Person

REASON = "replay of recorded decisions"
LIMIT = 1_000_000
MAX_LIMIT = 100_000_000


class Command(BaseCommand):
    help = "Judge recorded decisions again. Ends with 1 where an answer is not the same."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", type=_instant, help="from this day or instant on (UTC)")
        parser.add_argument("--until", type=_instant, help="before this day or instant (UTC)")
        parser.add_argument(
            "--limit", type=_limit, default=LIMIT, help=f"the newest so many ({LIMIT:,})"
        )
        parser.add_argument(
            "--as", dest="by", default="", metavar="EMAIL", help="who reads the payloads"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tally = self._replay(options)
        except GovernanceError as error:
            raise CommandError(error.message) from error
        for sentence in told(tally):
            self.stdout.write(sentence)
        if tally.different or tally.damaged:
            raise CommandError("Not every decision came to the same answer.", returncode=1)

    def _replay(self, options: dict[str, Any]) -> Tally:
        filters = TrailFilters(since=options["since"], until=options["until"])
        reading = read_decisions(
            filters, by=_reader(options["by"]), reason=REASON, limit=options["limit"]
        )
        tally, began = Tally(), time.monotonic()
        self.stdout.write(f"Reading {reading.count:,} decisions, on the record as {reading.id}.")
        for differences in replay(reading, tally):
            for each in differences:
                self.stdout.writelines(f"{line}\n" for line in _lines(each))
            if self._is_watched():
                self._show_progress(tally, reading.count, time.monotonic() - began)
        if reading.left_out:
            self.stdout.write(f"Left out as older (--limit): {reading.left_out:,}.")
        return tally

    def _is_watched(self) -> bool:
        return bool(getattr(self.stderr, "isatty", bool)())

    def _show_progress(self, tally: Tally, count: int, seconds: float) -> None:
        pace = tally.seen / max(seconds, 0.001)
        self.stderr.write(f"\r{tally.seen:,} of {count:,}, {pace:,.0f} a second", ending="")


def _reader(email: str) -> Reader:
    if not email:
        return System()
    person = Person.objects.filter(email__iexact=email).first()
    if person is None:
        raise CommandError(f"Nobody on the register has the e-mail {email!r}.")
    return person


def _lines(difference: Difference) -> Iterator[str]:
    record = difference.record
    head = f"{record.id} {instant(record.at)} {record.agent} {record.tool}"
    if difference.damaged:
        yield f"{head}: {difference.parts[0]}"
        return
    yield f"{head}: not the same: {', '.join(difference.parts)}"
    for name in difference.parts:
        yield f"  {name}: was {difference.recorded.get(name)!r}"
        yield f"  {name}: now {difference.again.get(name)!r}"


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _limit(text: str) -> int:
    limit = int(text)
    if not 1 <= limit <= MAX_LIMIT:
        raise ValueError(text)
    return limit
