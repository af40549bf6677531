"""A bucket with object lock: each checkpoint is an object that nobody may delete for years."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from audit.anchors.errors import AnchorFailed
from audit.models import Checkpoint
from governance.kernel import clock, egress

RETAIN_DAYS = 2_560  # seven years
REGION = "eu-central-1"


class Bucket:
    """The objects under `prefix` of `bucket`."""

    def __init__(self, options: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self._bucket = str(options["bucket"])
        self._prefix = str(options.get("prefix", "muster/"))
        self._mode = str(options.get("mode", "COMPLIANCE"))
        self._retain = timedelta(days=int(options.get("retain_days", RETAIN_DAYS)))
        self._region = str(options.get("region", REGION))
        self._endpoint = str(options.get("endpoint", ""))
        self._secrets = secrets

    def send(self, checkpoint: Checkpoint) -> dict[str, Any]:
        key, until = self._key(checkpoint.size), clock.now() + self._retain
        with _told():
            client = self._client()
            put = client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=checkpoint.note.encode(),
                ContentType="text/plain; charset=utf-8",
                ChecksumAlgorithm="SHA256",
                ObjectLockMode=self._mode,
                ObjectLockRetainUntilDate=until,
            )
            version = str(put.get("VersionId", ""))
            kept = client.head_object(Bucket=self._bucket, Key=key, VersionId=version)
        if kept.get("ObjectLockMode") != self._mode:
            raise AnchorFailed(f"The bucket {self._bucket} does not lock what is put into it.")
        return {
            "bucket": self._bucket,
            "key": key,
            "version": version,
            "locked_until": kept["ObjectLockRetainUntilDate"].isoformat(),
        }

    def read_back(self, after: int) -> str | None:
        with _told():
            client = self._client()
            newest = ""
            for page in client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix, StartAfter=self._key(max(0, after - 1))
            ):
                for each in page.get("Contents", []):
                    newest = max(newest, str(each["Key"]))
            if not newest:
                return None
            return _text(client.get_object(Bucket=self._bucket, Key=newest)["Body"].read(65536))

    def _key(self, size: int) -> str:
        """Sorted by name, the objects are sorted by size."""
        return f"{self._prefix}{size:020}.note"

    def _client(self) -> Any:
        if self._endpoint:
            _check(self._endpoint)
        return boto3.client(
            "s3",
            region_name=self._region,
            endpoint_url=self._endpoint or None,
            aws_access_key_id=self._secrets.get("access_key"),
            aws_secret_access_key=self._secrets.get("secret_key"),
            verify=settings.MUSTER_EGRESS_CA or None,
            config=Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 2}),
        )


def _check(endpoint: str) -> None:
    """An endpoint lies outside and is called by https, or the operator listed it."""
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if not (parts.scheme == "http" and egress.is_listed(parts.hostname or "", port)):
        egress.check(endpoint)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


@contextmanager
def _told() -> Iterator[None]:
    """What botocore says is not repeated but for its code: a message may hold what was sent."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise AnchorFailed(f"The bucket refused it ({code}).") from error
    except BotoCoreError as error:
        raise AnchorFailed(f"The bucket was not reached ({type(error).__name__}).") from error
