"""Inference over HTTP, through the gateway's one path."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from httpx2 import AsyncClient, Response

from tests.gateway import model_servers, onnx_models, stage
from tests.gateway.stage import MODEL

URL = f"http://test/v2/models/{MODEL}"
INPUT = {"name": "X", "shape": [1, 2], "datatype": "FP32", "data": [0.75, 0.0]}


@pytest.fixture
async def classifier(live_client: AsyncClient, tmp_path: Path) -> AsyncClient:
    """Version 1.0.0 as an ONNX classifier of everybody."""
    file = onnx_models.classifier(tmp_path / "model.onnx", zipmap=False)
    await stage.register_onnx(live_client, "1.0.0", file)
    await stage.split(live_client, {"version": "1.0.0", "weight": 100})
    return live_client


async def infer(client: AsyncClient, path: str = "infer", **body: Any) -> Response:
    return await client.post(f"{URL}/{path}", json={"inputs": [INPUT], **body})


async def test_an_inference_is_a_prediction(classifier: AsyncClient) -> None:
    answer = await infer(classifier, id="7", parameters={"unit": "user-42", "country": "DE"})

    assert answer.status_code == 200, answer.text
    found = answer.json()
    told = found.pop("parameters")
    assert found == {
        "model_name": MODEL,
        "model_version": "1.0.0",
        "id": "7",
        "outputs": [
            {"name": "label", "shape": [1], "datatype": "BYTES", "data": ["yes"]},
            {"name": "probabilities", "shape": [1, 2], "datatype": "FP32", "data": [0.25, 0.75]},
        ],
    }
    assert (told["variant"], told["reason"], told["fallback"]) == ("1.0.0", "single", False)
    correct = {"prediction_id": told["prediction_id"], "metric": "accuracy", "correct": True}
    feedback = await classifier.post(f"models/{MODEL}/feedback", json=correct)
    assert feedback.is_success, feedback.text


async def test_a_version_can_be_named_and_outputs_chosen(classifier: AsyncClient) -> None:
    forced = await infer(classifier, "versions/1.0.0/infer", outputs=[{"name": "label"}])
    unknown = await infer(classifier, "versions/9.0.0/infer")

    assert forced.json()["parameters"]["reason"] == "forced"
    assert [output["name"] for output in forced.json()["outputs"]] == ["label"]
    assert (unknown.status_code, unknown.json()["error"]) == (404, f"{MODEL} has no version 9.0.0")


async def test_server_and_models_tell_about_themselves(classifier: AsyncClient) -> None:
    server = (await classifier.get("http://test/v2")).json()
    live, ready = [await classifier.get(f"http://test/v2/health/{x}") for x in ("live", "ready")]
    model = (await classifier.get(URL)).json()
    version = (await classifier.get(f"{URL}/versions/1.0.0")).json()
    readiness = [await classifier.get(f"{URL}{at}/ready") for at in ("", "/versions/1.0.0")]
    nothing = await classifier.get("http://test/v2/models/nothing/ready")

    assert (server["name"], server["extensions"]) == ("turnout", ["binary_tensor_data"])
    assert (live.json(), ready.json()) == ({"live": True}, {"ready": True})
    assert (
        model
        == version
        == {
            "name": MODEL,
            "versions": ["1.0.0"],
            "platform": "turnout_onnx",
            "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}],
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [-1]},
                {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
            ],
        }
    )
    for answer in readiness:
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert nothing.status_code == 404


async def test_a_refusal_says_what_is_wrong_as_the_protocol_does(classifier: AsyncClient) -> None:
    for body, status, error in (
        (b"{", 400, "not valid JSON"),
        (b'{"inputs": []}', 400, "length >= 1"),
        (b'{"inputs": [{"name": "X"}]}', 400, "missing required field shape"),
        (b'{"inputs": [{"data": ' + b"[" * 100_000, 400, "nested too deeply"),
    ):
        answer = await classifier.post(f"{URL}/infer", content=body)
        assert (answer.status_code, error in answer.json()["error"]) == (status, True), answer.text
    for changed, error in (
        ({"name": "Y"}, "'X' is missing, 'Y' is unknown"),
        ({"data": ["a", "b"], "datatype": "BYTES"}, "it holds text, not numbers"),
        ({"shape": [1, 1], "data": [1]}, "its shape is [1, 1]"),
        ({"parameters": {"binary_data_size": 8}}, "there are no 8 bytes of it"),
    ):
        answer = await infer(classifier, inputs=[INPUT | changed])
        assert answer.status_code == 400, answer.text
        assert error in answer.json()["error"]


async def test_the_baseline_answers_for_a_server_that_fails(classifier: AsyncClient) -> None:
    asked: list[Any] = []

    async def failing(request: web.Request) -> web.StreamResponse:
        asked.append(await request.json())
        return web.Response(status=500)

    async with model_servers.serving(failing) as url:
        await stage.register(classifier, "2.0.0", {"kind": "http", "url": url})
        await stage.split(
            classifier,
            {"version": "1.0.0", "name": "baseline", "weight": 0},
            {"version": "2.0.0", "name": "candidate", "weight": 100},
        )
        answer = (await infer(classifier)).json()

    assert asked == [{"inputs": [INPUT | {"data": [0.75, 0.0]}]}]
    assert (answer["model_version"], answer["parameters"]["fallback"]) == ("1.0.0", True)
    assert answer["outputs"][0]["data"] == ["yes"]


async def test_what_a_v2_server_answers_comes_through(live_client: AsyncClient) -> None:
    outputs = [
        {"name": "out", "shape": [1], "datatype": "INT8", "data": [3]},
        {"name": "prob", "shape": [1], "datatype": "FP16", "data": [0.5]},
    ]
    reply = model_servers.answering(json={"model_name": "m", "outputs": outputs})
    async with model_servers.serving(reply) as url:
        await stage.register(live_client, "1.0.0", {"kind": "http", "url": url})
        await stage.split(live_client, {"version": "1.0.0", "weight": 100})
        answer = await infer(live_client)

    assert answer.json()["outputs"] == outputs


async def test_a_version_without_tensors_is_asked_for_a_text(live_client: AsyncClient) -> None:
    await stage.register(live_client, "1.0.0", {"kind": "demo-sentiment"})
    await stage.split(live_client, {"version": "1.0.0", "weight": 100})
    text = {"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a great day"]}
    answer = await infer(live_client, inputs=[text])

    prediction, confidence = answer.json()["outputs"]
    assert (prediction["name"], prediction["data"]) == ("prediction", ["positive"])
    assert (confidence["name"], confidence["datatype"]) == ("confidence", "FP64")
