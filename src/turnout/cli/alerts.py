"""The operator's commands for alerts."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from turnout.cli import render
from turnout.cli.operate import Limit, Reason
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, pages

AlertId = Annotated[int, typer.Argument(metavar="ALERT", help="Its number.")]

alerts = typer.Typer(
    help="What is wrong: list the open alerts, or act on one.", invoke_without_command=True
)


@alerts.callback()
def listed(  # noqa: PLR0917  (options of a command line)
    context: typer.Context,
    state: Annotated[str, typer.Option(help="open, firing, acknowledged or resolved.")] = "open",
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    severity: Annotated[str | None, typer.Option(help="warning or critical.")] = None,
    url: Url = DEFAULT_URL,
    limit: Limit = 50,
) -> None:
    """What is wrong: list the open alerts, newest first, or act on one."""
    if context.invoked_subcommand is None:
        with connected(url) as client:
            asked = {"state": state, "model": model, "severity": severity}
            render.out.print(_listing(pages(client, "alerts", limit, **asked)))


@alerts.command()
def show(alert: AlertId, url: Url = DEFAULT_URL) -> None:
    """Show one alert: what is wrong, and who did what about it."""
    with connected(url) as client:
        found = call(client, "GET", f"alerts/{alert}")
        render.say(_line(found))
        rows = render.table("", "at", "state", "by", "why")
        for change in found["history"]:
            rows.add_row(
                render.when(change["at"]),
                render.coloured(change["state"]),
                change["actor"],
                change["reason"] or "",
            )
        render.out.print(rows)


@alerts.command()
def ack(alert: AlertId, reason: Reason = None, url: Url = DEFAULT_URL) -> None:
    """Say that you look into it: nobody is told of it again."""
    _order(url, alert, "acknowledge", reason=reason)


@alerts.command()
def resolve(alert: AlertId, reason: Reason = None, url: Url = DEFAULT_URL) -> None:
    """End it by hand; a limit that is still broken fires again."""
    _order(url, alert, "resolve", reason=reason)


@alerts.command()
def silence(
    alert: AlertId,
    duration: Annotated[str, typer.Option(help="How long, such as 1h.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the silence.")],
    url: Url = DEFAULT_URL,
) -> None:
    """Tell nobody of it for a time."""
    _order(url, alert, "silence", duration=duration, reason=reason)


def _order(url: str, alert: int, verb: str, **order: str | None) -> None:
    said = {name: value for name, value in order.items() if value is not None}
    with connected(url) as client:
        render.say(_line(call(client, "POST", f"alerts/{alert}/{verb}", json=said)))


def _line(alert: render.Json) -> Text:
    text = render.coloured(alert["state"])
    text.append(f", {alert['severity']}: {alert['summary']}", style="default")
    return text


def _listing(found: Sequence[render.Json]) -> RenderableType:
    if not found:
        return "no such alerts"
    rows = render.table("", "alert", "severity", "state", "since", "what is wrong")
    for alert in found:
        quiet = alert["silenced_until"]
        rows.add_row(
            str(alert["id"]),
            render.coloured(alert["severity"]),
            render.coloured(alert["state"]),
            render.when(alert["fired_at"]),
            alert["summary"] + (f" (silenced until {render.when(quiet)})" if quiet else ""),
        )
    return rows


def register(app: typer.Typer) -> None:
    app.add_typer(alerts, name="alerts")
