"""Every change of the native API is made once, and the log must say what `changes.yaml` says of it.

A route that is neither there nor among those that rightly leave nothing fails here.
"""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from httpx2 import AsyncClient

from tests.access.changes import CHANGES, Kept, described, made_one_by_one
from tests.access.conftest import Made
from tests.conftest import Clock
from turnout import db
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


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With the doors closed: they change things by the same commands, but for what the classic one
    notes of its tests, and give reasons of their own."""
    return settings.model_copy(update={"interop": ""})


async def test_every_change_leaves_its_entries_and_no_others(
    live_client: AsyncClient, sessions: db.Sessions, clock: Clock, holder: Made
) -> None:
    document = (await live_client.get("http://test/openapi.json")).json()
    operations = {operation.name: operation for operation in described(document)}
    changed = {change["operation"] for change in CHANGES}
    assert set(operations) == changed | set(UNAUDITED)
    assert [name for name in sorted(changed) if not operations[name].takes_reason] == []

    headers = await holder(name="walker", role="admin")
    kept: Kept = {}
    async for made in made_one_by_one(live_client, sessions, clock, headers, kept):
        since = {"since": clock.now.isoformat()}
        log = (await live_client.get("audit", params=since, headers=headers)).json()["items"]
        noted = [entry | {"about": f"{entry['action']} {entry['subject']}"} for entry in log[::-1]]
        by = {
            "actor": "walker",
            "request_id": f"request {made.number}",
            "reason": made.change.get("reason", "{reason}"),
        }
        wanted = [
            {"about": about, "before": None, "after": None} | sides | by
            for entry in made.change["entries"]
            for about, sides in entry.items()
        ]
        assert covers(noted, wanted, kept), (made.operation.name, noted)


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
