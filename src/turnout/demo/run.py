"""The demo from its start to its exit status: the product's main job on real models."""

import asyncio
import shutil
import signal
import sys
from collections.abc import Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from turnout.demo import pictures, service, story
from turnout.demo.models import MODEL, Material, Pace, Release, candidates
from turnout.demo.screen import Narrator, Screen
from turnout.demo.service import DemoFailed, Service
from turnout.demo.story import Chapter
from turnout.demo.traffic import USERS, Traffic
from turnout.demo.workplace import workplace

DATA_DIR: Final = Path(".turnout/demo")
EXTRA: Final = ("sklearn", "skl2onnx")
PACE: Final = Pace()
SIGNALLED: Final = 128
"""What shells add to the number of the signal that ended a command."""

LOG_WIDTH: Final = 140
"""Columns where the output goes to a file, which has no width of its own."""


def run(
    *,
    swapped: bool = False,
    port: int = 0,
    data_dir: Path = DATA_DIR,
    pace: Pace = PACE,
    console: Console | None = None,
) -> int:
    """Release a better model and a broken one; 0 when each ended as its quality makes right.

    With `swapped` the broken model is released as 1.1.0 and the better one as 1.2.0. Port 0 is
    any that is free. Stopped by a signal, it answers 128 and the signal's number, and leaves no
    process behind.
    """
    console = console or _console()
    if missing := [package for package in EXTRA if find_spec(package) is None]:
        packages = " and ".join(missing)
        console.print(f"the demo needs {packages}: pip install 'turnout\\[demo]'")
        return 1
    try:
        with workplace(data_dir) as home:
            demonstration = _demonstrate(
                home, service.free_port(port), Screen(console), pace, swapped=swapped
            )
            status = asyncio.run(_until_stopped(demonstration))
    except DemoFailed as failure:
        console.print(f"[bold red]the demo failed:[/] {escape(str(failure))}", soft_wrap=True)
        return 1
    if status > SIGNALLED:
        console.print("stopped, and with it the service and its database")
    return status


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=LOG_WIDTH)


async def _until_stopped(demonstration: Coroutine[Any, Any, int]) -> int:
    """End in order at the first signal; more of them do not make the clean-up any faster."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(demonstration)
    received: list[int] = []

    def stop(number: int) -> None:
        if not received:
            task.cancel()
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        return SIGNALLED + received[0]


async def _demonstrate(home: Path, port: int, screen: Screen, pace: Pace, *, swapped: bool) -> int:
    # Both take seconds, and neither needs the other.
    training = asyncio.get_running_loop().run_in_executor(None, _train)
    with screen:
        screen.say("starting `turnout serve`, and training three models meanwhile")
        async with service.running(home, port) as running:
            screen.say(f"serving on {running.address}")
            material = await training
            releases = candidates(material, swapped=swapped)
            await _go_live(running, material, releases, screen)
            traffic = Traffic(service=running, held_out=material.held_out, pace=pace)
            chapters = await _roll_out(releases, traffic, screen)
            screen.say("stopping the traffic and the service")
    return _conclude(chapters, traffic, home, screen)


def _train() -> Material:
    # Imported here because that alone takes seconds, in which the service starts.
    from turnout.demo import training  # noqa: PLC0415

    return training.train()


async def _go_live(
    running: Service, material: Material, releases: tuple[Release, ...], screen: Screen
) -> None:
    """Register all versions; send all traffic to the first."""
    first = Release(version="1.0.0", model=material.baseline)
    parent = None
    for release in (first, *releases):
        await story.publish(running, release, parent=parent, data=material.dataset_version)
        screen.say(
            f"registered {release.version}: {release.model.description},"
            f" accuracy {100 * release.model.accuracy:.1f} % in its own validation"
        )
        parent = release.version
    live = await story.go_live(running, first.version)
    screen.say(f"{first.version} {live.phase} ({live.reason})")


async def _roll_out(
    releases: tuple[Release, ...], traffic: Traffic, screen: Screen
) -> list[Chapter]:
    """Let one release after the other prove itself on the traffic."""
    pace, chapters = traffic.pace, []
    screen.say(
        f"{USERS:,} users send {pace.requests_per_second:g} requests/s, drawn from"
        f" {len(traffic.held_out)} digits that no model was trained on;"
        f" the true labels come {pace.label_delay:g} s later"
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            flow = tasks.create_task(traffic.run())
            for release in releases:
                watch = Narrator(screen=screen, release=release, traffic=traffic)
                chapters.append(await story.roll_out(traffic.service, release, pace, watch))
                screen.clear()
            flow.cancel()
    except* DemoFailed as failures:
        raise _first(failures) from None
    return chapters


def _first(failure: BaseException) -> BaseException:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def _conclude(chapters: list[Chapter], traffic: Traffic, home: Path, screen: Screen) -> int:
    out = screen.console
    for chapter in chapters:
        out.print("", pictures.ending(chapter), sep="\n")
    surprises = [surprise for chapter in chapters for surprise in chapter.surprises()]
    if traffic.failed:
        surprises.append(f"{traffic.failed:,} requests failed, at first by {traffic.first_failure}")
    for surprise in surprises:
        out.print(f"[bold red]not as it should be:[/] {escape(surprise)}", soft_wrap=True)
    out.print(
        f"\n{traffic.sent:,} requests in {screen.elapsed:.0f} s, {traffic.failed:,} failed."
        " Everything is on record. To explore it:\n\n"
        f"  {_command()} serve --data-dir {_from_here(home)}\n\n"
        "then open http://127.0.0.1:8000/docs, or in another terminal:\n\n"
        f"  {_command()} rollouts\n"
        f"  {_command()} rollout {MODEL} show\n",
        soft_wrap=True,
        highlight=False,
    )
    return 1 if surprises else 0


def _command() -> str:
    """How to call this installation from here."""
    if shutil.which("turnout"):
        return "turnout"
    return str(_from_here(Path(sys.executable).with_name("turnout")))


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
