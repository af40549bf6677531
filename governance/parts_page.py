"""`/parts`: every part of the look in every state, for staff, the demo and the browser tests."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

from django import forms
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from governance.context import is_demo
from governance.pictures import CHECKS, Bucket, Happening, Reach, ReachNode, steps_from

_AT = dt.datetime(2026, 11, 23, 13, 31, 58, 770_000, tzinfo=dt.UTC)
_REACH = Reach(
    "refund-desk",
    reads=(
        ReachNode("crm", "confidential", "contacts, 2 tools"),
        ReachNode("helpdesk", "internal", "tickets, 2 tools"),
        ReachNode("policy-docs", "public", "terms, 1 tool"),
    ),
    writes=(
        ReachNode("payments", "confidential", "refund.issue"),
        ReachNode("customer-portal", "confidential", "portal.message.post"),
        ReachNode("helpdesk", "internal", "ticket.reply, ticket.close"),
        ReachNode("mail-out", "public", "mail.send"),
    ),
)
_TIERS = ("restricted", "confidential", "internal", "public")
_CROWD = Reach(
    "an-agent-with-a-rather-long-name",
    reads=tuple(
        ReachNode(f"warehouse-{place:02d}", _TIERS[place % 4], "rows", owner=f"owner {place % 3}")
        for place in range(14)
    ),
    writes=tuple(ReachNode(f"export-{place}", _TIERS[place % 4]) for place in range(6)),
    refused=True,
)


class Sample(forms.Form):
    """One field of each kind."""

    purpose = forms.CharField(
        label="What is it for?", help_text="One sentence that an auditor understands."
    )
    backup = forms.CharField(label="Backup owner", help_text="Takes over when the owner leaves.")
    notes = forms.CharField(label="Notes", widget=forms.Textarea(attrs={"rows": 2}), required=False)
    tier = forms.ChoiceField(label="Tier", choices=[(tier, tier) for tier in _TIERS])
    acts_as = forms.ChoiceField(
        label="It acts as",
        widget=forms.RadioSelect,
        choices=[("service", "itself"), ("impersonation", "the user who asks")],
        initial="service",
    )
    cap = forms.DecimalField(label="Spend a day", min_value=1)
    attest = forms.BooleanField(label="I know what this agent does, and answer for it")


def parts(request: HttpRequest) -> HttpResponse:
    """Every part in every state."""
    if not (is_demo() or getattr(request.user, "is_staff", False)):
        raise Http404
    return render(request, "parts.html", sample_context())


def sample_context() -> dict[str, object]:
    """What the page shows; nothing of it is in the database."""
    bound = Sample({"purpose": "Files new claims", "backup": "", "acts_as": "service", "cap": "0"})
    return {
        "at": _AT,
        "walks": _walks(),
        "opened": _opened(),
        "held": steps_from("hold", "gate"),
        "reach": _REACH,
        "crowd": _CROWD,
        "alone": Reach("new-agent"),
        "behind": _behind("lets it act", "hands over", "calls"),
        "stopped": _behind("lets it act", "not this tool", "", stopped=1),
        "buckets": _buckets(),
        "happenings": _happenings(),
        "since": _AT - dt.timedelta(minutes=50),
        "free": Sample(prefix="free"),
        "sought": Sample(prefix="sought"),
        "bound": bound,
        "page": Paginator(range(1_240), 50).page(3),
        "single": Paginator(range(7), 50).page(1),
        "facts": [
            {"name": "Owner", "value": "Jane Okafor", "sub": "@jane.okafor, employed"},
            {"name": "Acts as", "value": "itself", "sub": "service, no user"},
            {"name": "Model", "value": "Meridian M2", "sub": "hosted in Ireland, DPA"},
            {"name": "Next review", "value": "Mon 11 Jan 2027", "sub": "quarterly"},
        ],
        "figures": [
            {"name": "Agents active", "value": "38", "sub": "of 41; 2 suspended"},
            {"name": "Decisions", "value": "514,206", "sub": "0.87 % not allowed"},
            {"name": "Spend", "value": "€9,914.60", "sub": "of €37,800.00 in caps"},
        ],
        "people": [
            SimpleNamespace(pk=1, name="Jane Okafor", employment="employed", last_day=None),
            SimpleNamespace(
                pk=2, name="Sam Whitlock", employment="leaving", last_day=dt.date(2026, 11, 27)
            ),
            SimpleNamespace(pk=3, name="Lars Holm", employment="left", last_day=None),
        ],
        "events": [
            {"title": "Registered", "at": _AT, "who": "by Jane Okafor", "mark": "done"},
            {
                "title": "In review",
                "at": _AT,
                "text": "Security signs by Mon 30 Nov",
                "mark": "wait",
            },
            {"title": "Suspended", "at": _AT, "who": "by Emil Brandt", "mark": "stop"},
            {"title": "Renewal", "text": "Thu 14 Jan 2027"},
        ],
        "given": {
            "to": "m.jensen@postbox.example",
            "memo": "Goodwill refund\u200b for the kitchen \u202efloor",
            "amount": 124000,
            "notify": True,
            "lines": [{"sku": "A-1", "count": 2}],
            "reference": None,
        },
        "keys": [("J", "next"), ("K", "previous"), ("/", "first filter")],
        "command": (
            "curl --data grant_type=client_credentials \\\n"
            "     --user refund-desk:$SECRET \\\n"
            "     http://127.0.0.1:8000/oauth/token"
        ),
    }


def _behind(*does: str, stopped: int | None = None) -> list[SimpleNamespace]:
    who = (("person", "Jane Okafor"), ("agent", "crm-copilot"), ("agent", "mail-writer"))
    parts = [
        SimpleNamespace(kind=kind, id=name, does=said, stopped=place == stopped)
        for place, ((kind, name), said) in enumerate(zip(who, does, strict=True))
    ]
    return [*parts, SimpleNamespace(kind="tool", id="mail.draft", does="", stopped=False)]


def _walks() -> list[object]:
    error = ["passed"] * 6 + ["error"] + ["not_reached"] * 6
    today = ["passed", "not_applicable", "not_applicable", *["passed"] * 4, *["not_built"] * 6]
    return [
        steps_from("allow", ""),
        steps_from("deny", "allowlist"),
        steps_from("deny", "flow"),
        steps_from("hold", "taint"),
        steps_from("hold", "gate"),
        list(zip(CHECKS, error, strict=True)),
        list(zip(CHECKS, today, strict=True)),
    ]


def _opened() -> list[dict[str, str]]:
    told = {
        "identity": ("passed", "Token 4 min old, row active, Jane Okafor employed"),
        "delegation": ("not_applicable", "None used"),
        "consent": ("not_applicable", "None needed: no user is acted for"),
        "allowlist": ("passed", "mail.send is entry 7 of 9 in the row"),
        "parameters": ("passed", "All 4 fit the schema; recipient is one address"),
        "role": ("passed", "support-outbound grants mail.send"),
        "policy": ("refused", "The forbid no-mail-at-night matched. It is 02:14 in Copenhagen."),
    }
    return [
        {"check": check, "status": status, "sentence": sentence}
        for check, (status, sentence) in (
            (check, told.get(check, ("not_reached", ""))) for check in CHECKS
        )
    ]


def _buckets() -> tuple[Bucket, ...]:
    allowed = (
        97,
        88,
        62,
        34,
        19,
        14,
        11,
        9,
        7,
        6,
        5,
        4,
        4,
        5,
        7,
        14,
        38,
        74,
        93,
        104,
        98,
        71,
        83,
        101,
    )
    return tuple(
        Bucket(
            f"{(15 + place) % 24:02d}",
            count,
            denied=7 if place == 20 else count // 50,
            held=1 if place % 5 == 0 else 0,
        )
        for place, count in enumerate(allowed)
    )


def _happenings() -> tuple[Happening, ...]:
    systems = (
        ("claims-archive", "restricted", "deny"),
        ("crm", "confidential", "allow"),
        ("payments", "confidential", "hold"),
        ("helpdesk", "internal", "allow"),
        ("mail-out", "public", "deny"),
    )
    return tuple(
        Happening(
            _AT - dt.timedelta(seconds=97 * place),
            *systems[place % 5][:2],
            systems[place % 5][2] if place % 3 else "allow",
        )
        for place in range(30)
    )
