"""Who is to blame where nothing comes back from outside, and who is tried again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from authz import outside
from authz.engine.outside import Question


def test_who_was_never_asked_is_not_taken_for_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "THREADS", 1)
    release = threading.Event()

    def send(_: Question) -> tuple[bool, str]:
        release.wait(5)
        return True, ""

    asker = outside.Asker(send)
    questions = [
        Question("opa", "https://opa.example/", 100, {}, str(number))
        for number in range(outside.FAILURES + 2)
    ]

    answers = asker.ask(questions)
    release.set()

    assert [each.allows for each in answers] == [None] * len(questions)
    assert [each.cause for each in answers] == [outside.SLOW] + [outside.BUSY] * 6
    assert asker.changes() == []


def test_a_try_of_which_nobody_learns_the_end_is_not_the_last() -> None:
    line = outside._Line(ThreadPoolExecutor(1))
    for _ in range(outside.FAILURES):
        line.note(outside.NO_ANSWER, 100.0)
    after = 100.0 + outside.PAUSE

    told = [line.refusal(at) for at in (100.0, after, after + 1, after + outside.PAUSE)]

    assert told == [outside.PAUSED, "", outside.PAUSED, ""]
