"""An auditor in a real browser: where the record is sent, and taking along what a search finds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Browser, expect

from audit import services as recording
from audit.enums import Kind
from audit.models import Stream
from registry.enums import GroupName
from tests.factories.registry import make_person
from tests.lifecycle.browsing import CHROMIUM, signed_in, wrong_at_a_glance

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def streams(settings: Any) -> Iterator[None]:
    """One that is level, one that fails, one that has not begun."""
    settings.MUSTER_APPROVER_MFA = False
    settings.MUSTER_STREAMS = [
        {"name": "splunk", "kind": "https", "url": "https://splunk.example:8088/x"},
        {"name": "sentinel", "kind": "syslog", "host": "collector.example"},
        {"name": "lab", "kind": "syslog", "host": "lab.example", "protocol": "udp"},
    ]
    now = datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_worker")
        Stream.objects.create(name="splunk", sent_at=now, level_at=now)
        error = "collector.example:6514 did not take it (ConnectionRefusedError)."
        Stream.objects.create(name="sentinel", failures=3, failed_at=now, error=error)
        cursor.execute("SET ROLE muster_web")
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE muster_worker")
        Stream.objects.all().delete()
        cursor.execute("SET ROLE muster_web")


def test_an_auditor_sees_where_the_record_goes_and_takes_some_along(
    streams: None, browser: Browser, live_server: Any
) -> None:
    for _ in range(3):
        recording.record(kind=Kind.SYSTEM, actor="system:test", tool="browsed.tool")
    auditor = make_person(GroupName.AUDITOR)
    page = signed_in(browser, live_server.url, auditor, accept_downloads=True).new_page()

    page.goto(f"{live_server.url}/proof/")
    page.get_by_role("link", name="Their cursors and errors").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "sentinel does not take what it is sent"
    )
    expect(page.get_by_role("row", name="lab")).to_contain_text("nobody confirms it")
    expect(page.get_by_text("ConnectionRefusedError")).to_have_count(1)
    assert wrong_at_a_glance(page, "streams") == []

    page.goto(f"{live_server.url}/trail/?tool=browsed.tool")
    page.get_by_role("link", name="More forms").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("to take along")
    assert wrong_at_a_glance(page, "exports") == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Save OCSF").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) >= 3
    assert {'"class_uid":6003' in line for line in lines} == {True}
