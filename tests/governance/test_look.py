"""Tags, filters and words of the look, and the frame of every page."""

import datetime as dt
import re
from collections import Counter

import pytest
from django import forms
from django.template import engines
from django.test import RequestFactory
from django.utils import timezone

from governance import context, words

AT = dt.datetime(2026, 11, 23, 13, 31, 58, 770_000, tzinfo=dt.UTC)


def rendered(source: str, **given: object) -> str:
    return engines["django"].from_string(source).render(given).strip()


@pytest.fixture(autouse=True)
def _in_copenhagen(time_machine):
    time_machine.move_to(AT, tick=False)
    with timezone.override("Europe/Copenhagen"):
        yield


# Words


@pytest.mark.parametrize(
    ("minor", "currency", "said"),
    [
        (124_000, "EUR", "€1,240.00"),
        (-5, "USD", "−$0.05"),
        (0, "GBP", "£0.00"),
        (980, "DKK", "DKK\u00a09.80"),
        (1_500, "JPY", "¥1,500"),
        (None, "EUR", "not known"),
    ],
)
def test_money_is_told_with_symbol_separators_and_two_digits(minor, currency, said):
    assert words.money(minor, currency) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0018, "1.8 ms"),
        (0.35, "350 ms"),
        (45, "45 s"),
        (61, "1 min 1 s"),
        (900, "15 min"),
        (7_800, "2 h 10 min"),
        (90_000, "1 day 1 h"),
        (dt.timedelta(days=46, hours=7), "46 days"),
        (None, "not known"),
    ],
)
def test_duration_is_told_in_two_units_at_most(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("style", "said"),
    [
        ("minute", "Mon 23 Nov, 14:31 CET"),
        ("second", "Mon 23 Nov, 14:31:58 CET"),
        ("record", "Mon 23 Nov 2026, 14:31:58.770 CET"),
        ("stamp", "Mon 23 Nov, 14:31:58"),
        ("day", "Mon 23 Nov"),
        ("hour", "14:31 CET"),
        ("clock", "14:31:58"),
        ("clock_ms", "14:31:58.770"),
    ],
)
def test_instant_is_told_in_the_readers_zone(style, said):
    assert words.instant(AT, style) == said


def test_day_tells_its_year_only_when_far():
    assert words.day(dt.date(2027, 1, 22)) == "Fri 22 Jan"
    assert words.day(dt.date(2027, 1, 23)) == "Sat 23 Jan 2027"


def test_counts_tell_unknown_from_nought():
    assert [words.count(n) for n in (4_182_907, 0, None)] == ["4,182,907", "0", "not known"]
    assert [words.number_word(n) for n in (0, 4, 12, 13)] == ["no", "four", "twelve", "13"]


def test_percent_keeps_digits_where_it_is_small():
    assert [words.percent(share) for share in (0.92, 0.0087, 0, None)] == [
        "92\u202f%",
        "0.87\u202f%",
        "0\u202f%",
        "not known",
    ]


# Marks


def test_when_keeps_utc_beside_what_is_shown():
    assert rendered("{% when at %}", at=AT) == (
        '<time datetime="2026-11-23T13:31:58.770Z">Mon 23 Nov, 14:31 CET</time>'
    )
    assert rendered('{% when at none="never" %}', at=None) == '<span class="faint">never</span>'


def test_tier_without_its_word_still_says_it():
    assert rendered('{% tier "restricted" word=False %}').endswith(
        '>R</text></svg><span class="sr">restricted</span></span>'
    )


@pytest.mark.parametrize(
    "tag",
    ["{% tier x %}", "{% effect x %}", "{% state x %}", "{% tool_effect x %}", "{{ x|shown }}"],
)
def test_marks_escape_what_they_do_not_know(tag):
    assert "<script" not in rendered(tag, x="<script>alert(1)</script>")


def test_shown_tells_what_cannot_be_seen():
    assert rendered("{{ x|shown }}", x="a\u202eb <i>\n") == (
        'a<span class="unseen">U+202E right-to-left override</span>b &lt;i&gt;'
    )


def test_strip_from_a_row_of_the_trail():
    assert "stopped at check 4 of 13, allowlist" in rendered(
        '{% strip effect="deny" check="allowlist" %}'
    )
    assert rendered("{% strip %}") == '<span class="faint">none</span>'


def test_quiet_leads_to_rows_only_where_there_are_any():
    assert rendered('{% quiet 0 "/x" %}') == '<span class="faint">0</span>'
    assert rendered('{% quiet 1240 "/x" %}') == '<a href="/x">1,240</a>'


def test_nav_url_of_a_page_that_does_not_exist_is_nothing():
    assert rendered('{% nav_url "no-such-page" %}') == ""


def test_sort_head_turns_around_and_forgets_the_page():
    request = RequestFactory().get("/agents/?sort=name&page=3&tier=public")

    head = rendered('{% sort_head "Agent" "name" %}', request=request)

    assert 'aria-sort="ascending"' in head
    assert 'href="?sort=-name&amp;tier=public"' in head


# Fields


class Limits(forms.Form):
    cap = forms.IntegerField(label="Spend a day", min_value=1, help_text="Resets at midnight.")
    note = forms.CharField(label="Note", required=False)


def test_field_ties_help_and_error_to_its_input():
    field = rendered('{% field form.cap unit="EUR" %}', form=Limits({"cap": "0"}))

    assert 'aria-describedby="id_cap_helptext id_cap_error"' in field
    assert 'id="id_cap_helptext"' in field
    assert 'id="id_cap_error"' in field
    assert 'aria-invalid="true"' in field


def test_error_summary_counts_and_leads_to_each_field():
    summary = rendered("{% error_summary form %}", form=Limits({}))

    assert "One field needs you first" in summary
    assert '<a href="#id_cap">Spend a day</a>' in summary
    assert rendered("{% error_summary form %}", form=Limits()) == ""


# The frame


@pytest.fixture
def staff(client, django_user_model):
    person = django_user_model.objects.create_user(
        "staff@halvern.example", name="Sta Ff", zone="Europe/Copenhagen", is_staff=True
    )
    client.force_login(person)
    return client


@pytest.mark.django_db
def test_parts_page_shows_every_part_to_staff_and_no_inline_style(staff):
    page = staff.get("/parts").content.decode()

    assert page.count("<h1") == 1
    assert re.findall(r"\sstyle=|\son[a-z]+=|<script>|<style", page) == []
    assert [mark for mark in ("{%", "{{", "{#") if mark in page] == []
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert [each for each, times in Counter(ids).items() if times > 1] == []


def test_is_here_tells_my_agents_from_all_agents(rf):
    mine, every = (
        context.Page("", "agents", "agents"),
        context.Page("", "agents", "agents", query="all=1"),
    )
    request = rf.get("/agents/?all=1")
    request.resolver_match = type("Match", (), {"view_name": "agents"})()

    assert [context._is_here(page, request) for page in (mine, every)] == [False, True]


@pytest.mark.django_db
def test_duties_are_separate_from_two_security_people_on(django_user_model):
    from django.contrib.auth.models import Group

    security, _ = Group.objects.get_or_create(name="security")
    people = [
        django_user_model.objects.create_user(f"p{n}@halvern.example", name=f"Person {n}")
        for n in range(3)
    ]
    separate = []
    for person in people[:2]:
        person.groups.add(security)
        separate.append(context.duties_are_separate())
    people[1].is_active = False
    people[1].save()

    assert [*separate, context.duties_are_separate()] == [False, True, False]


@pytest.mark.django_db
def test_parts_page_is_hidden_outside_the_demo(client):
    assert client.get("/parts").status_code == 404
