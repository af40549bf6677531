"""A run for machines and terminals: JUnit XML, JSON, lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lifecycle.models.probes import ProbeEnd, ProbeResult, ProbeRun

_WORDS = {
    ProbeEnd.EXECUTED: "would execute",
    ProbeEnd.HELD: "would be held",
    ProbeEnd.REFUSED: "would be refused",
    ProbeEnd.RESISTED: "was not followed",
    ProbeEnd.NOT_AIMED: "does not apply",
}

Json = Any


def title_of(run: ProbeRun) -> str:
    """The answer of a run in one sentence."""
    if run.aimed == 0:
        return f"No attack fits the row of {run.agent.slug}"
    if not run.executed:
        return f"None of {run.aimed} attacks would execute"
    verb = "attack" if run.executed == 1 else "attacks"
    return f"{run.executed} {verb} of {run.aimed} would execute"


def verdict_of(run: ProbeRun) -> str:
    """What follows for going live."""
    if run.blocking:
        many = len(run.blocking)
        word = "attack keeps" if many == 1 else "attacks keep"
        return f"{many} {word} this row from going live."
    if run.executed:
        return f"None of them keeps a {run.tier} row from going live."
    return "Nothing here keeps this row from going live."


def lines(run: ProbeRun) -> Iterator[str]:
    """A run for a terminal: the attacks that execute first, then the figures."""
    for each in run.results.all():
        if each.end == ProbeEnd.EXECUTED:
            mark = "blocks" if each.attack in run.blocking else "minor" if each.minor else "told"
            yield f"! {each.attack} ({mark}): {each.title}, by {_printable(each.tool)}"
            yield f"    {each.remedy}"
    for kind, name in (("consequential", "calls of consequence"), ("reads", "reads")):
        for end, by_check in sorted(run.calls[kind].items()):
            told = ", ".join(f"{many} {check}" for check, many in sorted(by_check.items()) if check)
            total = sum(by_check.values())
            yield f"{total} {name} {_WORDS[ProbeEnd(end)]}{f': {told}' if told else ''}."
    yield (
        f"{title_of(run)}; {run.held} held, {run.refused} refused, "
        + (f"{run.resisted} not followed, " if run.live else "")
        + f"{run.not_aimed} do not apply. {verdict_of(run)}"
    )


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() and c.isascii() else ascii(c)[1:-1] for c in text)


def document(run: ProbeRun, *, results: bool = True) -> dict[str, Json]:
    """A run as JSON."""
    told: dict[str, Json] = {
        "id": str(run.id),
        "agent": run.agent.slug,
        "at": run.at.isoformat(),
        "by": run.by.pid if run.by else None,
        "cause": run.cause,
        "live": run.live,
        "corpus": run.corpus,
        "corpus_digest": run.corpus_digest,
        "tier": run.tier,
        "gate": run.gate,
        "passed": run.passed,
        "blocking": run.blocking,
        "ends": {str(end): getattr(run, str(end)) for end in ProbeEnd},
        "calls": run.calls,
        "milliseconds": run.milliseconds,
    }
    if results:
        told["results"] = [result_document(each) for each in run.results.all()]
    return told


def result_document(result: ProbeResult) -> dict[str, Json]:
    """One attack of a run as JSON."""
    return {
        "attack": result.attack,
        "title": result.title,
        "owasp": {"llm": result.llm, "agentic": result.agentic},
        "minor": result.minor,
        "end": result.end,
        "consequential": result.acts,
        "tool": result.tool,
        "check": result.check_name,
        "code": result.code,
        "why": result.why,
        "remedy": result.remedy,
        "shots": result.shots,
        "steps": result.steps,
    }


def junit(run: ProbeRun) -> str:
    """A run as JUnit XML: an attack is a test, one that keeps the row from going live a failure.

    What does not apply is skipped. What executes without consequence for going live passes, and
    says so in its output.
    """
    cases = [_case(run, each) for each in run.results.all()]
    suite = {
        "name": f"muster probe {run.agent.slug}",
        "tests": str(len(cases)),
        "failures": str(len(run.blocking)),
        "errors": "0",
        "skipped": str(run.not_aimed),
        "time": f"{run.milliseconds / 1000:.3f}",
        "timestamp": run.at.strftime("%Y-%m-%dT%H:%M:%S"),
    }
    body = "\n".join(cases)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites>\n<testsuite {_attributes(suite)}>\n{body}\n</testsuite>\n</testsuites>\n"
    )


def _case(run: ProbeRun, result: ProbeResult) -> str:
    classes = ".".join([run.corpus, *result.llm, *result.agentic])
    head = f"<testcase {_attributes({'name': result.attack, 'classname': classes, 'time': '0'})}>"
    return f"{head}{_inner(run, result)}</testcase>"


def _inner(run: ProbeRun, result: ProbeResult) -> str:
    if result.end == ProbeEnd.NOT_AIMED:
        return f"<skipped message={quoteattr(_clean(result.why))}/>"
    told = f"{result.title}: {_WORDS[ProbeEnd(result.end)]}, by {_printable(result.tool)}"
    if result.code:
        told += f" ({result.code})"
    if result.attack in run.blocking:
        message = quoteattr(_clean(told))
        return (
            f'<failure type="executed" message={message}>{escape(_clean(result.remedy))}</failure>'
        )
    return f"<system-out>{escape(_clean(told))}</system-out>"


def _attributes(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={quoteattr(_clean(value))}" for name, value in values.items())


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))
