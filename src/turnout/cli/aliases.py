"""Aliases on the command line, and what deletes versions that have had their time."""

from typing import Annotated

import typer

from turnout.cli import render
from turnout.cli.operate import Limit, Reason
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, pages

aliases = typer.Typer(help="Names such as champion that lead to a version.", no_args_is_help=True)

Model = Annotated[str, typer.Argument(help="The model's name.")]
Alias = Annotated[str, typer.Argument(help="Such as champion.")]
Expected = Annotated[str | None, typer.Option(help="Only if it leads to this version now.")]


@aliases.command("list")
def listed(model: Model, limit: Limit = 50, url: Url = DEFAULT_URL) -> None:
    """List a model's aliases, and where they lead."""
    with connected(url) as client:
        found = pages(client, f"models/{model}/aliases", limit)
    rows = render.table("", "alias", "version", "since", "by")
    for one in found:
        at = render.when(one["moved_at"])
        rows.add_row(one["alias"], one["version"], at, one["moved_by"])
    render.out.print(rows if found else f"{model} has no aliases")


@aliases.command("set")
def point(
    model: Model,
    alias: Alias,
    version: Annotated[str, typer.Argument(help="Where it is to lead, such as 2.0.0.")],
    *,
    expected: Expected = None,
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Let an alias lead to a version, from one moment to the next; it moves no traffic."""
    wished = {"version": version, "expected": expected, "reason": reason}
    body = {name: value for name, value in wished.items() if value is not None}
    with connected(url) as client:
        now = call(client, "PUT", f"models/{model}/aliases/{alias}", json=body)
    render.say(f"{model}@{now['alias']} → {now['version']}")


@aliases.command()
def delete(
    model: Model,
    alias: Alias,
    expected: Expected = None,
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Take an alias away; the version stays, and the alias's history, too."""
    wished = {"expected": expected, "reason": reason}
    query = {name: value for name, value in wished.items() if value is not None}
    with connected(url) as client:
        call(client, "DELETE", f"models/{model}/aliases/{alias}", params=query)
    render.say(f"{model}@{alias} is no more")


def cleanup(
    model: Model,
    *,
    keep_last: Annotated[int, typer.Option(help="The newest so many versions stay.")] = 10,
    older_than: Annotated[str, typer.Option(help="Younger versions stay.")] = "30d",
    stage: Annotated[
        list[str] | None, typer.Option(help="Only in this stage; repeat for more.")
    ] = None,
    delete: Annotated[bool, typer.Option(help="Do it, rather than say what would go.")] = False,
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Say which versions have had their time, and why the others stay; with --delete, delete."""
    wished = {
        "keep_last": keep_last,
        "older_than": older_than,
        "stages": stage,
        "dry_run": not delete,
        "reason": reason,
    }
    body = {name: value for name, value in wished.items() if value is not None}
    with connected(url) as client:
        done = call(client, "POST", f"models/{model}/cleanup", json=body)
    verb = "would be deleted" if done["dry_run"] else "deleted"
    render.say(f"{verb}: {', '.join(done['deleted']) or 'nothing'}")
    for one in done["kept"]:
        render.say(f"stays: {one['version']}, {one['reason']}")


def register(app: typer.Typer) -> None:
    app.add_typer(aliases, name="aliases")
    app.command()(cleanup)
