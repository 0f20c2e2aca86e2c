"""What both clients are made of: routes to choose by, recordings on their way, and a thread."""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from turnout.client.engine import Address, Engine, log
from turnout.client.following import Follower
from turnout.client.listening import Handle, Listener, Query
from turnout.client.recording import Buffer, Feedback, Prediction, uuid7
from turnout.client.routing import Arm, Attributes, Choice, Reason, Route
from turnout.client.sending import Sender, drain

if TYPE_CHECKING:
    from concurrent.futures import Future

SETTLE_WITHIN: Final = 1.0
"""Seconds that the thread has at the end to finish what it is about."""

CLOSE_WITHIN: Final = 5.0
"""Seconds for sending what still waits after that."""


class Core:
    def __init__(self, address: Address, *, buffer_rows: int) -> None:
        self.engine = Engine(address)
        self.buffer = Buffer(buffer_rows)
        self.routes: dict[str, Route] = {}
        self._buffer_rows = buffer_rows
        self._inherited: Mapping[str, Route] = {}
        """What a forked process knows from its parent, until it follows by itself."""
        self._followers: dict[str, Follower] = {}
        self._sender: Sender | None = None
        self._lock = threading.Lock()
        _living.add(self)
        atexit.register(self.close)

    def follower(self, model: str) -> Follower:
        """Begin to follow a model's route, if that has not begun."""
        with self._lock:
            found = self._followers.get(model)
            if found is None:

                def publish(route: Route) -> None:
                    self.routes[model] = route

                found = Follower(self.engine, model, publish)
                if model in self._inherited:
                    found.tried.set_result(None)
                self.engine.keep(found.run())
                self._followers[model] = found
            return found

    def select(
        self, model: str, unit: str | None, attributes: Attributes | None, default: str | None
    ) -> Choice:
        """Choose; the first time, wait until the route is known, or cannot be."""
        route = self.routes.get(model)
        if route is not None:
            return route.choose(unit, attributes)
        with suppress(TimeoutError):
            self.follower(model).tried.result(self.engine.address.timeout)
        return self.choose(model, unit, attributes, default)

    async def select_awaited(
        self, model: str, unit: str | None, attributes: Attributes | None, default: str | None
    ) -> Choice:
        route = self.routes.get(model)
        if route is not None:
            return route.choose(unit, attributes)
        tried = asyncio.shield(asyncio.wrap_future(self.follower(model).tried))
        with suppress(TimeoutError):
            await asyncio.wait_for(tried, self.engine.address.timeout)
        return self.choose(model, unit, attributes, default)

    def choose(
        self, model: str, unit: str | None, attributes: Attributes | None, default: str | None
    ) -> Choice:
        """Choose by the route that is known; without one take the default, or raise why."""
        route = self.routes.get(model) or self._inherited.get(model)
        if route is not None:
            return route.choose(unit, attributes)
        if default is None:
            raise self.follower(model).error.with_traceback(None)
        arm = Arm(model=model, version=default, variant=default, reason=Reason.DEFAULT)
        return Choice(arm, unit, attributes)

    def versions(self, model: str) -> frozenset[str]:
        """All that a model's route may lead to now; empty while that is not known."""
        route = self.routes.get(model) or self._inherited.get(model)
        return route.versions if route is not None else frozenset()

    def record(self, model: str, recording: Prediction | Feedback) -> None:
        """Keep a recording to be sent. Never waits; what comes after the end is shed."""
        full = self.buffer.offer(model, recording.row())
        if self.engine.closed:
            return
        sender = self._sender or self._begin_to_send()
        if full:
            sender.wake()

    def listen(
        self, handle: Handle, *, types: Sequence[str], model: str | None, after: int | None
    ) -> "Future[None]":
        """Follow events; the future is done when that has begun."""
        query: dict[str, Query] = {"type": types} | ({} if model is None else {"model": model})
        listener = Listener(self.engine, query, handle, after=after)
        self.engine.keep(listener.run())
        return listener.begun

    def flush(self, seconds: float) -> bool:
        """Wait until everything recorded by now is settled; whether that came about."""
        if self._sender is not None:
            self._sender.wake()
        return self.buffer.wait(seconds)

    def close(self) -> None:
        """Send what waits, as far as the service takes it in time. What is left is lost, and the
        log says so."""
        atexit.unregister(self.close)
        if self.engine.closed:
            return
        self.buffer.shut()
        if self._sender is not None and self.buffer.trouble is None:
            self._sender.wake()
            self.buffer.wait(SETTLE_WITHIN)
        self.engine.stop()
        if self.buffer.recordings().waiting:
            drain(self.buffer, self.engine.address, seconds=CLOSE_WITHIN)
        if lost := self.buffer.recordings().waiting:
            log.error("%d recordings are lost: %s", lost, self.buffer.trouble)

    def leave_to_parent(self) -> None:
        """Begin anew in a forked process. What waits is the parent's to send; routes are kept."""
        self.engine.leave_to_parent()
        self.buffer = Buffer(self._buffer_rows)
        self._inherited = {**self._inherited, **self.routes}
        self.routes.clear()
        self._followers = {}
        self._sender = None
        self._lock = threading.Lock()

    def _begin_to_send(self) -> Sender:
        with self._lock:
            if self._sender is None:
                self._sender = Sender(self.engine, self.buffer)
                self.engine.keep(self._sender.run())
            return self._sender


def made_now() -> tuple[str, datetime]:
    """An id for a prediction of this moment, and the moment."""
    now = datetime.now(UTC)
    return uuid7(int(now.timestamp() * 1000)), now


_living: Final[weakref.WeakSet[Core]] = weakref.WeakSet()


def _begin_anew() -> None:
    for core in list(_living):
        core.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
