"""The commands that make, list and revoke API keys, on the database itself: for the first key, and
for whoever has lost the last one. Over HTTP an admin does the same with `/api-keys`."""

from typing import Annotated

import typer

from turnout.cli.serve import DataDir

keys = typer.Typer(
    help="API keys, on the database itself: run it where the service runs, as it runs.",
    no_args_is_help=True,
)


@keys.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Who will use it; shown in histories.")],
    role: Annotated[str, typer.Option(help="viewer, recorder, operator or admin.")],
    model: Annotated[
        list[str] | None, typer.Option(help="Only for this model; may be given several times.")
    ] = None,
    expires_in: Annotated[str | None, typer.Option(help="For how long, such as 90d.")] = None,
    per_second: Annotated[
        float | None, typer.Option(help="Requests per second and replica; more are refused.")
    ] = None,
    burst: Annotated[int | None, typer.Option(help="How many at once, with --per-second.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print it, once. The first key ends development mode."""
    from turnout.cli import key_admin  # noqa: PLC0415

    wanted: dict[str, object] = {
        "name": name,
        "role": role,
        "models": model or None,
        "expires_in": expires_in,
    }
    if per_second is not None or burst is not None:
        wanted["rate_limit"] = {"per_second": per_second, "burst": burst}
    key_admin.create(data_dir, wanted)


@keys.command("list")
def show(data_dir: DataDir = None) -> None:
    """List the keys, newest first, the revoked ones too."""
    from turnout.cli import key_admin  # noqa: PLC0415

    key_admin.show(data_dir)


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's name or id, as listed.")],
    reason: Annotated[str | None, typer.Option(help="Why; kept in the audit log.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Refuse a key from now on, on every replica."""
    from turnout.cli import key_admin  # noqa: PLC0415

    key_admin.revoke(data_dir, key, reason)


def register(app: typer.Typer) -> None:
    app.add_typer(keys, name="keys")
