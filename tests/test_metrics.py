"""The dashboard and the alerting rules speak of metrics that there are, with labels they have."""

import asyncio
import json
import re
import time
from datetime import timedelta
from pathlib import Path

import prometheus_client
import pytest
import yaml  # type: ignore[import-untyped]
from httpx2 import AsyncClient
from starlette.types import Message, Receive, Scope, Send

import turnout.api  # noqa: F401  (makes the metrics of all slices)
from tests.gateway.model_servers import answering, serving
from tests.gateway.stage import MODEL, predict, register_server, split
from tests.rollouts.conftest import Driver, live_driver  # noqa: F401  (a fixture)
from turnout.alerts.commands import fire
from turnout.alerts.domain import Kind, Severity
from turnout.backup.tables import BackupRow
from turnout.db import transaction
from turnout.gateway import metrics
from turnout.gateway.snapshot import Snapshot
from turnout.settings import Settings
from turnout.telemetry import REQUESTS, RequestTelemetry
from turnout.worker import Worker, _guarded

FILES = Path(__file__).parent.parent / "docs" / "prometheus"
PROMQL = {
    *("sum", "max", "rate", "increase", "absent", "topk", "histogram_quantile", "by", "or", "le"),
    *("label_values", "job", "instance"),
}


def names() -> dict[str, set[str]]:
    """Every series that is served, and its labels."""
    found: dict[str, set[str]] = {}
    for metric in prometheus_client.REGISTRY._names_to_collectors.items():
        name, collector = metric
        found[name] = set(getattr(collector, "_labelnames", ())) | {"le", "job", "instance"}
    return found


def expressions() -> list[str]:
    board = json.loads((FILES / "grafana-dashboard.json").read_text())
    rules = yaml.safe_load((FILES / "alerts.yml").read_text())
    shown = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    asked = [variable["query"] for variable in board["templating"]["list"]]
    alarms = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len(shown) > 20
    assert len(alarms) > 8
    return [*shown, *(query for query in asked if "(" in query), *alarms]


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_names_only_metrics_that_there_are(expression: str) -> None:
    served = names()
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]|\{\{[^}]*\}\}', "", expression)
    words = set(re.findall(r"[a-z_]{2,}", bare)) - PROMQL
    named = {word for word in words if word.startswith(("turnout_", "http_server_"))}

    assert named
    assert named <= served.keys()
    assert words - named <= set().union(*(served[name] for name in named))


def test_the_guide_names_every_metric_that_there_is() -> None:
    guide = (FILES.parent / "guides" / "prometheus.md").read_text()
    made = {
        name
        for name in prometheus_client.REGISTRY._names_to_collectors
        if name.startswith("turnout_") and not name.endswith(("_bucket", "_count", "_sum"))
    }
    served = {f"{name}_total" if f"{name}_total" in made else name for name in made}
    shown = {name for name in served if not name.endswith("_created")}
    rows = [line for line in guide.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(turnout_\w+)`", row.split("|")[1])}

    assert named == shown


def test_the_alert_on_the_api_is_not_silenced_by_a_worker() -> None:
    rules = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"][0]["rules"]
    (down,) = (rule["expr"] for rule in rules if rule["alert"] == "TurnoutDown")
    (named,) = re.findall(r"(\w+)\)", down)

    # A metric without labels is served from its making on, in processes that never use it, too.
    assert names()[named] - {"le", "job", "instance"}


def value(name: str, **labels: str) -> float | None:
    return prometheus_client.REGISTRY.get_sample_value(name, labels)


async def test_each_version_that_answers_is_counted_while_it_is_routed_to(
    live_client: AsyncClient,
) -> None:
    metrics.follow(Snapshot())  # forgets what other tests of this process have asked
    shares = [{"version": "1.0.0", "weight": 30}, {"version": "2.0.0", "weight": 70}]
    async with serving(answering(json={"prediction": 1})) as url:
        for version in ("1.0.0", "2.0.0"):
            await register_server(live_client, version, url)
        await split(live_client, *shares)
        for forced in ({}, {"version": "1.0.0"}):
            assert (await predict(live_client, **forced)).status_code == 200
    counted = [
        series
        for family in prometheus_client.REGISTRY.collect()
        if family.name == "turnout_prediction_duration_seconds"
        for series in family.samples
        if series.name.endswith("_count") and series.labels["model"] == MODEL
    ]

    assert sum(series.value for series in counted) == 2
    assert {series.labels["result"] for series in counted} == {"answered"}
    one = {"model": MODEL, "version": "1.0.0", "variant": "1.0.0"}
    assert value("turnout_split_weight_ratio", **one) == 0.3
    await split(live_client, {"version": "2.0.0", "weight": 100})
    assert value("turnout_split_weight_ratio", **one) is None


async def test_a_stream_has_answered_when_it_begins() -> None:
    route = {"http_route": "unmatched"}
    labels = ("GET", "unmatched", 200)
    headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
    held = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        held.append(value("turnout_requests_held", **route))
        await asyncio.sleep(0.2)

    async def drop(message: Message) -> None:
        pass

    before, begun = REQUESTS.labels(*labels)._sum.get(), time.perf_counter()
    scope = {"type": "http", "method": "GET", "headers": []}
    await RequestTelemetry(app)(scope, None, drop)  # type: ignore[arg-type]
    taken, noted = time.perf_counter() - begun, REQUESTS.labels(*labels)._sum.get() - before

    assert taken - noted > 0.19
    assert (held, value("turnout_requests_held", **route)) == ([1], 0)


def test_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MOST", len(metrics._series) + 2)
    for number in range(10):
        metrics.answered("bounded", f"{number}.0.0", "candidate", "failed", 5)

    other = dict.fromkeys(("model", "version", "variant"), metrics.OTHER) | {"result": "failed"}
    assert value("turnout_prediction_duration_seconds_count", **other) == 8


async def test_a_worker_shows_what_waits_and_what_is_open(
    live_driver: Driver,  # noqa: F811
    settings: Settings,
) -> None:
    await live_driver.under_way()
    daily, now = settings.model_copy(update={"backup_hours": 24.0}), live_driver.clock()
    worker = Worker(settings=daily, sessions=live_driver.sessions, clock=live_driver.clock)
    async with transaction(live_driver.sessions) as session:
        made = now - timedelta(hours=2)
        session.add(BackupRow(started_at=made, finished_at=made))
        session.add(BackupRow(started_at=now, finished_at=now, error="the disk is full"))
        await fire(
            session,
            cause="a test",
            kind=Kind.THRESHOLD,
            severity=Severity.CRITICAL,
            subject="models/checkup",
            model="checkup",
            summary="accuracy is low",
            data={},
            now=now,
        )
    await worker.measure()

    assert value("turnout_rollouts", phase="running") == 1
    assert value("turnout_rollouts", phase="paused") == 0
    assert value("turnout_rollouts", phase="succeeded") is None
    assert value("turnout_alerts_open", severity="critical", state="firing") == 1
    assert value("turnout_updates", state="queued") == 0
    assert value("turnout_updates", state="succeeded") is None
    assert value("turnout_backup_age_seconds") == 7200
    assert value("turnout_fold_age_seconds") is not None


async def test_a_job_that_fails_is_counted_and_runs_again() -> None:
    async def breaks() -> None:
        raise ValueError("a defect")

    beat = _guarded(breaks, set())
    for _ in range(2):
        await beat()

    assert value("turnout_job_failures_total", job="breaks") == 2
    assert value("turnout_job_duration_seconds_count", job="breaks") == 2
