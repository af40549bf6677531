"""`./muster doctor` on a database that is well, and on one whose record lost a trigger."""

import io

import pytest
from django.core.management import call_command
from django.db import connection

from governance import health
from governance.management.commands import doctor

pytestmark = pytest.mark.django_db


def run() -> tuple[int, str]:
    said = io.StringIO()
    try:
        call_command("doctor", stdout=said)
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


def test_each_part_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PARTS", {"database": health.check_database})

    code, said = run()

    lines = said.splitlines()
    assert (code, lines[:2]) == (0, ["database  ok", "record    ok"])


def test_lost_protection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PARTS", {"database": health.check_database})
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE; SET ROLE muster_audit")
        cursor.execute("ALTER TABLE audit.mark DISABLE TRIGGER no_truncate")
        cursor.execute("SET ROLE NONE; SET ROLE muster_web")

    code, said = run()

    assert code == doctor.NOT_WELL
    assert "mark" in said
