"""What the service answers is what its OpenAPI document promises, whatever is asked.

Schemathesis derives requests from the document: every operation, every parameter, both sides of
every bound. Nothing in them is random. They are put to a service in which every change of
`changes.yaml` has been made, and what those answer is held to the document, too. A usual run takes
a few requests of each kind, spread evenly; CI takes more, by TURNOUT_TEST_CONTRACT.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

import requests
import schemathesis
from httpx2 import AsyncClient, Response
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.access.changes import Kept, made_one_by_one
from tests.conftest import Clock
from turnout import db

OF_EACH: Final = int(os.environ.get("TURNOUT_TEST_CONTRACT", "2"))
CHECKS: Final = [status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS: Final = "follow_events"
"""Its answer does not end; tests/events/ has what it says."""
UNSERVED: Final = {"assign_version", "predict", "predict_batch", "predict_text"} | {
    "infer",
    "infer_version",
}
"""Where nothing serves a model, 503 is right, and documented. Everything else of 500 is not."""
THERE: Final = {
    "model": "fraud-detection",
    "version": "1.0.0",
    "rollout_id": "{canary}",
    "experiment_id": "{first}",
    "alert_id": "{alert}",
    "silence_id": "{silence}",
    "number": "1",
}
"""What a well-formed request is about, so that it finds something."""
SENT: Final = {"method", "url", "headers", "params", "data", "json"}


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: schemathesis.SerializationContext, value: Any) -> bytes:
    return str(value).encode()


async def test_answers_keep_to_the_document(
    live_client: AsyncClient, sessions: db.Sessions, clock: Clock
) -> None:
    key = await live_client.post("api-keys", json={"name": "walker", "role": "admin"})
    headers = {"Authorization": f"Bearer {key.json()['key']}"}
    document = (await live_client.get("http://test/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)

    kept: Kept = {}
    async for made in made_one_by_one(live_client, sessions, clock, headers, kept):
        schema.find_operation_by_id(made.operation.name).validate_response(made.answer)

    broken = []
    for case in cases(schema, kept):
        answer = await answered(live_client, case, headers)
        name = case.operation.definition.raw["operationId"]
        if answer.status_code >= 500 and not (answer.status_code == 503 and name in UNSERVED):
            broken.append(f"{name}: {answer.status_code} {answer.text}")
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            broken += [f"{name}: {answer.status_code} {failure}" for failure in group.exceptions]
    assert broken == []


def cases(schema: Any, kept: Kept) -> Iterator[Any]:
    there = {name: value.format_map(kept) for name, value in THERE.items()}
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.definition.raw["operationId"] == ENDLESS:
            continue
        for mode in GenerationMode:
            every = list(
                schema.iter_coverage_cases(
                    operation, generation_modes=[mode], generation_config=schema.config.generation
                )
            )
            for case in every[:: -(-len(every) // OF_EACH) or 1]:
                if mode is GenerationMode.POSITIVE:
                    known = there.keys() & case.path_parameters.keys()
                    case.path_parameters |= {name: there[name] for name in known}
                yield case


async def answered(client: AsyncClient, case: Any, headers: Mapping[str, str]) -> Response:
    given = case.as_transport_kwargs(base_url="http://test")
    made: Any = requests.Request(**{name: given[name] for name in SENT & given.keys()}).prepare()
    return await client.request(
        made.method, made.url, content=made.body, headers={**made.headers, **headers}
    )
