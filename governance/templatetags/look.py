"""The look in templates: marks, words, times, pictures and the parts that hold other content.

Every tag escapes what it is given. The parts themselves are templates in `templates/parts/`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from django import template
from django.forms.boundfield import BoundField
from django.forms.widgets import CheckboxInput
from django.template.context import Context
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import conditional_escape, escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from governance import pictures, unseen, words

register = template.Library()

_TIERS = ("public", "internal", "confidential", "restricted")
_EFFECTS = {"allow": "allowed", "deny": "denied", "hold": "held"}
_STATES = {
    "draft": ("draft", "draft"),
    "in_review": ("review", "in review"),
    "active": ("active", "active"),
    "suspended": ("suspended", "suspended"),
    "decommissioning": ("ended", "decommissioning"),
    "decommissioned": ("ended", "decommissioned"),
}
_MET = {
    "met": ("yes", "yes", "met"),
    "partly": ("partly", "partly", "partly"),
    "not_met": ("no", "no", "not met"),
    "not_applicable": ("na", "na", "not applicable"),
    "cannot_tell": ("na", "na", "cannot tell"),
}
_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "yes or no"),
    ((int, float, Decimal), "number"),
    (str, "text"),
    (Mapping, "object"),
    ((list, tuple), "list"),
)
_LOUD = {"error": "deny", "warning": "hold", "success": "allow"}


# Marks


@register.simple_tag
def icon(name: str) -> SafeString:
    """One of the sixteen icons, always beside a word: `{% icon "warn" %}`."""
    return format_html(
        '<svg class="i" viewBox="0 0 16 16" aria-hidden="true"><use href="#i-{}"/></svg>', name
    )


@register.simple_tag
def tier(value: object, *, word: bool = True) -> SafeString:
    """Shape, letter and word of a tier; without `word` the word stays for screen readers."""
    name = str(value or "")
    if name not in _TIERS:
        return format_html('<span class="faint">{}</span>', name or "not known")
    return format_html(
        '<span class="tier"><svg viewBox="0 0 18 18" aria-hidden="true" class="tier-{0}">'
        '<use href="#t-{0}"/><text class="tier-text {0}" x="9" y="12.2">{1}</text></svg>{2}</span>',
        name,
        name[0].upper(),
        name if word else format_html('<span class="sr">{}</span>', name),
    )


@register.simple_tag
def effect(value: object) -> SafeString:
    """Glyph and word of a decision's effect (allow, deny, hold); other words stand plain."""
    name = str(value or "")
    if name not in _EFFECTS:
        return format_html('<span class="effect none">{}</span>', name or "recorded")
    return format_html(
        '<span class="effect {0}"><svg viewBox="0 0 12 12" aria-hidden="true">'
        '<use href="#e-{0}"/></svg>{1}</span>',
        name,
        _EFFECTS[name],
    )


@register.simple_tag
def met(value: object, *, word: bool = True) -> SafeString:
    """Mark and word of how a control stands; without `word` it stays for screen readers."""
    class_, mark, said = _MET.get(str(value), ("na", "na", str(value)))
    return format_html(
        '<span class="met {}"><svg viewBox="0 0 16 16" aria-hidden="true"><use href="#m-{}"/></svg>'
        "{}</span>",
        class_,
        mark,
        said if word else format_html('<span class="sr">{}</span>', said),
    )


@register.simple_tag
def state(value: object) -> SafeString:
    """Dot and word of an agent's state."""
    class_, word = _STATES.get(str(value), ("draft", str(value).replace("_", " ")))
    return format_html('<span class="state {}">{}</span>', class_, word)


@register.simple_tag
def tool_effect(value: object) -> SafeString:
    """What a tool does (read, write, destructive, financial …), as a tag."""
    return format_html('<span class="tag">{}</span>', spaced(value))


@register.filter
def spaced(value: object) -> str:
    """`permission_grant` as words: `permission grant`."""
    return str(value or "").replace("_", " ")


# The walk and other pictures


@register.simple_tag
def strip(walk: object = None, *, effect: str = "", check: str = "") -> SafeString:
    """The strip of thirteen checks: from a walk, or from an effect and the check that decided."""
    steps = _steps(walk) if walk else pictures.steps_from(effect, check) if effect else ()
    if not steps:
        return mark_safe('<span class="faint">none</span>')
    return pictures.walk_strip(steps)


@register.inclusion_tag("parts/walk.html")
def walk(walk: object) -> dict[str, object]:
    """The walk, opened: one line per check with its sentence."""
    return {"steps": _steps(walk)}


@register.filter
def walk_sentence(walk: object) -> str:
    """A walk in words: `7 passed, stopped at check 8 of 13, flow, 5 not reached`."""
    return pictures.walk_sentence(_steps(walk)) if walk else ""


