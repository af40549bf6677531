"""A backup under way, everything lost, and an installation out of the two folders."""

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from audit.sealing import notes
from audit.sealing.notes import Checkpoint
from tests.functional.hosts import Host, Hosts, hosts
from tests.functional.installation import PROJECT, environment, free_port
from tests.governance import servers

pytestmark = pytest.mark.kill

PATIENCE = 90


def checkpoint(host: Host, *, beyond: int) -> tuple[str, Checkpoint]:
    """The newest checkpoint as anyone reads it, once it is over more than so many entries."""
    deadline = time.monotonic() + PATIENCE
    while True:
        text = httpx.get(f"{host.url}/log/checkpoint").text
        keys = [
            notes.read_vkey(line.split(" ")[1])
            for line in httpx.get(f"{host.url}/log/keys").text.splitlines()
            if line.startswith("checkpoint ")
        ]
        found = notes.open_checkpoint(text, keys) if keys and text.count("\n") > 3 else None
        if found and found.size > beyond:
            return text, found
        assert time.monotonic() < deadline, text
        time.sleep(0.5)


def restore(made: Hosts, data: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    told = environment(DATABASE_URL="", MUSTER_BASE_URL=f"http://{made.name}")
    command = [str(PROJECT / "muster"), "restore", *words, "--data", str(data)]
    return subprocess.run(command, env=told, check=False, capture_output=True, text=True)


def entries(host: Host, did: str) -> list[dict[str, Any]]:
    with host.installation.as_web() as database:
        rows = database.execute(
            "SELECT convert_from(body, 'UTF8') FROM audit.record WHERE kind = 'admin'"
        ).fetchall()
    bodies = [json.loads(text.split("\n")[0]) for (text,) in rows]
    return [each["asked"] for each in bodies if each.get("asked", {}).get("did") == did]


def test_an_installation_comes_out_of_its_backup_and_says_what_is_gone() -> None:
    with servers.data_folder() as folder, hosts("", folder.data) as made:
        copy, keys, kept = (folder.data / name for name in ("copy", "apart", "kept.note"))
        words = (str(copy), "--keys", str(keys), "--because", "the disk died")
        first = made.up()
        made.command("rotate_token_key")
        checkpoint(first, beyond=0)
        made.command("backup", str(copy), "--keys", str(keys))
        told = json.loads((copy / "manifest.json").read_text())
        made.command("rotate_token_key")
        text, signed = checkpoint(first, beyond=told["size"])
        kept.write_text(text)
        secret = (first.data / "keys" / "vault_kek").read_text()
        first.kill()
        shutil.rmtree(first.data)

        damaged = _changed(copy)
        refused = restore(made, folder.data / "nothing", *words)
        damaged.rename(copy / "database.dump")
        said = restore(made, folder.data / "second", *words, "--anchored", str(kept))
        again = restore(made, folder.data / "second", *words)
        assert refused.returncode == 1
        assert "is not as it was written: database.dump." in refused.stderr
        assert not (folder.data / "nothing" / "logins.json").exists()
        assert said.returncode == 0, said.stdout + said.stderr
        port = free_port()
        second = made.start(folder.data / "second", port, "up")
        after, _ = checkpoint(second, beyond=told["size"])
        raised = _alarms(second)

        (restored,) = entries(second, "installation_restored")
        assert restored["signed"] == signed.size
        assert restored["lost"] == signed.size - restored["entries"] > 0
        assert f"{signed.size} entries were signed: {restored['lost']} are gone" in said.stdout
        assert len(entries(second, "token_key_rotated")) == 1
        assert "holds an installation" in again.stderr
        assert (second.data / "keys" / "vault_kek").read_text() == secret
        # The sealer raised its alarm, took the word, and what it gave up stands beside the reason.
        assert after
        (accepted,) = [each for each in raised if "accepted" in each]
        assert re.match("the disk died .restored; ", accepted["accepted"])
        assert max(each["size"] for each in accepted["given_up"]) == signed.size
        assert httpx.get(f"{second.url}/readyz").json()["checks"]["sealer"] == "ok"


def _changed(copy: Path) -> Path:
    """The dump with its last byte changed; where the sound one lies meanwhile."""
    dump, beside = copy / "database.dump", copy.parent / "sound.dump"
    shutil.copyfile(dump, beside)
    content = bytearray(dump.read_bytes())
    content[-1] ^= 1
    dump.write_bytes(content)
    return beside


def _alarms(host: Host) -> list[dict[str, Any]]:
    with host.installation.as_web() as database:
        rows = database.execute("SELECT detail FROM audit.alarm ORDER BY number").fetchall()
    return [detail for (detail,) in rows]
