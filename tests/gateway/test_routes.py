"""The three operations of the gateway over HTTP, on a running application."""

from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import make_url

from tests.conftest import administer
from tests.gateway import model_servers, onnx_models, stage
from tests.gateway.stage import MODEL

ALL = {"version": "1.0.0", "weight": 100}
BASELINE = {"version": "1.0.0", "name": "baseline", "weight": 0}
CANDIDATE = {"version": "2.0.0", "name": "candidate", "weight": 100}
SHADOW = {"version": "2.0.0", "name": "shadow", "shadow": True}


@pytest.fixture
async def client(live_client: AsyncClient) -> AsyncClient:
    return live_client


@pytest.fixture
async def two_versions(client: AsyncClient) -> None:
    await stage.register(client, "1.0.0")
    await stage.register(client, "2.0.0")


class TestAssign:
    async def test_answers_what_the_observations_need(self, client, two_versions):
        split_id = await stage.split(client, ALL)

        answer = (await stage.assign(client, unit="user-1")).json()

        assert answer.pop("prediction_id")
        assert answer == {
            "version": "1.0.0",
            "variant": "1.0.0",
            "reason": "single",
            "split_id": split_id,
        }

    async def test_the_same_unit_gets_the_same_version(self, client, two_versions):
        await stage.split(
            client, {"version": "1.0.0", "weight": 50}, {"version": "2.0.0", "weight": 50}
        )

        versions = [
            {(await stage.assign(client, unit=f"user-{n}")).json()["version"] for _ in range(3)}
            for n in range(40)
        ]

        assert {len(each) for each in versions} == {1}
        assert set.union(*versions) == {"1.0.0", "2.0.0"}

    async def test_a_forced_version_was_not_chosen_by_the_split(self, client, two_versions):
        await stage.split(client, ALL)

        answer = (await stage.assign(client, unit="user-1", version="v2.0")).json()

        assert (answer["version"], answer["reason"], answer["split_id"]) == (
            "2.0.0",
            "forced",
            None,
        )

    async def test_pins_and_rules_go_before_the_split(self, client, two_versions):
        await stage.split(client, ALL)
        rule = {"attribute": "country", "values": ["DE"], "version": "2.0.0"}
        pin = {"unit": "tester", "version": "2.0.0"}
        await client.put(f"models/{MODEL}/overrides", json={"pins": [pin], "rules": [rule]})
        await stage.split(client, {**ALL, "name": "renewed"})

        pinned = (await stage.assign(client, unit="tester")).json()
        targeted = (await stage.assign(client, unit="user-1", attributes={"country": "DE"})).json()

        assert (pinned["reason"], pinned["version"], pinned["split_id"]) == (
            "pinned",
            "2.0.0",
            None,
        )
        assert (targeted["reason"], targeted["version"]) == ("targeted", "2.0.0")

    async def test_a_body_of_another_type_is_refused(self, client):
        response = await client.post(f"models/{MODEL}/assign", data={"unit": "user-1"})

        assert response.status_code == 422
        assert "Content-Type: application/json" in response.json()["detail"]

    async def test_a_version_that_is_not_there(self, client, two_versions):
        await stage.split(client, ALL)

        response = await stage.assign(client, version="3.0.0")

        assert response.status_code == 404
        assert response.json()["detail"] == "fraud-detection has no version 3.0.0"

    async def test_what_is_no_version(self, client, two_versions):
        await stage.split(client, ALL)

        assert (await stage.assign(client, version="newest")).status_code == 422

    async def test_a_rejected_version_cannot_be_forced(self, client, two_versions):
        await stage.split(client, ALL)
        await client.post(f"models/{MODEL}/versions/2.0.0/transitions", json={"to": "rejected"})

        assert (await stage.assign(client, version="2.0.0")).status_code == 409

    async def test_a_model_that_is_not_there(self, client):
        response = await stage.assign(client, unit="user-1")

        assert response.status_code == 404
        assert response.json()["model"] == MODEL

    async def test_a_model_that_nothing_serves_yet(self, client, two_versions):
        response = await stage.assign(client, unit="user-1")

        assert response.status_code == 503
        assert "start a rollout" in response.json()["detail"]


