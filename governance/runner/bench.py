"""`./muster bench NAME`: a script of `benchmarks/`, in the environment of the project."""

from __future__ import annotations

import subprocess

from governance.runner import children
from governance.runner.environment import inherited, python
from governance.runner.places import PROJECT, CannotStart

FOLDER = PROJECT / "benchmarks"
DEFAULT = "decisions"


def run(arguments: list[str]) -> int:
    """Run the benchmark that the first word names, `decisions` where there is none."""
    named = arguments[:1] if arguments and not arguments[0].startswith("-") else []
    name = named[0] if named else DEFAULT
    if not name.isidentifier() or not (FOLDER / f"{name}.py").exists():
        raise CannotStart(f"There is no benchmark {name}. There are: {', '.join(_names())}.")
    children.stop_on_signals()
    child = subprocess.Popen(
        python("-m", f"benchmarks.{name}", *arguments[len(named) :]),
        env={**inherited("bench"), "PYTHONPATH": str(PROJECT)},
        cwd=PROJECT,
    )
    try:
        return child.wait()
    except children.Stopped:
        child.terminate()
        return child.wait() or 1


def _names() -> list[str]:
    """Those that can be run: a script ends by calling its `main`."""
    scripts = sorted(FOLDER.glob("*.py"))
    return [path.stem for path in scripts if "__main__" in path.read_text()]
