"""A month of plausible calls, made up from a seed. Pure: the same seed gives the same calls."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAYS = 30
ZONE = ZoneInfo("Europe/Copenhagen")


@dataclass(frozen=True)
class Call:
    """One question that an agent asked at some time, and what came of the call."""

    at: datetime
    agent: str
    tool: str
    parameters: dict[str, Any]
    session: str = ""
    user: str = ""
    reasoning: str = ""
    output: dict[str, Any] = field(default_factory=dict)
    cost_minor: int = 0
    plan: list[dict[str, Any]] | None = None


class Run:
    """The calls of one run of one agent, seconds apart."""

    def __init__(self, agent: str, start: datetime, dice: random.Random) -> None:
        self.agent = agent
        self.plan: list[dict[str, Any]] | None = None
        self.at = start
        self.dice = dice
        self.session = f"run-{start:%d%H%M}-{dice.randrange(16**4):04x}"

    def call(self, tool: str, parameters: dict[str, Any], **more: Any) -> Call:
        self.at += timedelta(milliseconds=self.dice.randint(700, 14_000))
        more |= {"session": self.session, "plan": self.plan}
        return Call(self.at, self.agent, tool, parameters, **more)

    def number(self, digits: int) -> str:
        return str(self.dice.randrange(10 ** (digits - 1), 10**digits))


def month(until: datetime, seed: int = 7) -> list[Call]:
    """Every call of the `DAYS` days before `until`, oldest first."""
    dice = random.Random(seed)  # noqa: S311 (a demo's dice, not a secret)
    calls = [call for days in range(DAYS, -1, -1) for call in _day(until, days, dice)]
    return sorted((call for call in calls if call.at < until), key=lambda call: call.at)


def _day(until: datetime, days_ago: int, dice: random.Random) -> Iterator[Call]:
    midnight = until.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    day = midnight - timedelta(days=days_ago)
    busy = 0.2 if day.weekday() >= 5 else 1.0
    for maker, runs, first, last in PLAN:
        for _ in range(round(runs * busy * dice.uniform(0.7, 1.3))):
            start = day + timedelta(seconds=dice.randint(first * 3600, last * 3600))
            yield from maker(start, dice)


def _refund(start: datetime, dice: random.Random) -> Iterator[Call]:
    run = Run("refund-desk", start, dice)
    ticket, contact, claim = run.number(5), run.number(5), f"CL-{run.number(5)}"
    amount = dice.choice([1900, 4500, 8600, 12_000, 23_500, 48_000, 61_000, 124_000])
    run.plan = [
        {"tool": "ticket.read", "parameters": {"ticket": ticket}},
        {"tool": "crm.contact.read", "parameters": {"contact": contact}},
        {
            "tool": "refund.issue",
            "parameters": {"claim": claim, "amount": {"maximum": 500_000}},
        },
        {"tool": "portal.message.post", "parameters": {"customer": contact}},
    ]
    yield run.call("ticket.read", {"ticket": ticket}, reasoning="Next ticket in the refund queue.")
    yield run.call("crm.contact.read", {"contact": contact})
    yield run.call(
        "refund.issue",
        {
            "claim": claim,
            "amount": amount,
            "currency": "EUR",
            "region": "nordics",
            "reason": "Paid twice",
        },
        reasoning=f"The customer paid {claim} twice; the ticket has both receipts.",
        output={"status": "paid", "claim": claim},
        cost_minor=4,
    )
    answer = {"customer": contact, "text": "Your refund is on its way."}
    if dice.random() < 0.06:
        # What the ticket asks for, in somebody else's words.
        yield run.call("refund.export", {"month": f"{start:%Y-%m}", "rows": 4000})
    elif dice.random() < 0.05:
        yield run.call("portal.message.post", {**answer, "customer": run.number(5)})
    elif dice.random() < 0.06:
        yield run.call("ticket.reply", {"ticket": ticket, "text": answer["text"]})
    elif dice.random() < 0.05:
        yield run.call("ticket.reply", {"ticket": f"#{ticket}", "text": answer["text"]})
    else:
        yield run.call("portal.message.post", answer)


def _research(start: datetime, dice: random.Random) -> Iterator[Call]:
    run = Run("customer-research", start, dice)
    topic = dice.choice(["storm-damage", "water-leaks", "bicycles", "solar-roofs"])
    channels = {"enum": ["#support", "#general"]}
    run.plan = [
        {"tool": "doc.read"},
        {"tool": "web.fetch", "parameters": {"url": {"pattern": r"^https://trade\.example/"}}},
        {"tool": "chat.post", "parameters": {"channel": channels}},
    ]
    yield run.call("doc.read", {"document": f"terms/{topic}"})
    for page in range(dice.randint(1, 4)):
        url = f"https://trade.example/{topic}/{page}"
        yield run.call("web.fetch", {"url": url}, cost_minor=1)
    if dice.random() < 0.15:
        yield run.call("web.fetch", {"url": f"https://free-leads.example/{topic}"})
    channel = "#general" if dice.random() < 0.1 else "#support"
    yield run.call("chat.post", {"channel": channel, "text": f"What is new in {topic}"})


def _scoring(start: datetime, dice: random.Random) -> Iterator[Call]:
    run = Run("deal-scoring", start, dice)
    for _ in range(dice.randint(3, 7)):
        deal = f"D-{run.number(4)}"
        yield run.call("crm.deal.read", {"deal": deal}, cost_minor=1)
        score = dice.randint(5, 104)
        yield run.call(
            "crm.deal.score",
            {"deal": deal, "score": score},
            reasoning="Size, age and last contact of the deal.",
        )


def _invoice(start: datetime, dice: random.Random) -> Iterator[Call]:
    run = Run("invoice-approver", start, dice)
    invoice = f"INV-{run.number(6)}"
    amount = dice.choice([4900, 18_000, 64_000, 120_000, 149_000, 260_000, 900_000])
    yield run.call("invoice.read", {"invoice": invoice})
    yield run.call(
        "invoice.approve",
        {"invoice": invoice, "amount": amount, "currency": "EUR"},
        reasoning="The amount and the supplier match the order.",
        output={"status": "approved"},
        cost_minor=2,
    )


def _figures(start: datetime, dice: random.Random) -> Iterator[Call]:
    run = Run("ops-dashboard", start, dice)
    for metric in ("tickets_open", "refunds_paid", "answer_minutes"):
        yield run.call("metrics.query", {"metric": f"metrics/{metric}", "days": 1})
    yield run.call("chat.post", {"channel": "#support", "text": "The figures of the night"})


def _copilot(start: datetime, dice: random.Random) -> Iterator[Call]:
    run = Run("support-copilot", start, dice)
    ticket = run.number(5)
    yield run.call("ticket.search", {"query": "delivery", "limit": 20})
    yield run.call("ticket.read", {"ticket": ticket}, cost_minor=3)
    yield run.call("crm.contact.read", {"contact": run.number(5)})
    if dice.random() < 0.25:
        yield run.call(
            "ticket.reply",
            {"ticket": ticket, "text": "Draft: it left our store this morning."},
            user="jane.okafor@halvern.example",
            reasoning="The person asked for the answer to be sent.",
        )


def unanswered(now: datetime) -> list[Call]:
    """What agents ask right now that a human has to answer."""
    invoices = (("INV-204417", 164_000), ("INV-204431", 178_500), ("INV-204452", 199_500))
    calls = [
        Call(
            now,
            "invoice-approver",
            "invoice.approve",
            {"invoice": invoice, "amount": amount, "currency": "EUR"},
            reasoning="The amount and the supplier match the order.",
        )
        for invoice, amount in invoices
    ]
    mail = {
        "to": "claims@nordlys-glass.example",
        "subject": "Receipt for CL-20411",
        "body": "The refund for claim CL-20411 was paid today. The receipt is in your portal.",
    }
    asked = "The glazier asked for a receipt, and is not among those we have written to."
    return [*calls, Call(now, "refund-desk", "mail.send", mail, reasoning=asked)]


# Who runs, how often on a working day, between which hours of the company's day.
PLAN: list[tuple[Callable[[datetime, random.Random], Iterator[Call]], int, int, int]] = [
    (_refund, 9, 8, 18),
    (_research, 3, 9, 19),
    (_scoring, 2, 2, 5),
    (_invoice, 6, 8, 17),
    (_figures, 1, 8, 9),
    (_copilot, 8, 8, 19),
]
