"""The HTTP application: it wires routers, resources and pages together, and does nothing else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import prometheus_client
from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse
from fastapi.routing import iter_route_contexts
from fastapi.staticfiles import StaticFiles
from fastapi.telemetry import TelemetryConfig
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.middleware import Middleware

from turnout import db, http, migrations, telemetry
from turnout.access.audit_routes import router as audit
from turnout.access.gate import Gatekeeper, ModelsOf
from turnout.access.key_routes import router as access
from turnout.access.openapi import describe_access
from turnout.alerts import queries as alert_queries
from turnout.alerts.routes import router as alerts
from turnout.automation import queries as automation_queries
from turnout.automation.routes import router as updates
from turnout.delivery.routes import router as webhooks
from turnout.drift.routes import router as drift
from turnout.events.feed import Feed
from turnout.events.routes import router as events
from turnout.experiments import queries as experiment_queries
from turnout.experiments.planning import router as experiment_planning
from turnout.experiments.routes import router as experiments
from turnout.gates.routes import router as gates
from turnout.gates.runs import Runner
from turnout.gates.transfer_routes import router as transfer
from turnout.gateway.app import Gateway
from turnout.gateway.bench import Bench
from turnout.gateway.drill_routes import router as drill
from turnout.gateway.route_routes import router as routes
from turnout.gateway.routes import router as gateway
from turnout.http import BodyLimit, GuardedRoute, Resources, system_clock
from turnout.interop.doors import DOORS
from turnout.interop.ofrep.dialect import PREFIX as FLAGS
from turnout.interop.ofrep.keys import ExperimentKeys
from turnout.monitoring.routes import router as monitoring
from turnout.observations.compare_routes import router as comparison
from turnout.observations.performance_routes import router as performance
from turnout.observations.routes import router as observations
from turnout.observations.sample_routes import router as samples
from turnout.openapi import REFERENCE, name_schemas
from turnout.origins import Origins, read_origins
from turnout.outgoing import Calls
from turnout.overview.routes import router as overview
from turnout.problems import Problem, install_problem_handlers
from turnout.quantities import Clock
from turnout.registry.alias_routes import router as aliases
from turnout.registry.approval_routes import router as approved_models
from turnout.registry.artifact_routes import router as artifacts
from turnout.registry.cleanup_routes import router as cleanup
from turnout.registry.routes import router as registry
from turnout.rollouts import queries as rollout_queries
from turnout.rollouts.model_routes import router as model_rollouts
from turnout.rollouts.planning import router as rollout_planning
from turnout.rollouts.replay_routes import router as rollout_replay
from turnout.rollouts.routes import router as rollouts
from turnout.rollouts.shadow import router as shadow
from turnout.rollouts.verb_routes import router as rollout_verbs
from turnout.settings import Door, Settings
from turnout.telemetry import RequestTelemetry
from turnout.tracing import TRACES
from turnout.traffic.routes import router as traffic

# Routes are tried one after the other: the gateway's first, for they are asked the most.
ROUTERS: Final = (
    gateway,
    access,
    registry,
    gates,
    aliases,
    comparison,
    transfer,
    cleanup,
    approved_models,
    artifacts,
    traffic,
    routes,
    observations,
    performance,
    samples,
    rollouts,
    rollout_verbs,
    rollout_replay,
    model_rollouts,
    rollout_planning,
    drill,
    shadow,
    experiments,
    experiment_planning,
    audit,
    alerts,
    events,
    monitoring,
    drift,
    updates,
    overview,
    webhooks,
)


TO_THE_GATEWAY: Final = frozenset({Door.OFREP, Door.OIP})

# The operations read their paths so, too: what one of the two could read and the other could not
# would be let through. `int`, for one, does not take 1.0.
_UUID: Final = TypeAdapter(UUID)
_INTEGER: Final = TypeAdapter(int)

MODELS_OF: Final[Mapping[str, ModelsOf[Any]]] = {
    "rollout_id": ModelsOf(_UUID.validate_python, rollout_queries.models_of),
    "experiment_id": ModelsOf(_UUID.validate_python, experiment_queries.models_of),
    "update_id": ModelsOf(_UUID.validate_python, automation_queries.models_of),
    "schedule_id": ModelsOf(_UUID.validate_python, automation_queries.models_of_schedule),
    "alert_id": ModelsOf(_INTEGER.validate_python, alert_queries.models_of),
}
"""For callers who are confined to some models: which ones the thing in a path belongs to. Things
that are not listed here are closed to them."""

OPEN: Final = frozenset({"/", "/docs", "/openapi.json", "/static", "/healthz", "/readyz"})
"""What needs no credentials: whether the service is there, and how to use it."""

TAGS: Final = (
    "access",
    "registry",
    "gates",
    "traffic",
    "predictions",
    "observations",
    "rollouts",
    "experiments",
    "alerts",
    "events",
    "monitoring",
    "updates",
    "overview",
    "audit",
    "operation",
)
STATIC: Final = Path(__file__).parent / "static"
DESCRIPTION: Final = """\
Release control for machine-learning models: register versions, split traffic between them,
measure how each turns out, and let a rollout promote the better one or take a bad one off the road.
An experiment finds out which of several versions is the better one.

