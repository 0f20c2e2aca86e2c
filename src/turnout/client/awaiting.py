import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

from turnout.client import calls
from turnout.client.errors import Unsent
from turnout.client.exchange import Answer, Call
from turnout.client.face import Face, signed
from turnout.client.listening import ALERTS, ROLLBACKS
from turnout.client.routing import Attributes, Choice
from turnout.client.stream import Event

Given = ParamSpec("Given")
Handle = Callable[[Event], Awaitable[object]] | Callable[[Event], object]


def _awaited(
    build: Callable[Given, Call[Answer]],
) -> Callable[Concatenate["AsyncTurnout", Given], Coroutine[Any, Any, Answer]]:
    """Make a method of an operation, whose answer is awaited."""

    @wraps(build)
    async def method(
        client: "AsyncTurnout", /, *args: Given.args, **kwargs: Given.kwargs
    ) -> Answer:
        engine = client._core.engine  # noqa: SLF001  (a method of it)
        return await asyncio.wrap_future(engine.submit(engine.perform(build(*args, **kwargs))))

    return signed(method, build)


class AsyncTurnout(Face):
    """A client whose methods are awaited; it may be used in any event loop, and in several.

    Use one for the whole process, and close it, or use it in an `async with` block. Recordings are
    sent from a thread of the client's own, whatever the event loop does, and also at the end of a
    process that has forgotten to close it. A forked process goes on with what its parent knew.
    """

    register_version = _awaited(calls.register_version)
    next_version = _awaited(calls.next_version)
    current_version = _awaited(calls.current_version)
    promote = _awaited(calls.promote)
    rollback = _awaited(calls.rollback)
    compare = _awaited(calls.compare)
    history = _awaited(calls.history)
    distribution = _awaited(calls.distribution)
    export_registry = _awaited(calls.export_registry)
    import_registry = _awaited(calls.import_registry)

    async def select_version(
        self,
        model: str,
        unit: str | None = None,
        *,
        attributes: Attributes | None = None,
        default: str | None = None,
    ) -> Choice:
        """Choose the version that answers a unit: see `Turnout.select_version`."""
        route = self._routes.get(model)
        if route is not None:
            return route.choose(unit, attributes)
        return await self._core.select_awaited(model, unit, attributes, default)

    async def on_rollback(
        self, callback: Handle, *, model: str | None = None, after: int | None = None
    ) -> None:
        """Be called whenever a version was rolled back: see `Turnout.on_rollback`.

        The callback, a coroutine function or not, runs in the event loop in which this was awaited.
        """
        await self.on_event(callback, types=ROLLBACKS, model=model, after=after)

    async def on_alert(
        self, callback: Handle, *, model: str | None = None, after: int | None = None
    ) -> None:
        """Be called whenever an alert fires, is acknowledged or resolved: see `on_rollback`."""
        await self.on_event(callback, types=ALERTS, model=model, after=after)

    async def on_event(
        self,
        callback: Handle,
        *,
        types: Sequence[str] = ("*",),
        model: str | None = None,
        after: int | None = None,
    ) -> None:
        """Be called at every event of these types, or patterns such as `rollout.*`: see
        `on_rollback`."""
        loop = asyncio.get_running_loop()

        async def called(event: Event) -> None:
            answer = callback(event)
            if inspect.isawaitable(answer):
                await answer

        def handle(event: Event) -> None:
            asyncio.run_coroutine_threadsafe(called(event), loop).result()

        begun = self._core.listen(handle, types=types, model=model, after=after)
        with suppress(TimeoutError):
            await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(begun)), self._core.engine.address.timeout
            )

    async def flush(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109  (it raises Unsent)
        """Wait until everything recorded by now is taken; raises Unsent when that takes longer."""
        if not await asyncio.to_thread(self._core.flush, timeout):
            raise Unsent(self.recordings.waiting, self._core.buffer.trouble)

    async def close(self) -> None:
        """Send what waits, for a few seconds at most, and end."""
        await asyncio.to_thread(self._core.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
