"""Updates on the command line: ask for one, follow it, end it, see how they went."""

import json
from typing import Annotated, Any

import typer

from turnout.cli import render, render_updates
from turnout.cli.operate import Limit, Reason
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, fail, pages

Model = Annotated[str, typer.Argument(help="The model's name.")]

update = typer.Typer(
    help="One update: ask for it, look at it, cancel it; and the schedules.", no_args_is_help=True
)


def updates(
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    url: Url = DEFAULT_URL,
    limit: Limit = 20,
) -> None:
    """List updates, newest first."""
    with connected(url) as client:
        found = pages(client, "updates", limit, model=model, state=state)
        render.out.print(render_updates.updates(found))


@update.command()
def start(
    model: Model,
    *,
    to: Annotated[str, typer.Option(help="A version, latest, or @ and an alias.")] = "latest",
    strategy: Annotated[str, typer.Option(help="As of a rollout.")] = "canary",
    plan: Annotated[str | None, typer.Option(help="More of the wish, as JSON.")] = None,
    retrain: Annotated[bool, typer.Option(help="Call the training pipeline first.")] = False,
    notes: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Take a model to a version, through rules, gates and rollout."""
    body: dict[str, Any] = {"target": to, "strategy": strategy, "retrain": retrain, "notes": notes}
    if plan is not None:
        try:
            body |= json.loads(plan)
        except (ValueError, TypeError) as error:
            raise fail(f"--plan is not a JSON object: {error}") from None
    with connected(url) as client:
        render.out.print(
            render_updates.story(call(client, "POST", f"models/{model}/updates", json=body))
        )


@update.command()
def show(
    update_id: Annotated[str, typer.Argument(help="The update's id.")], url: Url = DEFAULT_URL
) -> None:
    """Tell the story of an update."""
    with connected(url) as client:
        render.out.print(render_updates.story(call(client, "GET", f"updates/{update_id}")))


@update.command()
def cancel(
    update_id: Annotated[str, typer.Argument(help="The update's id.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")],
    url: Url = DEFAULT_URL,
) -> None:
    """End an update, and its rollout with it."""
    with connected(url) as client:
        found = call(client, "POST", f"updates/{update_id}/cancel", json={"reason": reason})
        render.out.print(render_updates.story(found))


@update.command()
def schedule(
    model: Model,
    cron: Annotated[str, typer.Argument(help="Such as '30 2 * * mon-fri'.")],
    *,
    zone: Annotated[str, typer.Option(help="Time zone, such as Europe/Berlin.")] = "UTC",
    to: Annotated[str, typer.Option(help="A version, latest, or @ and an alias.")] = "latest",
    strategy: Annotated[str, typer.Option(help="As of a rollout.")] = "canary",
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Update a model at certain times."""
    wish = {"target": to, "strategy": strategy}
    body = {"cron": cron, "zone": zone, "update": wish, "reason": reason}
    with connected(url) as client:
        made = call(client, "POST", f"models/{model}/update-schedules", json=body)
        render.out.print(render_updates.schedules([made]))


@update.command()
def schedules(model: Model, url: Url = DEFAULT_URL, limit: Limit = 20) -> None:
    """List the schedules of a model."""
    with connected(url) as client:
        found = pages(client, f"models/{model}/update-schedules", limit)
        render.out.print(render_updates.schedules(found))


@update.command()
def unschedule(
    schedule_id: Annotated[str, typer.Argument(help="The schedule's id.")],
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """End a schedule."""
    query = {} if reason is None else {"reason": reason}
    with connected(url) as client:
        call(client, "DELETE", f"update-schedules/{schedule_id}", params=query)
        render.say("nothing more starts by it")


@update.command()
def statistics(
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="How far back.")] = 30,
    url: Url = DEFAULT_URL,
) -> None:
    """Tell how updates went."""
    query: dict[str, Any] = {"days": days} | ({} if model is None else {"model": model})
    with connected(url) as client:
        found = call(client, "GET", "updates/statistics", params=query)
        render.out.print(render_updates.statistics(found))


def register(app: typer.Typer) -> None:
    app.command()(updates)
    app.add_typer(update, name="update")
