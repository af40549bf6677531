"""The one way out over HTTP: to public addresses, by https, without redirects, in bounded time.

A name is looked up once. Every address that it has must be public, and the connection goes to
one of those addresses, whatever the name says a moment later. What the operator lists
(`MUSTER_EGRESS_ALLOWED`, host:port) may lie inside; what a caller names never does by that alone,
so an address comes from a row of the register.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from governance.kernel.errors import Invalid, Unavailable

CONNECT_SECONDS = 3.0
READ_SECONDS = 5.0
WHOLE_SECONDS = 10.0
MAX_BYTES = 64 * 1024
MAX_URL = 500
HTTPS_PORT = 443

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Where an IPv6 address carries one of IPv4 (RFC 6052, RFC 3056): that one counts as well.
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))


class AddressRefused(Invalid):
    """Muster does not send anything to this address."""

    code = "address_refused"


class NoAnswer(Unavailable):
    """The other side did not answer as it should."""

    code = "no_answer"


class NotReached(NoAnswer):
    """The other side was not reached: nothing came to it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is sent: a host name with its port, and the path there."""

    host: str
    port: int
    target: str

    @property
    def name(self) -> str:
        """As the operator lists it: host:port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; never more than `MAX_BYTES` of it. Names of headers are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


def place_of(url: str) -> Place:
    """The place that a URL names. Raises `AddressRefused` for anything but plain https."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", HTTPS_PORT if parts.port is None else parts.port
    except ValueError as error:
        raise AddressRefused("This is no URL that can be called.") from error
    if len(url) > MAX_URL or not url.isascii() or any(c <= " " or c == "\\" for c in url):
        raise AddressRefused("A URL is plain ASCII without spaces, at most 500 characters.")
    if parts.scheme != "https":
        raise AddressRefused("Only https is called. Give a URL that begins with https://.")
    if not host or "@" in parts.netloc or "%" in host or parts.fragment:
        raise AddressRefused("A URL names a host, and neither a user nor a fragment.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(host.lower().rstrip("."), port, target)


def check(url: str) -> None:
    """Raise `AddressRefused` unless something could be sent there now."""
    _address_of(place_of(url))


def address_of(host: str, port: int) -> Address:
    """Where a host is reached over something else than https, by the same rules.

    Raises `AddressRefused`, `NotReached`.
    """
    return _address_of(_place(host, port))


def is_listed(host: str, port: int) -> bool:
    """Whether the operator lets this host and port be called inside a network."""
    return _place(host, port).name in settings.MUSTER_EGRESS_ALLOWED


def trusted(ca_file: str = "") -> ssl.SSLContext:
    """Whose certificates count: this machine's roots, and those of the operator's bundle.

    `ca_file` names another bundle, for one place alone.
    """
    return _trust(ca_file or settings.MUSTER_EGRESS_CA)


def _place(host: str, port: int) -> Place:
    return Place(host.lower().rstrip("."), port, "")


def post(url: str, *, body: bytes, headers: Mapping[str, str], ca_file: str = "") -> Answer:
    """Send `body` there, once. Raises `AddressRefused`, `NoAnswer`; follows no redirect."""
    return send("POST", url, body=body, headers=headers, ca_file=ca_file)


def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    ca_file: str = "",
    seconds: float | None = None,
) -> Answer:
    """Make one request of any method. Raises `AddressRefused`, `NoAnswer`; follows no redirect.

    `seconds` are the most that reading the answer goes on for, `WHOLE_SECONDS` unless it is said;
    connecting and each silence within it take no longer either.
    """
    seconds = WHOLE_SECONDS if seconds is None else seconds
    place = place_of(url)
    address = _address_of(place)
    started = time.monotonic()
    try:
        with (
            _client(ca_file, seconds) as client,
            client.stream(
                method,
                _pinned(place, address),
                content=body,
                headers={**headers, "Host": _host_header(place)},
                extensions={"sni_hostname": place.host},
            ) as response,
        ):
            body = _read(response, started, seconds)
            return Answer(response.status_code, body, _headers(response))
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NotReached(f"{place.name} did not answer ({type(error).__name__}).") from error
    except (httpx.HTTPError, ssl.SSLError, OSError) as error:
        raise NoAnswer(f"{place.name} did not answer ({type(error).__name__}).") from error


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _read(response: httpx.Response, started: float, seconds: float) -> bytes:
    found = b""
    for piece in response.iter_raw():
        found += piece
        if len(found) > MAX_BYTES:
            raise NoAnswer("The answer is longer than 64 KiB.")
        if time.monotonic() - started > seconds:
            raise NoAnswer(f"The answer took longer than {seconds:g} seconds.")
    return found


def _client(ca_file: str, seconds: float) -> httpx.Client:
    timeout = httpx.Timeout(min(READ_SECONDS, seconds), connect=min(CONNECT_SECONDS, seconds))
    # No proxy and no netrc of this machine has a say in it.
    return httpx.Client(
        verify=trusted(ca_file),
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
    )


@cache
def _trust(bundle: str) -> ssl.SSLContext:
    """The roots of this machine, and those of the operator's bundle where there is one."""
    context = ssl.create_default_context()
    if bundle:
        context.load_verify_locations(bundle)
    return context


def _pinned(place: Place, address: Address) -> str:
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"https://{host}:{place.port}{place.target}"


def _host_header(place: Place) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return host if place.port == HTTPS_PORT else f"{host}:{place.port}"


def _address_of(place: Place) -> Address:
    """The address to connect to. Every address of the name must be one that may be called."""
    addresses = _resolved(place)
    listed = place.name in settings.MUSTER_EGRESS_ALLOWED
    if not listed and not all(is_public(address) for address in addresses):
        raise AddressRefused(
            f"{place.name} lies inside a network. The operator may list it in "
            "MUSTER_EGRESS_ALLOWED."
        )
    return addresses[0]


def _resolved(place: Place) -> list[Address]:
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    except (OSError, ValueError) as error:
        raise NotReached(f"{place.name} has no address.") from error
    if not addresses:
        raise NotReached(f"{place.name} has no address.")
    return addresses


def is_public(address: Address) -> bool:
    """Whether an address, and what it carries inside, belongs to the public internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inside(address)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The address of IPv4 that one of IPv6 stands for."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if any(address in network for network in _NAT64) or int(address) >> 32 == 0:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
