"""Which addresses of channels are allowed, how they are kept, and how they are used.

A person may name a service whose host is fixed by its kind. A kind whose address names a host
could reach anything that Muster can, so a platform admin sets it up, and only for hosts that the
operator lists in `MUSTER_NOTICE_HOSTS`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import import_module
from uuid import UUID

import apprise
from django.conf import settings

from governance.kernel import keys, sealing
from governance.kernel.sealing import SealBroken
from lifecycle.notices.errors import ChannelRefused, NotSent

MOST_CHARACTERS = 500
PURPOSE = "notice channels"


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of channel: its name, and the one class of apprise that speaks to it."""

    name: str
    module: str
    class_: str


# Each of these speaks to the hosts of one service and to no other.
SERVICES = {
    "discord": Service("Discord", "discord", "NotifyDiscord"),
    "gchat": Service("Google Chat", "google_chat", "NotifyGoogleChat"),
    "opsgenie": Service("Opsgenie", "opsgenie", "NotifyOpsgenie"),
    "pagerduty": Service("PagerDuty", "pagerduty", "NotifyPagerDuty"),
    "pover": Service("Pushover", "pushover", "NotifyPushover"),
    "slack": Service("Slack", "slack", "NotifySlack"),
    "tgram": Service("Telegram", "telegram", "NotifyTelegram"),
    "webex": Service("Webex", "webexteams", "NotifyWebexTeams"),
}
# These speak to the host that stands in the address.
WITH_HOST = {
    "json": Service("JSON over HTTP", "custom_json", "NotifyJSON"),
    "jsons": Service("JSON over HTTPS", "custom_json", "NotifyJSON"),
    "gotifys": Service("Gotify", "gotify", "NotifyGotify"),
    "ntfys": Service("ntfy", "ntfy", "NotifyNtfy"),
    "mmosts": Service("Mattermost", "mattermost", "NotifyMattermost"),
    "rockets": Service("Rocket.Chat", "rocketchat", "NotifyRocketChat"),
    "workflows": Service("Microsoft Teams, by a workflow", "workflows", "NotifyWorkflows"),
}


def kind_of(address: str, *, hosts_allowed: bool) -> str:
    """The kind of an address that may be used. `ChannelRefused` says what is wrong with it."""
    kind = address.partition("://")[0].lower()
    known = SERVICES | (WITH_HOST if hosts_allowed else {})
    if kind not in known or "://" not in address:
        raise ChannelRefused(_unknown(kind, hosts_allowed=hosts_allowed))
    if len(address) > MOST_CHARACTERS or not address.isascii() or not address.isprintable():
        raise ChannelRefused(f"An address has at most {MOST_CHARACTERS} plain characters.")
    if "?" in address or "%" in address or "\\" in address:
        # Options turn off certificates, load templates, or lead elsewhere.
        raise ChannelRefused("Leave out everything from the question mark on, and any % or \\.")
    service = _service(kind, address)
    if kind in WITH_HOST:
        _check_host(service)
    return kind


def _unknown(kind: str, *, hosts_allowed: bool) -> str:
    names = ", ".join(f"{name}://" for name in SERVICES)
    if kind in WITH_HOST and not hosts_allowed:
        return f"Only platform admins set up {kind}://. You may use {names}."
    return f"An address starts with one of {names}."


def _check_host(service: apprise.NotifyBase) -> None:
    host, port = str(service.host or "").lower(), service.port
    listed = {each.lower() for each in settings.MUSTER_NOTICE_HOSTS}
    if host not in listed and f"{host}:{port}" not in listed:
        raise ChannelRefused(f"The operator has not listed {host} in MUSTER_NOTICE_HOSTS.")


def _service(kind: str, address: str) -> apprise.NotifyBase:
    """What speaks to the address. Only the class of its kind is ever loaded."""
    known = (SERVICES | WITH_HOST)[kind]
    class_ = getattr(import_module(f"apprise.plugins.{known.module}"), known.class_)
    # Redirects would lead past the list, and templates read files.
    asset = apprise.AppriseAsset(
        http_redirects=False, allow_templates=False, secure_logging=True, async_mode=False
    )
    try:
        # A channel's name may begin with a number sign, which no part of an address may.
        service = class_(**class_.parse_url(address.replace("/#", "/%23")), asset=asset)
    except (TypeError, ValueError) as error:
        message = "This is not a whole address of its kind. Copy it once more."
        raise ChannelRefused(message) from error
    assert isinstance(service, apprise.NotifyBase)  # noqa: S101  for the type checker
    return service


def send_to(address: str, *, page: bool, subject: str, text: str) -> None:
    """Send one message, to an address that is still allowed. `NotSent` names no part of it."""
    try:
        service = _service(kind_of(address, hosts_allowed=True), address)
    except ChannelRefused as error:
        raise NotSent("Its address is not allowed any more.") from error
    kind = apprise.NotifyType.FAILURE if page else apprise.NotifyType.INFO
    sender = apprise.Apprise()
    sender.add(service)
    if not sender.notify(body=text, title=subject, notify_type=kind, body_format="text"):
        raise NotSent("The service did not take it.")


def seal(address: str, *, channel: UUID, person: str) -> bytes:
    """The address as it is stored, bound to its channel and person."""
    return sealing.seal(keys.derived(PURPOSE), address.encode(), _bound(channel, person))


def unseal(sealed: bytes, *, channel: UUID, person: str) -> str:
    """The address of a channel. `NotSent` where it was altered, or moved to another person."""
    try:
        opened = sealing.unseal(keys.derived(PURPOSE), sealed, _bound(channel, person))
    except SealBroken as error:
        raise NotSent("Its stored address does not open. Add the channel again.") from error
    return opened.decode()


def _bound(channel: UUID, person: str) -> bytes:
    return hashlib.sha256(channel.bytes + person.encode()).digest()