A first tour: `register_version`, `start_rollout`, then `show_rollout`; `promote_rollout` and
`rollback_rollout` do by hand what the worker does by itself. Then `create_experiment`,
`start_experiment` and `show_analysis`. Refusals are RFC 9457 problem documents that say what was
wrong, where, and what would be right. A POST with an `Idempotency-Key` header that is sent again
is answered again and not carried out again; predictions, `assign_version` and `clean_up_model` do
not heed it.
"""


OPENLY: Final = (
    "nobody is asked for credentials, because there are no API keys yet;"
    " `turnout keys create --name admin --role admin` makes the first one, and ends this"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    ready: bool
    database: bool
    migrated: bool
    splits_loaded: bool
    recordings_buffered: int
    recordings_shed: int


def create_app(
    settings: Settings,
    engine: AsyncEngine,
    *,
    clock: Clock = system_clock,
    exposed: bool = False,
) -> FastAPI:
    """`exposed` says that it is listened to where others than this machine's users are: then it is
    never without authentication."""
    sessions = db.sessions(engine)
    calls = Calls(settings)
    running = Gateway(settings=settings, engine=engine, sessions=sessions, clock=clock)
    feed = Feed(engine)
    gate = Gatekeeper(
        settings=settings,
        engine=engine,
        sessions=sessions,
        clock=clock,
        may_be_open=not exposed,
        models_of=MODELS_OF,
    )
    app = FastAPI(
        title="Turnout",
        version=version("turnout"),
        description=DESCRIPTION,
        lifespan=lambda app: _living(gate, running, feed, calls),
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,  # ours are the same, and need one name
        telemetry=_traced(),
        generate_unique_id_function=http.operation_id,
        openapi_tags=[{"name": tag} for tag in (*TAGS, *_tags_of_doors(settings))],
        middleware=_middleware(settings),
    )
    app.state.resources = Resources(
        settings=settings, sessions=sessions, gate=gate, calls=calls, clock=clock
    )
    app.state.gateway = running
    app.state.feed = feed
    app.state.experiment_keys = ExperimentKeys(sessions)
    app.state.gates = Runner(bench=Bench(running.runtimes), calls=calls)
    install_problem_handlers(app)
    _add_routers(app, settings)
    _add_operations(app, engine, running)
    _add_documentation(app, gate)
    _refuse_unguarded(app)
    return app


def _traced() -> TelemetryConfig:
    """FastAPI makes the spans of requests, if there is anywhere to send them to."""
    return {
        "tracing": TRACES.provider is not None,
        "tracer_provider": TRACES.provider,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
    }


def _middleware(settings: Settings) -> list[Middleware]:
    limit = Middleware(BodyLimit, settings.max_body_megabytes * 1_000_000)
    origins = read_origins(settings.ofrep_origins)
    shared = [Middleware(Origins, prefix=FLAGS, origins=origins)] if origins else []
    return [Middleware(RequestTelemetry), *shared, limit]


def _tags_of_doors(settings: Settings) -> list[str]:
    tags = (tag for door in settings.open_doors for router in DOORS[door] for tag in router.tags)
    return list(dict.fromkeys(map(str, tags)))


@asynccontextmanager
async def _living(
    gate: Gatekeeper, gateway: Gateway, feed: Feed, calls: Calls
) -> AsyncIterator[None]:
    await asyncio.gather(gate.start(), gateway.start())
    if gate.open:
        telemetry.log.warning("development mode", meaning=OPENLY)
    try:
        yield
    finally:
        await feed.stop()
        await asyncio.gather(gate.stop(), gateway.stop(), calls.close())


def _refuse_unguarded(app: FastAPI) -> None:
    """Not start with a route that anybody may call, unless it is meant to be one."""
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, GuardedRoute) and route.path not in OPEN:
            raise TypeError(f"{route.path} is open to anybody: make its router by http.router()")


def _add_routers(app: FastAPI, settings: Settings) -> None:
    """The gateway's first, then the doors to it, which are asked as often. The applications of one
    process share the routes."""
    first, *others = ROUTERS
    near = [
        router for door in settings.open_doors if door in TO_THE_GATEWAY for router in DOORS[door]
    ]
    far = [
        router
        for door in settings.open_doors
        if door not in TO_THE_GATEWAY
        for router in DOORS[door]
    ]
    for router in (first, *near, *others, *far):
        app.router.routes.extend(router.routes)


def _add_operations(app: FastAPI, engine: AsyncEngine, gateway: Gateway) -> None:
    @app.get("/healthz", tags=["operation"], summary="Is the process alive?")
    async def show_health() -> dict[str, str]:
        """Answers as long as the process serves requests, whatever the database does."""
        return {"status": "alive"}

    not_ready = {"model": Readiness, "description": "Not ready, and why"}

    @app.get("/readyz", tags=["operation"], summary="Can it serve?", responses={503: not_ready})
    async def show_readiness(response: Response) -> Readiness:
        """Answers 200 when the database is reachable, the migrations are applied and the splits
        are loaded; else 503. Predictions go on by the last known split while it says 503."""
        database, migrated = await _database_state(engine)
        ready = database and migrated and gateway.keeper.loaded
        response.status_code = 200 if ready else 503
        return Readiness(
            ready=ready,
            database=database,
            migrated=migrated,
            splits_loaded=gateway.keeper.loaded,
            recordings_buffered=gateway.recorder.buffered,
            recordings_shed=gateway.recorder.shed,
        )

    guarded = http.router("operation", prefix="")

    @guarded.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def show_metrics() -> Response:
        """The service's own metrics in the Prometheus text format. Give Prometheus a key with the
        role `viewer`, for all models, as `authorization: credentials`."""
        return Response(
            prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST
        )

    app.router.routes.extend(guarded.routes)


async def _database_state(engine: AsyncEngine) -> tuple[bool, bool]:
    try:
        async with asyncio.timeout(2):
            return True, await migrations.current(engine) == migrations.head()
    except Exception as error:  # noqa: BLE001  (any failure to ask means "not reachable")
        telemetry.log.warning("database not reachable", error=repr(error))
        return False, False


def _add_documentation(app: FastAPI, gate: Gatekeeper) -> None:
    """Serve Swagger UI from the package: it works without the internet."""
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def open_documentation() -> RedirectResponse:
        return RedirectResponse("/docs")

    @app.get("/docs", include_in_schema=False)
    async def show_documentation() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Turnout: development mode, no authentication" if gate.open else "Turnout",
            swagger_js_url="/static/swagger-ui/swagger-ui-bundle.js",
            swagger_css_url="/static/swagger-ui/swagger-ui.css",
            swagger_favicon_url="/static/swagger-ui/favicon-32x32.png",
            swagger_ui_parameters={
                "tryItOutEnabled": True,
                "displayRequestDuration": True,
                "docExpansion": "list",
                "filter": True,
                "validatorUrl": None,  # it would ask a server on the internet
            },
        )

    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = describe()
            document["components"]["schemas"].setdefault(
                "Problem", TypeAdapter(Problem).json_schema(ref_template=REFERENCE + "{model}")
            )
            describe_access(document, app)
            app.openapi_schema = name_schemas(document)
        described = app.openapi_schema
        banner = f"**Development mode: {OPENLY}.**\n\n" if gate.open else ""
        return described | {"info": described["info"] | {"description": banner + DESCRIPTION}}

    app.openapi = openapi  # type: ignore[method-assign]
