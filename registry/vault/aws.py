"""AWS Secrets Manager: `aws-sm://region/name`.

Muster signs in as botocore finds it: the environment, a profile, the machine's own role. What
botocore says of an error is not repeated but for its code: a message may hold what was sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from registry.vault.errors import NoBackEnd, NothingStored, NotYours, VaultUnavailable
from registry.vault.types import AtSource, Place, Secret, Version

CURRENT = "AWSCURRENT"
TAG = "muster:agent"
RECOVERY_DAYS = 7
MISSING = "ResourceNotFoundException"
EXISTS = "ResourceExistsException"
DELETED = "InvalidRequestException"


class SecretsManager:
    """One secret a reference, whole. A value that is no text is not ours to hand out."""

    inside = False

    def create(self, place: Place, secret: Secret) -> str:
        region, name = _named(place)
        tags = [{"Key": TAG, "Value": place.agent}]
        with _told():
            try:
                made = _client(region).create_secret(
                    Name=name, SecretString=secret.reveal(), Tags=tags
                )
            except ClientError as error:
                if _code(error) not in (EXISTS, DELETED):
                    raise
            else:
                return str(made["VersionId"])
        return self._take_up(place, secret)

    def _take_up(self, place: Place, secret: Secret) -> str:
        """What an earlier try left; never what is somebody else's."""
        region, name = _named(place)
        with _told():
            found = _client(region).describe_secret(SecretId=name)
            if _agent_of(found) != place.agent:
                raise NotYours()
            if found.get("DeletedDate"):
                _client(region).restore_secret(SecretId=name)
        return self._put(place, secret)

    def _put(self, place: Place, secret: Secret) -> str:
        region, name = _named(place)
        with _told():
            put = _client(region).put_secret_value(SecretId=name, SecretString=secret.reveal())
            return str(put["VersionId"])

    def read(self, place: Place) -> tuple[Secret, str]:
        region, name = _named(place)
        with _told():
            found = _client(region).get_secret_value(SecretId=name, VersionStage=CURRENT)
        if not isinstance(found.get("SecretString"), str):
            raise NothingStored("What lies at this reference is no text, so it is not handed out.")
        return Secret(found["SecretString"]), str(found["VersionId"])

    def rotate(self, place: Place, secret: Secret | None, overlap: timedelta) -> str:
        """AWS keeps the version before under AWSPREVIOUS until the next one, whatever `overlap`."""
        if secret is not None:
            self._described(place)
            return self._put(place, secret)
        region, name = _named(place)
        with _told():
            begun = _client(region).rotate_secret(SecretId=name, RotateImmediately=True)
            return str(begun.get("VersionId") or "")

    def rotates_itself(self, place: Place) -> bool:
        return bool(self._described(place).get("RotationEnabled"))

    def revoke(self, place: Place, *, ours: bool) -> AtSource:
        region, name = _named(place)
        try:
            if self.rotates_itself(place):
                self.rotate(place, None, timedelta(0))
                return AtSource.ENDED
            if not ours:
                return AtSource.UNTOUCHED
            with _told():
                _client(region).delete_secret(SecretId=name, RecoveryWindowInDays=RECOVERY_DAYS)
        except NothingStored:
            pass
        return AtSource.REMOVED

    def destroy(self, place: Place) -> None:
        region, name = _named(place)
        try:
            with _told():
                _client(region).delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        except NothingStored:
            pass

    def versions(self, place: Place) -> list[Version]:
        region, name = _named(place)
        found: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        try:
            self._described(place)
            while True:
                with _told():
                    page = _client(region).list_secret_version_ids(SecretId=name, **more)
                found += page["Versions"]
                if not page.get("NextToken"):
                    break
                more = {"NextToken": page["NextToken"]}
        except NothingStored:
            return []
        held = [
            Version(each["VersionId"], each.get("CreatedDate"), CURRENT in each["VersionStages"])
            for each in found
            if each.get("VersionStages")
        ]
        return sorted(held, key=lambda each: not each.current)

    def health(self) -> str:
        try:
            with _told():
                _client(settings.MUSTER_AWS_REGION).list_secrets(MaxResults=1)
        except VaultUnavailable as error:
            return error.message
        return ""

    def _described(self, place: Place) -> dict[str, Any]:
        region, name = _named(place)
        with _told():
            found: dict[str, Any] = _client(region).describe_secret(SecretId=name)
        if found.get("DeletedDate"):
            raise NothingStored()
        return found


def _named(place: Place) -> tuple[str, str]:
    region, _, name = place.path.partition("/")
    if not name or "#" in name:
        raise NoBackEnd("A secret of AWS is aws-sm://region/name.")
    return region, name


def _agent_of(found: dict[str, Any]) -> str:
    tags = {each["Key"]: each["Value"] for each in found.get("Tags") or ()}
    return str(tags.get(TAG, ""))


@lru_cache(maxsize=32)
def _client_at(region: str, endpoint: str) -> Any:
    return boto3.client(
        "secretsmanager",
        region_name=region,
        endpoint_url=endpoint or None,
        config=Config(
            connect_timeout=3, read_timeout=5, retries={"max_attempts": 2, "mode": "standard"}
        ),
    )


def _client(region: str) -> Any:
    """Clients of boto3 may be shared by threads."""
    return _client_at(region, settings.MUSTER_AWS_ENDPOINT)


@contextmanager
def _told() -> Iterator[None]:
    """Every error of the library as one of ours, with its code and nothing of its text."""
    trouble = ""
    try:
        yield
    except ClientError as error:
        trouble = _code(error)
    except BotoCoreError as error:
        trouble = type(error).__name__
    # Outside of the handlers, so that the library's error does not hang on ours.
    if trouble in (MISSING, DELETED):
        raise NothingStored()
    if trouble:
        raise VaultUnavailable(f"AWS Secrets Manager does not do this: {trouble}.")


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code") or "an error without a code")
