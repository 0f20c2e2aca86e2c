"""OpenTelemetry traces, for those who install the extra `otel` and name a collector.

For all others the interface's own empty tracer stands in, which FastAPI brings along: neither the
SDK nor its exporter is imported.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from threading import Thread
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode

from turnout.statements import Statements
from turnout.telemetry import first_line, log

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

BASE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
OF_TRACES: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
PROTOCOL: Final = "http/protobuf"
PATIENCE_SECONDS: Final = 5
"""How long a process that stops waits for the last spans to be taken."""


class Traces:
    """Where this process's spans go: nowhere, until told."""

    provider: trace.TracerProvider | None
    tracer: trace.Tracer

    def __init__(self) -> None:
        self.statements = Statements()
        self.go_to(None)

    def go_to(self, provider: trace.TracerProvider | None) -> None:
        """For applications made from now on, too: each asks when it is made."""
        self.provider = provider
        source = provider or trace.NoOpTracerProvider()
        self.tracer = source.get_tracer("turnout", version("turnout"))
        self.statements.span_by(self.tracer if provider else None)

    def job(self, name: str) -> AbstractContextManager[Span]:
        return self.tracer.start_as_current_span(f"job {name}", attributes={"turnout.job": name})

    def inner(self, name: str, said: Mapping[str, str | int]) -> AbstractContextManager[Span]:
        """A part of what is done now."""
        if self.provider is None:
            return NOTHING
        return self.tracer.start_as_current_span(name, attributes=said)

    def apart(self, name: str, said: Mapping[str, str | int]) -> AbstractContextManager[Span]:
        """A trace of its own: what has begun it is over before it ends."""
        if self.provider is None:
            return NOTHING
        return self.tracer.start_as_current_span(name, context=Context(), attributes=said)

    @contextmanager
    def call(self, method: str, server: Mapping[str, str | int]) -> Iterator[Span]:
        """A call to another server, which learns of it by the headers that `tell` adds to."""
        if self.provider is None:
            yield trace.INVALID_SPAN
            return
        with self.tracer.start_as_current_span(
            method,
            kind=SpanKind.CLIENT,
            attributes={"http.request.method": method, **server},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as error:
                fail(span, error)
                raise

    def tell(self, headers: dict[str, str]) -> None:
        if self.provider is not None:
            propagate.inject(headers)


NOTHING: Final = nullcontext(trace.INVALID_SPAN)
TRACES: Final = Traces()


def fail(span: Span, error: Exception) -> None:
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR, first_line(error))


def fail_by(span: Span, kind: str) -> None:
    """For what may not be told in words: those of a model may hold what it was given."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


def answered(span: Span, status: int) -> None:
    """Say what a server answered: to its caller, a refusal is an error as well."""
    span.set_attribute("http.response.status_code", status)
    if status >= 400:
        fail_by(span, str(status))


def server_attributes(url: str) -> dict[str, str | int]:
    """Say which server is called, and where; what a query or credentials may hold is left out."""
    parts = urlsplit(url)
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
    return {**host_attributes(url), "url.full": shown.geturl()}


def host_attributes(url: str) -> dict[str, str | int]:
    """Say which server is called, and no more: the path of a webhook may be a secret."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}


class Words(logging.Handler):
    """The SDK's own words in the form of the other logs; that it tries again is not among them."""

    def emit(self, record: logging.LogRecord) -> None:
        log.error("spans not sent", reason=record.getMessage())


@contextmanager
def sent() -> Iterator[None]:
    """Send spans, the last ones at the end, to the collector that the environment names, if any.

    What is wrong with that is logged: a service is not kept from running by what watches it.
    """
    if not _wanted():
        yield
        return
    try:
        provider = _exporting()
    except (ValueError, ImportError) as wrong:
        log.warning("traces are not sent", reason=str(wrong))
        yield
        return
    TRACES.go_to(provider)
    sdk, words = logging.getLogger("opentelemetry"), Words(logging.ERROR)
    sdk.addHandler(words)
    try:
        yield
    finally:
        TRACES.go_to(None)
        # A collector that hangs would hold up the process for half a minute.
        last = Thread(target=provider.shutdown, daemon=True)
        last.start()
        last.join(PATIENCE_SECONDS)
        sdk.removeHandler(words)


def _wanted() -> bool:
    """Whether the environment asks for traces, in OpenTelemetry's standard variables."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return not disabled and exporter != "none" and bool(_endpoint()[1])


def _endpoint() -> tuple[str, str]:
    """The variable that names the collector, and what it says."""
    if given := os.environ.get(OF_TRACES, "").strip():
        return OF_TRACES, given
    return BASE, os.environ.get(BASE, "").strip()


def _check() -> None:
    given = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip()
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "").strip() or given
    if protocol not in {"", PROTOCOL}:
        raise ValueError(
            f"they are sent by {PROTOCOL}, to port 4318 of most collectors, and not by {protocol}"
        )
    name, url = _endpoint()
    if not _is_http(url):
        raise ValueError(f"{name}: a collector's address is expected, as http://127.0.0.1:4318")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _exporting() -> "TracerProvider":
    _check()
    try:
        from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415
        from opentelemetry.sdk import resources  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider, export  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(f"{error}; pip install 'turnout[otel]'") from None
    ours = resources.Resource({"service.name": "turnout", "service.version": version("turnout")})
    named = ours.merge(resources.OTELResourceDetector().detect())
    provider = TracerProvider(
        resource=resources.Resource.create(named.attributes), shutdown_on_exit=False
    )
    provider.add_span_processor(export.BatchSpanProcessor(trace_exporter.OTLPSpanExporter()))
    return provider
