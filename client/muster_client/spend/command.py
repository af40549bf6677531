"""`muster spend-proxy`."""

from __future__ import annotations

from pathlib import Path

import click
import uvicorn

from .app import make_app
from .config import load
from .prices import BadTable


@click.command()
@click.option(
    "--config",
    "config_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The configuration, in YAML.",
)
@click.option("--check", is_flag=True, help="Read the configuration and the prices, and stop.")
def command(config_file: Path, check: bool) -> None:
    """Stand between agents and language models, and stop them at their spend cap."""
    try:
        config = load(config_file)
    except BadTable as error:
        raise click.ClickException(str(error)) from error
    for provider in config.providers.values():
        click.echo(f"{provider.name}: {len(provider.models)} models in {config.prices.currency}")
    if check:
        return
    uvicorn.run(
        make_app(config),
        host=config.host,
        port=config.port,
        ssl_certfile=config.certificate or None,
        ssl_keyfile=config.key_of_certificate or None,
        server_header=False,
        proxy_headers=False,
        access_log=False,
    )
