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
    "bypass.found": Words(
        "{agent} called {tool} without asking",
        "{calls} of {tool} by {agent} at {system} have no decision. Suspend it where you cannot "
        "explain them.",
        "/bypass/",
    ),
    "toxic.found": Words(
        "{agents}: toxic together",
        "{agents} can put together {combination}, which counts as {tier}.{live} Split it, have it "
        "reviewed, or have what it puts out count as {tier}.",
        "/toxic/{finding}/",
    ),
    "renewal.due": Words(
        "Is {agent} still needed?",
        "{agent} is to be renewed by {due}. Three questions, a minute: say whether it is still "
        "needed, with what, and with which credentials. Unanswered until {until}, it ends.",
        "/agents/{agent}/renew/",
    ),
    "renewal.overdue": Words(
        "{agent} ends unless you renew it",
        "The renewal of {agent} was due on {due}. Nobody has answered. It is decommissioned on "
        "{until}, and gets nothing from then on.",
        "/agents/{agent}/renew/",
    ),
    "renewal.ended": Words(
        "{agent} was not renewed, so it ends",
        "The renewal of {agent} was due on {due}, and nobody answered by {until}. It gets nothing "
        "any more.",
        "/agents/{agent}/",
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
    "sweep.late": Words(
        "{many} not come through",
        "{names}: no run ended within two intervals. See whether worker and beat are up, and what "
        "fails. Until then nothing that these look after happens by itself.",
        "/sweeps/",
    ),
    "record.not_sealed": Words(
        "The record is not sealed",
        "{why} Until that is mended, nothing new can be proved.",
        "/proof/",
    ),
    "record.not_anchored": Words(
        "The record is not anchored outside",
        "{why} Until one takes a checkpoint, who owns the machine can rewrite what came since.",
        "/proof/",
    ),
    "record.stream_behind": Words(
        "{stream} does not get the record",
        "{why} What happens now is not seen there.",
        "/proof/streams/",
    ),
    "idle.asked": Words(
        "{agent} is idle: is it still needed?",
        "{agent} {silent}. Renew it and say why, narrow it to what it uses, or end it. Where "
        "nobody answers by {due}, it is decommissioned.",
        "/agents/{agent}/idle/",
    ),
    "idle.remind": Words(
        "{agent} is decommissioned on {due} if nobody answers",
        "{agent} {silent}, and nobody has said yet that it is needed. Renew it, narrow it or end "
        "it by {due}.",
        "/agents/{agent}/idle/",
    ),
    "idle.closed": Words(
        "{agent}: {outcome}",
        "The question whether {agent} is still needed is closed: {outcome}. {reason}",
        "/agents/{agent}/",
    ),
    "campaign.asks": Words(
        "{many} may be yours: {campaign}",
        "{many} that already run may be yours. Accept what is, and say whose the rest is, "
        "by {due}. Nothing is yours before you accept it.",
        "/inbox/",
    ),
    "leaver.offered": Words(
        "{many} of {owner} may become yours",
        "{owner} {leaves}. You are asked to take over {agents} by {due}: accept, refuse with a "
        "reason, or name somebody else. Nothing is yours before you accept it.",
        "/leavers/{pid}/",
    ),
    "leaver.flagged": Words(
        "{many} of {owner} need another owner",
        "{owner} {leaves}. {agents}: by {due} somebody accepts, or they are decommissioned.",
        "/leavers/{pid}/",
    ),
    "leaver.nobody": Words(
        "Nobody can be asked to take over {agents}",
        "{owner} {leaves}, and neither a backup owner nor a manager can take over {agents}. "
        "Name somebody by {due}, or they are decommissioned.",
        "/leavers/{pid}/",
    ),
    "leaver.day": Words(
        "Day {day} of 5: no answer yet for {many} of {owner}",
        "{owner} {leaves}. {agents}: nobody has accepted yet. What nobody accepts by {due} is "
        "decommissioned.",
        "/leavers/{pid}/",
    ),
    "leaver.last_day": Words(
        "Last day for {many} of {owner}",
        "{owner} {leaves}. {agents}: nobody has accepted. What nobody accepts by {due} is "
        "decommissioned, and nothing of it comes back.",
        "/leavers/{pid}/",
    ),
    "leaver.refused": Words(
        "{by} does not take {agent} over",
        "{by} does not take {agent} over. {to} is asked now, by {due}.",
        "/leavers/{pid}/",
    ),
    "leaver.closed": Words("{agent} {outcome}", "{agent} {outcome}.", "/agents/{agent}/"),
    "leaver.duty": Words(
        "Somebody else signs {agent}",
        "{owner} has left and signs nothing any more. {who} signs {agent} as {role} instead.",
        "/agents/{agent}/",
    ),
    "leaver.holds": Words(
        "Somebody else decides what {agent} asks",
        "{owner} has left and decides nothing any more. Of those who were asked, {who} may still.",
        "/inbox/",
    ),
    "leaver.stand_in": Words(
        "Nobody stands in for you any more",
        "{owner} stood in for you and has left. Name somebody else.",
        "/absences/",
    ),
    "mover.asked": Words(
        "{owner} is in another department: does {agent} stay theirs?",
        "{owner} is in {department} now. Say by {due} whether {agent} stays theirs, or name who "
        "takes it over. If nobody does, it is suspended.",
        "/cases/{case}/",
    ),
    "mover.offered": Words(
        "{agents} of {owner} may become yours",
        "{owner} is in another department. You are asked to take over {agents} by {due}: accept, "
        "refuse with a reason, or name somebody else. Nothing is yours before you accept it.",
        "/cases/{case}/",
    ),
    "mover.refused": Words(
        "{by} does not take {agent} over",
        "{by} does not take {agent} over. Keep it, or name somebody else, by {due}.",
        "/cases/{case}/",
    ),
    "mover.closed": Words("{agent} {outcome}", "{agent} {outcome}.", "/agents/{agent}/"),
    "people.silent": Words(
        "{source} says nothing about people",
        "{source} ({slug}) has said nothing since {since}, and is expected every {days} days. "
        "Whoever leaves meanwhile is not known here. Look whether it still sends.",
        "/people/",
    ),
    "break_glass.opened": Words(
        "Emergency access: {person}",
        "{person} opened emergency access {with}, until {until}: {reason} It reads everything and "
        "suspends agents. Look at what is done, and review it afterwards.",
        "/emergency/uses/{id}/",
    ),
    "break_glass.closed": Words(
        "Emergency access of {person} was reviewed",
        "{by} reviewed what was done under it, and closed it.",
        "/emergency/uses/{id}/",
    ),
    "end.asked": Words(
        "{agent} ends on {day}",
        "{by} ends {agent}, which you or an agent of yours relies on: {reason} Say that you know, "
        "and it may end sooner. Without a word it ends on {day} all the same.",
        "/agents/{agent}/end/",
    ),
    "end.withdrawn": Words("{agent} does not end", "{why} {agent} goes on.", "/agents/{agent}/"),
    "end.told": Words(
        "{agent} has ended",
        "{agent}, which you or an agent of yours relies on, is decommissioned: every call of it "
        "is refused.",
        "/agents/{agent}/end/",
    ),
    "end.done": Words(
        "{agent} is decommissioned",
        "What it held is ended, and its certificate is there. {left}",
        "/agents/{agent}/end/",
    ),
    "end.stuck": Words(
        "Something of {agent} cannot be ended",
        "{agent} is denied everything, but {what} is not ended for a day now: {why} Muster tries "
        "it again. End it there by hand where you can.",
        "/agents/{agent}/end/",
    ),
    "subject.near": Words(
        "The answer to a data subject is due on {day}",
        "{what}, received on {received}, has no answer yet. Give it until {day}; where it is "
        "complex, it can be extended within its first month, with the reason (GDPR art. 12(3)).",
        "/subjects/{request}/",
    ),
    "subject.today": Words(
        "The answer to a data subject is due today",
        "{what}, received on {received}, has no answer yet. Today, {day}, is its last day (GDPR "
        "art. 12(3)).",
        "/subjects/{request}/",
    ),
    "subject.overdue": Words(
        "The answer to a data subject is overdue since {day}",
        "{what}, received on {received}, was to be answered by {day} (GDPR art. 12(3)), and has no "
        "answer yet. You are told each week until it has one.",
        "/subjects/{request}/",
    ),
    "grant.given": Words(
        "{agent} may act for you until {until}",
        "You let {agent} act for you until {until}: {tools}. See what it does, and end it whenever "
        "you like. Where that was not you, end it now and tell security.",
        "/my/grants/",
    ),
    "grant.beforehand": Words(
        "{agent} may act for you until {until}",
        "It was approved beforehand for a group of yours that {agent} acts for its members until "
        "{until}: {tools}. See what it does, and end it whenever you like.",
        "/my/grants/",
    ),
    "grant.used": Words(
        "{agent} acted for you for the first time",
        "{agent} called “{tool}” in your name ({at}), for the first time since you let it. You see "
        "every call of it, and end it whenever you like.",
        "/my/grants/",
    ),
    "grant.near": Words(
        "{agent} may act for you until {until}",
        "What you let {agent} do ends on {until} ({left}). Renew it if it should go on: everything "
        "is looked at anew, and you can let it do less. Without a word it ends.",
        "/my/grants/{grant}/again/",
    ),
    "grant.ended": Words(
        "{agent} acts for you no more",
        "{why}: {agent} may do nothing in your name any more. What it did is on the record.",
        "/my/grants/",
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
