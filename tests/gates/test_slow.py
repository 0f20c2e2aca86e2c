"""Gates that take their time, against real functions, real servers and real models."""

import base64
import hashlib
import hmac
import json
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import nan
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from httpx2 import AsyncClient

from tests.conftest import Clock
from tests.factories import NOON
from tests.gates.cases import facts
from tests.gates.conftest import PRIVATE
from tests.gateway import model_servers, onnx_models, stage
from tests.registry.requests import VERSIONS, refused, register
from turnout.gates.domain.outcome import PolicyInForce
from turnout.gates.domain.policy import (
    EntryPointGate,
    Gate,
    GatePolicy,
    LatencyGate,
    StagePolicy,
    WebhookGate,
)
from turnout.gates.domain.report import Check, Result
from turnout.gates.domain.slow import (
    Broken,
    NoAnswer,
    Said,
    Timed,
    Unmeasurable,
    custom,
    latency,
    quantile,
)
from turnout.gates.queries import Case
from turnout.gates.runs import Runner, Sample
from turnout.outgoing import Calls
from turnout.registry.domain.lifecycle import Lifecycle
from turnout.registry.domain.version import VersionRef

FUNCTIONS = """
import threading
def agrees(question):
    return {"passed": True, "reason": f"{question['version']['version']} to {question['to']}"}
def objects(question):
    return {"passed": False, "reason": "no", "value": 1, "limit": 3}
def raises(question):
    raise KeyError("runs")
def waits(question):
    raise TimeoutError("the tracking server is away")
def exits(question):
    raise SystemExit(0)
def hangs(question):
    threading.Event().wait(30)
def mumbles(question):
    return "fine"
def lies(question):
    return {"passed": "yes", "reason": "fine"}
"""
NAMES = ("agrees", "objects", "raises", "waits", "exits", "hangs", "mumbles", "lies")
POLICY = "models/fraud-detection/gate-policy"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A package with entry points, installed as pip would."""
    site = tmp_path_factory.mktemp("site")
    (site / "our_test_gates.py").write_text(FUNCTIONS)
    info = site / "our_test_gates-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: our-test-gates\nVersion: 1.0\n")
    lines = [f"{name} = our_test_gates:{name}" for name in NAMES]
    missing = "missing = our_test_gates:not_there"
    (info / "entry_points.txt").write_text("\n".join(["[turnout.gates]", *lines, missing]))
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))


class NoBench:
    async def time(self, version: VersionRef, sample: Sample) -> Unmeasurable:
        return Unmeasurable(reason="not here")


async def found_by(gate: Gate) -> Check:
    policy = StagePolicy(gates=(gate,))
    in_force = PolicyInForce(id=1, model=None, revision=1, policy=GatePolicy(production=policy))
    case = Case(to=Lifecycle.PRODUCTION, facts=facts(), in_force=in_force, policy=policy)
    async with Calls(PRIVATE) as calls:
        (finding,) = await Runner(bench=NoBench(), calls=calls).run(case, None, clock=lambda: NOON)
    (check,) = finding.checks
    return check


@pytest.mark.parametrize(
    ("name", "result", "reason"),
    [
        ("agrees", Result.PASS, "2.0.0 to production"),
        ("objects", Result.FAIL, "no"),
        ("raises", Result.ERROR, "KeyError: 'runs'"),
        ("waits", Result.ERROR, "TimeoutError: the tracking server is away"),
        ("exits", Result.ERROR, "SystemExit"),
        ("hangs", Result.ERROR, "no answer within 0.1 s"),
        ("mumbles", Result.ERROR, "returned str"),
        ("lies", Result.ERROR, "passed: Input should be a valid boolean"),
        ("missing", Result.ERROR, "AttributeError"),
        ("unknown", Result.ERROR, "no entry point 'unknown'"),
    ],
)
async def test_an_entry_point(installed: None, name: str, result: Result, reason: str) -> None:
    patience = timedelta(seconds=0.1 if name == "hangs" else 30)
    check = await found_by(EntryPointGate(name=name, timeout=patience))

    assert check.result is result
    assert reason in check.reason


@pytest.mark.parametrize(
    ("handler", "result", "reason"),
    [
        pytest.param(
            model_servers.answering(json={"passed": True, "reason": "reviewed"}),
            Result.PASS,
            "reviewed",
            id="passes",
        ),
        pytest.param(
            model_servers.answering(json={"passed": False, "reason": "too risky", "value": 0.7}),
            Result.FAIL,
            "too risky",
            id="fails",
        ),
        pytest.param(
            model_servers.answering(json={"passed": False, "reason": "a\0b", "value": "\0"}),
            Result.FAIL,
            "a\ufffdb",
            id="says what no database keeps",
        ),
        pytest.param(model_servers.hanging, Result.ERROR, "within 0.2 s", id="hangs"),
        pytest.param(model_servers.dying, Result.ERROR, "127.0.0.1", id="dies"),
        pytest.param(model_servers.answering(500), Result.ERROR, "answered 500", id="breaks"),
        pytest.param(
            model_servers.answering(json={"passed": "true", "reason": "x"}),
            Result.ERROR,
            "valid boolean",
            id="passed is text",
        ),
        pytest.param(
            model_servers.answering(json={"reason": "x"}), Result.ERROR, "passed", id="no verdict"
        ),
        pytest.param(
            model_servers.answering(body=b"<html>"), Result.ERROR, "Invalid JSON", id="no JSON"
        ),
        pytest.param(model_servers.endless, Result.ERROR, "100,000", id="never ends"),
    ],
)
async def test_a_webhook(handler: model_servers.Handler, result: Result, reason: str) -> None:
    never = handler is model_servers.hanging
    async with model_servers.serving(handler) as url:
        timeout = timedelta(seconds=0.2 if never else 30)
        check = await found_by(WebhookGate(name="review", url=url, timeout=timeout))

    assert check.result is result
    assert reason in check.reason
    assert "\0" not in f"{check.value}{check.reason}"


KEY = b"a secret of enough bytes"


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(f"whsec_{base64.b64encode(KEY).decode()}", id="as the standard writes it"),
        pytest.param(KEY.decode(), id="any other text"),
    ],
)
async def test_a_webhook_is_signed_as_standard_webhooks_are(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    seen: list[tuple[Mapping[str, str], bytes]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((dict(request.headers), await request.read()))
        return web.json_response({"passed": True, "reason": "ok"})

    monkeypatch.setenv("REVIEW_GATE_SECRET", secret)
    async with model_servers.serving(handler) as url:
        gate = WebhookGate(name="review", url=url, secret_env="REVIEW_GATE_SECRET")
        assert (await found_by(gate)).result is Result.PASS

    headers, body = seen[0]
    said = {name.lower(): value for name, value in headers.items()}
    signed = f"{said['webhook-id']}.{said['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert said["webhook-signature"] == f"v1,{expected}"
    question = json.loads(body)
    assert (question["gate"], question["to"]) == ("review", "production")
    assert question["version"]["version"] == "2.0.0"


async def test_a_secret_that_is_not_there_is_no_pass() -> None:
    gate = WebhookGate(name="review", url="http://127.0.0.1:1", secret_env="NO_SUCH_SECRET")

    assert "NO_SUCH_SECRET is not set" in (await found_by(gate)).reason


@pytest.mark.parametrize("secret", ["whsec_", "whsec_a", "whsec_ä", "whsec_!!!!"])
async def test_a_secret_that_cannot_be_read_is_no_pass(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("REVIEW_GATE_SECRET", secret)
    gate = WebhookGate(name="x", url="http://127.0.0.1:1", secret_env="REVIEW_GATE_SECRET")
    check = await found_by(gate)

    assert check.result is Result.ERROR
    assert check.reason == "the variable REVIEW_GATE_SECRET is not whsec_ and base64"


FAST = Timed(latencies=[1.0] * 99 + [500.0], inputs="samples")
SLOW = Timed(latencies=[1.0] * 98 + [500.0] * 2, inputs="samples")


@pytest.mark.parametrize(
    ("gate", "measured", "result"),
    [
        pytest.param(LatencyGate(), FAST, Result.PASS, id="one in a hundred may be slow"),
        pytest.param(LatencyGate(), SLOW, Result.FAIL, id="two may not"),
        pytest.param(
            LatencyGate(), Timed(latencies=[101.0], inputs="x"), Result.FAIL, id="one run, too slow"
        ),
        pytest.param(LatencyGate(), Unmeasurable(reason="x"), Result.SKIPPED, id="not run here"),
        pytest.param(
            LatencyGate(unmeasurable="fail"), Unmeasurable(reason="x"), Result.FAIL, id="strict"
        ),
        pytest.param(LatencyGate(), NoAnswer(reason="x"), Result.FAIL, id="it does not answer"),
        pytest.param(LatencyGate(), Broken(reason="x"), Result.ERROR, id="inputs do not fit"),
    ],
)
def test_a_benchmark(gate: LatencyGate, measured: Any, result: Result) -> None:
    assert latency(gate, measured).result is result


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0


def test_a_figure_that_is_no_number_never_passes() -> None:
    said = Said(passed=True, reason="fine", value=nan)

    assert custom(EntryPointGate(name="x"), said).result is Result.ERROR


async def test_a_version_is_really_run(live_client: AsyncClient, tmp_path: Path) -> None:
    model = onnx_models.identity(tmp_path / "model.onnx")
    await stage.register_onnx(live_client, "1.0.0", model)
    gates = [{"kind": "latency", "p99_ms": 5_000}]
    await live_client.put(POLICY, json={"production": {"gates": gates}})
    asked = f"{VERSIONS}/1.0.0/gates"
    made_up = (await live_client.post(asked, json={"to": "production"})).json()
    given = (await live_client.post(asked, json={"to": "production", "inputs": [[1, 2, 3]]})).json()
    unfit = (await live_client.post(asked, json={"to": "production", "inputs": ["a"]})).json()

    check = made_up["findings"][0]["checks"][0]
    assert (check["result"], check["limit"]) == ("pass", 5_000)
    assert 0 < check["value"] < 5_000
    assert "runs on inputs made up from its signature" in check["reason"]
    assert "the inputs of the request" in given["findings"][0]["checks"][0]["reason"]
    assert unfit["findings"][0]["checks"][0]["result"] == "error"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param("metrics", "what is said of 2.0.0 changed", id="the version was edited"),
        pytest.param("policy", "the gate policy changed", id="the policy got another gate"),
    ],
)
async def test_what_changes_while_gates_run(
    calling: AsyncClient, change: str, sentence: str
) -> None:
    async def meddle(request: web.Request) -> web.StreamResponse:
        if change == "metrics":
            edit = {"metrics": {"auc": 0.1}}
            assert (await calling.patch(f"{VERSIONS}/2.0.0", json=edit)).status_code == 200
        else:
            other = {"kind": "entry_point", "name": "another"}
            policy = {"staging": {"gates": [other]}}
            assert (await calling.put(POLICY, json=policy)).status_code == 200
        return web.json_response({"passed": True, "reason": "ok"})

    await register(calling, "2.0.0")
    async with model_servers.serving(meddle) as url:
        gate = {"kind": "webhook", "name": "slow", "url": url}
        await calling.put(POLICY, json={"staging": {"gates": [gate]}})
        response = await calling.post(f"{VERSIONS}/2.0.0/transitions", json={"to": "staging"})

    assert sentence in refused(response, 409)
    assert (await calling.get(f"{VERSIONS}/2.0.0")).json()["stage"] == "development"


async def test_a_dry_run_moves_nothing_though_the_policy_goes_while_gates_run(
    calling: AsyncClient,
) -> None:
    async def lift(request: web.Request) -> web.StreamResponse:
        assert (await calling.delete(POLICY)).status_code == 204
        return web.json_response({"passed": True, "reason": "ok"})

    await register(calling, "2.0.0")
    async with model_servers.serving(lift) as url:
        gate = {"kind": "webhook", "name": "slow", "url": url}
        await calling.put(POLICY, json={"staging": {"gates": [gate]}})
        response = await calling.post(f"{VERSIONS}/2.0.0/gates", json={"to": "staging"})

    assert "the gate policy changed" in refused(response, 409)
    assert (await calling.get(f"{VERSIONS}/2.0.0")).json()["stage"] == "development"


async def test_a_version_that_is_deleted_while_gates_run_cannot_be_rolled_out(
    calling: AsyncClient,
) -> None:
    async def remove(request: web.Request) -> web.StreamResponse:
        assert (await calling.delete(f"{VERSIONS}/2.0.0")).status_code == 204
        return web.json_response({"passed": True, "reason": "ok"})

    await register(calling, "2.0.0")
    async with model_servers.serving(remove) as url:
        gate = {"kind": "webhook", "name": "slow", "url": url}
        await calling.put(POLICY, json={"production": {"gates": [gate]}})
        rollout = {"candidate": "2.0.0", "strategy": "replace"}
        response = await calling.post("models/fraud-detection/rollouts", json=rollout)

    assert "has been deleted meanwhile" in refused(response, 404)


async def test_a_production_that_changes_while_gates_run_is_taken_into_account(
    calling: AsyncClient,
) -> None:
    async def promote(request: web.Request) -> web.StreamResponse:
        rollout = {"candidate": "1.5.0", "strategy": "replace"}
        await calling.delete(POLICY)
        started = await calling.post("models/fraud-detection/rollouts", json=rollout)
        assert started.status_code == 201, started.text
        await calling.put(POLICY, json=policy)
        return web.json_response({"passed": True, "reason": "ok"})

    await register(calling, "1.5.0", metrics={"auc": 0.99})
    await register(calling, "2.0.0", metrics={"auc": 0.9})
    await calling.post(f"{VERSIONS}/2.0.0/transitions", json={"to": "staging"})
    async with model_servers.serving(promote) as url:
        gates = [
            {"kind": "webhook", "name": "slow", "url": url},
            {"kind": "no_regression", "metric": "auc"},
        ]
        policy = {"production": {"gates": gates}}
        await calling.put(POLICY, json=policy)
        response = await calling.post(f"{VERSIONS}/2.0.0/transitions", json={"to": "production"})

    assert "0.09 worse than 0.99 of 1.5.0 in production" in refused(response, 409)


async def test_what_a_report_repeats_is_as_old_as_it_was(
    installed: None, client: AsyncClient, clock: Clock
) -> None:
    for version in ("1.0.0", "2.0.0"):
        await register(client, version)
    await client.post("models/fraud-detection/rollouts", json={"candidate": "1.0.0"})
    gate = {"kind": "entry_point", "name": "agrees"}
    await client.put(POLICY, json={"production": {"gates": [gate]}})
    begun = await client.post("models/fraud-detection/rollouts", json={"candidate": "2.0.0"})
    clock.advance(timedelta(hours=1))
    order = {"full": True, "reason": "now"}
    await client.post(f"rollouts/{begun.json()['id']}/promote", json=order)
    over = await client.post(f"rollouts/{begun.json()['id']}/skip", json={"reason": "now"})

    assert over.json()["phase"] == "succeeded", over.text
    last, first = (await client.get(f"{VERSIONS}/2.0.0/gates")).json()["items"]
    assert (first["outcome"], last["outcome"]) == ("rollout", "moved")
    assert first["at"] == "2026-03-02T12:00:00Z"
    assert last["at"] == "2026-03-02T13:00:00Z"
    assert last["findings"] == first["findings"]
    assert last["findings"][0]["ran_at"] == first["at"]
