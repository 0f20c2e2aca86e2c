"""The audit log on the command line."""

import sys
from typing import Annotated

import typer
from rich.console import RenderableType

from turnout.cli import render
from turnout.cli.operate import Limit
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, fail, pages

audit = typer.Typer(help="Who changed what, when and why.", no_args_is_help=True)

Model = Annotated[str | None, typer.Option(help="Only about this model.")]
Actor = Annotated[str | None, typer.Option(help="Only by this key, person or worker.")]


@audit.command("list")
def listed(
    model: Model = None,
    actor: Actor = None,
    action: Annotated[str | None, typer.Option(help="Such as version.registered.")] = None,
    limit: Limit = 50,
    url: Url = DEFAULT_URL,
) -> None:
    """List changes, newest first."""
    with connected(url) as client:
        asked = {"model": model, "actor": actor, "action": action}
        render.out.print(_listing(pages(client, "audit", limit, **asked)))


def _listing(found: list[render.Json]) -> RenderableType:
    if not found:
        return "no such changes"
    rows = render.table("", "at", "who", "what", "about", "why")
    for one in found:
        rows.add_row(
            render.when(one["at"]), one["actor"], one["action"], one["subject"], one["reason"] or ""
        )
    return rows


@audit.command()
def verify(
    position: Annotated[int | None, typer.Option(help="Of a head that you kept.")] = None,
    hash_: Annotated[str | None, typer.Option("--hash", help="Its hash.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Check that nothing was changed, removed or inserted; else exit with status 1."""
    known = {"position": position, "hash": hash_}
    with connected(url) as client:
        asked = {name: value for name, value in known.items() if value is not None}
        found = call(client, "GET", "audit/verify", params=asked, timeout=None)
    if not found["intact"]:
        broken = found["broken"]
        raise fail(f"broken at position {broken['position']}, {broken['kind']}: {broken['detail']}")
    typer.echo(
        f"{found['sealed']} entries are as they were sealed; {found['unsealed']} are younger"
    )
    if head := found["head"]:
        typer.echo(f"keep elsewhere: --position {head['position']} --hash {head['hash']}")


@audit.command()
def export(model: Model = None, actor: Actor = None, url: Url = DEFAULT_URL) -> None:
    """Write the log to standard output as NDJSON, oldest first."""
    asked = {name: value for name, value in {"model": model, "actor": actor}.items() if value}
    with connected(url) as client, client.stream("GET", "audit/export", params=asked) as response:
        if not response.is_success:
            raise fail(f"audit/export answered {response.status_code}")
        for chunk in response.iter_bytes():
            sys.stdout.buffer.write(chunk)


def register(app: typer.Typer) -> None:
    app.add_typer(audit, name="audit")
