"""`./muster sealer rotate`, `./muster sealer accept REASON`: a word to the sealer that runs."""

from __future__ import annotations

from governance.runner import accounts, children, command, places
from governance.runner.environment import python
from governance.runner.places import PROJECT


def run(arguments: list[str]) -> int:
    """Speak to the sealer as its own account: nobody else may write into its folder."""
    ours = places.choose(None)
    installation = command.installation(ours)
    child = children.spawn(
        python("-m", "audit.sealing", *(arguments or ["help"])),
        env=installation.sealer(),
        account=accounts.for_sealer(ours.data),
        cwd=PROJECT,
    )
    return child.wait()
