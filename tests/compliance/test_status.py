"""How a control comes to stand: the rule, without a database."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from compliance import catalogue, evidence
from compliance.annexes import tables
from compliance.catalogue import Asked, frameworks, read_framework
from compliance.enums import Breaks, Empty, Status
from compliance.evidence import queries
from compliance.evidence.asking import check_frameworks
from compliance.evidence.status import Answered, status_of_control, status_of_query
from compliance.evidence.types import Evidence, Exceptional
from compliance.pages import THEMES

GDPR, AI_ACT = frameworks()[0], frameworks()[3]


def found(about: int = 10, exceptions: int = 0) -> Evidence:
    return Evidence(
        about=about, of="things", none="Nothing.", exceptions=[Exceptional("Wrong.")] * exceptions
    )


def asked(breaks: str = "any", empty: str = "not_applicable") -> Asked:
    return Asked("record_kept", Breaks(breaks), Empty(empty), {})


@pytest.mark.parametrize(
    ("breaks", "about", "exceptions", "status"),
    [
        ("any", 10, 0, Status.MET),
        ("any", 10, 1, Status.NOT_MET),
        ("half", 10, 5, Status.PARTLY),
        ("half", 10, 6, Status.NOT_MET),
        ("half", 1, 1, Status.NOT_MET),
        ("never", 10, 10, Status.PARTLY),
        ("never", 0, 1, Status.PARTLY),
        ("any", 0, 1, Status.NOT_MET),
    ],
)
def test_exceptions_weaken_or_break(
    breaks: str, about: int, exceptions: int, status: Status
) -> None:
    assert status_of_query(asked(breaks), found(about, exceptions)) == status


@pytest.mark.parametrize("empty", ["met", "not_met", "not_applicable"])
def test_nothing_to_look_at_counts_as_the_line_says(empty: str) -> None:
    assert status_of_query(asked(empty=empty), found(0)) == Status(empty)


def control(*statuses: Status, registered: int = 3, concerned: int = 2, of: Any = GDPR) -> Any:
    many = {Status.MET: 0, Status.NOT_APPLICABLE: 0}
    answers = [
        Answered(
            asked(),
            queries()["record_kept"],
            found(0 if each == Status.NOT_APPLICABLE else 10, many.get(each, 1)),
            each,
        )
        for each in statuses
    ]
    return status_of_control(
        of, of.controls[0], answers, registered=registered, concerned=concerned
    )


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([Status.MET, Status.NOT_APPLICABLE], Status.MET),
        ([Status.MET, Status.PARTLY], Status.PARTLY),
        ([Status.PARTLY, Status.NOT_MET, Status.MET], Status.NOT_MET),
        ([Status.NOT_APPLICABLE], Status.NOT_APPLICABLE),
    ],
)
def test_the_worst_of_its_queries_decides(statuses: list[Status], status: Status) -> None:
    assert control(*statuses).status == status


def test_an_empty_register_is_not_met_and_one_without_such_agents_not_applicable() -> None:
    empty = control(Status.MET, registered=0, concerned=0)
    other = control(Status.NOT_MET, concerned=0)

    assert (empty.status, empty.why) == (Status.NOT_MET, "No agent has been registered.")
    assert (other.status, other.why) == (
        Status.NOT_APPLICABLE,
        "No agent touches personal data.",
    )


def test_an_empty_register_has_nothing_that_is_met() -> None:
    empty = control(Status.MET, Status.NOT_MET, Status.PARTLY, registered=0, concerned=0)

    assert [each.status for each in empty.answers] == [
        Status.NOT_APPLICABLE, Status.NOT_MET, Status.PARTLY,
    ]  # fmt: skip
    assert empty.next == "Register the agents that run, and ask again."


def test_what_is_not_applicable_has_no_query_that_is_anything_else() -> None:
    nobody = control(Status.MET, Status.NOT_MET, Status.PARTLY, concerned=0)

    assert {each.status for each in nobody.answers} == {Status.NOT_APPLICABLE}
    assert nobody.next == ""


ONE_ROLE = "We are the provider of no agent that is declared to be of high risk"
BOTH_ROLES = "No agent is declared to be of high risk"


@pytest.mark.parametrize(
    ("line", "undeclared", "status", "why"),
    [
        ("art-9", 0, Status.NOT_APPLICABLE, f"{ONE_ROLE}."),
        ("art-14", 0, Status.NOT_APPLICABLE, f"{BOTH_ROLES}."),
        ("art-14", 1, Status.PARTLY, f"{BOTH_ROLES}, and 1 live agent does not declare its use."),
        ("art-9", 2, Status.PARTLY, f"{ONE_ROLE}, and 2 live agents do not declare their use."),
        ("art-9", 3, Status.NOT_MET, f"{ONE_ROLE}, and 3 live agents do not declare their use."),
    ],
)
def test_where_uses_are_not_declared_it_cannot_be_said_that_none_is_of_high_risk(
    line: str, undeclared: int, status: Status, why: str
) -> None:
    found = status_of_control(
        AI_ACT, AI_ACT.control(line), [],
        registered=5, concerned=0, undeclared=undeclared, live=4,
    )  # fmt: skip

    assert (found.status, found.why) == (status, why)
    assert found.next.startswith("Say in the row") == bool(undeclared)


def test_what_is_counted_has_a_word_for_one_of_it() -> None:
    texts = [path.read_text() for path in Path(evidence.__file__).parent.glob("of_*.py")]
    counted = {each for text in texts for each in re.findall(r'\bof="([^"]+)"', text)}

    one = {each: Evidence(about=1, of=each, none="").looked_at for each in counted}

    assert {each: word for each, word in one.items() if PLURAL.search(word)} == {}
    assert one["keys of live agents"] == "1 key of a live agent"
    assert Evidence(about=1200, of="decisions", none="").looked_at == "1,200 decisions"


# What a word for one may not hold: the noun in the plural, or two of them.
PLURAL = re.compile(r"^1 (?:live |held |active )?\w+s\b| and ")


def test_every_framework_names_queries_annexes_and_themes_that_there_are() -> None:
    check_frameworks(tables())

    themes = {control.theme for each in frameworks() for control in each.controls}
    asked_ids = {one.id for each in frameworks() for line in each.controls for one in line.queries}

    assert themes == set(THEMES)
    assert asked_ids == set(queries())


def test_a_framework_with_a_wrong_line_stops_the_start(tmp_path: Any, monkeypatch: Any) -> None:
    text = (catalogue.FOLDER / "sox.yaml").read_text()
    wrong = tmp_path / "sox.yaml"

    wrong.write_text(text.replace("breaks: any", "breaks: some", 1))
    with pytest.raises(ImproperlyConfigured, match=r"sox.yaml, controls/0/queries/0/breaks"):
        read_framework(wrong)

    wrong.write_text(text.replace("id: owners_employed", "id: owners_unknown", 1))
    monkeypatch.setattr("compliance.evidence.asking.frameworks", lambda: [read_framework(wrong)])
    with pytest.raises(ImproperlyConfigured, match="sox, s302: there is no query owners_unknown"):
        check_frameworks(tables())


def test_each_line_says_its_words_in_the_lengths_of_a_page() -> None:
    for each in frameworks():
        for line in each.controls:
            assert "compliant" not in f"{line.rule} {line.obligation} {line.next}".lower()
            assert line.rule.endswith(".")
