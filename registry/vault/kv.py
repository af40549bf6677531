"""HashiCorp Vault and OpenBao, KV version 2 with AppRole: `kv://mount/path#field`.

Written to the public API. Every write names the version that it builds on (check-and-set), so
two at once cannot overwrite each other. An error of the library is not repeated: its text may
hold what was sent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import hvac
import requests
from django.conf import settings
from hvac import exceptions

from governance.kernel import clock, keys
from registry.vault.errors import (
    BeingRotated,
    CannotRotate,
    NoBackEnd,
    NothingStored,
    NotYours,
    VaultUnavailable,
)
from registry.vault.types import AtSource, Place, Secret, Version

FIELD = "value"
OWNER = "muster_agent"
SECRET_ID_FILE = "kv_secret_id"  # noqa: S105 - the name of a file
TIMEOUT_SECONDS = 5
# A token is renewed this long before it ends.
EARLY = timedelta(seconds=30)

Json = Any


class KeyValue:
    """One field of a secret a reference; the other fields of the same secret are left alone."""

    inside = False

    def __init__(self) -> None:
        self._sign_in = _SignIn()

    def create(self, place: Place, secret: Secret) -> str:
        """A secret that was there before belongs to the agent that is noted at it, or to nobody."""
        mount, path, field = _named(place)
        metadata = self._metadata(place)
        if metadata is None:
            self._ask(
                lambda kv: kv.update_metadata(
                    path, mount_point=mount, custom_metadata={OWNER: place.agent}
                )
            )
        elif (metadata.get("custom_metadata") or {}).get(OWNER) != place.agent:
            raise NotYours()
        return self._write(place, {field: secret.reveal()})

    def read(self, place: Place) -> tuple[Secret, str]:
        data, version = self._current(place)
        value = data.get(_named(place)[2])
        if not isinstance(value, str) or not value:
            raise NothingStored()
        return Secret(value), str(version)

    def rotate(self, place: Place, secret: Secret | None, overlap: timedelta) -> str:
        """The version before stays until the next rotation; without an overlap it goes at once."""
        if secret is None:
            raise CannotRotate()
        before = self._current(place)[1]
        name = self._write(place, {_named(place)[2]: secret.reveal()})
        self._drop(place, below=before if overlap else before + 1)
        return name

    def rotates_itself(self, place: Place) -> bool:
        return False

    def revoke(self, place: Place, *, ours: bool) -> AtSource:
        if not ours:
            return AtSource.UNTOUCHED
        self._drop(place, below=2**31)
        return AtSource.REMOVED

    def destroy(self, place: Place) -> None:
        """Every value goes for good; what is noted at the secret stays, as its numbers do."""
        self._drop(place, below=2**31)

    def versions(self, place: Place) -> list[Version]:
        metadata = self._metadata(place) or {}
        held = {
            int(number): each
            for number, each in (metadata.get("versions") or {}).items()
            if not each.get("destroyed") and not each.get("deletion_time")
        }
        return [
            Version(str(number), _instant(held[number]), number == metadata["current_version"])
            for number in sorted(held, reverse=True)
        ]

    def health(self) -> str:
        try:
            self._sign_in.client()
        except VaultUnavailable as error:
            return error.message
        return ""

    def _current(self, place: Place) -> tuple[dict[str, Json], int]:
        mount, path, _ = _named(place)
        told = self._ask(
            lambda kv: kv.read_secret_version(
                path, mount_point=mount, raise_on_deleted_version=True
            )
        )
        if told is None:
            raise NothingStored()
        return dict(told["data"]["data"]), int(told["data"]["metadata"]["version"])

    def _metadata(self, place: Place) -> dict[str, Json] | None:
        mount, path, _ = _named(place)
        told = self._ask(lambda kv: kv.read_secret_metadata(path, mount_point=mount))
        return None if told is None else dict(told["data"])

    def _write(self, place: Place, fields: dict[str, str]) -> str:
        mount, path, _ = _named(place)
        latest = int((self._metadata(place) or {}).get("current_version") or 0)
        try:
            others = self._current(place)[0]
        except NothingStored:
            others = {}
        told = self._ask(
            lambda kv: kv.create_or_update_secret(
                path, {**others, **fields}, cas=latest, mount_point=mount
            ),
            raced=True,
        )
        return str((told or {})["data"]["version"])

    def _drop(self, place: Place, *, below: int) -> None:
        mount, path, _ = _named(place)
        old = [int(each.name) for each in self.versions(place) if int(each.name) < below]
        if old:
            self._ask(lambda kv: kv.destroy_secret_versions(path, old, mount_point=mount))

    def _ask(self, ask: Callable[[Any], Json], *, raced: bool = False) -> dict[str, Json] | None:
        """One call; None where there is no such path. A token that ended is got anew, once."""
        for last in (False, True):
            client = self._sign_in.client(anew=last)
            with _told(raced):
                try:
                    told = ask(client.secrets.kv.v2)
                except exceptions.InvalidPath:
                    return None
                except exceptions.Forbidden:
                    if last:
                        raise
                    continue
                return told if isinstance(told, dict) else {}
        return None  # pragma: no cover - the second time returns or raises


class _SignIn:
    """One token for this process, until shortly before it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Any = None
        self._until = clock.now()

    def client(self, *, anew: bool = False) -> Any:
        with self._lock:
            if anew or self._client is None or clock.now() >= self._until:
                self._client, self._until = _signed_in()
            return self._client


def _signed_in() -> tuple[Any, datetime]:
    client = hvac.Client(
        url=settings.MUSTER_KV_URL,
        namespace=settings.MUSTER_KV_NAMESPACE or None,
        timeout=TIMEOUT_SECONDS,
        # A token must not follow a redirect to another host.
        allow_redirects=False,
    )
    with _told():
        told = client.auth.approle.login(
            role_id=settings.MUSTER_KV_ROLE_ID,
            secret_id=_secret_id(),
            mount_point=settings.MUSTER_KV_AUTH,
        )
    lasts = timedelta(seconds=int(told["auth"].get("lease_duration") or 0))
    return client, clock.now() + max(lasts - EARLY, timedelta(0))


def _secret_id() -> str:
    path = Path(settings.MUSTER_KV_SECRET_ID_FILE or keys.folder() / SECRET_ID_FILE)
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        pass
    raise VaultUnavailable(f"The file {path}, which holds the AppRole's secret id, cannot be read.")


def _named(place: Place) -> tuple[str, str, str]:
    whole, _, field = place.path.partition("#")
    mount, _, path = whole.partition("/")
    if not path:
        raise NoBackEnd("A secret of this vault is kv://mount/path, or kv://mount/path#field.")
    return mount, path, field or FIELD


def _instant(version: dict[str, Json]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(version.get("created_time")))
    except ValueError:
        return None


@contextmanager
def _told(raced: bool = False) -> Iterator[None]:
    """Every error of the library as one of ours, by its kind and with nothing of its text."""
    trouble = ""
    try:
        yield
    except (exceptions.InvalidRequest, exceptions.PreconditionFailed) as error:
        trouble = BeingRotated.code if raced else type(error).__name__
    except (exceptions.VaultError, requests.RequestException) as error:
        trouble = type(error).__name__
    # Outside of the handlers, so that the library's error does not hang on ours.
    if trouble == BeingRotated.code:
        raise BeingRotated()
    if trouble:
        raise VaultUnavailable(f"The vault does not do this: {trouble}.")
