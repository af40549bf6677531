"""`muster gateway`: serve it, and look at what its servers changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from .config import BadConfig, Config, load
from .pins import Pins, PinsUnreadable


class ConfigFile(click.ParamType["Config"]):
    """A file of configuration, read when it is named."""

    name = "file"

    def convert(
        self, value: str | Config, param: click.Parameter | None, ctx: click.Context | None
    ) -> Config:
        """The configuration; fails with the sentence that says what is wrong with it."""
        if isinstance(value, Config):
            return value
        try:
            return load(Path(value))
        except (BadConfig, OSError) as error:
            self.fail(str(error), param, ctx)


# From the environment, so that neither stands in a file or in a list of processes.
_GIVEN = ("MUSTER_CLIENT_ID", "MUSTER_CLIENT_SECRET")
_config = click.option("--config", "config", type=ConfigFile(), help="YAML or JSON.")


@click.group(invoke_without_command=True)
@_config
@click.option("--stdio", is_flag=True, help="Serve one agent, by MUSTER_CLIENT_ID and its secret.")
@click.pass_context
def command(ctx: click.Context, config: Config | None, stdio: bool) -> None:
    """Stand before MCP servers and let through what Muster allows."""
    ctx.obj = config
    if ctx.invoked_subcommand is not None:
        return
    if config is None:
        raise click.UsageError("Say --config FILE.")
    serve_stdio(config) if stdio else serve_http(config)


def serve_http(config: Config) -> None:
    """Serve over HTTP at /mcp until it is stopped."""
    import uvicorn  # noqa: PLC0415 - of the extra `gateway`, which the pins do without

    from .serving import http_app  # noqa: PLC0415 - likewise

    uvicorn.run(http_app(config), host=config.host, port=config.port, log_level="warning")


def serve_stdio(config: Config) -> None:
    """Serve the agent whose client stands in the environment."""
    import anyio  # noqa: PLC0415 - of the extra `gateway`, which the pins do without

    from .asking import Asker  # noqa: PLC0415 - likewise
    from .serving import over_stdio  # noqa: PLC0415 - likewise

    client_id, secret = (os.environ.get(name, "") for name in _GIVEN)
    try:
        asker = Asker(
            config.muster,
            allow_http=config.allow_http,
            client_id=client_id,
            client_secret=secret,
        )
    except ValueError as error:
        raise click.ClickException(f"{' and '.join(_GIVEN)}: {error}") from error
    anyio.run(over_stdio, config, asker)


@command.group()
@click.pass_obj
def pins(config: Config | None) -> None:
    """Definitions of tools as they were accepted."""
    if config is None:
        raise click.UsageError("Say --config FILE before pins.")


@pins.command("list")
@click.pass_obj
def list_pins(config: Config) -> None:
    """What changed and waits to be looked at, with its digest."""
    try:
        waiting = Pins(config.pins).waiting()
    except PinsUnreadable as error:
        raise click.ClickException(str(error)) from error
    for (server, tool), pin in sorted(waiting.items()):
        click.echo(f"{server} {tool} {pin.waiting}")
        click.echo(json.dumps(pin.definition, indent=2, ensure_ascii=True))
    if not waiting:
        click.echo("Nothing has changed.")


@pins.command()
@click.argument("server")
@click.argument("tool")
@click.argument("digest")
@click.pass_obj
def accept(config: Config, server: str, tool: str, digest: str) -> None:
    """Let a changed definition count, by the digest that `list` shows."""
    try:
        Pins(config.pins).accept(server, tool, digest)
    except (KeyError, PinsUnreadable) as error:
        raise click.ClickException(str(error.args[0])) from error
    click.echo(f"{server} {tool} is accepted.")
