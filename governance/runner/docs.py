"""`./muster docs`: the documentation as a site, made by mkdocs-material from `docs/`.

Every warning is a failure: a link that leads nowhere, a page that is in no list.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from governance.runner.environment import python
from governance.runner.places import PROJECT

SITE = PROJECT / ".muster-docs"
HELP = "./muster docs [FOLDER]: build the documentation as a site, into .muster-docs/ here."


def run(arguments: list[str]) -> int:
    """Build the site into the folder that is named; 1 where anything is wrong with it."""
    if "--help" in arguments:
        print(HELP)
        return 0
    folder = Path(arguments[0]).absolute() if arguments else SITE
    done = build(folder)
    print(done.stdout, end="")
    if done.returncode == 0:
        print(f"Open {folder / 'index.html'}")
    return 1 if done.returncode else 0


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run mkdocs strictly; what it says is in `stdout`."""
    return subprocess.run(
        python("-W", "ignore", "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)),
        cwd=PROJECT,
        # The theme prints an advertisement otherwise.
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
