"""What the service answers is what its OpenAPI document promises, whatever is asked.

Schemathesis derives requests from the document: every operation, every parameter, both sides of
every bound; and walks in which one request builds on the answer to another. Nothing in them is
left to chance. They are put to a service in which every change of `changes.yaml` has been made, and
what those answer is held to the document, too. A usual run takes a few requests of each kind,
spread evenly; CI takes more, by TURNOUT_TEST_CONTRACT.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import hypothesis
import requests
import schemathesis
from httpx2 import AsyncClient, Response
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
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
WAITS: Final = "show_route"
"""It is held until a route changes."""
WALKS: Final = 12
STEPS: Final = hypothesis.settings(
    max_examples=2,
    stateful_step_count=15,
    deadline=None,
    database=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
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

    broken: list[str] = []
    for case in cases(schema, kept):
        answer = await answered(live_client, case, headers)
        broken += judged(case, answer)
    assert broken == []


def judged(case: Any, answer: Any) -> Iterator[str]:
    name = case.operation.definition.raw["operationId"]
    if answer.status_code >= 500 and not (answer.status_code == 503 and name in UNSERVED):
        yield f"{name}: {answer.status_code} {answer.text}"
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as group:
        yield from (f"{name}: {answer.status_code} {failure}" for failure in group.exceptions)


async def test_answers_keep_to_the_document_where_requests_build_on_answers(
    live_client: AsyncClient, sessions: db.Sessions, clock: Clock
) -> None:
    """Ids, names and versions of one answer go into the next request, as Schemathesis links them:
    what was listed is looked at, aborted, deleted, and asked for once more."""
    key = await live_client.post("api-keys", json={"name": "walker", "role": "admin"})
    headers = {"Authorization": f"Bearer {key.json()['key']}"}
    async for _ in made_one_by_one(live_client, sessions, clock, headers, {}):
        pass
    document = (await live_client.get("http://test/openapi.json")).json()
    for operation in (one for path in document["paths"].values() for one in path.values()):
        operation.pop("security", None)  # the key is a good one, always
    schema = schemathesis.openapi.from_dict(document).exclude(operation_id=[ENDLESS, WAITS])
    schema.config.generation.modes = [GenerationMode.POSITIVE]

    found, broken = Counter[str](), list[str]()
    walk = walking(schema, live_client, headers, found, broken)
    for number in range(WALKS):
        seeded = hypothesis.seed(number)(walk)
        with suppress(FlakyStrategyDefinition):  # the service remembers the walk before
            await asyncio.to_thread(run_state_machine_as_test, seeded, settings=STEPS)
    assert broken == []
    assert len(found) >= 3, "hardly anything was found by what an answer had said"


def walking(
    schema: Any,
    client: AsyncClient,
    headers: Mapping[str, str],
    found: Counter[str],
    broken: list[str],
) -> Any:
    """A machine that walks in a thread, asks in the loop, and counts what it finds."""
    loop = asyncio.get_running_loop()

    class Walk(schema.as_state_machine()):  # type: ignore[misc]
        def call(self, case: Any, **_: Any) -> Any:
            asked = asyncio.run_coroutine_threadsafe(answered(client, case, headers), loop)
            return schemathesis.Response.from_any(asked.result(timeout=60))

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            if response.status_code < 300 and case.path_parameters:
                found[case.operation.definition.raw["operationId"]] += 1
            broken.extend(judged(case, response))

    return Walk


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
