"""Spans of SQL statements, inside those of what sends them: the statement as it is prepared, and
never the values that are bound to it."""

from collections.abc import Callable
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, get_current_span
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext

SPAN: Final = "turnout.span"
LONGEST: Final = 2000


class Statements:
    """Listens to every engine of the process, or to none."""

    def __init__(self) -> None:
        self._listeners: dict[str, Callable[..., None]] = {}

    def span_by(self, tracer: Tracer | None) -> None:
        for name, listener in self._listeners.items():
            event.remove(Engine, name, listener)
        self._listeners = {} if tracer is None else _listeners(tracer)
        for name, listener in self._listeners.items():
            event.listen(Engine, name, listener)


def _listeners(tracer: Tracer) -> dict[str, Callable[..., None]]:
    def begin(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        # What nobody would see, because nothing above it is kept, costs nothing either.
        if not get_current_span().is_recording():
            return
        _end(connection)
        operation = statement.split(maxsplit=1)[0].upper()
        connection.info[SPAN] = tracer.start_span(
            operation,
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": "postgresql",
                "db.namespace": connection.engine.url.database or "",
                "db.operation.name": operation,
                "db.query.text": statement.strip()[:LONGEST],
            },
        )

    def end(connection: Connection, *_: object) -> None:
        _end(connection)

    def fail(context: ExceptionContext) -> None:
        if context.connection is not None:
            _end(context.connection, context.original_exception)

    return {"before_cursor_execute": begin, "after_cursor_execute": end, "handle_error": fail}


def _end(connection: Connection, error: BaseException | None = None) -> None:
    """A span that is found later was of a statement that was cancelled."""
    span: Span | None = _info(connection).pop(SPAN, None)
    if span is None:
        return
    if error is not None:
        # The message of an error may hold a value.
        span.set_attribute("error.type", getattr(error, "sqlstate", None) or type(error).__name__)
        span.set_status(StatusCode.ERROR)
    span.end()


def _info(connection: Connection) -> Any:
    """Of a connection that was lost, there is none."""
    return {} if connection.invalidated or connection.closed else connection.info
