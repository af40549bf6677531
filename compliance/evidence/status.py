"""How a control stands: the one place where exceptions become a status. Pure.

1. Nothing registered at all: not met, and no query is met for want of data.
2. No agent is such as the framework is about, or none for which our role is the one that the line
   binds: not applicable, and so is each query. Where live agents do not declare whether their use
   is of high risk, that cannot be said: partly, and not met where more than half of them do not.
3. Each query is held against its own line in the framework's file: an exception breaks the
   control where the line says `any`, where it says `half` only if more than half of what was
   looked at is an exception, and never where it says `never`; what does not break it weakens it.
   A query that had nothing to look at counts as its line says under `empty`.
4. The control is not met if a query breaks it, partly met if one weakens it, not applicable if no
   query applies, and met otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from compliance.catalogue import Asked, Control, Framework
from compliance.enums import Breaks, Concern, Empty, Status
from compliance.evidence.types import Evidence, Query

NOTHING_REGISTERED = "No agent has been registered."
NOBODY = {
    Concern.ALL: "",
    Concern.PERSONAL: "No agent touches personal data.",
    Concern.HEALTH: "No agent touches health data.",
    Concern.FINANCIAL: "No agent touches financial data or moves money.",
    Concern.HIGH_RISK: "No agent is declared to be of high risk.",
}
REGISTER = "Register the agents that run, and ask again."
DECLARE = "Say in the row of each live agent its use under the EU AI Act, and our role."
# From the worst to the best; the first that a query comes to decides.
_ORDER = (Status.NOT_MET, Status.PARTLY, Status.MET, Status.NOT_APPLICABLE)
_EMPTY = {
    Empty.MET: Status.MET,
    Empty.NOT_MET: Status.NOT_MET,
    Empty.NOT_APPLICABLE: Status.NOT_APPLICABLE,
}


@dataclass(frozen=True, slots=True)
class Answered:
    """One query of a control with its answer, and how it stands by its line."""

    asked: Asked
    query: Query
    evidence: Evidence
    status: Status


@dataclass(frozen=True, slots=True)
class Found:
    """How one control stands, why in a sentence, and what its queries answered."""

    control: Control
    status: Status
    why: str
    answers: tuple[Answered, ...]
    # What to do, where the line's own words would lead to nothing.
    instead: str = ""

    @property
    def next(self) -> str:
        """What to do next; empty where nothing is."""
        if self.status in (Status.MET, Status.NOT_APPLICABLE):
            return ""
        return self.instead or self.control.next

    @property
    def exceptions(self) -> int:
        """How many things are not as it asks."""
        return sum(len(each.evidence.exceptions) for each in self.answers)

    @property
    def sampled(self) -> int:
        return sum(len(each.evidence.sample) for each in self.answers)


def status_of_query(asked: Asked, evidence: Evidence) -> Status:
    """How one query stands by its line."""
    many = len(evidence.exceptions)
    if many and _breaks(asked.breaks, many, evidence.about):
        return Status.NOT_MET
    if many:
        return Status.PARTLY
    return Status.MET if evidence.about else _EMPTY[asked.empty]


def _breaks(breaks: Breaks, exceptions: int, about: int) -> bool:
    if breaks == Breaks.HALF:
        return exceptions * 2 > about
    return breaks == Breaks.ANY


def status_of_control(
    framework: Framework,
    control: Control,
    answers: Sequence[Answered],
    *,
    registered: int,
    concerned: int,
    undeclared: int = 0,
    live: int = 0,
) -> Found:
    """How a control stands. `registered` agents are there, `concerned` of them are its matter.

    Of `undeclared` ones, of those that are `live`, it is not known whether they are.
    """
    if not registered:
        shown = [_not_met_by_nothing(each) for each in answers]
        return Found(control, Status.NOT_MET, NOTHING_REGISTERED, tuple(shown), REGISTER)
    if not concerned:
        status, why = _nobody(framework, control, undeclared, live)
        shown = [_about_nobody(each, status) for each in answers]
        return Found(control, status, why, tuple(shown), DECLARE)
    found = min((each.status for each in answers), key=_ORDER.index)
    return Found(control, found, _why(found, answers), tuple(answers))


def _not_met_by_nothing(answer: Answered) -> Answered:
    met = answer.status == Status.MET
    return replace(answer, status=Status.NOT_APPLICABLE) if met else answer


def _about_nobody(answer: Answered, status: Status) -> Answered:
    """That nobody was looked at says neither that it is met nor that it is not. An exception
    of the installation as a whole still counts where the line is not settled."""
    if status != Status.NOT_APPLICABLE and answer.evidence.exceptions:
        return answer
    return replace(answer, status=Status.NOT_APPLICABLE)


def _nobody(
    framework: Framework, control: Control, undeclared: int, live: int
) -> tuple[Status, str]:
    said = NOBODY[framework.concern]
    if len(control.binds) == 1:
        said = f"We are the {control.binds[0]} of no agent that is declared to be of high risk."
    if framework.concern != Concern.HIGH_RISK or not undeclared:
        return Status.NOT_APPLICABLE, said
    verb = "agent does not declare its" if undeclared == 1 else "agents do not declare their"
    status = Status.NOT_MET if undeclared * 2 > live else Status.PARTLY
    return status, f"{said.rstrip('.')}, and {undeclared} live {verb} use."


def _why(status: Status, answers: Sequence[Answered]) -> str:
    """What the worst of its queries found, in a sentence."""
    deciding = [each for each in answers if each.status == status]
    if status == Status.NOT_APPLICABLE:
        return deciding[0].evidence.none
    if status == Status.MET:
        looked = [each for each in deciding if each.evidence.about]
        said = [each.evidence.looked_at for each in looked]
        return f"Looked at {_listed(said)}: no exception." if said else "No exception."
    empty = [each for each in deciding if not each.evidence.exceptions]
    if empty:
        return empty[0].evidence.none
    first = deciding[0]
    many = sum(len(each.evidence.exceptions) for each in deciding)
    what = first.evidence.exceptions[0].what
    return what if many == 1 else f"{many:,} exceptions decide. The first: {what}"


def _listed(said: Sequence[str]) -> str:
    unique = list(dict.fromkeys(said))
    if len(unique) < 2:
        return "".join(unique)
    return f"{', '.join(unique[:-1])} and {unique[-1]}"
