"""What another project's checks say of `/scim/v2`."""

from collections.abc import Iterator

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from tests.factories.scim import make_source


@pytest.fixture
def _one_connection() -> Iterator[None]:
    """The end of a request must not end the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.usefixtures("_one_connection")
def test_every_check_of_scim2_tester_passes() -> None:
    _, token = make_source()
    client = WSGISCIMClient(
        get_wsgi_application(),
        base_url="http://127.0.0.1:8000/scim/v2",
        headers={"Authorization": f"Bearer {token}"},
    )

    results = check_server(client)

    wrong = [
        f"{each.title}: {each.status} {each.reason}"
        for each in results
        if each.status != Status.SUCCESS
    ]
    assert wrong == []
    assert len(results) >= 135
