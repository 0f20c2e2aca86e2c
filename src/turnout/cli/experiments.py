"""The operator's commands for experiments."""

import time
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import httpx2
import typer
from rich.live import Live

from turnout.cli import render, render_experiment
from turnout.cli.operate import WATCH_SECONDS, Limit, NamedFirst, Reason
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, fail, pages

experiment = typer.Typer(
    help="One experiment, by its id or its key: watch it, or act on it.",
    no_args_is_help=True,
    cls=NamedFirst,
)


def experiments(
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    status: Annotated[str | None, typer.Option(help="Only with this status.")] = None,
    url: Url = DEFAULT_URL,
    limit: Limit = 20,
) -> None:
    """List experiments, newest first."""
    with connected(url) as client:
        found = pages(client, "experiments", limit, model=model, status=status)
        render.out.print(render_experiment.experiments(found))


@experiment.callback()
def chosen(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="Its id, or its key.")],
) -> None:
    """One experiment, by its id or its key: watch it, or act on it."""
    context.obj = name


@experiment.command()
def show(context: typer.Context, url: Url = DEFAULT_URL) -> None:
    """Show where it stands, what its newest analysis says, and what happened so far."""
    with connected(url) as client:
        render.out.print(_story(client, experiment_id(client, context.obj)))


@experiment.command()
def watch(context: typer.Context, url: Url = DEFAULT_URL) -> None:
    """Follow it until it ends. Exit status 0: concluded; 1: stopped."""
    with connected(url) as client:
        identity = experiment_id(client, context.obj)
        with Live(_story(client, identity), console=render.out, auto_refresh=False) as live:
            while not (view := call(client, "GET", f"experiments/{identity}"))["finished_at"]:
                live.update(_story(client, identity), refresh=True)
                time.sleep(WATCH_SECONDS)
            live.update(_story(client, identity), refresh=True)
    raise typer.Exit(0 if view["status"] == "concluded" else 1)


VERBS = {
    "start": "Lock the plan and split the traffic by it.",
    "pause": "All traffic to the control, until it is resumed.",
    "resume": "Go on after a pause, with the same units.",
    "stop": "End it without a conclusion: all traffic to the control.",
}


def _verb(verb: str) -> Callable[..., None]:
    def order(context: typer.Context, reason: Reason = None, url: Url = DEFAULT_URL) -> None:
        _order(context, url, verb, reason=reason)

    return order


for verb, sentence in VERBS.items():
    experiment.command(verb, help=sentence)(_verb(verb))


@experiment.command()
def conclude(
    context: typer.Context,
    promote: Annotated[
        bool | None,
        typer.Option(help="All traffic to the winner, or to the control; else as planned."),
    ] = None,
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Look once more, and end with what that says."""
    _order(context, url, "conclude", reason=reason, promote_winner=promote)


@experiment.command()
def analyse(context: typer.Context, url: Url = DEFAULT_URL) -> None:
    """Look at the goal now, and show what that says."""
    with connected(url) as client:
        identity = experiment_id(client, context.obj)
        analysis = call(client, "POST", f"experiments/{identity}/analyses")
        view = call(client, "GET", f"experiments/{identity}")
        render.out.print(render_experiment.findings(view["plan"], analysis))


def _order(context: typer.Context, url: str, verb: str, **order: str | bool | None) -> None:
    said = {name: value for name, value in order.items() if value is not None}
    with connected(url) as client:
        identity = experiment_id(client, context.obj)
        view = call(client, "POST", f"experiments/{identity}/{verb}", json=said)
        render.say(render_experiment.line(view))


def experiment_id(client: httpx2.Client, name: str) -> str:
    """Take an experiment's id, or a key that one model alone has given."""
    try:
        return str(UUID(name))
    except ValueError:
        named = pages(client, "experiments", 10, key=name)
    if not named:
        raise fail(f"no experiment has the key {name!r}; `turnout experiments` lists them")
    if len(named) > 1:
        each = ", ".join(f"{view['id']} of {view['model']}" for view in named)
        raise fail(f"several models have an experiment {name!r}: give its id ({each})")
    found: str = named[0]["id"]
    return found


def _story(client: httpx2.Client, identity: str) -> Any:
    view = call(client, "GET", f"experiments/{identity}")
    analysed = view["analyses"] > 0
    analysis = call(client, "GET", f"experiments/{identity}/analysis") if analysed else None
    history = pages(client, f"experiments/{identity}/history", 500)
    return render_experiment.story(view, analysis, history)


def register(app: typer.Typer) -> None:
    app.command()(experiments)
    app.add_typer(experiment, name="experiment")
