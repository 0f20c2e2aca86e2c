"""What is registered: versions side by side."""

from typing import Annotated

import typer

from turnout.cli import render
from turnout.cli.remote import DEFAULT_URL, Url, call, connected
from turnout.cli.render_registry import comparison


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


def register(app: typer.Typer) -> None:
    app.command()(compare)
