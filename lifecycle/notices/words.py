"""What notices say. A code is a subject, a text, and the page where one acts.

Texts are filled with names and figures that Muster knows. What an agent wrote never stands in a
notice: it is read in the inbox, as a quotation.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from governance.kernel.errors import Invalid

MOST = 200


@dataclass(frozen=True, slots=True)
class Words:
    """Subject, text and path, with `{names}` that the context fills."""

    subject: str
    text: str
    path: str = ""


_words: dict[str, Words] = {
    "hold.waits": Words(
        "{agent} waits for your word",
        "{agent} wants to call {tool}. It is held until a person decides, and refused at {until}.",
        "/inbox/",
    ),
    "agent.suspended": Words(
        "{agent} is suspended",
        "{by} suspended {agent}: {reason} Every call is denied until it is started again.",
        "/agents/{agent}/",
    ),
    "agent.resumed": Words("{agent} runs again", "{by} started {agent} again.", "/agents/{agent}/"),
    "review.asked": Words(
        "{agent} waits for your signature",
        "{owner} asks: {what}. You sign it as {role}, by {due}.",
        "/inbox/",
    ),
    "review.due": Words(
        "{agent} waits for you until {due}",
        "You sign {agent} as {role}: {what}. Nobody has answered yet.",
        "/inbox/",
    ),
    "review.overdue": Words(
        "A review of {agent} is overdue",
        "{who} should have signed {agent} as {role} by {due}: {what}. Ask them, or sign yourself.",
        "/inbox/",
    ),
    "review.ended": Words("{agent}: {outcome}", "{what}: {outcome}. {reason}", "/agents/{agent}/"),
    "review.voided": Words(
        "What was signed for {agent} counts no more",
        "{because} It must be signed again.",
        "/agents/{agent}/",
    ),
    "change.proposed": Words(
        "A change waits for a second person",
        "{by} proposed: {summary} It takes effect when someone else agrees.",
        "/inbox/",
    ),
    "change.decided": Words(
        "Your change was {answer}", "{by} {answer} what you proposed: {summary}", "/inbox/"
    ),
    "anomaly.found": Words(
        "{agent} does what it does not usually do",
        "{agent}: {what}{on}. The alert has the numbers. Suspend it where you cannot explain them.",
        "/anomalies/{anomaly}/",
    ),
    "rotation.fetch": Words(
        "{agent} has a new secret",
        "The secret of {agent} was due and is rotated. Fetch the new one by {until}: until then "
        "the earlier one works as well. The agent can fetch it by itself at /oauth/secret.",
        "/rotation/",
    ),
    "rotation.remind": Words(
        "{agent} has not fetched its new secret",
        "The earlier secret of {agent} ends at {until}. Fetch the new one before.",
        "/rotation/",
    ),
    "rotation.not_fetched": Words(
        "The earlier secret of {agent} has ended",
        "Nobody fetched the new one in time. {agent} gets no token until it has it.",
        "/rotation/",
    ),
    "rotation.by_hand": Words(
        "{agent} has a key to rotate",
        "{key} is due, and Muster cannot rotate it: {why} Change it where it lies, then say so.",
        "/rotation/",
    ),
    "rotation.failed": Words(
        "A key of {agent} could not be rotated",
        "{key}: {why} Muster tries it again.",
        "/rotation/",
    ),
    "toxic.found": Words(
        "{agents}: toxic together",
        "{agents} can put together {combination}, which counts as {tier}.{live} Split it, have it "
        "reviewed, or have what it puts out count as {tier}.",
        "/toxic/{finding}/",
    ),
    "limit.reached": Words(
        "{agent} has reached a limit",
        "{agent}{on}: {kind}. Calls beyond it are denied. You are told once for each window.",
        "/agents/{agent}/",
    ),
}


def render(code: str, context: Mapping[str, Any]) -> Words:
    """The words of a code, filled. Raises `Invalid` where code or context do not fit."""
    if code not in _words:
        raise Invalid(f"There is no notice {code[:60]}.")
    given = {name: one_line(value) for name, value in context.items()}
    words = _words[code]
    try:
        subject, text, path = (each.format_map(given) for each in _parts(words))
    except KeyError as error:
        raise Invalid(f"The notice {code} needs {error.args[0]}.") from error
    return Words(subject[:300], text, path[:300])


def _parts(words: Words) -> tuple[str, str, str]:
    return words.subject, words.text, words.path


def one_line(value: object) -> str:
    """A value without what breaks a line, a header or the eye, at most so long."""
    seen = (each if unicodedata.category(each)[0] not in "CZ" else " " for each in str(value))
    said = " ".join("".join(seen).split())
    return said if len(said) <= MOST else said[: MOST - 1] + "…"
