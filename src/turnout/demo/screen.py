"""What the demo says: a line for whatever happens and, on a terminal, the present below them."""

import time
from dataclasses import dataclass, field
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from turnout.demo import pictures
from turnout.demo.models import Release
from turnout.demo.story import Sight
from turnout.demo.traffic import Traffic


class Screen:
    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> None:
        if self.console.is_terminal:
            self._live.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def say(self, words: str | Text) -> None:
        moment = Text(f"{self.elapsed:5.1f} s ", style="dim")
        told = words if isinstance(words, Text) else Text(words)
        if self.console.is_terminal:
            line = Table.grid(padding=(0, 1))
            line.add_row(moment, told)
            self.console.print(line)
        else:  # one line each, however long: that is what searches in logs expect
            self.console.print(moment.append(" ").append_text(told), soft_wrap=True)

    def show(self, sight: Sight, footer: str) -> None:
        if self._live.is_started:
            self._live.update(pictures.present(sight, footer), refresh=True)

    def clear(self) -> None:
        if self._live.is_started:
            self._live.update(Group(), refresh=True)


@dataclass(slots=True, kw_only=True)
class Narrator:
    """Tells one rollout: each step, and each change of a verdict, once and as it comes."""

    screen: Screen
    release: Release
    traffic: Traffic
    _told: set[tuple[str, int]] = field(default_factory=set)

    def __call__(self, sight: Sight) -> None:
        version = self.release.version
        decided_on = {step.evidence for step in sight.steps}
        # Steps first: after a step the worker looks again at once, at the same time of its clock.
        lines = [
            (step.at, ("step", step.step), pictures.step_line(version, step))
            for step in sight.steps
        ]
        lines += [
            (look.at, ("look", look.id), pictures.look_line(version, look))
            for look in sight.looks
            if look.id not in decided_on
        ]
        for _, key, line in sorted(lines, key=lambda told: told[0]):
            if key not in self._told:
                self._told.add(key)
                self.screen.say(line)
        self.screen.show(sight, self._footer())

    def _footer(self) -> str:
        sent, failed = self.traffic.sent, self.traffic.failed
        return f"{sent:,} requests, {failed:,} failed; {self.traffic.service.address}/docs"
