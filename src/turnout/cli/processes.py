"""How the service's processes run: in what order things start, and in what order they stop.

API and worker take seconds to import: that is left to the processes that run them, and only when
nothing stands in their way any more.
"""

import asyncio
import contextlib
import json
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import prometheus_client
import typer
import uvicorn
import uvloop
from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from turnout import db, embedded, migrations, telemetry, tracing
from turnout.access import key_queries
from turnout.addresses import is_loopback
from turnout.backup.domain import BackupFailed
from turnout.cli.protocol import BoundedProtocol
from turnout.cli.remote import fail
from turnout.db import lost_connection
from turnout.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI


class Server(uvicorn.Server):
    """uvicorn without its signal handling, which ends the process before the database is down."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            telemetry.log.info("serving", address=address, documentation=f"{address}/docs")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = self.config.app.state  # type: ignore[union-attr]
        state.feed.close()  # or it would wait for those who follow events, or a route
        state.gateway.keeper.close()
        await super().shutdown(sockets)


NOT_MIGRATED: Final = "the database's schema is not this release's: run `turnout migrate` first"


class CannotStart(Exception):
    """What is wrong with the surroundings, in a sentence that says what to do."""


def run(data_dir: Path | None, *, address: tuple[str, int] | None, worker: bool) -> None:
    """Run the API at `address`, if one is given, and the worker, if wanted, until told to stop."""
    settings = _settings(data_dir)
    listener = None if address is None else _listen(*address)
    with tracing.sent():
        until_done(_serve(settings, listener, worker=worker))


def show_metrics(host: str, port: int) -> None:
    """Serve the metrics of a process that has no API, from a thread of their own."""
    try:
        prometheus_client.start_http_server(port, host)
    except OSError as error:
        raise fail(
            f"cannot serve metrics on {host}:{port}: {error.strerror}; choose another with"
            " --metrics-port"
        ) from None


def migrate(data_dir: Path | None) -> None:
    until_done(_migrate(_settings(data_dir)))


def on_database(
    data_dir: Path | None, work: Callable[[Settings, str], Coroutine[Any, Any, None]]
) -> None:
    """Do some work on the database of the settings, started for it where it is the embedded one."""
    settings = _settings(data_dir)

    async def connected() -> None:
        async with _database(settings) as url:
            await work(settings, url)

    until_done(connected())


def administer(
    data_dir: Path | None, do: Callable[[db.Sessions], Coroutine[Any, Any, None]]
) -> None:
    """Do something on the database of the settings, whether the service runs or not."""

    async def connected(settings: Settings, url: str) -> None:
        engine = db.create_engine(url, pool_size=1)
        if settings.database_url is None:
            await migrations.upgrade(engine)
        elif await migrations.current(engine) != migrations.head():
            raise CannotStart(NOT_MIGRATED)
        await do(db.sessions(engine))
        await engine.dispose()

    on_database(data_dir, connected)


def _settings(data_dir: Path | None) -> Settings:
    try:
        settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
    except ValidationError as wrong:
        raise fail("; ".join(map(_said, wrong.errors()))) from None
    try:
        if settings.database_url is not None:
            db.database_url(settings.database_url.get_secret_value())
    except (ValueError, ArgumentError) as wrong:
        raise fail(f"TURNOUT_DATABASE_URL: {wrong}") from None
    telemetry.configure_logs(settings)
    # APScheduler and uvicorn warn about what is normal here: a beat skipped, a client gone.
    for noisy in ("apscheduler", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return settings


def _said(error: Mapping[str, Any]) -> str:
    """What is wrong with a setting, or with several that do not go together."""
    reason = error["msg"].removeprefix("Value error, ")
    return f"TURNOUT_{error['loc'][0].upper()}: {reason}" if error["loc"] else reason


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything starts, so that a port in use is said at once and plainly."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise fail(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port"
        ) from None
    return listener


def until_done(main: Coroutine[Any, Any, None]) -> None:
    try:
        uvloop.run(main)
    except (CannotStart, embedded.EmbeddedUnavailable, BackupFailed) as error:
        raise fail(str(error)) from None
    except (OSError, SQLAlchemyError) as error:
        if not lost_connection(error):
            raise
        raise fail(f"the database of TURNOUT_DATABASE_URL cannot be reached: {error}") from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[str]:
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    async with embedded.running(settings.data_dir) as url:
        yield url


async def _migrate(settings: Settings) -> None:
    async with _database(settings) as url:
        engine = db.create_engine(url, pool_size=1)
        before = await migrations.current(engine)
        await migrations.upgrade(engine)
        after = await migrations.current(engine)
        await engine.dispose()
    typer.echo(f"database at {after}" + (", as before" if before == after else ""))


def openapi() -> str:
    """The document as a service with keys shows it, with the doors that the environment opens."""
    from turnout.api import create_app  # noqa: PLC0415

    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    engine = db.create_engine("postgresql://nobody@127.0.0.1/nothing")
    app = create_app(settings, engine, exposed=True)
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False)


async def _serve(settings: Settings, listener: socket.socket | None, *, worker: bool) -> None:
    """Run what is asked for until SIGINT or SIGTERM; then stop it in order, the database last."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with _database(settings) as url, contextlib.AsyncExitStack() as stack:
        engine = db.create_engine(url)
        stack.push_async_callback(engine.dispose)
        if listener is not None and worker:
            await migrations.upgrade(engine)
        elif worker and await migrations.current(engine) != migrations.head():
            raise CannotStart(NOT_MIGRATED)
        if listener is not None and _exposed(settings, listener) and not settings.oidc_issuer:
            await _check_authentication(engine, listener)
        from turnout.shared_clock import SharedClock  # noqa: PLC0415

        clock = SharedClock(engine)
        await clock.start()
        stack.push_async_callback(clock.stop)
        async with asyncio.TaskGroup() as tasks:
            if worker:
                from turnout.worker import Worker  # noqa: PLC0415

                beating = Worker(settings=settings, sessions=db.sessions(engine), clock=clock)
                tasks.create_task(beating.run(stop))
            if listener is not None:
                from turnout.api import create_app  # noqa: PLC0415

                exposed = _exposed(settings, listener)
                app = create_app(settings, engine, clock=clock, exposed=exposed)
                tasks.create_task(_listen_until(stop, app, listener))


