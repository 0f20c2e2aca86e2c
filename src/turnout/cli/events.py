"""The operator's commands for webhooks and events."""

import json
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

import httpx2
import typer

from turnout.cli import render
from turnout.cli.operate import Limit
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, fail, pages

webhooks = typer.Typer(help="Webhooks: where events are sent.", no_args_is_help=True)
events = typer.Typer(help="What happens, as others are told.", no_args_is_help=True)

Webhook = Annotated[UUID, typer.Argument(help="The webhook's id.")]
PATIENCE_SECONDS: Final = 30
ENDED: Final = 1.0


@webhooks.command()
def create(  # noqa: PLR0917  (options of a command line)
    address: Annotated[str, typer.Argument(help="Where to send events.")],
    event: Annotated[
        list[str], typer.Option(help="A type, or a pattern such as rollout.*; several times.")
    ],
    model: Annotated[
        list[str] | None, typer.Option(help="Only about this model; several times.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="standard, slack, pagerduty or cloudevents.")
    ] = "standard",
    secret: Annotated[
        str | None, typer.Option(help="For pagerduty: the routing key. Else one is generated.")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    url: Url = DEFAULT_URL,
) -> None:
    """Have events sent to an address; shows its id, and its secret this once."""
    body = {"url": address, "events": event, "format": form, "description": description}
    wishes = {"models": model or None, "secret": secret}
    body |= {name: value for name, value in wishes.items() if value is not None}
    with connected(url) as client:
        made = call(client, "POST", "webhooks", json=body)
    typer.echo(made["id"])
    if made["secret"]:
        typer.echo(f"secret (not shown again): {made['secret']}")


@webhooks.command("list")
def list_webhooks(url: Url = DEFAULT_URL, limit: Limit = 50) -> None:
    """List the webhooks, newest first."""
    made = render.table("", "id", "format", "address", "events", "state")
    with connected(url) as client:
        for one in pages(client, "webhooks", limit):
            state = "active" if one["active"] else f"inactive: {one['inactive_because']}"
            made.add_row(one["id"], one["format"], one["url"], ", ".join(one["events"]), state)
    render.out.print(made)


@webhooks.command("test")
def send_test(webhook: Webhook, url: Url = DEFAULT_URL) -> None:
    """Send a test and show what became of it. Exit status 0: it was delivered; 1: it was not."""
    with connected(url) as client:
        sent = call(client, "POST", f"webhooks/{webhook}/test")
        path, deadline = f"webhooks/{webhook}/deliveries/{sent['id']}", time.monotonic()
        while not sent["attempts"]:
            if time.monotonic() > deadline + PATIENCE_SECONDS:
                raise fail("nobody has sent it yet: does a worker run?")
            time.sleep(0.2)
            sent = call(client, "GET", path)
    typer.echo(f"{sent['state']}: {_outcome(sent)}")
    raise typer.Exit(0 if sent["state"] == "delivered" else 1)


@webhooks.command()
def deliveries(webhook: Webhook, url: Url = DEFAULT_URL, limit: Limit = 20) -> None:
    """Show what was sent, newest event first, and what is still to be."""
    made = render.table("", "id", "at", "event", "subject", "state", "attempts", "last")
    with connected(url) as client:
        for one in pages(client, f"webhooks/{webhook}/deliveries", limit):
            at, many = render.when(one["created_at"]), str(len(one["attempts"]))
            what = (one["type"], one["subject"], one["state"])
            made.add_row(one["id"], at, *what, many, _outcome(one))
    render.out.print(made)


@webhooks.command()
def delete(webhook: Webhook, url: Url = DEFAULT_URL) -> None:
    """Delete a webhook with its log; what waits to be sent is not sent."""
    with connected(url) as client:
        response = client.delete(f"webhooks/{webhook}")
    if not response.is_success:
        raise fail(response.json()["detail"])


def _outcome(delivery: Any) -> str:
    if not delivery["attempts"]:
        return ""
    last = delivery["attempts"][-1]
    return last["error"] or f"{last['status']} in {last['duration_ms']:.0f} ms"


@events.command()
def follow(
    model: Annotated[str | None, typer.Option(help="Only about this model.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", help="Only of this type, or pattern.")
    ] = None,
    after: Annotated[int | None, typer.Option(help="Begin behind the event of this id.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Print what happens, one JSON object a line, until interrupted; comes back by itself."""
    query: dict[str, Any] = {"type": kind} if kind else {}
    query |= {} if model is None else {"model": model}
    query |= {} if after is None else {"after": after}
    came = False
    with connected(url) as client:
        while True:
            try:
                for known, told in _read(client, query, again=came):
                    came, query["after"] = True, known
                    if told:
                        typer.echo(json.dumps({"id": known, **json.loads(told)}))
            except httpx2.TransportError:
                if not came:  # nobody is there, or the address is wrong
                    raise
            time.sleep(ENDED)


def _read(client: httpx2.Client, query: Any, *, again: bool) -> Iterator[tuple[int, str]]:
    """The ids that come until the stream ends, each with its event; the first has none."""
    patient = httpx2.Timeout(30, read=60)  # a comment comes every 15 seconds
    with client.stream("GET", "events", params=query, timeout=patient) as response:
        if again and response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            return
        if not response.is_success:
            raise fail(json.loads(response.read())["detail"])
        known, told = None, ""
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if name == "data":
                told = value
            elif name == "id":
                known = int(value)
            elif not line and known is not None:
                yield known, told
                known, told = None, ""


def register(app: typer.Typer) -> None:
    app.add_typer(webhooks, name="webhooks")
    app.add_typer(events, name="events")
