"""What has moved, on the command line."""

import json
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from turnout.cli import render
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, fail, fetched


def drift(  # noqa: PLR0917  (options of a command line)
    model: Annotated[str, typer.Argument(help="Its name.")],
    version: Annotated[
        str | None, typer.Argument(help="Only this one of those that serve, or @ and an alias.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as a page, with charts.")
    ] = None,
    evidently: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write Evidently's report of raw rows (pip install 'turnout\\[evidently]').",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION|CSV",
            help="What Evidently compares with: a version, or a file such as the training data;"
            " else the version that answers beside it.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Show what has moved away from the baselines, and whose it is. Exit status 0: nothing has
    moved beyond its limit; 1: something has."""
    asked = {"version": version} if version else {}
    with connected(url) as client:
        found = call(client, "GET", f"models/{model}/drift", params=asked)
        if html is not None:
            _write(html, fetched(client, f"models/{model}/drift.html", params=asked))
        if evidently is not None:
            _compare(client, found, reference, evidently)
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        render.out.print(_report(found))
    raise typer.Exit(1 if found["verdict"] == "fail" else 0)


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise fail(f"cannot write {file}: {error.strerror}") from None


def _compare(client: httpx2.Client, found: render.Json, reference: str | None, file: Path) -> None:
    """Have Evidently compare the raw rows of one version with those of another, or with a file."""
    if len(found["versions"]) != 1:
        serving = ", ".join(one["version"] for one in found["versions"]) or "none does"
        raise fail(f"say which version Evidently is to look at, of those that answer: {serving}")
    [version] = found["versions"]
    beside = (one["beside"]["version"] for one in version["features"] if one["beside"])
    if (against := reference or next(beside, None)) is None:
        raise fail("nothing answers beside it: name a version, or a CSV file, by --reference")
    rows = f"models/{found['model']}/versions/{{}}/sample.csv"
    current = fetched(client, rows.format(version["version"]))
    before = Path(against).read_bytes() if Path(against).is_file() else None
    from turnout.cli import evidently_report  # noqa: PLC0415  (takes seconds, and may be missing)

    if before is None:
        before = fetched(client, rows.format(against))
    _write(file, evidently_report.html(current, before).encode())
    typer.echo(f"{file}: {version['version']} against {against}")


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
