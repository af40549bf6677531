"""Which commands there are. Each is imported when it is called, so that none pays for another."""

from __future__ import annotations

from importlib import import_module

import click

# Its name, and where the `click` command of it stands.
COMMANDS: dict[str, str] = {
    "discover": "muster_client.discovery.command",
    "gateway": "muster_client.gateway.command",
    "hook": "muster_client.hooks.command",
    "spend-proxy": "muster_client.spend.command",
}


class Commands(click.Group):
    """The commands by name, none imported before it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None where there is none."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command: click.Command = import_module(place).command
        return command


@click.command(cls=Commands)
def main() -> None:
    """Muster from afar: agents, holds, the record, and what stands before an agent."""
