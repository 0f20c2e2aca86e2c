"""Triton's own client against the gateway."""

import json
import os
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from tests.gateway import onnx_models, stage
from tests.gateway.stage import MODEL
from tests.interop.conftest import run

PYTHON = Path(__file__).parents[3] / ".venv-triton" / "bin" / "python"
REQUIRED = os.environ.get("TURNOUT_TEST_TRITON") == "required"
PROGRAM = """
import json, sys
import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

url, model = sys.argv[1:]
client = InferenceServerClient(url, network_timeout=60, connection_timeout=60)
rows = InferInput("X", [2, 2], "FP32")
rows.set_data_from_numpy(np.array([[0.75, 0], [0.25, 0]], dtype=np.float32), binary_data=False)
label = InferRequestedOutput("label", binary_data=False)
scores = InferRequestedOutput("probabilities", binary_data=False)
whose = {"unit": "user-42"}
answer = client.infer(model, [rows], outputs=[label, scores], request_id="7", parameters=whose)
forced = client.infer(model, [rows], model_version="1.0.0", outputs=[label])
binary = InferInput("X", [1, 2], "FP32")
binary.set_data_from_numpy(np.array([[0.75, 0]], dtype=np.float32))
by_default = client.infer(model, [binary])

def refused(*given):
    try:
        client.infer(*given)
    except InferenceServerException as error:
        return str(error)

print(json.dumps({
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready(model),
    "nothing_ready": client.is_model_ready("nothing"),
    "server": client.get_server_metadata()["name"],
    "inputs": client.get_model_metadata(model)["inputs"],
    "version": answer.get_response()["model_version"],
    "id": answer.get_response()["id"],
    "labels": answer.as_numpy("label").tolist(),
    "scores": answer.as_numpy("probabilities").tolist(),
    "forced": forced.get_response()["parameters"]["reason"],
    "binary": by_default.as_numpy("label").tolist(),
    "unknown": refused("nothing", [rows]),
}))
"""


@pytest.mark.skipif(
    not (REQUIRED or PYTHON.exists()),
    reason="`make triton` was not run; TURNOUT_TEST_TRITON=required insists on it",
)
async def test_tritons_client_infers(address: str, tmp_path: Path) -> None:
    file = onnx_models.classifier(tmp_path / "model.onnx", zipmap=False)
    async with AsyncClient(base_url=f"{address}/api/v1/", timeout=60) as api:
        await stage.register_onnx(api, "1.0.0", file)
        await stage.split(api, {"version": "1.0.0", "weight": 100})

    status, said = await run(PYTHON, "-c", PROGRAM, address.removeprefix("http://"), MODEL)

    assert status == 0, said
    assert json.loads(said) == {
        "live": True,
        "ready": True,
        "model_ready": True,
        "nothing_ready": False,
        "server": "turnout",
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}],
        "version": "1.0.0",
        "id": "7",
        "labels": ["yes", "no"],
        "scores": [[0.25, 0.75], [0.75, 0.25]],
        "forced": "forced",
        "binary": ["yes"],
        "unknown": "[404] there is no model 'nothing'",
    }
