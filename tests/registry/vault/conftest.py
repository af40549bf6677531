"""Every vault there is, ready: the embedded one, a real moto server, a peer of Vault's API."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from registry.vault import back_ends, keyring
from registry.vault.types import BackEnd, Place
from tests.registry.vault.kv_peer import Peer, serve

_numbers = count(1)


@dataclass
class Vault:
    """One back end and how its references begin; `peer` is what stands behind, if anything."""

    back_end: BackEnd
    prefix: str
    peer: Any = None

    def reference(self) -> str:
        return f"{self.prefix}/desk-{next(_numbers)}/helpdesk"

    def place(self, agent: str = "refund-desk") -> Place:
        reference = self.reference()
        return Place(agent, reference, reference.partition("://")[2])


@pytest.fixture
def vault_key(settings, tmp_path) -> Iterator[None]:
    """A key folder of this test's own, with the kernel's keys beside the vault's."""
    from governance.kernel import keys
    from registry.identity.keys import ensure_signing_key

    ensure_signing_key(tmp_path)
    for name in ("kek", "index_key", keyring.FILE):
        text = base64.urlsafe_b64encode(os.urandom(32)).decode()
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    tmp_path.chmod(0o700)
    settings.MUSTER_KEYS = str(tmp_path)
    settings.MUSTER_VAULT_KEY = ""
    keys.kek.cache_clear()
    keys.index_key.cache_clear()
    yield
    keys.kek.cache_clear()
    keys.index_key.cache_clear()


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(settings, moto_endpoint, monkeypatch) -> Vault:
    settings.MUSTER_AWS_ENDPOINT = moto_endpoint
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    settings.MUSTER_VAULTS = ["embedded", "aws"]
    return Vault(back_ends.every()["aws-sm"], "aws-sm://eu-central-1")


@pytest.fixture
def kv(settings, tmp_path) -> Iterator[Vault]:
    peer = Peer()
    server = serve(peer)
    secret_id = tmp_path / "kv_secret_id"
    secret_id.write_text(f"{peer.secret_id}\n")
    settings.MUSTER_KV_URL = f"http://127.0.0.1:{server.server_address[1]}"
    settings.MUSTER_KV_ROLE_ID = peer.role_id
    settings.MUSTER_KV_SECRET_ID_FILE = str(secret_id)
    settings.MUSTER_VAULTS = ["embedded", "kv"]
    back_ends._made.cache_clear()
    yield Vault(back_ends.every()["kv"], "kv://secret", peer)
    server.shutdown()
    server.server_close()


@pytest.fixture
def embedded(vault_key) -> Vault:
    return Vault(back_ends.every()["vault"], "vault://care")


@pytest.fixture(params=["embedded", "aws", "kv"])
def each_vault(request: pytest.FixtureRequest) -> Vault:
    """The contract's tests run once over each of them."""
    found: Vault = request.getfixturevalue(request.param)
    return found


def ring() -> tuple[bytes, ...]:
    """The keys in the file, without what a process keeps of it."""
    return keyring.read(keyring.path().read_text(), "file")
