"""The proxy's configuration: where Muster is, which providers there are, and whose key is used.

A file in YAML, told in docs/howto/cap-llm-spend.md. Secrets stand in the environment or in files
of their own, never in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .. import questions
from .calls import SHAPES
from .prices import BadTable, Price, Prices, read_prices

Json = Any

_PROVIDER = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_BETA = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}")
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_TOP = ("muster", "listen", "tls", "allow_http", "prices", "providers", "max_body", "timeout")
_OF_PROVIDER = (
    *("shape", "url", "key_env", "key_file", "key_lease", "tool", "betas", "allow_http"),
)
_LESSEE = ("lessee_id", "lessee_secret_env", "lessee_secret_file")
MAX_BODY = 8 * 1024 * 1024
TIMEOUT = 600


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: its API's shape and address, its key, and what Muster is asked.

    `lease` is the reference of a key that lies in Muster's vault, "" where `key` is the key.
    """

    name: str
    shape: str
    url: str
    key: str = field(repr=False)
    tool: str
    models: Mapping[str, Price]
    betas: frozenset[str] = frozenset()
    lease: str = ""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a proxy needs. `timeout` is for one call, in seconds.

    `lessee` is client id and secret of the agent on whose row leased keys stand.
    """

    muster_url: str
    client_id: str
    client_secret: str = field(repr=False)
    prices: Prices
    providers: Mapping[str, Provider]
    host: str = "127.0.0.1"
    port: int = 8790
    certificate: str = ""
    key_of_certificate: str = ""
    allow_http: bool = False
    max_body: int = MAX_BODY
    timeout: float = TIMEOUT
    lessee: tuple[str, str] | None = field(default=None, repr=False)


def load(path: Path) -> Config:
    """The configuration in a file. Raises `BadTable`, which says what is wrong and where."""
    return read_config(_file(path), path.parent)


def _file(path: Path) -> Json:
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadTable(f"{path} cannot be read: {error}") from error


def read_config(given: Json, folder: Path) -> Config:
    """The configuration; files that it names lie in `folder`. Raises `BadTable`."""
    whole = _object(given, "The configuration", _TOP)
    muster = _object(
        whole.get("muster"),
        "muster",
        ("url", "client_id", "client_secret_env", "client_secret_file", "allow_http", *_LESSEE),
    )
    host, port = _listen(whole.get("listen", "127.0.0.1:8790"))
    allow_http = whole.get("allow_http") is True
    tls = _object(whole.get("tls", {}), "tls", ("certificate", "key"))
    if bool(tls) is not (set(tls) == {"certificate", "key"}):
        raise BadTable("tls needs certificate and key.")
    if not tls and host not in questions.LOOPBACK and not allow_http:
        raise BadTable(
            "Agents send their tokens to listen: give it tls, or say allow_http where something "
            "before the proxy does that."
        )
    prices = read_prices(_file(folder / _text(whole, "prices", "prices")))
    lessee = _lessee(muster, folder)
    return Config(
        muster_url=_address(muster, "muster"),
        client_id=_text(muster, "client_id", "muster.client_id"),
        client_secret=_secret(muster, "client_secret", "muster", folder),
        prices=prices,
        providers=_providers(whole.get("providers"), prices, folder, leasing=lessee is not None),
        host=host,
        port=port,
        certificate=str(folder / tls["certificate"]) if tls else "",
        key_of_certificate=str(folder / tls["key"]) if tls else "",
        allow_http=allow_http,
        max_body=_whole(whole.get("max_body", MAX_BODY), "max_body", 1024**3),
        timeout=_whole(whole.get("timeout", TIMEOUT), "timeout", 86_400),
        lessee=lessee,
    )


def _object(value: Json, where: str, names: tuple[str, ...]) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise BadTable(f"{where} must be an object with {', '.join(names)}.")
    if unknown := sorted(str(name) for name in value if name not in names):
        raise BadTable(f"{where} has {', '.join(unknown)}, which nothing reads.")
    return value


def _text(whole: Mapping[str, Json], name: str, where: str) -> str:
    value = whole.get(name)
    if not isinstance(value, str) or not value:
        raise BadTable(f"{where} must be a text.")
    return value


def _whole(value: Json, where: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise BadTable(f"{where} must be a whole number from 1 to {most}.")
    return value


def _listen(value: Json) -> tuple[str, int]:
    host, _, port = str(value).rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadTable("listen must be host:port, such as 127.0.0.1:8790.")
    return host.strip("[]"), int(port)


def _address(given: Mapping[str, Json], where: str) -> str:
    try:
        return questions.base_of(
            _text(given, "url", f"{where}.url"), allow_http=given.get("allow_http") is True
        )
    except ValueError as error:
        raise BadTable(f"{where}.url: {error}") from error


def _secret(given: Mapping[str, Json], name: str, where: str, folder: Path) -> str:
    """A secret from the environment or from a file; exactly one of them is named."""
    by_env, by_file = given.get(f"{name}_env"), given.get(f"{name}_file")
    if (by_env is None) is (by_file is None):
        raise BadTable(f"{where} needs {name}_env or {name}_file, and one of them alone.")
    if by_env is not None:
        value = os.environ.get(str(by_env), "")
        place = f"The variable {by_env}"
    else:
        place = f"The file {by_file}"
        try:
            value = (folder / str(by_file)).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadTable(f"{place} cannot be read.") from error
    if not _KEY.fullmatch(value):
        raise BadTable(f"{place} must hold a key in visible ASCII.")
    return value


def _lessee(muster: Mapping[str, Json], folder: Path) -> tuple[str, str] | None:
    """Who leases keys, where anybody does."""
    if not set(_LESSEE) & set(muster):
        return None
    secret = _secret(muster, "lessee_secret", "muster", folder)
    return _text(muster, "lessee_id", "muster.lessee_id"), secret


def _providers(given: Json, prices: Prices, folder: Path, *, leasing: bool) -> dict[str, Provider]:
    if not isinstance(given, dict) or not given:
        raise BadTable("providers must name at least one provider.")
    found = {name: _provider(name, one, prices, folder) for name, one in given.items()}
    if any(one.lease for one in found.values()) is not leasing:
        raise BadTable("key_lease and muster.lessee_id need each other.")
    return found


def _provider(name: Json, given: Json, prices: Prices, folder: Path) -> Provider:
    where = f"providers.{name}"
    if not isinstance(name, str) or not _PROVIDER.fullmatch(name) or name == "v1":
        raise BadTable(f"{where}: a provider's name is lower-case letters, digits and -.")
    whole = _object(given, where, _OF_PROVIDER)
    if whole.get("shape") not in SHAPES:
        raise BadTable(f"{where}.shape must be one of {', '.join(SHAPES)}.")
    if not prices.models.get(name):
        raise BadTable(f"The table of prices has no model of {name}.")
    betas = whole.get("betas", [])
    if not isinstance(betas, list) or not all(
        isinstance(beta, str) and _BETA.fullmatch(beta) for beta in betas
    ):
        raise BadTable(f"{where}.betas must be an array of names.")
    lease = _text(whole, "key_lease", f"{where}.key_lease") if "key_lease" in whole else ""
    if lease and {"key_env", "key_file"} & set(whole):
        raise BadTable(f"{where} needs one of key_env, key_file and key_lease.")
    return Provider(
        name=name,
        shape=whole["shape"],
        url=_address(whole, where),
        key="" if lease else _secret(whole, "key", where, folder),
        lease=lease,
        tool=_tool(whole.get("tool", "llm.{provider}.{model}"), where),
        models=prices.models[name],
        betas=frozenset(betas),
    )


def _tool(value: Json, where: str) -> str:
    """A name of a tool, in which `{provider}` and `{model}` are filled in."""
    left = str(value).replace("{provider}", "").replace("{model}", "")
    if not isinstance(value, str) or not value or "{" in left or "}" in left:
        raise BadTable(f"{where}.tool may hold {{provider}} and {{model}}, and no other braces.")
    return value