def _exposed(settings: Settings, listener: socket.socket) -> bool:
    """Whether others than this machine's users reach the service without passing a proxy."""
    return not is_loopback(listener.getsockname()[0]) and not settings.allow_unauthenticated


async def _check_authentication(engine: AsyncEngine, listener: socket.socket) -> None:
    """Say at once that nobody could come in. A database that cannot tell does not hold this up:
    where it is exposed, the service is never open."""
    try:
        async with db.transaction(db.sessions(engine)) as session:
            keys, _ = await key_queries.state(session)
    except (OSError, SQLAlchemyError) as error:
        telemetry.log.warning("API keys cannot be read", error=repr(error))
        return
    if not keys:
        raise CannotStart(
            f"refusing to listen on {listener.getsockname()[0]}: there is no API key, so nobody"
            " could be told from anybody. Make one with `turnout keys create --name admin --role"
            " admin` and start again, name an identity provider (TURNOUT_OIDC_ISSUER), or listen on"
            " 127.0.0.1. Where an authenticating proxy stands"
            " in front, TURNOUT_ALLOW_UNAUTHENTICATED=true does without keys"
        )


async def _listen_until(stop: asyncio.Event, app: "FastAPI", listener: socket.socket) -> None:
    server = Server(
        uvicorn.Config(
            app,
            http=BoundedProtocol,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=10,
            server_header=False,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stop.set()
    await serving
