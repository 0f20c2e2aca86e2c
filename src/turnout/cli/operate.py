"""The operator's commands: they talk HTTP to a running Turnout and decide nothing."""

import json
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.live import Live
from typer.core import TyperGroup

from turnout.cli import render
from turnout.cli.remote import DEFAULT_URL, Url, call, connected, fail, pages, rollout_id

Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the history.")]
ExpectedStage = Annotated[
    int | None,
    typer.Option(help="The stage you are looking at: refused when the rollout has moved on."),
]
OverrideFreeze = Annotated[bool, typer.Option(help="Also in a freeze window; needs a reason.")]
WATCH_SECONDS = 1.0


class NamedFirst(TyperGroup):
    """Commands about what is named before them: who turns that round is told so."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        verb = ctx.params["name"]
        if verb in self.commands and args[0] not in self.commands:
            ctx.fail(f"the name comes first: turnout {ctx.info_name} {args[0]} {verb}")
        return super().resolve_command(ctx, args)


rollout = typer.Typer(
    help="One rollout, by its id or by its model's name: start it, watch it, or act on it.",
    no_args_is_help=True,
    cls=NamedFirst,
)


def models(url: Url = DEFAULT_URL, limit: Limit = 50) -> None:
    """List the models."""
    with connected(url) as client:
        render.out.print(render.models(pages(client, "models", limit)))


def versions(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    stage: Annotated[str | None, typer.Option(help="Only this stage of life.")] = None,
    url: Url = DEFAULT_URL,
    limit: Limit = 50,
) -> None:
    """List a model's versions, newest first."""
    with connected(url) as client:
        found = pages(client, f"models/{model}/versions", limit, stage=stage)
        render.out.print(render.versions(model, found))


def rollouts(
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    phase: Annotated[str | None, typer.Option(help="Only in this phase.")] = None,
    group: Annotated[str | None, typer.Option(help="Only of this release group.")] = None,
    url: Url = DEFAULT_URL,
    limit: Limit = 20,
) -> None:
    """List rollouts, newest first."""
    with connected(url) as client:
        found = pages(client, "rollouts", limit, model=model, phase=phase, group=group)
        render.out.print(render.rollouts(found))


