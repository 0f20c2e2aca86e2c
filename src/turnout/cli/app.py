"""The `turnout` command: what runs the service, and what operates it over HTTP."""

from importlib.metadata import version
from typing import Annotated

import typer

from turnout.cli import (
    alerts,
    aliases,
    audit,
    backups,
    drift,
    events,
    experiments,
    gates,
    keys,
    operate,
    overview,
    registry,
    remote,
    serve,
    updates,
)

app = typer.Typer(
    name="turnout",
    help="Release control for machine-learning models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"turnout {version('turnout')}")
        raise typer.Exit


@app.callback()
def turnout(
    show: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="TURNOUT_API_KEY",
            show_envvar=True,
            help="Sent to the service, where it asks for one.",
        ),
    ] = None,
) -> None:
    """Release control for machine-learning models."""
    remote.api_key.set(api_key)


serve.register(app)
backups.register(app)
keys.register(app)
operate.register(app)
overview.register(app)
experiments.register(app)
gates.register(app)
events.register(app)
alerts.register(app)
drift.register(app)
audit.register(app)
registry.register(app)
aliases.register(app)
updates.register(app)


def main() -> None:
    app()
