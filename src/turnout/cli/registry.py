"""What is registered: versions side by side, and all of them as one document."""

from pathlib import Path
from typing import Annotated

import typer

from turnout.cli import render
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, fail
from turnout.cli.render_registry import comparison, imported


def compare(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    versions: Annotated[
        list[str], typer.Argument(help="Versions, or @ and an alias; the first is the measure.")
    ],
    against: Annotated[
        str | None, typer.Option(help="Measure by this version, or by `production`.")
    ] = None,
    window: Annotated[str, typer.Option(help="How far back live figures go.")] = "1d",
    url: Url = DEFAULT_URL,
) -> None:
    """Put versions side by side: metrics, and what they did of late."""
    query = {"versions": ",".join(versions), "window": window}
    with connected(url) as client:
        asked = query | ({} if against is None else {"against": against})
        render.out.print(comparison(call(client, "GET", f"models/{model}/compare", params=asked)))


registry = typer.Typer(help="Every model, version and alias as one document.", no_args_is_help=True)


@registry.command("export")
def export_registry(
    file: Annotated[Path, typer.Argument(help="Where to write it.", dir_okay=False)],
    url: Url = DEFAULT_URL,
) -> None:
    """Write every model, version and alias into a file; model files travel apart."""
    beside = file.with_name(f"{file.name}.part")
    try:
        with connected(url) as client, client.stream("GET", "registry/export") as response:
            if not response.is_success:
                raise fail(f"the registry is not exported: status {response.status_code}")
            with beside.open("wb") as target:
                for block in response.iter_bytes():
                    target.write(block)
        beside.replace(file)
    except OSError as error:
        raise fail(f"{file} cannot be written: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)
    render.say(f"{file}: {file.stat().st_size:,} bytes")


@registry.command("import")
def import_registry(
    file: Annotated[Path, typer.Argument(help="A document of `turnout registry export`.")],
    dry_run: Annotated[bool, typer.Option(help="Only say what would happen.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Add what is not here yet. Exit status 1: something differs, and nothing was imported."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise fail(f"{file} cannot be read: {error.strerror}") from None
    with connected(url) as client:
        headers = {"Content-Type": "application/json"}
        query = {"dry_run": dry_run}
        done = call(
            client, "POST", "registry/import", content=content, headers=headers, params=query
        )
    render.out.print(imported(done))


def register(app: typer.Typer) -> None:
    app.command()(compare)
    app.add_typer(registry, name="registry")