class TestPredict:
    async def test_an_onnx_model_answers_and_is_recorded(self, client, sessions, tmp_path):
        await stage.register_onnx(
            client, "1.0.0", onnx_models.classifier(tmp_path / "m.onnx", zipmap=True)
        )
        split_id = await stage.split(client, ALL)

        who = {"unit": "user-1", "attributes": {"country": "DE"}}
        answer = (await stage.predict(client, [0.75, 0], **who)).json()

        assert answer.pop("latency_ms") > 0
        prediction_id = answer.pop("prediction_id")
        assert answer == {
            "model": MODEL,
            "version": "1.0.0",
            "variant": "1.0.0",
            "reason": "single",
            "prediction": "yes",
            "confidence": 0.75,
            "fallback": False,
        }
        [row] = await stage.recorded(sessions, 1)
        assert row == stage.Recorded(
            prediction_id, "1.0.0", split_id, None, False, "user-1", "yes", "DE"
        )

    async def test_an_input_that_does_not_fit_is_the_callers_and_is_not_recorded(
        self, client, sessions, tmp_path
    ):
        await stage.register_onnx(client, "1.0.0", onnx_models.constant(tmp_path / "m.onnx", 1))
        await stage.split(client, ALL)

        refused = await stage.predict(client, [1, 2, 3])
        await stage.predict(client, [1, 2], unit="fits")

        assert refused.status_code == 422
        assert refused.json()["expected"] == "float32[N, 2]"
        assert [row.unit for row in await stage.recorded(sessions, 1)] == ["fits"]

    async def test_a_body_that_is_not_one_is_refused(self, client):
        response = await client.post(
            f"models/{MODEL}/predict",
            content=b'{"inputs": [NaN]}',
            headers={"content-type": "application/json"},
        )

        problem = response.json()
        assert (response.status_code, problem["type"]) == (422, "urn:turnout:problem:malformed")
        assert problem["errors"][0]["field"] == "body"

    async def test_a_body_over_the_limit(self, client, two_versions):
        await stage.split(client, ALL)

        assert (await stage.predict(client, "x" * 17_000_000)).status_code == 413

    async def test_a_version_that_its_caller_runs_is_not_run(self, client, two_versions):
        await stage.split(client, ALL)

        response = await stage.predict(client)

        assert response.status_code == 409
        assert "/assign" in response.json()["detail"]


