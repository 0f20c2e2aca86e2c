from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self

from turnout.client import calls
from turnout.client.errors import Unsent
from turnout.client.exchange import Answer, Call
from turnout.client.face import Face, signed
from turnout.client.listening import ALERTS, ROLLBACKS, Handle
from turnout.client.routing import Attributes, Choice

Given = ParamSpec("Given")


def _waiting(
    build: Callable[Given, Call[Answer]],
) -> Callable[Concatenate["Turnout", Given], Answer]:
    """Make a method of an operation, which waits for the answer."""

    @wraps(build)
    def method(client: "Turnout", /, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        engine = client._core.engine  # noqa: SLF001  (a method of it)
        return engine.submit(engine.perform(build(*args, **kwargs))).result()

    return signed(method, build)


class Turnout(Face):
    """A client whose methods wait for their answers; threads may share one.

    Use one for the whole process, and close it, or use it in a `with` block. What still waits then
    is sent, and also at the end of a process that has forgotten to. A forked process goes on with
    what its parent knew.
    """

    register_version = _waiting(calls.register_version)
    next_version = _waiting(calls.next_version)
    current_version = _waiting(calls.current_version)
    promote = _waiting(calls.promote)
    rollback = _waiting(calls.rollback)
    compare = _waiting(calls.compare)
    history = _waiting(calls.history)
    distribution = _waiting(calls.distribution)
    export_registry = _waiting(calls.export_registry)
    import_registry = _waiting(calls.import_registry)

    def select_version(
        self,
        model: str,
        unit: str | None = None,
        *,
        attributes: Attributes | None = None,
        default: str | None = None,
    ) -> Choice:
        """Choose the version that answers a unit, here and now, as the service would.

        The first time, this waits for the model's route; afterwards it takes less than a
        microsecond, and changes arrive by themselves. While the service is away, the last known
        route is used. `default` is the version to take as long as no route is known at all;
        without one, this raises why: NotFound, Unavailable (nothing serves yet) or Unreachable.
        """
        route = self._routes.get(model)
        if route is not None:
            return route.choose(unit, attributes)
        return self._core.select(model, unit, attributes, default)

    def on_rollback(
        self, callback: Handle, *, model: str | None = None, after: int | None = None
    ) -> Handle:
        """Be called whenever a version was rolled back, by a guardrail or by a person.

        Takes the role `viewer`. When this returns, nothing that happens is missed any more, also
        while the connection is interrupted; a service that cannot be reached is followed as soon
        as it can be. To miss nothing between two runs, keep the `id` of the last event, and give
        it as `after`. Callbacks run one after the other in a thread of their own.
        """
        return self.on_event(callback, types=ROLLBACKS, model=model, after=after)

    def on_alert(
        self, callback: Handle, *, model: str | None = None, after: int | None = None
    ) -> Handle:
        """Be called whenever an alert fires, is acknowledged or resolved: see `on_rollback`."""
        return self.on_event(callback, types=ALERTS, model=model, after=after)

    def on_event(
        self,
        callback: Handle,
        *,
        types: Sequence[str] = ("*",),
        model: str | None = None,
        after: int | None = None,
    ) -> Handle:
        """Be called at every event of these types, or patterns such as `rollout.*`: see
        `on_rollback`."""
        begun = self._core.listen(callback, types=types, model=model, after=after)
        with suppress(TimeoutError):
            begun.result(self._core.engine.address.timeout)
        return callback

    def flush(self, timeout: float = 30.0) -> None:
        """Wait until everything recorded by now is taken; raises Unsent when that takes longer."""
        if not self._core.flush(timeout):
            raise Unsent(self.recordings.waiting, self._core.buffer.trouble)

    def close(self) -> None:
        """Send what waits, for a few seconds at most, and end."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
