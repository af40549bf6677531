"""One self-test, from its beginning to its record."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from django.db import Error

from audit import services as audit
from audit.enums import Kind
from authz import snapshot
from governance.kernel import clock
from governance.kernel.errors import GovernanceError
from lifecycle.selftest import held, stage, ways
from lifecycle.selftest.report import Report, Try
from lifecycle.selftest.stage import ACTOR, Stage, Subject
from lifecycle.selftest.ways import Way
from registry.models import Person


def run(*, by: Person | None = None, url: str = "", over: Sequence[Way] | None = None) -> Report:
    """Try every way, for every state that gets nothing; and over HTTP at `url`, where given.

    Nothing of it stays but the record that it ran.
    """
    from lifecycle.selftest import wire  # noqa: PLC0415  only where somebody asks over HTTP

    started, began = clock.now(), time.monotonic()
    wanted = ways.WAYS if over is None else over
    with stage.undone():
        made = stage.build()
        chosen = tuple(each for each in wanted if made.credential or each.act is not ways.lease)
        broken = [each for each in _controls(made, chosen) if not each.is_given]
        tries = [found for subject in stage.states(made) for found in _tries(made, subject, chosen)]
    snapshot.drop([f"agent:{each.slug}" for each in (made.active, made.draft)])
    tries += held.tries()
    if url:
        tries += wire.tries(url)
    report = Report(started, time.monotonic() - began, tries, broken)
    _record(report, by)
    return report


def _controls(made: Stage, chosen: Sequence[Way]) -> Iterator[Try]:
    """What an active row gets. A way on which nobody gets anything would prove nothing."""
    for way in chosen:
        if not way.nobody:
            yield _one(way, made, made.active)


def _tries(made: Stage, subject: Subject, chosen: Sequence[Way]) -> Iterator[Try]:
    for way in chosen:
        if subject.agent is not None or not way.needs_row:
            yield _one(way, made, subject)


def _one(way: Way, made: Stage, subject: Subject) -> Try:
    """One try, which leaves the next one what it found. An error is no refusal: it is told."""
    began = time.monotonic()
    given = code = sentence = ""
    try:
        with stage.undone():
            given = way.act(made, subject)
    except GovernanceError as error:
        code, sentence = error.code, error.message
        if error.status >= 500:
            given = f"no answer ({code})"
    except (Error, RuntimeError, ValueError) as error:
        given = f"no answer ({type(error).__name__})"
    took = round((time.monotonic() - began) * 1000)
    return Try(way.title, subject.state, given, code, sentence, took)


def _record(report: Report, by: Person | None) -> None:
    audit.record(
        kind=Kind.ADMIN,
        actor=by.pid if by else ACTOR.pid,
        asked={
            "did": "selftest_ran",
            "tries": report.total,
            "given": len(report.given),
            "broken": [each.way for each in report.broken],
        },
    )
