"""The commands that run the service: serve, api, worker, migrate, openapi, demo.

What they start is imported when they start it: the operator's commands need none of it, and would
wait for it each time.
"""

from pathlib import Path
from typing import Annotated

import typer

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Where models and the embedded database live. [default: .turnout]"),
]


def serve(host: Host = "127.0.0.1", port: Port = 8000, data_dir: DataDir = None) -> None:
    """Run everything in one process: API, worker and, without a database URL, the database."""
    from turnout.cli import processes  # noqa: PLC0415

    processes.run(data_dir, address=(host, port), worker=True)


def api(host: Host = "127.0.0.1", port: Port = 8000, data_dir: DataDir = None) -> None:
    """Run one replica of the API. Run as many as you like on one database."""
    from turnout.cli import processes  # noqa: PLC0415

    processes.run(data_dir, address=(host, port), worker=False)


def worker(
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Serve Prometheus metrics of this worker there."),
    ] = None,
    metrics_host: Annotated[
        str, typer.Option(help="Address of the metrics; whoever reaches it may read them.")
    ] = "127.0.0.1",
    data_dir: DataDir = None,
) -> None:
    """Run one background worker. Run as many as you like on one database."""
    from turnout.cli import processes  # noqa: PLC0415

    if metrics_port is not None:
        processes.show_metrics(metrics_host, metrics_port)
    processes.run(data_dir, address=None, worker=True)


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this release's schema; does nothing when it is there."""
    from turnout.cli import processes  # noqa: PLC0415

    processes.migrate(data_dir)


def openapi() -> None:
    """Print the OpenAPI document of this release, to generate a client from. Nothing has to run."""
    from turnout.cli import processes  # noqa: PLC0415

    typer.echo(processes.openapi())


def demo(
    swap_models: Annotated[
        bool,
        typer.Option(help="Put the bad model where the good one was: the outcome swaps too."),
    ] = False,
) -> None:
    """Show the main job on real models: a good one is promoted, a bad one is rolled back."""
    from turnout.demo.run import run  # noqa: PLC0415

    raise typer.Exit(run(swapped=swap_models))


def register(app: typer.Typer) -> None:
    for command in (serve, api, worker, migrate, openapi, demo):
        app.command()(command)
