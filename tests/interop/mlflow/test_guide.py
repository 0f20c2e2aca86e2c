"""The program of docs/guides/mlflow.md does what stands around it."""

import re
from pathlib import Path

from httpx2 import AsyncClient

from tests.interop.conftest import key_of, run_python

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "mlflow.md").read_text()


async def test_the_program_of_the_guide_works(address: str) -> None:
    (program,) = re.findall(r"```python\n(.+?)```", GUIDE, re.DOTALL)

    async with AsyncClient(base_url=f"{address}/api/v1/", timeout=60) as client:
        await run_python(
            program,
            MLFLOW_TRACKING_URI=address,
            MLFLOW_REGISTRY_URI=address,
            MLFLOW_TRACKING_USERNAME="anybody",
            MLFLOW_TRACKING_PASSWORD=await key_of(client, role="admin"),
            MLFLOW_DISABLE_TELEMETRY="true",
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
        )
        champion = (await client.get("models/fraud/versions/@champion")).json()
        copied = (await client.get("models/fraud-eu/versions/2.0.0")).json()
        first = (await client.get("models/fraud/versions/1.0.0")).json()
    assert (champion["version"], champion["stage"]) == ("2.0.0", "staging")
    assert copied["artifact"]["uri"] == "s3://models/fraud/2"
    assert first["run_id"] == "3f1c"
