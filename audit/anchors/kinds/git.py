"""A branch of a git repository elsewhere: one commit for each checkpoint, never a forced push.

The file `checkpoint` holds the newest signed note, the history all of them. Nothing of the
repository is checked out here, and no hook of anybody runs.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from audit.anchors.errors import AnchorFailed
from audit.models import Checkpoint
from governance.kernel import egress

SECONDS = 60
FILE = "checkpoint"
NOTHING = "The remote has no such branch yet."
_SCP = re.compile(r"(?:[A-Za-z0-9_.-]+@)?(?P<host>[A-Za-z0-9.-]+):(?!//)(?P<path>[^\s-][^\s]*)")
_URL = re.compile(
    r"(?P<scheme>https|ssh)://(?:[A-Za-z0-9_.-]+@)?(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>\d+))?/\S+"
)
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,100}")
PORTS = {"https": 443, "ssh": 22}


class Git:
    """The branch `branch` of the repository at `remote`."""

    def __init__(self, options: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        self._remote = str(options["remote"])
        self._branch = str(options.get("branch", "checkpoints"))
        if not _BRANCH.fullmatch(self._branch):
            raise AnchorFailed("The branch of a git anchor is a plain name.")
        self._secrets = secrets

    def send(self, checkpoint: Checkpoint) -> dict[str, Any]:
        self._check()
        with tempfile.TemporaryDirectory(prefix="muster-anchor-") as folder:
            before = self._fetched(folder)
            blob = self._run(folder, "hash-object", "-w", "--stdin", given=checkpoint.note)
            tree = self._run(folder, "mktree", given=f"100644 blob {blob}\t{FILE}\n")
            said = f"Checkpoint of {checkpoint.size} entries"
            parents = ["-p", before] if before else []
            commit = self._run(folder, "commit-tree", tree, *parents, "-m", said)
            target = f"{commit}:refs/heads/{self._branch}"
            self._run(folder, "push", "--quiet", "--no-verify", "--", self._remote, target)
        return {"remote": self._remote, "branch": self._branch, "commit": commit}

    def read_back(self, after: int) -> str | None:
        self._check()
        with tempfile.TemporaryDirectory(prefix="muster-anchor-") as folder:
            commit = self._fetched(folder)
            if not commit:
                return None
            return self._run(folder, "cat-file", "blob", f"{commit}:{FILE}", strip=False)

    def _fetched(self, folder: str) -> str:
        """The newest commit of the branch; empty where there is no such branch."""
        self._run(folder, "init", "--quiet", "--bare")
        reference = f"refs/heads/{self._branch}"
        heads = self._run(folder, "ls-remote", "--", self._remote, reference)
        if not heads:
            return ""
        self._run(folder, "fetch", "--quiet", "--depth=1", "--", self._remote, reference)
        return self._run(folder, "rev-parse", "FETCH_HEAD")

    def _check(self) -> None:
        """The host of the remote lies outside, or is listed. A path is of this machine."""
        if self._remote.startswith("/"):
            return
        if found := _URL.fullmatch(self._remote):
            egress.address_of(found["host"], int(found["port"] or PORTS[found["scheme"]]))
        elif found := _SCP.fullmatch(self._remote):
            egress.address_of(found["host"], PORTS["ssh"])
        else:
            raise AnchorFailed("A git remote is a path, https://…, ssh://… or user@host:path.")

    def _run(self, folder: str, *words: str, given: str = "", strip: bool = True) -> str:
        settings = ("-c", "core.hooksPath=/dev/null", "-c", "http.followRedirects=false")
        try:
            done = subprocess.run(
                ["git", *settings, *words],
                cwd=folder,
                env=self._environment(folder),
                input=given.encode(),
                capture_output=True,
                timeout=SECONDS,
                check=True,
            )
        except FileNotFoundError as error:
            raise AnchorFailed("git is not installed on this machine.") from error
        except subprocess.TimeoutExpired as error:
            raise AnchorFailed(f"git {words[0]} took longer than {SECONDS} s.") from error
        except subprocess.CalledProcessError as error:
            raise AnchorFailed(f"git {words[0]} failed: {_reason(error.stderr)}") from error
        text = done.stdout.decode(errors="replace")
        return text.strip() if strip else text

    def _environment(self, folder: str) -> dict[str, str]:
        """Nothing of ours, and nothing of what this machine configures for git."""
        who = {"NAME": "Muster", "EMAIL": "muster@localhost"}
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": folder,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file:https:ssh",
            **{f"GIT_{role}_{what}": word for role in _ROLES for what, word in who.items()},
            **self._signing_in(folder),
        }

    def _signing_in(self, folder: str) -> dict[str, str]:
        """A token goes through the environment, never through a command line."""
        found: dict[str, str] = {}
        if token := self._secrets.get("token"):
            user = self._secrets.get("user", "git")
            basic = base64.b64encode(f"{user}:{token}".encode()).decode()
            found |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "http.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
            }
        if key := self._secrets.get("ssh_key_file"):
            hosts = self._secrets.get("known_hosts_file", f"{folder}/known_hosts")
            found["GIT_SSH_COMMAND"] = (
                f"ssh -F {os.devnull} -i {_quoted(key)} -o BatchMode=yes -o IdentitiesOnly=yes"
                f" -o StrictHostKeyChecking=yes -o UserKnownHostsFile={_quoted(hosts)}"
            )
        return found


_ROLES = ("AUTHOR", "COMMITTER")


def _quoted(path: str) -> str:
    with suppress(ValueError):
        return f'"{Path(path).absolute()}"'
    return '""'


def _reason(raw: bytes) -> str:
    """What git says is wrong; the lines after it are advice."""
    lines = raw.decode(errors="replace").strip().splitlines()
    wrong = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))]
    return (wrong or lines or ["no reason was given."])[0][:200]
