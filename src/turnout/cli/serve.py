"""The commands that run the service: serve, api, worker, migrate, demo."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from turnout import db, embedded, migrations, telemetry
from turnout.api import create_app
from turnout.cli.remote import fail
from turnout.db import lost_connection
from turnout.settings import Settings
from turnout.worker import Worker

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")]
DataDir = Annotated[
    Path | None,
    typer.Option(help="Where models and the embedded database live. [default: .turnout]"),
]


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


class CannotStart(Exception):
    """What is wrong with the surroundings, in a sentence that says what to do."""


def serve(host: Host = "127.0.0.1", port: Port = 8000, data_dir: DataDir = None) -> None:
    """Run everything in one process: API, worker and, without a database URL, the database."""
    settings = _settings(data_dir)
    listener = _listen(settings, host, port)
    _run(_serve(settings, listener, api=True, worker=True))


def api(host: Host = "127.0.0.1", port: Port = 8000, data_dir: DataDir = None) -> None:
    """Run one replica of the API. Run as many as you like on one database."""
    settings = _settings(data_dir)
    listener = _listen(settings, host, port)
    _run(_serve(settings, listener, api=True, worker=False))


def worker(data_dir: DataDir = None) -> None:
    """Run one background worker. Run as many as you like on one database."""
    _run(_serve(_settings(data_dir), None, api=False, worker=True))


def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to this release's schema; does nothing when it is there."""
    _run(_migrate(_settings(data_dir)))


def demo(
    swap_models: Annotated[
        bool,
        typer.Option(help="Put the bad model where the good one was: the outcome swaps too."),
    ] = False,
) -> None:
    """Show the main job on real models: a good one is promoted, a bad one is rolled back."""
    try:
        from turnout.demo import run  # noqa: PLC0415  (scikit-learn is an extra)
    except ModuleNotFoundError as missing:
        raise fail(
            f"the demo trains real models and needs {missing.name}: pip install 'turnout[demo]'"
        ) from None
    raise typer.Exit(run.run(swapped=swap_models))


def register(app: typer.Typer) -> None:
    for command in (serve, api, worker, migrate, demo):
        app.command()(command)


def _settings(data_dir: Path | None) -> Settings:
    try:
        settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
    except ValidationError as wrong:
        raise fail(
            "; ".join(
                f"TURNOUT_{'_'.join(map(str, error['loc'])).upper()}: {error['msg']}"
                for error in wrong.errors()
            )
        ) from None
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


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(settings: Settings, host: str, port: int) -> socket.socket:
    """Bind before anything starts, so that a port in use is said at once and plainly."""
    if not _loopback(host) and not settings.allow_unauthenticated:
        raise fail(
            f"refusing to listen on {host}: there is no authentication, so anybody who reaches it"
            " could move traffic. Listen on 127.0.0.1, or put an authenticating proxy in front and"
            " set TURNOUT_ALLOW_UNAUTHENTICATED=true"
        )
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


def _run(main: Coroutine[Any, Any, None]) -> None:
    try:
        uvloop.run(main)
    except (CannotStart, embedded.EmbeddedUnavailable) as error:
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


async def _serve(
    settings: Settings, listener: socket.socket | None, *, api: bool, worker: bool
) -> None:
    """Run what is asked for until SIGINT or SIGTERM; then stop it in order, the database last."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with _database(settings) as url, contextlib.AsyncExitStack() as stack:
        engine = db.create_engine(url)
        stack.push_async_callback(engine.dispose)
        if api and worker:
            await migrations.upgrade(engine)
        elif worker and await migrations.current(engine) != migrations.head():
            raise CannotStart(
                "the database's schema is not this release's: run `turnout migrate` first"
            )
        async with asyncio.TaskGroup() as tasks:
            if worker:
                beating = Worker(settings=settings, sessions=db.sessions(engine))
                tasks.create_task(beating.run(stop))
            if api and listener is not None:
                tasks.create_task(_listen_until(stop, create_app(settings, engine), listener))


async def _listen_until(stop: asyncio.Event, app: FastAPI, listener: socket.socket) -> None:
    server = Server(
        uvicorn.Config(
            app,
            http="httptools",
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
