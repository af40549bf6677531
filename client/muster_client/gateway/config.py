"""What a gateway is told in its file, read strictly: what it does not know, it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from ..questions import LOOPBACK, base_of

Json = Any
Object = Mapping[str, Json]

TRUSTED, UNTRUSTED = "trusted", "untrusted"
SEPARATOR = "__"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class BadConfig(ValueError):
    """The file cannot be followed; the message names the member."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One MCP server: an address or a command, and how it is spoken to.

    `tools` maps the server's names to Muster's where they differ. `credential` is a vault
    reference of the agent's row; its value goes into `header` behind `scheme`, or, for a command,
    into the variable `env`. `trust` is "" where Muster alone says it. `timeout` is in seconds.
    """

    name: str
    url: str = ""
    command: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    trust: str = ""
    credential: str = ""
    header: str = "Authorization"
    scheme: str = "Bearer"
    env: str = ""
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. `pins` is the file of accepted definitions, beside it unless it says."""

    muster: str
    upstreams: Mapping[str, Upstream]
    pins: Path
    allow_http: bool = False
    host: str = "127.0.0.1"
    port: int = 8765
    allowed_hosts: tuple[str, ...] = ()
    max_result_bytes: int = 256 * 1024
    refresh_seconds: float = 60.0

    def exposed(self, upstream: str, tool: str) -> str:
        """The name under which an agent sees a tool: plain with one server.

        >>> one = Config("https://m.example", {"a": Upstream("a", url="https://a.example")}, Path())
        >>> one.exposed("a", "add")
        'add'
        """
        return tool if len(self.upstreams) == 1 else f"{upstream}{SEPARATOR}{tool}"

    def named(self, exposed: str) -> tuple[Upstream, str] | None:
        """The server and its own name of a tool that an agent names; None for none."""
        if len(self.upstreams) == 1:
            return next(iter(self.upstreams.values())), exposed
        server, found, tool = exposed.partition(SEPARATOR)
        if not found or server not in self.upstreams:
            return None
        return self.upstreams[server], tool

    def tool_of(self, upstream: Upstream, tool: str) -> str:
        """Muster's name of a server's tool."""
        return upstream.tools.get(tool, self.exposed(upstream.name, tool))


def load(path: Path) -> Config:
    """The file, YAML or JSON. Raises `BadConfig`, which names the member, or `OSError`."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path} cannot be read: {error}") from error
    return read(found, path.parent)


def read(found: Json, folder: Path) -> Config:
    """What a file says; paths in it are from `folder`."""
    whole = _object(found, "The file", {"muster", "upstreams", "pins", "listen", "limits"})
    muster = _object(whole.get("muster"), "muster", {"url", "allow_http"})
    listen = _object(whole.get("listen", {}), "listen", {"host", "port", "allowed_hosts"})
    limits = _object(whole.get("limits", {}), "limits", {"result_bytes", "refresh_seconds"})
    allow_http = _a(muster, "allow_http", bool, False)
    try:
        base = base_of(_a(muster, "url", str, ""), allow_http=allow_http)
    except ValueError as error:
        raise BadConfig(f"muster.url: {error}") from error
    return Config(
        muster=base,
        allow_http=allow_http,
        upstreams=_upstreams(whole.get("upstreams")),
        pins=folder / _a(whole, "pins", str, "pins.json"),
        host=_a(listen, "host", str, "127.0.0.1"),
        port=_positive(listen, "port", 8765),
        allowed_hosts=_texts(listen.get("allowed_hosts", []), "listen.allowed_hosts"),
        max_result_bytes=_positive(limits, "result_bytes", 256 * 1024),
        refresh_seconds=float(_positive(limits, "refresh_seconds", 60)),
    )


def _upstreams(value: Json) -> dict[str, Upstream]:
    if not isinstance(value, dict) or not value:
        raise BadConfig("upstreams must name at least one server.")
    return {str(name): _upstream(str(name), each) for name, each in value.items()}


_MEMBERS = frozenset(Upstream.__dataclass_fields__) - {"name"}


def _upstream(name: str, value: Json) -> Upstream:
    where = f"upstreams.{name}"
    if not _NAME.fullmatch(name):
        raise BadConfig(f"{where}: a name is up to 40 of a-z, 0-9 and -.")
    told = _object(value, where, _MEMBERS)
    found = Upstream(
        name=name,
        url=_a(told, "url", str, ""),
        command=_texts(told.get("command", []), f"{where}.command"),
        tools=_names(told.get("tools", {}), f"{where}.tools"),
        trust=_a(told, "trust", str, ""),
        credential=_a(told, "credential", str, ""),
        header=_a(told, "header", str, "Authorization"),
        scheme=_a(told, "scheme", str, "Bearer"),
        env=_a(told, "env", str, ""),
        timeout=float(_positive(told, "timeout", 60)),
    )
    _consider(found, where)
    return found


def _consider(found: Upstream, where: str) -> None:
    """Raises `BadConfig` for what contradicts itself, or would send a credential in the clear."""
    if bool(found.url) is bool(found.command):
        raise BadConfig(f"{where}: say url or command.")
    if found.trust not in ("", TRUSTED, UNTRUSTED):
        raise BadConfig(f"{where}.trust is {TRUSTED} or {UNTRUSTED}.")
    if found.command and bool(found.credential) is not bool(found.env):
        raise BadConfig(f"{where}: a command's credential and env come together.")
    if found.url:
        parts = urlsplit(found.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise BadConfig(f"{where}.url is no address without a user in it.")
        if found.credential and parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise BadConfig(f"{where}.url is not https, and a credential would go there.")


def _object(value: Json, where: str, known: frozenset[str] | set[str]) -> Object:
    if not isinstance(value, dict):
        raise BadConfig(f"{where} must be an object.")
    if unknown := sorted(map(str, value.keys() - known)):
        raise BadConfig(f"{where} has no {', '.join(unknown)}.")
    return value


def _a(whole: Object, name: str, kind: type[Any], default: Any) -> Any:
    value = whole.get(name, default)
    if type(value) is not kind:
        raise BadConfig(f"{name} must be of type {kind.__name__}.")
    return value


def _positive(whole: Object, name: str, default: int) -> int:
    value: int = _a(whole, name, int, default)
    if value <= 0:
        raise BadConfig(f"{name} must be more than 0.")
    return value


def _texts(value: Json, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadConfig(f"{where} must be a list of texts.")
    return tuple(value)


def _names(value: Json, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadConfig(f"{where} must be an object.")
    if not all(isinstance(each, str) and each for pair in value.items() for each in pair):
        raise BadConfig(f"{where} must map names to names.")
    return dict(value)
