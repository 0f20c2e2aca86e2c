"""Traces: what is spanned, whose trace it continues, where it is sent, and who goes without."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web
from httpx2 import ASGITransport, AsyncClient
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from starlette.types import Receive, Scope, Send

from tests.conftest import Clock
from tests.gateway.model_servers import answering, serving
from tests.gateway.stage import MODEL, predict, register_server, split
from tests.spans import attributes, collecting
from turnout import telemetry, tracing
from turnout.api import create_app
from turnout.settings import Settings
from turnout.tracing import TRACES
from turnout.worker import _guarded

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


spans = collecting


@pytest.fixture
async def traced(
    spans: InMemorySpanExporter, engine: AsyncEngine, settings: Settings, clock: Clock
) -> AsyncIterator[AsyncClient]:
    app = create_app(settings, engine, clock=clock)
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://test/api/v1/") as client,
    ):
        yield client


async def test_a_request_continues_its_callers_trace_under_the_name_of_its_route(
    traced: AsyncClient, spans: InMemorySpanExporter
):
    headers = {"traceparent": TRACEPARENT}
    response = await traced.get(f"models/{MODEL}", headers=headers)

    assert response.status_code == 404
    *statements, span = spans.get_finished_spans()
    assert [statement.parent for statement in statements] == [span.context] * len(statements)
    assert span.name == "GET /api/v1/models/{model}"
    assert span.kind is SpanKind.SERVER
    assert span.parent is not None
    assert format_trace_id(span.context.trace_id) == TRACE
    assert format_span_id(span.parent.span_id) == PARENT
    assert span.status.status_code is StatusCode.UNSET  # a refusal is no failure of the server
    assert attributes(span) | {
        "http.request.method": "GET",
        "http.route": "/api/v1/models/{model}",
        "http.response.status_code": 404,
        "url.path": f"/api/v1/models/{MODEL}",
        "url.scheme": "http",
    } == attributes(span)


@pytest.mark.parametrize(
    ("status", "failed"),
    [pytest.param(200, False, id="answers"), pytest.param(500, True, id="fails")],
)
async def test_a_model_server_learns_of_the_trace_that_it_is_asked_in(
    traced: AsyncClient, spans: InMemorySpanExporter, status: int, failed: bool
):
    told: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        told.append(request.headers["traceparent"])
        return await answering(status, json={"prediction": 1})(request)

    async with serving(handler) as url:
        await register_server(traced, "7.0.0", f"{url}/score?key=secret")
        await split(traced, {"version": "7.0.0", "weight": 100})
        spans.clear()
        await predict(traced)
    call, attempt, request = spans.get_finished_spans()

    assert request.name == "POST /api/v1/models/{model}/predict"
    assert attempt.name == "predict http"
    assert attempt.parent == request.context
    assert attributes(attempt).get("error.type") == ("failed" if failed else None)
    assert call.kind is SpanKind.CLIENT
    assert call.parent == attempt.context
    (header,) = told
    _, trace, parent, _ = header.split("-")
    assert trace == format_trace_id(request.context.trace_id)
    assert parent == format_span_id(call.context.span_id)
    told_so = {span.status.status_code is StatusCode.ERROR for span in (call, attempt, request)}
    assert told_so == {failed}
    assert attributes(call)["http.response.status_code"] == status
    assert attributes(call)["url.full"] == f"{url}/score"
    assert attributes(call)["turnout.version"] == "7.0.0"


async def test_a_job_is_spanned_and_its_logs_name_the_trace(spans: InMemorySpanExporter):
    named: list[str | None] = []

    async def stumbles() -> None:
        named.append(telemetry.trace_id())
        raise ValueError("a defect\nin detail")

    await _guarded(stumbles, set())()
    (span,) = spans.get_finished_spans()

    assert span.name == "job stumbles"
    assert named == [format_trace_id(span.context.trace_id)]
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ValueError: a defect"
    assert attributes(span) == {"turnout.job": "stumbles", "error.type": "ValueError"}


async def test_statements_are_spanned_without_their_values(
    spans: InMemorySpanExporter, session: AsyncSession
):
    await session.execute(text("SELECT 'by nobody'"))
    with TRACES.job("fold"):
        await session.scalar(text("SELECT CAST(:secret AS text)"), {"secret": "Ada"})
        with pytest.raises(DBAPIError):
            await session.scalar(text("SELECT CAST(:secret AS integer)"), {"secret": "Ada"})
    selected, failed, job = spans.get_finished_spans()

    assert (selected.name, selected.kind, selected.parent) == (
        "SELECT",
        SpanKind.CLIENT,
        job.context,
    )
    assert attributes(selected) | {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.query.text": "SELECT CAST($1 AS text)",
    } == attributes(selected)
    assert failed.status.status_code is StatusCode.ERROR
    assert "Ada" not in f"{selected.to_json()} {failed.to_json()}"


async def test_once_traces_go_nowhere_statements_are_left_alone(
    spans: InMemorySpanExporter, session: AsyncSession
):
    tracer = TRACES.tracer
    TRACES.go_to(None)
    with tracer.start_as_current_span("of somebody else"):
        await session.execute(text("SELECT 1"))

    assert [span.name for span in spans.get_finished_spans()] == ["of somebody else"]


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        pytest.param(TRACEPARENT, TRACE, id="as the standard says"),
        pytest.param(f"cc-{TRACE}-{PARENT}-01-what-comes", TRACE, id="a later version says more"),
        pytest.param(f"{TRACEPARENT}-more", None, id="this version says no more"),
        pytest.param(f"cc-{TRACE}-{PARENT}-01.more", None, id="more without a dash"),
        pytest.param(f"ff-{TRACE}-{PARENT}-01", None, id="no version"),
        pytest.param(TRACEPARENT.upper(), None, id="capitals"),
        pytest.param(f"00-{'0' * 32}-{PARENT}-01", None, id="no trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", None, id="no parent"),
        pytest.param(TRACE, None, id="a trace alone"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_the_callers_trace_is_read(header: str, trace: str | None):
    assert telemetry.trace_of(header) == trace


async def test_logs_name_the_callers_trace_where_none_are_made():
    events: list[dict[str, object]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.append(dict(telemetry._with_ids(None, "info", {"event": "asked"})))

    scope = {"type": "http", "method": "GET", "headers": [(b"traceparent", TRACEPARENT.encode())]}
    await telemetry.RequestTelemetry(app)(scope, None, None)  # type: ignore[arg-type]

    assert events[0]["trace_id"] == TRACE
    assert telemetry.trace_id() is None


async def test_spans_are_sent_to_the_collector_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
):
    taken: list[tuple[str, bytes]] = []

    async def collector(request: web.Request) -> web.StreamResponse:
        taken.append((request.path, await request.read()))
        return web.Response()

    def work() -> None:
        with tracing.sent(), TRACES.job("fold"):
            pass

    async with serving(collector) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
        await asyncio.to_thread(work)

    ((path, body),) = taken
    assert path == "/v1/traces"
    assert all(said in body for said in (b"job fold", b"turnout", b"staging"))
    assert TRACES.provider is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({}, None, id="no collector is named"),
        pytest.param({tracing.BASE: "http://c", "OTEL_SDK_DISABLED": "true"}, None, id="disabled"),
        pytest.param({tracing.BASE: "collector:4318"}, tracing.BASE, id="no scheme"),
        pytest.param({tracing.OF_TRACES: "http://c:port"}, tracing.OF_TRACES, id="no port"),
        pytest.param(
            {tracing.BASE: "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "http/protobuf",
            id="another protocol",
        ),
    ],
)
def test_what_keeps_spans_from_being_sent_is_said_and_keeps_nothing_else(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str | None
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with structlog.testing.capture_logs() as logs, tracing.sent():
        assert TRACES.provider is None

    assert (said is None) is (logs == [])
    assert all(said is not None and said in event["reason"] for event in logs)


def test_without_a_collector_nothing_of_the_extra_is_imported():
    code = (
        "import sys, fastapi, turnout.tracing\n"
        "with turnout.tracing.sent(): pass\n"
        "print([name for name in sys.modules"
        " if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )

    assert found.stdout.strip() == "[]"