def drill(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    to_version: Annotated[str | None, typer.Option(help="Instead of the last proven one.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Rehearse a rollback; nothing changes. Exit status 0: possible; 1: it is not."""
    with connected(url) as client:
        body = {} if to_version is None else {"to_version": to_version}
        found = call(client, "POST", f"models/{model}/rollback/drill", json=body)
        render.out.print(render.drill(found))
    raise typer.Exit(0 if found["possible"] else 1)


def rollback(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")],
    to_version: Annotated[str | None, typer.Option(help="Instead of the last proven one.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Take the version that answers off the road, with or without a rollout under way."""
    body = {"reason": reason} | ({} if to_version is None else {"to_version": to_version})
    with connected(url) as client:
        render.say(render.line(call(client, "POST", f"models/{model}/rollback", json=body)))


@rollout.callback()
def chosen(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="ROLLOUT", help="Its id, or a model's name.")],
) -> None:
    """One rollout, by its id or by its model's name: start it, watch it, or act on it."""
    context.obj = name


@rollout.command()
def start(
    context: typer.Context,
    candidate: Annotated[str, typer.Argument(help="The version that is to take the traffic.")],
    plan: Annotated[
        typer.FileText | None,
        typer.Option(help="A file with a JSON plan: stages, guardrails and so on. - reads stdin."),
    ] = None,
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Start a rollout of a version of this model: by the plan, or as a canary by tenths."""
    body: dict[str, Any] = {"candidate": candidate}
    if plan is not None:
        stated = _json(plan)
        if not isinstance(stated, dict):
            raise fail(
                f'{plan.name} is not a plan: write an object, such as {{"strategy": "canary"}}'
            )
        body = stated | body
    if reason is not None:
        body["reason"] = reason
    with connected(url) as client:
        view = call(client, "POST", f"models/{context.obj}/rollouts", json=body)
        render.say(render.line(view))


@rollout.command()
def show(context: typer.Context, url: Url = DEFAULT_URL) -> None:
    """Show where it stands, what its guardrails found, and what happened so far."""
    with connected(url) as client:
        render.out.print(_story(client, rollout_id(client, context.obj)))


@rollout.command()
def watch(context: typer.Context, url: Url = DEFAULT_URL) -> None:
    """Follow it until it ends. Exit status 0: succeeded; 1: it did not."""
    with connected(url) as client:
        identity = rollout_id(client, context.obj)
        with Live(_story(client, identity), console=render.out, auto_refresh=False) as live:
            while not (view := call(client, "GET", f"rollouts/{identity}"))["finished_at"]:
                live.update(_story(client, identity), refresh=True)
                time.sleep(WATCH_SECONDS)
            live.update(_story(client, identity), refresh=True)
    raise typer.Exit(0 if view["phase"] == "succeeded" else 1)


VERBS = {
    "pause": "Stop advancing; the guardrails go on watching.",
    "resume": "Go on after a pause.",
    "abort": "Give it up: all traffic to the baseline; the candidate may be tried again.",
    "rollback": "Take the candidate off the road: all traffic to the baseline, and quarantine it.",
}


def _verb(verb: str) -> Callable[..., None]:
    def order(
        context: typer.Context,
        reason: Reason = None,
        expected_stage: ExpectedStage = None,
        url: Url = DEFAULT_URL,
    ) -> None:
        _order(context, url, verb, reason=reason, expected_stage=expected_stage)

    return order


for verb, sentence in VERBS.items():
    rollout.command(verb, help=sentence)(_verb(verb))


@rollout.command()
def promote(  # noqa: PLR0917  (options of a command line)
    context: typer.Context,
    full: Annotated[bool, typer.Option(help="All the way, not only to the next stage.")] = False,
    override_freeze: OverrideFreeze = False,
    reason: Reason = None,
    expected_stage: ExpectedStage = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Go on to the next stage now."""
    order = {"reason": reason, "expected_stage": expected_stage, "full": full}
    _order(context, url, "promote", **order, override_freeze=override_freeze)


@rollout.command()
def approve(
    context: typer.Context,
    override_freeze: OverrideFreeze = False,
    reason: Reason = None,
    expected_stage: ExpectedStage = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Approve the stage that waits for it."""
    order = {"reason": reason, "expected_stage": expected_stage}
    _order(context, url, "approve", **order, override_freeze=override_freeze)


@rollout.command()
def retry(
    context: typer.Context,
    override_quarantine: Annotated[
        bool, typer.Option(help="Start it although it was rolled back; needs a reason.")
    ] = False,
    override_freeze: OverrideFreeze = False,
    reason: Reason = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Start a new rollout of the same version by the same plan, from its first stage."""
    wish = {"override_quarantine": override_quarantine, "override_freeze": override_freeze}
    _order(context, url, "retry", **wish, reason=reason)


@rollout.command()
def skip(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Why; kept in the history as an emergency.")],
    expected_stage: ExpectedStage = None,
    url: Url = DEFAULT_URL,
) -> None:
    """End the stage now, whatever it waits for. For emergencies."""
    _order(context, url, "skip", reason=reason, expected_stage=expected_stage)


@rollout.command()
def replay(context: typer.Context, url: Url = DEFAULT_URL) -> None:
    """Judge all its evidence again. Exit status 0: every verdict comes out as stored."""
    with connected(url) as client:
        found = call(client, "GET", f"rollouts/{rollout_id(client, context.obj)}/replay")
        render.out.print(render.replay(found))
    raise typer.Exit(0 if found["same"] else 1)


@rollout.command()
def replan(
    context: typer.Context,
    stages: Annotated[
        typer.FileText,
        typer.Argument(help="A file with the JSON list of stages to come after the present one."),
    ],
    reason: Reason = None,
    expected_stage: ExpectedStage = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Change the stages to come."""
    said = {"stages": _json(stages), "reason": reason, "expected_stage": expected_stage}
    with connected(url) as client:
        identity = rollout_id(client, context.obj)
        view = call(client, "PUT", f"rollouts/{identity}/stages", json=said)
        render.say(render.line(view))


def _json(file: typer.FileText) -> Any:
    try:
        return json.load(file)
    except ValueError as error:
        raise fail(f"{file.name} is not JSON: {error}") from None


def _order(context: typer.Context, url: str, verb: str, **order: str | int | None) -> None:
    said = {name: value for name, value in order.items() if value is not None}
    with connected(url) as client:
        identity = rollout_id(client, context.obj)
        view = call(client, "POST", f"rollouts/{identity}/{verb}", json=said)
        render.say(render.line(view))


def _story(client: Any, identity: str) -> Any:
    view = call(client, "GET", f"rollouts/{identity}")
    history = pages(client, f"rollouts/{identity}/history", 500)
    return render.story(view, history)


def register(app: typer.Typer) -> None:
    for command in (models, versions, rollouts, drill, rollback):
        app.command()(command)
    app.add_typer(rollout, name="rollout")
