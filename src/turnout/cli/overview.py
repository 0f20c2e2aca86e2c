"""How is everything? One look at all models."""

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from turnout.cli import render
from turnout.cli.remote import DEFAULT_URL, Url, call, connected
from turnout.cli.render import coloured, counted, table


def overview(url: Url = DEFAULT_URL) -> None:
    """Show the health of everything. Exit status 0: nothing critical; 1: something is."""
    with connected(url) as client:
        found = call(client, "GET", "overview", params={"limit": 500})
        render.out.print(look(found))
    raise typer.Exit(1 if found["health"] == "critical" else 0)


def look(found: Mapping[str, Any]) -> RenderableType:
    totals = found["totals"]
    counts = {
        "model": totals["models"],
        "open alert": sum(totals["alerts"].values()),
        "rollout": sum(totals["rollouts"].values()),
        "experiment": sum(totals["experiments"].values()),
        "update": sum(totals["updates"].values()),
    }
    heading = coloured(found["health"])
    heading.append(
        f": {', '.join(counted(count, what) for what, count in counts.items())}", "default"
    )
    rows = table("", "model", "health", "serves", "of late", "under way")
    for model in found["models"]:
        serves = "\n".join(f"{one['version']} {one['weight']} %" for one in model["serving"])
        late = "\n".join(_figures(one) for one in model["serving"])
        rows.add_row(model["model"], coloured(model["health"]), serves, late, _under_way(model))
    alerts = table("", "alert", "severity", "what is wrong")
    for alert in found["alerts"]:
        alerts.add_row(str(alert["id"]), coloured(alert["severity"]), Text(alert["summary"]))
    return Group(heading, rows, *([alerts] if found["alerts"] else []))


def _figures(serving: Mapping[str, Any]) -> str:
    if not serving["predictions"]:
        return "no predictions"
    return f"{serving['predictions']:,}, {serving['error_rate']:.1%} errors"


def _under_way(model: Mapping[str, Any]) -> str:
    found = [f"rollout of {one['candidate']}: {_words(one['phase'])}" for one in model["rollouts"]]
    if model["experiment"]:
        found.append(f"experiment {model['experiment']['key']}: {model['experiment']['status']}")
    found += [f"update: {_words(one['state'])}" for one in model["updates"]]
    return "\n".join(found)


def _words(word: str) -> str:
    return word.replace("_", " ")


def register(app: typer.Typer) -> None:
    app.command()(overview)
