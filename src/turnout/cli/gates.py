"""Gates on the command line: run them, move a version through them, sign it off."""

from typing import Annotated

import typer

from turnout.cli import render
from turnout.cli.operate import Reason
from turnout.cli.remote import DEFAULT_URL, Url, call, connected
from turnout.cli.render_gates import report

Model = Annotated[str, typer.Argument(help="The model's name.")]
Version = Annotated[str, typer.Argument(help="The version, such as 2.0.0.")]
To = Annotated[str, typer.Option(help="The stage: staging or production.")]


def gates(model: Model, version: Version, to: To = "production", url: Url = DEFAULT_URL) -> None:
    """Run the gates before a stage; nothing moves. Exit status 0: passed; 1: not."""
    with connected(url) as client:
        path = f"models/{model}/versions/{version}/gates"
        found = call(client, "POST", path, json={"to": to})
        render.out.print(report(model, version, found))
    raise typer.Exit(0 if found["verdict"] == "pass" else 1)


def transition(
    model: Model,
    version: Version,
    to: Annotated[str, typer.Argument(help="The stage it is to enter.")],
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Move a version to another stage, through the gates before it."""
    body = {"to": to} | ({} if reason is None else {"reason": reason})
    with connected(url) as client:
        path = f"models/{model}/versions/{version}/transitions"
        moved = call(client, "POST", path, json=body)
        if moved["report"]:
            render.out.print(report(model, version, moved["report"]))
        render.say(f"{model} {moved['version']}: {moved['from_stage']} → {moved['stage']}")


def approve_version(
    model: Model,
    version: Version,
    to: To = "production",
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Sign a version off for a stage, in your name."""
    body = {"to": to} | ({} if reason is None else {"reason": reason})
    with connected(url) as client:
        path = f"models/{model}/versions/{version}/approvals"
        found = call(client, "POST", path, json=body)
        render.say(f"{found['by']} approved {model} {version} for {found['to']}")


def register(app: typer.Typer) -> None:
    for command in (gates, transition, approve_version):
        app.command()(command)
