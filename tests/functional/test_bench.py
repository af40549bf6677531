"""The benchmark's short run: every allow that was answered stands on the record."""

import shutil
import subprocess

import pytest

from tests.functional.installation import PROJECT, environment

pytestmark = pytest.mark.bench


@pytest.mark.skipif(shutil.which("wrk") is None, reason="there is no wrk here")
def test_quick_run_finds_every_allow_on_the_record() -> None:
    done = subprocess.run(
        [str(PROJECT / "muster"), "bench", "decisions", "--quick"],
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert said[-1] == "0 allows are not on the record."
    assert int(next(line for line in said if "looked for" in line).split()[0]) > 0
