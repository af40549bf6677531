"""What one web process counts, the others know."""

import pytest
from django.core.cache import cache
from django.test import Client

from governance.models import Remembered

pytestmark = pytest.mark.django_db


def test_cache_is_shared_by_all_processes() -> None:
    cache.set("counted", [1, 2], 60)

    assert [each.cache_key for each in Remembered.objects.all()] == [":1:counted"]
    assert cache.get("counted") == [1, 2]


def test_attempts_to_sign_in_are_counted_for_all_processes() -> None:
    client = Client()
    wrong = {"login": "nobody@example.org", "password": "wrong"}

    told = [client.post("/accounts/login/", wrong).content.decode() for _ in range(6)]

    assert ["Too many failed login attempts" in each for each in told] == [False] * 5 + [True]
    assert Remembered.objects.filter(cache_key__contains="login_failed").exists()
