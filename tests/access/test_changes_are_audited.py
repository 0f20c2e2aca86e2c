"""Every change that HTTP offers is made once, and the log must say what `changes.yaml` says of it.

A route that is neither there nor among those that rightly leave nothing fails here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from httpx2 import AsyncClient, Response

from tests.access.conftest import Made
from tests.conftest import Clock
from turnout import db
from turnout.alerts.commands import fire
from turnout.alerts.domain import Kind, Severity
from turnout.settings import Settings

UNAUDITED: Final = {
    "assign_version": "changes nothing",
    "predict": "is recorded as an observation",
    "predict_batch": "is recorded as observations",
    "record_observations": "is what was seen, of which there are millions",
    "record_feedback": "is what was seen, of which there are millions",
    "run_gates": "moves nothing; its report is kept for good, with who asked",
    "drill_rollback": "changes nothing",
    "plan_rollout": "changes nothing",
    "plan_experiment": "changes nothing",
    "analyse_experiment": "moves no traffic; the analysis is kept for good",
}
"""The operations that leave no entry, and why that is right."""

CHANGES: Final = yaml.safe_load(Path(__file__).with_name("changes.yaml").read_text())
Kept = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What OpenAPI says of an operation."""

    name: str
    method: str
    path: str
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
                    body=schema.get("properties", {}),
                    examples=content.get("examples", {}),
                    query=frozenset(one["name"] for one in said.get("parameters", ())),
                )


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the doors closed: they change things by the same commands, and give no reasons."""
    return settings.model_copy(update={"interop": ""})


async def test_every_change_leaves_its_entries_and_no_others(
    live_client: AsyncClient,
    sessions: db.Sessions,
    clock: Clock,
    holder: Made,
) -> None:
    document = (await live_client.get("http://test/openapi.json")).json()
    operations = {operation.name: operation for operation in described(document)}
    made = {change["operation"] for change in CHANGES}
    assert set(operations) == made | set(UNAUDITED)
    assert [name for name in sorted(made) if not operations[name].takes_reason] == []

    headers = await holder(name="walker", role="admin")
    await alarm(sessions, clock)
    kept: Kept = {"alert": "1"}
    for number, change in enumerate(CHANGES):
        operation = operations[change["operation"]]
        kept["reason"] = f"because of {operation.name}"
        request = headers | {"X-Request-ID": f"request {number}"}
        clock.advance(timedelta(minutes=1))
        answer = await carried_out(live_client, change, operation, kept, request)
        assert answer.status_code < 300, (operation.name, answer.text)
        for name, place in change.get("kept", {}).items():
            kept[name] = str(found(answer.json(), place))

        since = {"since": clock.now.isoformat()}
        log = (await live_client.get("audit", params=since, headers=headers)).json()["items"]
        by = {"actor": "walker", "request_id": f"request {number}", "reason": "{reason}"}
        by |= {"reason": change["reason"]} if "reason" in change else {}
        wanted = [
            {"about": about, "before": None, "after": None} | sides | by
            for entry in change["entries"]
            for about, sides in entry.items()
        ]
        noted = [entry | {"about": f"{entry['action']} {entry['subject']}"} for entry in log[::-1]]
        assert covers(noted, wanted, kept), (operation.name, noted)


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
    if operation.body:
        sent["json"] = body if by_query else body | reason
    elif operation.name == "upload_artifact":
        sent["content"] = b"weights"
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


def covers(noted: Any, wanted: Any, kept: Kept) -> bool:
    """Whether all that is wanted is there; objects may have more members."""
    match wanted:
        case Mapping():
            return isinstance(noted, Mapping) and all(
                name in noted and covers(noted[name], value, kept) for name, value in wanted.items()
            )
        case list():
            return (
                isinstance(noted, list)
                and len(noted) == len(wanted)
                and all(covers(*pair, kept) for pair in zip(noted, wanted, strict=True))
            )
        case str():
            return bool(noted == wanted.format_map(kept))
        case _:
            return bool(noted == wanted)
