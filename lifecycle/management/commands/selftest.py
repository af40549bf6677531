"""./muster selftest: try to get a key without an active row, every way there is."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from lifecycle import selftest
from lifecycle.selftest import Try, wire

GIVEN = 1
NONE = "none"


class Command(BaseCommand):
    help = (
        "No row, no key, shown: try every way to a token, a key, a client or a decision for rows "
        "that get nothing, and print the refusals. Exit code 1 if anything was given."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--url",
            default="",
            help="the running server to ask as well; this installation's, where it answers, "
            "and 'none' for none",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        report = selftest.run(url=_url(options["url"]))
        for each in report.tries:
            self.stdout.write(_line(each))
        for each in report.broken:
            self.stdout.write(f"PROVES NOTHING  {each.way}: an active row is refused too.")
        self.stdout.write(f"{report.started_at:%Y-%m-%d %H:%M:%S} UTC, {report.seconds:.1f} s.")
        self.stdout.write(report.sentence)
        if not report.holds:
            sys.exit(GIVEN)


def _url(wanted: str) -> str:
    if wanted == NONE:
        return ""
    if wanted:
        return wanted.rstrip("/")
    return settings.MUSTER_BASE_URL if wire.answers(settings.MUSTER_BASE_URL) else ""


def _line(each: Try) -> str:
    word = "GIVEN  " if each.is_given else "refused"
    told = each.given or f"{each.code}: {each.sentence}"
    return f"{word}  {each.row}: {each.way}\n         {told}"
