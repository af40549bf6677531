"""How allauth's requests leave: by the same way out as everything else.

Discovery, token, user info and keys are fetched through `governance.kernel.egress`: https alone,
to public addresses or what the operator listed, no redirect, no proxy, in bounded time and size.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import BaseAdapter

from governance.kernel import egress
from governance.kernel.errors import GovernanceError

_HEADERS = ("Authorization", "Content-Type", "Accept")


class Egress(BaseAdapter):
    """Sends what `requests` prepared through Muster's way out."""

    def send(self, request: Any, *_: Any, **__: Any) -> requests.Response:
        body = request.body or b""
        sent = {name: request.headers[name] for name in _HEADERS if name in request.headers}
        try:
            answer = egress.send(
                request.method,
                request.url,
                headers=sent,
                body=body.encode() if isinstance(body, str) else body,
            )
        except GovernanceError as error:
            raise requests.ConnectionError(error.message) from error
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            raise requests.TooManyRedirects("The provider answered with a redirect.")
        return _response(request, answer)

    def close(self) -> None:
        """Nothing stays open."""


def _response(request: Any, answer: egress.Answer) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url, response.request = answer.status, request.url, request
    # Whatever the provider calls it: everything that is asked for is JSON.
    response.headers["content-type"] = "application/json"
    response._content = answer.body
    return response


def session() -> requests.Session:
    """A session that knows no other way out."""
    found = requests.Session()
    found.trust_env = False
    found.adapters.clear()
    found.mount("https://", Egress())
    return found
