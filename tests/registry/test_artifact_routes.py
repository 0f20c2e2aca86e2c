import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.registry import onnx_files
from tests.registry.requests import UPLOAD, VERSIONS, refused, register
from turnout.registry.artifacts import location
from turnout.settings import Settings

ONNX = onnx_files.adding()
SHA256 = hashlib.sha256(ONNX).hexdigest()


async def test_an_onnx_file_is_kept_and_describes_itself(
    client: AsyncClient, settings: Settings
) -> None:
    await register(client, runtime={"kind": "onnx"}, artifact={"uri": "s3://bucket/model.onnx"})
    response = await client.put(UPLOAD, content=ONNX)

    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["uploaded"]
    assert answer["artifact"] == {
        "uri": "s3://bucket/model.onnx",
        "sha256": SHA256,
        "size": len(ONNX),
    }
    assert answer["signature"] == {
        "inputs": [{"name": "x", "dtype": "float32", "shape": [None, 2]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [None, 2]}],
    }
    assert location(settings.artifacts_dir, SHA256).read_bytes() == ONNX
    downloaded = await client.get(UPLOAD)
    assert downloaded.content == ONNX
    assert downloaded.headers["etag"] == f'"{SHA256}"'
    again = await client.put(UPLOAD, content=ONNX)
    assert again.json() == answer


@pytest.mark.parametrize(
    ("registration", "content", "status", "sentence"),
    [
        pytest.param({}, b"", 422, "has no body", id="nothing"),
        pytest.param(
            {"runtime": {"kind": "onnx"}}, b"pickle", 422, "is not an ONNX model", id="not ONNX"
        ),
        pytest.param(
            {"runtime": {"kind": "onnx"}},
            onnx_files.with_custom_operator(),
            422,
            "acme.ops:Guess",
            id="custom operator",
        ),
        pytest.param(
            {"artifact": {"sha256": "ab" * 32}},
            ONNX,
            422,
            f"SHA-256 is {SHA256}, but {'ab' * 32} was announced",
            id="another hash",
        ),
        pytest.param(
            {"artifact": {"size": 5}}, ONNX, 422, "but 5 were announced", id="another size"
        ),
        pytest.param(
            {
                "runtime": {"kind": "onnx"},
                "signature": {"inputs": [{"name": "x", "dtype": "float64", "shape": [None, 2]}]},
            },
            ONNX,
            422,
            "input x is float32[any, 2] in the file, not float64[any, 2]",
            id="another signature",
        ),
        pytest.param(
            {"runtime": {"kind": "onnx", "prediction_output": "label"}},
            ONNX,
            422,
            "runtime.prediction_output is 'label', but the file's outputs are y",
            id="another output",
        ),
    ],
)
async def test_files_that_are_refused(
    client: AsyncClient,
    settings: Settings,
    *,
    registration: dict[str, Any],
    content: bytes,
    status: int,
    sentence: str,
) -> None:
    before = await register(client, **registration)

    assert sentence in refused(await client.put(UPLOAD, content=content), status)
    assert (await client.get(f"{VERSIONS}/1.0.0")).json() == before | {"history": []}
    assert list(settings.artifacts_dir.rglob("*")) == []
    assert "nothing was uploaded" in refused(await client.get(UPLOAD), 404)


async def test_another_file_for_a_version_that_has_one_is_refused(client: AsyncClient) -> None:
    await register(client)
    await client.put(UPLOAD, content=b"one")

    response = await client.put(UPLOAD, content=b"another")

    assert "register another version" in refused(response, 409)
    assert (await client.get(UPLOAD)).content == b"one"


async def test_a_file_may_be_larger_than_a_body_and_has_its_own_limit(
    client: AsyncClient, settings: Settings
) -> None:
    await register(client)
    size = settings.max_body_megabytes * 1_000_000 + 1

    async def zeros() -> AsyncIterator[bytes]:
        for _ in range(size // 100_000):
            yield bytes(100_000)
        yield bytes(size % 100_000)

    streamed = await client.put(UPLOAD, content=zeros())
    assert streamed.json()["artifact"]["size"] == size

    too_much = str(settings.max_artifact_megabytes * 1_000_000 + 1)
    response = await client.put(UPLOAD, content=b"x", headers={"content-length": too_much})
    assert "TURNOUT_MAX_ARTIFACT_MEGABYTES" in refused(response, 413)


async def test_a_file_that_this_replica_does_not_have(
    client: AsyncClient, settings: Settings
) -> None:
    await register(client)
    await client.put(UPLOAD, content=b"file")
    location(settings.artifacts_dir, hashlib.sha256(b"file").hexdigest()).unlink()

    assert "same TURNOUT_DATA_DIR" in refused(await client.get(UPLOAD), 503)
