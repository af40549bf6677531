"""What is asked of Muster, as it goes over the wire. Everything here is pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from .errors import BadRequest, NotSignedIn

Json = Any
Object = Mapping[str, Json]
# `("claims", "CL-1")`: type and id.
Resource = tuple[str, str]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_GATEWAY = "gateway:"


@dataclass(frozen=True, slots=True)
class Question:
    """May this tool be called with these parameters, now?

    Held as the JSON that is sent, so that what was asked cannot change under the answer.
    """

    tool: str
    body: str = field(repr=False)

    @property
    def parameters(self) -> dict[str, Json]:
        """A fresh copy of what was asked."""
        found: dict[str, Json] = json.loads(self.body)["action"].get("properties", {})
        return found

    def about(self, agent: str) -> Question:
        """The same about this agent."""
        body = json.loads(self.body)
        body["subject"]["id"] = agent
        return Question(self.tool, encode(body))

    def with_approval(self, approval: str, parameters: Object | None = None) -> Question:
        """The same, with what a human approved; `parameters` are theirs, where they changed any."""
        body = json.loads(self.body)
        body.setdefault("context", {})["approval"] = {"id": approval}
        if parameters is not None:
            body["action"]["properties"] = parameters
        return Question(self.tool, encode(body))

    def asking_a_human(self, decision_id: str, expires_at: str, why: str) -> str:
        """The body of `POST /access/v1/requests`."""
        body = json.loads(self.body)
        asked = {name: body[name] for name in ("subject", "action", "resource")}
        denial = {"evaluation_id": decision_id, "expires_at": expires_at}
        context = {"context": {"business_justification": why}} if why else {}
        return encode({**asked, "denial": denial, **context})


def encode(body: Json) -> str:
    """JSON. Raises `BadRequest` for what is none, such as a date, NaN or half a surrogate.

    >>> encode({"amount": 500})
    '{"amount":500}'
    """
    try:
        text = json.dumps(body, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequest(f"This cannot be sent as JSON: {error}.", code="not_json") from error
    return text


class Asked(TypedDict, total=False):
    """What a question may say besides the tool and its parameters."""

    user: str
    """For whom the agent acts."""
    session: str
    """The run that the call belongs to; that of the `with` around it where it is not said."""
    delegation: str
    """The id of what was handed over to the agent."""
    resource: Resource | None
    """Type and id, such as `("claims", "CL-1")`; the tool itself where it is not said."""
    reasoning: str
    inputs: Json
    """What the run has read besides: a list of `{"system", "resource", "trust"}`, or any JSON."""
    approval: str
    """The id of a human's yes."""
    estimate: Object | None
    """What it may cost at the most: `{"cost_minor", "currency"}`."""
    provenance: Object | None
    """Parameter to `untrusted`, where it was taken from such input."""


class Told(TypedDict, total=False):
    """What a report may say besides the outcome."""

    output: Json
    cost_minor: int | None
    currency: str
    records: Sequence[str]
    trust: str
    """`untrusted` where what came back is hostile."""
    inputs: Json
    tokens: Json
    meters: Json


def question(agent: str, tool: str, parameters: Object, **asked: Unpack[Asked]) -> Question:
    """The question of an agent. What is None or "" is not sent."""
    _known(asked, Asked)
    kind, name = asked.pop("resource", None) or ("tool", tool)
    told: dict[str, Json] = _sent(asked)
    if "approval" in told:
        told["approval"] = {"id": told["approval"]}
    body = {
        "subject": {"type": "agent", "id": agent},
        "action": {"name": tool, "properties": dict(parameters)},
        "resource": {"type": kind, "id": name},
        **({"context": told} if told else {}),
    }
    return Question(tool, encode(body))


def report(outcome: str, **told: Unpack[Told]) -> str:
    """The body of an outcome. What is None or "" is not sent.

    >>> report("success", records=["CL-1"], cost_minor=None)
    '{"outcome":"success","records":["CL-1"]}'
    """
    _known(told, Told)
    return encode({"outcome": outcome, **_sent(told)})


def _known(given: Mapping[str, Json], shape: type) -> None:
    """Raises `TypeError`: a misspelt member that is left out silently would judge another call."""
    unknown = set(given) - set(shape.__annotations__)
    if unknown:
        raise TypeError(f"Muster knows no {', '.join(sorted(unknown))} here.")


def _sent(given: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in given.items() if value is not None and value != ""}


def plan_of(steps: Sequence[Object], extracts: Object | None = None) -> Json:
    """A plan as it is sent: steps `{"tool", "parameters": {name: value or JSON Schema}}`."""
    return {"steps": [dict(step) for step in steps], "extracts": dict(extracts or {})}


def base_of(url: str, *, allow_http: bool = False) -> str:
    """The address without a slash at its end. Raises `ValueError` where secrets would leak.

    >>> base_of("https://muster.example/")
    'https://muster.example'
    >>> base_of("http://muster.example")
    Traceback (most recent call last):
    ...
    ValueError: http://muster.example is not https. Inside a network of your own, say allow_http.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url} is no address of Muster: https://host is wanted.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("The address holds more than host and path.")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not allow_http:
        raise ValueError(f"{url} is not https. Inside a network of your own, say allow_http.")
    return url.rstrip("/")


def agent_in(token: str) -> str:
    """The agent that a token names, by which questions are asked. Raises `NotSignedIn`.

    The signature is not looked at: Muster does, and an agent that is not the token's is denied.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        actor = claims.get("act", claims)["sub"]
    except (IndexError, KeyError, AttributeError, TypeError, ValueError, binascii.Error) as error:
        raise NotSignedIn("The token names no agent. Say agent= besides.") from error
    if not isinstance(actor, str) or not actor or actor.startswith(_GATEWAY):
        raise NotSignedIn("The token is a gateway's. Say agent= for whom it asks.")
    return actor
