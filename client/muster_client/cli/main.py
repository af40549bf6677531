"""Which commands there are. Each is imported when it is called, so that none pays for another."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import click

# Its name, and where the `click` command of it stands.
COMMANDS: dict[str, str] = {
    "agents": "muster_client.cli.agents",
    "apply": "muster_client.cli.apply",
    "check": "muster_client.cli.check",
    "completion": "muster_client.cli.completion",
    "decisions": "muster_client.cli.decisions",
    "discover": "muster_client.discovery.command",
    "export": "muster_client.cli.export",
    "gateway": "muster_client.gateway.command",
    "holds": "muster_client.cli.holds",
    "hook": "muster_client.hooks.command",
    "login": "muster_client.cli.login",
    "logout": "muster_client.cli.logout",
    "plan": "muster_client.cli.plan",
    "probe": "muster_client.cli.probe",
    "spend-proxy": "muster_client.spend.command",
    "verify": "muster_client.cli.verifying",
    "whoami": "muster_client.cli.whoami",
}
PACKAGE = "muster_client"
# What has to be installed besides for some of them.
EXTRAS = {"gateway": "gateway", "spend-proxy": "gateway"}
ANYTHING = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


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
        # Beside this module, under whatever name the package is imported.
        package = (__package__ or "").removesuffix(".cli")
        try:
            command: click.Command = import_module(place.removeprefix(PACKAGE), package).command
        except ModuleNotFoundError as error:
            return _lacking(cmd_name, error.name or place)
        return command


def _lacking(name: str, module: str) -> click.Command:
    """What stands in a command's place where what it needs is not installed."""
    extra = EXTRAS.get(name, "cli")
    said = f"Needs {module}, which is not here: pip install './client[{extra}]'"

    @click.command(name=name, help=said, context_settings=ANYTHING)
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def lacking(words: tuple[str, ...]) -> None:
        raise click.UsageError(said)

    return lacking


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"muster {installed_version()}")
        ctx.exit()


def installed_version() -> str:
    """The version of the package; `unknown` where it runs without being installed."""
    try:
        return version("muster-client")
    except PackageNotFoundError:
        return "unknown"


@click.command(cls=Commands)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Print the version.",
)
def main() -> None:
    """Muster from afar: agents, holds, the record, and what stands before an agent.

    Ends with 0 where all is well, 1 where something was found or Muster refused, 2 where it was
    called wrongly or there is no such thing, 3 where Muster could not be reached or you may not.
    """


if __name__ == "__main__":
    main(prog_name="muster")
