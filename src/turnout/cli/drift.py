"""What has moved, on the command line."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from turnout.cli import render
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, fail, fetched


def drift(
    model: Annotated[str, typer.Argument(help="Its name.")],
    version: Annotated[
        str | None, typer.Argument(help="Only this one of those that serve, or @ and an alias.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as a page, with charts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show what has moved away from the baselines, and whose it is. Exit status 0: nothing has
    moved beyond its limit; 1: something has."""
    asked = {"version": version} if version else {}
    with connected(url) as client:
        found = call(client, "GET", f"models/{model}/drift", params=asked)
        page = fetched(client, f"models/{model}/drift.html", params=asked) if html else None
    if html is not None and page is not None:
        try:
            html.write_bytes(page)
        except OSError as error:
            raise fail(f"cannot write {html}: {error.strerror}") from None
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        render.out.print(_report(found))
    raise typer.Exit(1 if found["verdict"] == "fail" else 0)


def _report(found: render.Json) -> RenderableType:
    parts: list[RenderableType] = [_heading(found["model"], found)]
    for version in found["versions"]:
        parts += ["", _heading(version["version"], version), _distributions(version)]
    if found["traffic"] is not None:
        traffic = found["traffic"]
        parts += ["", _heading("traffic", traffic)]
    parts += [Text(f"unusual: {one['summary']}", "dim") for one in found["anomalies"]["found"]]
    if found["advice"]:
        parts += ["", Text("do next", "bold")]
        parts += [Text(f"{k}. {said}") for k, said in enumerate(found["advice"], 1)]
    return Group(*parts)


def _heading(name: str, found: render.Json) -> Text:
    text = Text.assemble((name, "bold"), ": ")
    text.append_text(render.coloured(found["verdict"]))
    text.append(f" ({found['summary']})", style="dim")
    return text


def _distributions(version: render.Json) -> RenderableType:
    answers = [version["prediction"]] if version["prediction"] else []
    if not (version["features"] or answers):
        return Text("nothing was counted to compare", "dim")
    rows = render.table(
        "", "feature", "verdict", "PSI", "KL", "limit", "counted", "since", "change"
    )
    for one in (*version["features"], *answers):
        rows.add_row(
            Text(one["feature"]),
            render.coloured(one["verdict"]),
            f"{one['psi']:.2f}",
            "" if one["kl_divergence"] is None else f"{one['kl_divergence']:.2f}",
            f"{one['limit']:g}",
            f"{one['predictions']:,}",
            render.when(one["since"]),
            Text(one["change"]),
        )
    return rows


def register(app: typer.Typer) -> None:
    app.command()(drift)
