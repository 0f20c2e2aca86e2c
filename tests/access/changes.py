"""The changes of `changes.yaml`, as requests."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml  # type: ignore[import-untyped]
from httpx2 import AsyncClient, Response

from tests.conftest import Clock
from turnout import db
from turnout.alerts.commands import fire
from turnout.alerts.domain import Kind, Severity

CHANGES: Final = yaml.safe_load(Path(__file__).with_name("changes.yaml").read_text())
Kept = dict[str, str]
"""What answers have said, by the name that `changes.yaml` gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What OpenAPI says of an operation."""

    name: str
    method: str
    path: str
    takes_json: bool
    body: Mapping[str, Any]
    examples: Mapping[str, Any]
    query: frozenset[str]

    @property
    def takes_reason(self) -> bool:
        return "reason" in self.query or "reason" in self.body


def described(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Those that are not a GET."""
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            if method != "get":
                content = said.get("requestBody", {}).get("content", {}).get("application/json", {})
                schema = content.get("schema", {})
                schema = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
                yield Operation(
                    name=said["operationId"],
                    method=method,
                    path=path,
                    takes_json=bool(schema),
                    body=schema.get("properties", {}),
                    examples=content.get("examples", {}),
                    query=frozenset(one["name"] for one in said.get("parameters", ())),
                )


class Made(NamedTuple):
    """A change that was made: `number` tells requests apart."""

    number: int
    change: Mapping[str, Any]
    operation: Operation
    answer: Response


async def made_one_by_one(
    client: AsyncClient,
    sessions: db.Sessions,
    clock: Clock,
    headers: Mapping[str, str],
    kept: Kept,
) -> AsyncIterator[Made]:
    """Make every change, a minute apart; `kept` grows with what is answered."""
    document = (await client.get("http://test/openapi.json")).json()
    operations = {operation.name: operation for operation in described(document)}
    await alarm(sessions, clock)
    kept["alert"] = "1"
    for number, change in enumerate(CHANGES):
        operation = operations[change["operation"]]
        kept["reason"] = f"because of {operation.name}"
        clock.advance(timedelta(minutes=1))
        request = {**headers, "X-Request-ID": f"request {number}"}
        answer = await carried_out(client, change, operation, kept, request)
        assert answer.status_code < 300, (operation.name, answer.text)
        for name, place in change.get("kept", {}).items():
            kept[name] = str(found(answer.json(), place))
        yield Made(number, change, operation, answer)


async def alarm(sessions: db.Sessions, clock: Clock) -> None:
    """Nobody makes an alert fire over HTTP."""
    async with db.transaction(sessions) as session:
        await fire(
            session,
            cause="no_data:fraud-detection",
            kind=Kind.NO_DATA,
            severity=Severity.WARNING,
            subject="models/fraud-detection",
            model="fraud-detection",
            summary="nothing was predicted for an hour",
            data={},
            now=clock.now,
        )


async def carried_out(
    client: AsyncClient,
    change: Mapping[str, Any],
    operation: Operation,
    kept: Kept,
    headers: Mapping[str, str],
) -> Response:
    path = operation.path
    for name, value in change.get("path", {}).items():
        path = path.replace(f"{{{name}}}", value.format_map(kept))
    body = change.get("body", {})
    if isinstance(body, str):
        body = operation.examples[body]["value"]
    reason = {"reason": kept["reason"]}
    by_query = "reason" in operation.query
    sent: dict[str, Any] = {}
    if operation.takes_json:
        sent["json"] = body | reason if "reason" in operation.body else body
    if "file" in change:
        sent["content"] = change["file"]
    return await client.request(
        operation.method,
        f"http://test{path}",
        params=reason if by_query else {},
        headers=headers,
        **sent,
    )


def found(answer: Any, place: str) -> Any:
    for part in place.split("/"):
        answer = answer[int(part) if part.isdecimal() else part]
    return answer