class TestFallback:
    """The candidate has all traffic; what it does not answer, the baseline does."""

    @pytest.fixture
    async def baseline(self, client: AsyncClient, tmp_path: Path) -> None:
        model = onnx_models.constant(tmp_path / "baseline.onnx", 42)
        await stage.register_onnx(client, "1.0.0", model)

    @pytest.mark.parametrize(
        ("handler", "config", "error"),
        [
            pytest.param(
                model_servers.answering(500, json={"error": "boom"}),
                {},
                "failed: status 500: boom",
                id="fails",
            ),
            pytest.param(
                model_servers.hanging, {"timeout": "50ms"}, "timeout: no answer", id="hangs"
            ),
            pytest.param(
                model_servers.answering(400, json={"error": "7 features"}),
                {},
                "refused the input: ",
                id="refuses what the baseline takes",
            ),
            pytest.param(
                model_servers.answering(500, body=b"\x00\x1b[31m"), {}, "failed: ", id="raves"
            ),
        ],
    )
    async def test_the_baseline_answers_and_the_failure_is_the_candidates(  # noqa: PLR0917
        self, client, sessions, baseline, handler, config, error
    ):
        async with model_servers.serving(handler) as url:
            await stage.register_server(client, "2.0.0", url, **config)
            split_id = await stage.split(client, BASELINE, CANDIDATE)
            answer = (await stage.predict(client, [1, 2], unit="user-1")).json()

        assert (answer["version"], answer["variant"], answer["prediction"]) == (
            "1.0.0",
            "baseline",
            42.0,
        )
        assert (answer["fallback"], answer["reason"]) == (True, "fallback")
        failed, served = await stage.recorded(sessions, 2)
        assert (failed.version, failed.split_id, failed.unit) == ("2.0.0", split_id, "user-1")
        assert (failed.error or "").startswith(error)
        assert (failed.error or "").isprintable()
        assert failed.prediction_id != answer["prediction_id"]
        assert (served.version, served.split_id, served.error) == ("1.0.0", 0, None)
        assert served.prediction_id == answer["prediction_id"]

    async def test_an_input_that_both_refuse_is_the_callers(
        self, client, sessions, baseline, tmp_path
    ):
        wider = onnx_models.constant(tmp_path / "wider.onnx", 7, width=3)
        await stage.register_onnx(client, "2.0.0", wider)
        await stage.split(client, BASELINE, CANDIDATE)

        refused = await stage.predict(client, [1, 2, 3, 4])
        taken = await stage.predict(client, [1, 2, 3])

        assert refused.status_code == 422
        assert refused.json()["expected"] == "float32[N, 2]"
        assert taken.json()["version"] == "2.0.0"
        assert len(await stage.recorded(sessions, 1)) == 1

    async def test_when_the_baseline_fails_too_both_are_named_and_recorded(self, client, sessions):
        failing = model_servers.answering(500, json={"error": "boom"})
        async with model_servers.serving(failing) as url:
            await stage.register_server(client, "1.0.0", url)
            await stage.register_server(client, "2.0.0", url)
            await stage.split(client, BASELINE, CANDIDATE)
            response = await stage.predict(client, unit="user-1")

        problem = response.json()
        assert response.status_code == 503
        assert [tried["version"] for tried in problem["failures"]] == ["2.0.0", "1.0.0"]
        assert "2.0.0: failed: status 500: boom" in problem["detail"]
        rows = await stage.recorded(sessions, 2)
        assert {row.version for row in rows if row.error} == {"1.0.0", "2.0.0"}

    async def test_nobody_answers_for_a_forced_version(self, client, baseline):
        async with model_servers.serving(model_servers.answering(500, json={})) as url:
            await stage.register_server(client, "2.0.0", url)
            await stage.split(client, BASELINE, CANDIDATE)
            response = await stage.predict(client, version="2.0.0")

        assert response.status_code == 503
        assert [tried["version"] for tried in response.json()["failures"]] == ["2.0.0"]

    async def test_nobody_answers_for_the_baseline(self, client):
        async with model_servers.serving(model_servers.dying) as url:
            await stage.register_server(client, "1.0.0", url)
            await stage.split(client, ALL)
            response = await stage.predict(client)

        assert response.status_code == 503
        assert "unreachable" in response.json()["detail"]