@register.inclusion_tag("parts/chain.html")
def chain(
    behind: Iterable[Any], names: Mapping[str, str] | None = None, *, key: str = "chain"
) -> dict[str, object]:
    """Whose call it was and through whose hands it came: picture and list.

    `behind` has `kind`, `id`, `does` and `stopped` of each; `names` are those of people by id.
    """
    parts = [
        pictures.Part(each.kind, (names or {}).get(each.id, each.id), each.does, each.stopped)
        for each in behind
    ]
    return {"parts": parts, "picture": pictures.chain_picture(parts, key=key)}


@register.inclusion_tag("parts/reach.html")
def reach(reach: pictures.Reach, *, key: str = "reach", width: int = 760) -> dict[str, object]:
    """An agent's reach: picture, complete list, and bands on a phone."""
    return {
        "reach": reach,
        "picture": pictures.reach_picture(reach, width=width, key=key),
        "bands": pictures.reach_bands(reach),
        "narrow": width < 600,
    }


@register.inclusion_tag("parts/bars.html")
def bars(buckets: Iterable[pictures.Bucket], *, name: str = "Decisions") -> dict[str, object]:
    """Decisions over time, in a box of its own that scrolls, with its key."""
    return {"picture": pictures.bars(tuple(buckets)), "name": name}


@register.inclusion_tag("parts/lanes.html")
def lanes(
    happenings: Iterable[pictures.Happening],
    start: dt.datetime,
    end: dt.datetime,
    *,
    name: str = "Timeline",
    label: str = "",
) -> dict[str, object]:
    """What happened by lane and time, in a box of its own that scrolls, with its key."""
    shown = tuple(happenings)
    return {
        "picture": pictures.lanes(shown, start, end, label=label),
        "name": name,
        "counted": len(shown) > pictures.SINGLY,
        "waited": any(each.until for each in shown),
    }


@register.inclusion_tag("parts/run.html")
def run(run: pictures.Run, *, key: str = "run") -> dict[str, object]:
    """What one run did: picture, its key, and the complete list."""
    return {"run": run, "picture": pictures.run_picture(run, key=key)}


@register.inclusion_tag("parts/gauge.html")
def gauge(
    label: str,
    used: float,
    limit: float,
    *,
    said: str = "",
    reserved: float = 0,
    note: str = "",
) -> dict[str, object]:
    """A limit: `said` stands beside its label, `note` tells what happens beyond."""
    said = said or f"{words.count(used)} of {words.count(limit)}"
    picture = pictures.gauge(used, limit, reserved=reserved, label=f"{label}: {said}")
    return {"label": label, "said": said, "note": note, "picture": picture}


# Figures and times


for _said in (
    words.count,
    words.number_word,
    words.money,
    words.percent,
    words.duration,
):
    register.filter(_said)


@register.simple_tag
def quiet(value: int | None, url: str = "") -> SafeString:
    """A count in a table: a quiet 0, otherwise a link to its rows."""
    if not value:
        return format_html('<span class="faint">{}</span>', words.count(value))
    if url:
        return format_html('<a href="{}">{}</a>', url, words.count(value))
    return format_html("{}", words.count(value))


@register.simple_tag
def when(
    value: dt.datetime | dt.date | None, style: str = "minute", none: str = "none"
) -> SafeString:
    """A time in the reader's zone inside `<time>`, which holds it in UTC.

    Styles: `minute` (Mon 23 Nov, 14:31 CET), `second`, `stamp` (no zone: it
    stands in the column's head), `record` (with milliseconds and year),
    `day`, `clock` (14:31:58), `clock_ms`, `hour` (14:31 CET).
    """
    if value is None:
        return format_html('<span class="faint">{}</span>', none)
    if not isinstance(value, dt.datetime):
        return format_html('<time datetime="{}">{}</time>', value.isoformat(), words.day(value))
    written = value.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return format_html('<time datetime="{}">{}</time>', written, words.instant(value, style))


@register.simple_tag
def time_left(until: dt.datetime, now: dt.datetime) -> SafeString:
    """How long until an instant, loud within the last hour, inside `<time>`."""
    left = until - now
    if left <= dt.timedelta():
        return format_html('<span class="faint">{}</span>', "over")
    late = " late" if left <= dt.timedelta(hours=1) else ""
    written = until.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    said = words.duration(left)
    return format_html('<time class="left{}" datetime="{}">{}</time>', late, written, said)


@register.simple_tag
def zone() -> str:
    """The reader's zone, for the head of a column: `CET`."""
    return timezone.localtime().strftime("%Z")


# Links


@register.simple_tag
def nav_url(name: str, *args: object, **kwargs: object) -> str:
    """The address of a page, or nothing where that page does not exist."""
    try:
        return reverse(name, args=args or None, kwargs=kwargs or None)
    except NoReverseMatch:
        return ""


