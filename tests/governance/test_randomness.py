"""Random bytes are given out once, in every thread and after every fork."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from governance.kernel import randomness
from governance.kernel.randomness import PAGE, take
from governance.runner.places import PROJECT


@pytest.mark.parametrize("count", [0, 1, 12, 32, PAGE, PAGE * 3])
def test_as_many_as_are_asked_for(count: int) -> None:
    assert len(take(count)) == count


def test_nothing_is_given_out_twice() -> None:
    def some(_: int) -> list[bytes]:
        return [take(12) for _ in range(2_000)]

    with ThreadPoolExecutor(4) as pool:
        found = [each for given in pool.map(some, range(8)) for each in given]

    assert len(set(found)) == 16_000


def test_a_page_ends_before_its_last_bytes_are_not_enough() -> None:
    first = take(PAGE - 5)

    assert take(6) not in first
    assert randomness._page.given == 6


def test_a_child_gives_out_others_than_its_parent() -> None:
    script = (
        "import os; from governance.kernel.randomness import take; take(1);"
        # One after the other, so that their lines do not mix.
        "child = os.fork(); child and os.wait(); print(take(32).hex(), flush=True)"
    )

    said = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=PROJECT
    )

    assert len(set(said.stdout.split())) == 2