class TestShadow:
    async def test_its_answer_is_recorded_beside_the_one_served(self, client, sessions, tmp_path):
        await stage.register_onnx(client, "1.0.0", onnx_models.constant(tmp_path / "1.onnx", 1))
        await stage.register_onnx(client, "2.0.0", onnx_models.constant(tmp_path / "2.onnx", 2))
        split_id = await stage.split(client, ALL, SHADOW)

        answer = (await stage.predict(client, [1, 2], unit="user-1")).json()

        served, copied = await stage.recorded(sessions, 2)
        assert (answer["version"], answer["prediction"]) == ("1.0.0", 1.0)
        assert (served.version, served.shadow, served.label) == ("1.0.0", False, "1")
        assert (copied.version, copied.shadow, copied.label) == ("2.0.0", True, "2")
        assert served.prediction_id == copied.prediction_id == answer["prediction_id"]
        assert served.split_id == copied.split_id == split_id

    @pytest.mark.parametrize(
        "handler",
        [
            pytest.param(model_servers.answering(500, json={}), id="fails"),
            pytest.param(model_servers.dying, id="dies"),
            pytest.param(model_servers.endless, id="never ends"),
            pytest.param(model_servers.answering(400, json={}), id="refuses the input"),
        ],
    )
    async def test_its_trouble_is_recorded_and_never_served(
        self, client, sessions, tmp_path, handler
    ):
        await stage.register_onnx(client, "1.0.0", onnx_models.constant(tmp_path / "1.onnx", 1))
        async with model_servers.serving(handler) as url:
            await stage.register_server(client, "2.0.0", url)
            await stage.split(client, ALL, SHADOW)
            answer = await stage.predict(client, [1, 2])
            failed, served = await stage.recorded(sessions, 2)

        assert (answer.status_code, answer.json()["prediction"]) == (200, 1.0)
        assert (failed.version, failed.shadow) == ("2.0.0", True)
        assert (served.version, served.shadow) == ("1.0.0", False)

    async def test_one_that_hangs_costs_the_caller_nothing(self, client, sessions, tmp_path):
        await stage.register_onnx(client, "1.0.0", onnx_models.constant(tmp_path / "1.onnx", 1))
        async with model_servers.serving(model_servers.hanging) as url:
            await stage.register_server(client, "2.0.0", url)
            await stage.split(client, ALL, SHADOW)
            answers = [await stage.predict(client, [1, 2]) for _ in range(50)]

        assert {answer.status_code for answer in answers} == {200}


class TestBatch:
    async def test_items_are_answered_in_order_and_a_bad_one_does_not_concern_the_others(
        self, client, sessions, tmp_path
    ):
        await stage.register_onnx(
            client, "1.0.0", onnx_models.classifier(tmp_path / "m.onnx", zipmap=False)
        )
        await stage.split(client, ALL)
        items: list[Any] = [{"inputs": [n / 100, 0], "unit": f"user-{n}"} for n in range(100)]
        items[3] = {"inputs": [1]}
        items[4] = {"input": [1, 2]}
        items[5] = {"inputs": [1, 2], "version": "9.9.9"}

        response = await client.post(f"models/{MODEL}/predict/batch", json={"items": items})

        answers = response.json()["items"]
        assert [n for n, answer in enumerate(answers) if "error" in answer] == [3, 4, 5]
        assert [answers[n]["error"]["status"] for n in (3, 4, 5)] == [422, 422, 404]
        assert answers[4]["error"]["errors"][0]["field"].startswith("body.items[4].input")
        assert [answers[n]["prediction"] for n in (0, 49, 51, 99)] == ["no", "no", "yes", "yes"]
        assert len(await stage.recorded(sessions, 97)) == 97

    @pytest.mark.parametrize(
        "items",
        [pytest.param([], id="none"), pytest.param([{"inputs": 1}] * 1_001, id="too many")],
    )
    async def test_a_batch_has_one_to_a_thousand_items(self, client, two_versions, items):
        await stage.split(client, ALL)

        response = await client.post(f"models/{MODEL}/predict/batch", json={"items": items})

        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "body.items"


async def test_without_its_database_the_gateway_goes_on_by_the_last_split(
    client, sessions, server, database, tmp_path
):
    await stage.register_onnx(client, "1.0.0", onnx_models.constant(tmp_path / "m.onnx", 1))
    await stage.split(client, ALL)
    name = make_url(database).database

    await administer(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await administer(
        server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    answers = [await stage.predict(client, [1, 2], unit=f"user-{n}") for n in range(5)]
    unknown = await client.post("models/unknown/predict", json={"inputs": 1})
    ready = await client.get("http://test/readyz")
    await administer(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    assert {answer.status_code for answer in answers} == {200}
    assert unknown.status_code == 503
    assert "the database cannot be asked" in unknown.json()["detail"]
    assert (ready.status_code, ready.json()["recordings_buffered"]) == (503, 5)
    assert len(await stage.recorded(sessions, 5)) == 5
