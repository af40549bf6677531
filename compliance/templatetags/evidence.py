"""Words and links of the pages of evidence."""

from __future__ import annotations

from datetime import timedelta

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from authz.models import Hold
from compliance import pages, scope
from compliance.catalogue import Asked, Framework, frameworks
from compliance.comparing import Compared
from compliance.dashboard.figures import Spend, Stops
from compliance.dashboard.page import agents_url
from compliance.evidence import Answered, Figure, Found, Look
from compliance.reports.document import RULES
from governance import pictures, words

register = template.Library()


@register.simple_tag
def control_url(look: Look, found: Found) -> str:
    """The page of a line, in the same period and scope."""
    return pages.control_url(look, found)


@register.simple_tag
def rows_url(look: Look, framework: Framework, answered: Answered, figure: Figure) -> str:
    """Where the rows behind a figure are; nothing where it has none."""
    return pages.rows_url(look, framework, answered, figure)


@register.filter
def said_value(figure: Figure) -> str:
    """A figure with its unit."""
    return pages.said_value(figure)


@register.filter
def clause(text: str) -> str:
    """The first of several clauses: enough for a cell."""
    first, more, _ = text.partition(", ")
    return f"{first} …" if more else first


@register.filter
def framework_name(framework_id: str) -> str:
    """GDPR for `gdpr`; the id of one that is no more."""
    return next((each.name for each in frameworks() if each.id == framework_id), framework_id)


@register.filter
def scope_title(key: str) -> str:
    """A scope in words."""
    kind, _, name = key.partition(":")
    return scope.Scope(kind, name).title


@register.filter
def rule_of(asked: Asked) -> str:
    """What an exception of this query makes of its control."""
    return RULES[asked.breaks]


@register.filter
def ending(record: object) -> str:
    """The end of a record's id, by which people tell it."""
    return str(record)[-8:]


@register.filter
def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+,}".replace("-", "−")


@register.filter
def compared_sentence(compared: Compared) -> str:
    """How many lines are better and worse."""
    worse, better = compared.many("worse"), compared.many("better")
    if not worse and not better:
        return "no line stands otherwise than before"
    return f"{worse} worse, {better} better than before"


@register.simple_tag
def stop_bar(stops: Stops, share: float) -> SafeString:
    """How many calls one check stopped, beside the check that stopped most."""
    denied = share * stops.denied / stops.many if stops.many else 0
    parts = (
        ("bar-deny", 0.0, denied, "none"),
        ("bar-hold", denied, share - denied, "url(#hatch-hold)"),
    )
    drawn = format_html_join(
        "",
        '<rect class="{}" x="{}%" width="{}%" height="8" fill="{}"/>',
        (
            (name, f"{at * 100:.1f}", f"{wide * 100:.1f}", fill)
            for name, at, wide, fill in parts
            if wide > 0
        ),
    )
    return format_html('<svg class="gauge" aria-hidden="true">{}</svg>', drawn)


@register.inclusion_tag("parts/gauge.html")
def spend_gauge(spend: Spend) -> dict[str, object]:
    """What a department's agents spent today; its rows are those agents."""
    said = f"{words.money(spend.spent, spend.currency)} of {words.money(spend.cap, spend.currency)}"
    name = spend.name or "No department"
    picture = pictures.gauge(spend.spent, spend.cap, label=f"{name}: {said}")
    rows = agents_url(department=spend.name)
    label = format_html('<a href="{}">{}</a>', rows, name) if spend.name else name
    return {"label": label, "said": said, "note": "", "picture": picture}


@register.filter
def took(hold: Hold) -> timedelta | None:
    """How long somebody took to decide."""
    return hold.decided_at - hold.made_at if hold.decided_at else None
