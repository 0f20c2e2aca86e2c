"""What the service answers is what its OpenAPI document promises, whatever is asked.

Schemathesis derives requests from the document: every operation, every parameter, both sides of
every bound; and walks in which one request builds on the answer to another. Nothing in them is
left to chance. They are put to a service in which every change of `changes.yaml` has been made, and
what those answer is held to the document, too. What is well-formed is about something that is
there, so that no operation goes without having been carried out. A usual run takes a few requests
of each kind, spread evenly; CI takes more, by TURNOUT_TEST_CONTRACT.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import hypothesis
import pytest
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

from tests.access.changes import Kept, alarm, described, made_one_by_one
from tests.conftest import Clock
from tests.things import BY_OPERATION, ONCE, SENT, STORED, Things
from turnout import db
from turnout.settings import Settings

MANY: Final = int(os.environ.get("TURNOUT_TEST_CONTRACT", "2"))
OF_EACH: Final = {GenerationMode.POSITIVE: MANY, GenerationMode.NEGATIVE: -(-MANY // 2)}
CHECKS: Final = [status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS: Final = "follow_events"
"""Its answer does not end; tests/events/ has what it says."""
UNDONE: Final = {ENDLESS, "rename_registered_model"}
"""The latter is there to say why it is not."""
UNSERVED: Final = {"assign_version", "predict", "predict_batch", "predict_text"} | {
    "infer",
    "infer_version",
}
"""Where nothing serves a model, 503 is right, and documented. Everything else of 500 is not."""
THERE: Final = {
    "model": "fraud-detection",
    "version": "1.0.0",
    "versions": "1.0.0,2.0.0",
    "rollout_id": "{canary}",
    "experiment_id": "{first}",
    "alert_id": "2",
    "webhook_id": "{webhook_id}",
    "delivery_id": "{delivery_id}",
    "update_id": "{update}",
    "test_id": "two-against-one",
    "alias": "champion",
    "key": "fraud-detection",
    "number": "1",
    "name": "{name}",
}
"""What a well-formed request is about, so that it finds something."""
QUICK: Final = {"model": "quick-start"}
AT: Final[Mapping[str, Kept]] = {
    "download_artifact": {"version": "3.0.0"},
    "show_current_version": {"model": "churn-predictor"},
    "show_inference_model_readiness": QUICK,
    "show_inference_version_readiness": QUICK,
}
"""And what is elsewhere."""
MLFLOW: Final = "/api/2.0/mlflow/"
PAGED: Final = {"cursor", "page_token"}
"""What nobody can make up."""
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
PASSED_ON: Final = {"method", "url", "headers", "params", "data", "json"}


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: schemathesis.SerializationContext, value: Any) -> bytes:
    return str(value).encode()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"classic_model": "classic"})


async def test_answers_keep_to_the_document(
    live_client: AsyncClient, sessions: db.Sessions, clock: Clock
) -> None:
    headers, document = await admitted(live_client)
    schema = schemathesis.openapi.from_dict(document)
    done: set[str] = set()

    def check(name: str, answer: Response) -> None:
        if name not in done:
            schema.find_operation_by_id(name).validate_response(answer)
            done.add(name)

    kept: Kept = {}
    async for made in made_one_by_one(live_client, sessions, clock, headers, kept):
        check(made.operation.name, made.answer)
    await alarm(sessions, clock)
    operations = {operation.name: operation for operation in described(document)}
    things = Things(live_client, operations, headers, check)

    broken: list[str] = []
    async for case in cases(schema, things, kept):
        answer = await answered(live_client, case, headers)
        broken += judged(case, answer)
        if answer.status_code < 300:
            done.add(case.operation.definition.raw["operationId"])
    assert broken == []
    every = {one["operationId"] for path in document["paths"].values() for one in path.values()}
    assert every - done == UNDONE


async def admitted(client: AsyncClient) -> tuple[dict[str, str], dict[str, Any]]:
    """With a key that is a good one, always: the document that is tried says nothing of keys."""
    key = await client.post("api-keys", json={"name": "walker", "role": "admin"})
    document = (await client.get("http://test/openapi.json")).json()
    for operation in (one for path in document["paths"].values() for one in path.values()):
        operation.pop("security", None)
    return {"Authorization": f"Bearer {key.json()['key']}"}, document


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
    headers, document = await admitted(live_client)
    async for _ in made_one_by_one(live_client, sessions, clock, headers, {}):
        pass
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


async def cases(schema: Any, things: Things, kept: Kept) -> AsyncIterator[Any]:
    """Those that only look first, because others take away what they look at."""
    kept = kept | await things.made(ONCE) | await things.made(SENT) | await things.made(STORED)
    there = {name: value.format_map(kept) for name, value in THERE.items()}
    for found in sorted(schema.get_all_operations(), key=lambda found: found.ok().method != "get"):
        operation = found.ok()
        name = operation.definition.raw["operationId"]
        if name == ENDLESS:
            continue
        used_up = operation.method != "get" or name in BY_OPERATION
        places = [place.name for place in operation.path_parameters.items]
        for mode in GenerationMode:
            every = list(
                schema.iter_coverage_cases(
                    operation, generation_modes=[mode], generation_config=schema.config.generation
                )
            )
            about = there | AT.get(name, {})
            if mode is GenerationMode.POSITIVE and used_up:
                about |= await things.made_for(name, places)
            for case in every[:: -(-len(every) // OF_EACH[mode]) or 1]:
                if mode is GenerationMode.POSITIVE:
                    point(case, about)
                yield case


def point(case: Any, there: Kept) -> None:
    """Have a request be about what is there."""
    if MLFLOW in case.path:
        there = there | {"version": "1", "stage": "Staging"}
    for parameters in (case.path_parameters, case.query):
        parameters |= {name: there[name] for name in there.keys() & parameters.keys()}
    for name in PAGED & case.query.keys():
        del case.query[name]
    if MLFLOW in case.path and isinstance(case.body, dict):
        # It names in the body what others name in the path.
        case.body |= {name: there[name] for name in there.keys() & case.body.keys()}


async def answered(client: AsyncClient, case: Any, headers: Mapping[str, str]) -> Response:
    given = case.as_transport_kwargs(base_url="http://test")
    made: Any = requests.Request(
        **{name: given[name] for name in PASSED_ON & given.keys()}
    ).prepare()
    return await client.request(
        made.method, made.url, content=made.body, headers={**made.headers, **headers}
    )
