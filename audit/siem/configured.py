"""Which streams there are: `MUSTER_STREAMS`, a list without secrets.

What a stream signs in with lies in the file `MUSTER_STREAM_SECRETS`, of which the worker alone is
told: the web process never holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from audit.listed import Listing
from audit.siem.errors import NoSuchStream, StreamFailed
from governance.kernel import egress
from governance.kernel.egress import AddressRefused

# What each kind must be told, and what it may be told.
MUST = {"https": frozenset({"url"}), "syslog": frozenset({"host"})}
MAY = {
    "https": frozenset({"envelope", "ca_file"}),
    "syslog": frozenset({"port", "protocol", "ca_file"}),
}
ALWAYS = frozenset({"name", "kind", "format", "batch", "begin"})
FORMATS = {"https": "ocsf", "syslog": "cef"}
# The forms of an entry that each envelope of HTTPS, and each protocol of syslog, can carry.
CARRIES = {
    "lines": frozenset({"jsonl", "ocsf", "cef"}),
    "array": frozenset({"jsonl", "ocsf"}),
    "hec": frozenset({"jsonl", "ocsf", "cef"}),
    "bulk": frozenset({"jsonl", "ocsf"}),
    "tls": frozenset({"jsonl", "ocsf", "cef"}),
    "tcp": frozenset({"jsonl", "ocsf", "cef"}),
    # A datagram is short, and of these only CEF can leave something out and say so.
    "udp": frozenset({"cef"}),
}
ENVELOPES = ("lines", "array", "hec", "bulk")
WAYS = {
    "lines": "a line each over HTTPS",
    "array": "arrays over HTTPS",
    "hec": "event collector over HTTPS",
    "bulk": "bulk interface over HTTPS",
    "tls": "syslog over TLS",
    "tcp": "syslog over TCP",
    "udp": "syslog over UDP",
}
PORTS = {"tls": 6514, "tcp": 514, "udp": 514}
BEGINS = ("first", "now")
BATCH, MOST_BATCH, MOST_PORT = 500, 5000, 65535
LISTING = Listing("MUSTER_STREAMS", "MUSTER_STREAM_SECRETS", "a stream", MUST, MAY, ALWAYS)


@dataclass(frozen=True, slots=True)
class Configured:
    """One stream as the operator set it up. `carrier` is the envelope, or syslog's protocol."""

    name: str
    kind: str
    format: str
    carrier: str
    batch: int
    begin: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Where it goes, in words; a path or a query of a URL may hold a secret."""
        if self.kind == "https":
            return egress.place_of(str(self.options["url"])).name
        return f"{self.options['host']}:{self.port}"

    @property
    def way(self) -> str:
        """How it goes there, in words."""
        return f"{self.format.upper()}, {WAYS[self.carrier]}"

    @property
    def port(self) -> int:
        return int(self.options.get("port", PORTS.get(self.carrier, 0)))

    @property
    def ca_file(self) -> str:
        return str(self.options.get("ca_file", ""))

    @property
    def is_acknowledged(self) -> bool:
        """Whether the other side says that it took something."""
        return self.carrier != "udp"


def every() -> list[Configured]:
    """All streams, in the order of the setting."""
    return [read(each) for each in LISTING.given]


def find(name: str) -> Configured:
    """The stream of this name. Raises `NoSuchStream`."""
    for each in every():
        if each.name == name:
            return each
    raise NoSuchStream()


def check() -> None:
    """Refuse to start with a setting that cannot work. Raises `ImproperlyConfigured`."""
    LISTING.check(each.name for each in every())


def read(given: Any) -> Configured:
    """One stream of the list. Raises `ImproperlyConfigured`, naming it."""
    name, kind, options = LISTING.read(given)
    found = Configured(
        name,
        kind,
        str(given.get("format", FORMATS[kind])),
        _carrier(name, kind, options),
        LISTING.whole(name, "batch", given.get("batch", BATCH), MOST_BATCH),
        str(given.get("begin", "first")),
        options,
    )
    _check_whole(found)
    return found


def header_of(name: str) -> dict[str, str]:
    """The header that a stream signs in with; none where the file does not name it.

    Raises `StreamFailed` where the file cannot be read, or does not say it in one of three ways.
    """
    secrets = LISTING.secrets_of(name, StreamFailed)
    if not secrets:
        return {}
    for key, scheme in (("bearer", "Bearer"), ("hec", "Splunk"), ("api_key", "ApiKey")):
        token = str(secrets.get(key, ""))
        if token and token.isascii() and token.isprintable():
            return {"Authorization": f"{scheme} {token}"}
    raise StreamFailed(f"MUSTER_STREAM_SECRETS: {name} has one of bearer, hec and api_key.")


def _carrier(name: str, kind: str, options: Mapping[str, Any]) -> str:
    if kind == "https":
        return LISTING.one_of(name, "envelope", str(options.get("envelope", "lines")), ENVELOPES)
    return LISTING.one_of(name, "protocol", str(options.get("protocol", "tls")), PORTS)


def _check_whole(found: Configured) -> None:
    if found.carrier == "udp" and found.format not in CARRIES["udp"]:
        raise LISTING.wrong(
            f"the format of {found.name} is cef over udp, as an entry in another may be longer "
            "than a datagram; have it sent by tcp or tls"
        )
    LISTING.one_of(found.name, "format", found.format, CARRIES[found.carrier])
    LISTING.one_of(found.name, "begin", found.begin, BEGINS)
    LISTING.whole(found.name, "port", found.options.get("port", 1), MOST_PORT)
    if found.kind == "https":
        try:
            egress.place_of(str(found.options["url"]))
        except AddressRefused as error:
            raise LISTING.wrong(f"the url of {found.name}: {error.message}") from error