@register.inclusion_tag("parts/crumbs.html")
def crumbs(*pairs: str, here: str = "") -> dict[str, object]:
    """A breadcrumb: `{% crumbs "My agents" agents_url here=agent.slug %}`."""
    links = list(zip(pairs[::2], pairs[1::2], strict=True))
    return {"links": links, "here": here}


@register.inclusion_tag("parts/sort_head.html", takes_context=True)
def sort_head(context: Context, label: str, field: str, *, num: bool = False) -> dict[str, object]:
    """A column head that sorts by `?sort=field`, then by `?sort=-field`."""
    query = context["request"].GET.copy()
    current = query.get("sort", "")
    query["sort"] = f"-{field}" if current == field else field
    query.pop("page", None)
    order = {field: "ascending", f"-{field}": "descending"}.get(current, "")
    return {"label": label, "url": f"?{query.urlencode()}", "order": order, "num": num}


# Fields


@register.simple_tag
def field(bound: BoundField, *, unit: str = "", label: str = "") -> SafeString:
    """A form field with label, help, and its error beside it."""
    data = {"field": bound, "unit": unit, "label": label or bound.label, "kind": _kind(bound)}
    return SafeString(render_to_string("parts/field.html", data))


@register.filter
def widget(bound: BoundField) -> SafeString:
    """The field's input, in the look of the site."""
    if isinstance(bound.field.widget, CheckboxInput) or _kind(bound) == "options":
        return bound.as_widget()
    classes = f"input {bound.field.widget.attrs.get('class', '')}".strip()
    return bound.as_widget(attrs={"class": classes})


@register.simple_tag
def error_summary(form: Any) -> SafeString:
    """What the form still needs, counted, each a link to its field."""
    wrong = [bound for bound in form if bound.errors] if form.is_bound else []
    if not wrong and not form.non_field_errors():
        return SafeString("")
    return SafeString(render_to_string("parts/error_summary.html", {"form": form, "wrong": wrong}))


# Text that others wrote


@register.filter
def place(resource: object) -> str:
    """A resource of the record. Of one that is kept as a keyed hash, enough to tell it again."""
    kind, hidden, digest = str(resource).partition("hmac-sha256:")
    return f"{kind}hidden, {digest[:8]}" if hidden else kind


@register.filter
def shown(value: object) -> SafeString:
    """Text as it is; characters that are unseen or look like others, by code point and name."""
    text = str(value)
    if unseen.is_plain(text):
        return escape(text)
    return format_html_join("", "{}", ((_told(each),) for each in unseen.pieces(text)))


@register.inclusion_tag("parts/params.html")
def params(given: Mapping[str, object], *, name: str = "Parameters") -> dict[str, object]:
    """Parameters as they would be sent, with their types."""
    rows = [(key, _written(value), _type(value)) for key, value in given.items()]
    return {"rows": rows, "name": name}


# Parts that hold content


@register.simple_block_tag
def sheet(
    content: str,
    title: str = "",
    note: object = "",
    *,
    key: str = "",
    bare: bool = False,
    verdict: str = "",
    footer: object = "",
) -> SafeString:
    """One section with one question. `bare` leaves out the padding, for tables and lists."""
    named = key or f"h-{''.join(c if c.isalnum() else '-' for c in title.lower())}"
    data = {
        "content": content,
        "title": title,
        "note": note,
        "key": named,
        "bare": bare,
        "verdict": verdict,
        "footer": footer,
    }
    return SafeString(render_to_string("parts/sheet.html", data))


@register.simple_block_tag
def scroll(content: str, name: str, *, inset: bool = False) -> SafeString:
    """The box of a wide thing: it scrolls, the page does not."""
    return SafeString(
        render_to_string("parts/scroll.html", {"content": content, "name": name, "inset": inset})
    )


@register.simple_block_tag
def note(content: str, effect: str = "", title: str = "", icon: str = "warn") -> SafeString:
    """A notice: deny, hold, allow, or plain for what is only told."""
    data = {"content": content, "effect": effect, "title": title, "icon": icon}
    return SafeString(render_to_string("parts/note.html", data))


@register.simple_block_tag
def empty(content: str, title: str) -> SafeString:
    """What stands where nothing is yet: it says what to do first."""
    return SafeString(render_to_string("parts/empty.html", {"content": content, "title": title}))


@register.filter
def message_effect(level: str) -> str:
    """The look of a message of Django's levels."""
    return _LOUD.get(level, "")


def _steps(walk: Any) -> tuple[pictures.Step, ...]:
    return pictures.steps_of(walk or ())


def _kind(bound: BoundField) -> str:
    if bound.use_fieldset:
        return "options"
    return "check" if isinstance(bound.field.widget, CheckboxInput) else "plain"


def _told(piece: unseen.Piece) -> SafeString | str:
    if not piece.name:
        return conditional_escape(piece.text)
    return format_html('<span class="unseen">{}</span>', piece.name)


def _written(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _type(value: object) -> str:
    return next((word for kind, word in _TYPES if isinstance(value, kind)), "nothing")
