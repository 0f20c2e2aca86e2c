"""Structured logs, request ids, and Prometheus metrics of the service."""

import logging
import re
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Final

import structlog
from opentelemetry import trace
from prometheus_client import Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from turnout.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger("turnout")
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_scope: ContextVar[Scope | None] = ContextVar("scope", default=None)

EVENT_STREAM: Final = "text/event-stream"
VERSION: Final = re.compile("(?!ff)[0-9a-f]{2}")
TRACEPARENT: Final = re.compile("(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

REQUESTS: Final = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP requests, by route template",
    ["http_request_method", "http_route", "http_response_status_code"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
HELD: Final = Gauge(
    "turnout_requests_held",
    "Requests that are kept open until there is news: streams of events, waits for a route",
    ["http_route"],
)
WAITED: Final = "turnout.waited"
"""Where the scope says for how many seconds a request was held."""

RECORDINGS_SHED: Final = Counter(
    "turnout_recordings_shed_total",
    "Predictions not recorded because the buffer was full",
)
RECORDINGS_BUFFERED: Final = Gauge(
    "turnout_recordings_buffered", "Predictions waiting to be written to the database"
)
SHADOWS_SHED: Final = Counter(
    "turnout_shadow_requests_shed_total", "Shadow copies not sent because too many were under way"
)
TICK_LATENESS: Final = Histogram(
    "turnout_tick_lateness_seconds",
    "How long after it was due a rollout was evaluated",
    buckets=(0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300),
)
ROLLOUTS_MISSED: Final = Counter(
    "turnout_rollouts_missed_total", "Live rollouts found unevaluated for three intervals or more"
)
DELIVERIES: Final = Counter(
    "turnout_webhook_attempts_total",
    "Attempts to deliver an event to a webhook, by what came of it",
    ["outcome"],
)
OUTBOX_AGE: Final = Gauge(
    "turnout_outbox_age_seconds",
    "How long the oldest event or delivery has waited that is still to be delivered",
)
FOLDED: Final = Counter("turnout_events_folded_total", "Predictions and outcomes folded")
UNFOLDED: Final = Gauge("turnout_batches_unfolded", "Recorded batches that wait to be folded")
UNFOLDED_AGE: Final = Gauge(
    "turnout_fold_age_seconds", "How long the oldest batch has waited to be folded"
)
ROLLOUTS: Final = Gauge("turnout_rollouts", "Rollouts that have not ended, by phase", ["phase"])
UPDATES: Final = Gauge("turnout_updates", "Updates that have not ended, by state", ["state"])
BACKUP_AGE: Final = Gauge(
    "turnout_backup_age_seconds",
    "How long ago the last good scheduled backup was begun, or first tried in vain",
)
ALERTS: Final = Gauge("turnout_alerts_open", "Alerts that are not resolved", ["severity", "state"])
JOBS: Final = Histogram(
    "turnout_job_duration_seconds",
    "How long a run of one of the worker's jobs took",
    ["job"],
    buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
JOB_FAILURES: Final = Counter(
    "turnout_job_failures_total", "Runs of the worker's jobs that failed", ["job"]
)


def first_line(error: BaseException) -> str:
    """Name an error in a line, for a log and for those who may not see the traceback."""
    line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {line[:300]}" if line else type(error).__name__


def configure_logs(settings: Settings) -> None:
    """Write to standard error, as text for people or as JSON for machines."""
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _with_ids,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def _with_ids(
    logger: object, name: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    if found := request_id.get():
        event.setdefault("request_id", found)
    if found := trace_id():
        event.setdefault("trace_id", found)
    return event


def trace_id() -> str | None:
    """The trace that what is done now belongs to: our own or, where we make none, the caller's.

    The caller's header is read where it is asked for, so that it costs the others nothing.
    """
    spanned = trace.get_current_span().get_span_context()
    if spanned.is_valid:
        return trace.format_trace_id(spanned.trace_id)
    scope = _scope.get()
    return None if scope is None else trace_of(Headers(scope=scope).get("traceparent", ""))


def trace_of(traceparent: str) -> str | None:
    """Read the header of W3C Trace Context."""
    version, _, rest = traceparent.strip().partition("-")
    found = TRACEPARENT.match(rest)
    if found is None or not VERSION.fullmatch(version):
        return None
    more = rest[found.end() :]
    return None if more and (version == "00" or more[0] != "-") else found[1]


@contextmanager
def held(scope: Scope) -> Iterator[None]:
    """Around what a request waits for because it was asked to: no part of how long it took."""
    begun, gauge = time.perf_counter(), HELD.labels(_route(scope))
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()
        scope[WAITED] = scope.get(WAITED, 0.0) + time.perf_counter() - begun


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


class RequestTelemetry:
    """Pure ASGI: a BaseHTTPMiddleware here would cost over half the throughput."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        known = given if given.isascii() and given.isprintable() and 0 < len(given) <= 100 else ""
        identity = known or uuid.uuid4().hex
        token, before = request_id.set(identity), _scope.set(scope)
        status = 500
        start = time.perf_counter()
        streaming = ExitStack()

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = identity
                # A stream of events has answered by now; the rest is for as long as both like.
                if headers.get("content-type", "").startswith(EVENT_STREAM):
                    streaming.enter_context(held(scope))
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            streaming.close()
            request_id.reset(token)
            _scope.reset(before)
            taken = time.perf_counter() - start - scope.get(WAITED, 0.0)
            REQUESTS.labels(scope["method"], _route(scope), status).observe(taken)
