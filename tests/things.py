"""What a well-formed request can be about, made over HTTP: so that it finds something.

Each thing is a list of changes in the words of `tests/access/changes.yaml`. `{n}` is another number
for each request, and what is `kept` goes into the places of the request that have its name.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from httpx2 import AsyncClient, Response

from tests.access.changes import Kept, Operation, carried_out, found

Change = Mapping[str, Any]


def do(operation: str, body: Any = "", kept: str = "", **path: str) -> Change:
    """`kept` reads `name=place/in/the/answer`."""
    pairs = [pair.partition("=")[::2] for pair in kept.split()]
    return {"operation": operation, "path": path, "body": body or {}, "kept": dict(pairs)}


TENSORS: Final = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["good"]}]}
SEEN: Final = {"prediction_id": "seen", "unit": "user-42", "version": "1.0.0"}
ONCE: Final = [
    *(do("register_version", {"version": f"{n}.0.0"}, model="classic") for n in (1, 2, 3)),
    do("promote_version", version="3.0.0"),
    do("promote_version", version="1.0.0"),
    do("create_ab_test", "sticky"),
    do("start_ab_test", test_id="two-against-one"),
    do("give_variant_feedback", "variant", test_id="two-against-one"),
    do("conclude_ab_test", "keep", test_id="two-against-one"),
    do("add_model", "first", "model_id=model_id"),
    do("activate_model", {"traffic_percent": 100}, model_id="{model_id}"),
    do("predict", {"inputs": {"text": "good"}}, model="quick-start"),
    do("infer", TENSORS, model="quick-start"),
    do("infer_version", TENSORS, model="quick-start", version="1.0.0"),
    do("record_observations", {"predictions": [SEEN]}, model="fraud-detection"),
    do("move_alias", {"version": "1.0.0"}, model="fraud-detection", alias="champion"),
    do("set_baseline", "counts", model="fraud-detection", version="1.0.0"),
]
SERVING: Final = [
    do("register_version", {"version": "1.0.0"}, "model=model version=version", model="m{n}"),
    do("register_version", {"version": "2.0.0"}, model="{model}"),
    do("set_gate_policy", {}, model="{model}"),
    do("start_rollout", {"candidate": "1.0.0"}, model="{model}"),
]
STAGES: Final = [{"weight": 5, "bake": "1h"}, {"weight": 50, "bake": "1h"}]
CANARY: Final = {"candidate": "2.0.0", "stages": STAGES}
LIVE: Final = [*SERVING, do("start_rollout", CANARY, "rollout_id=id", model="{model}")]
SHADOW: Final = {"candidate": "2.0.0", "strategy": "shadow", "promote": False}
GATE: Final = {"kind": "metadata", "fields": ["owner"]}
PLAN: Final = {
    "key": "m{n}",
    "control": "1.0.0",
    "treatments": [{"version": "2.0.0"}],
    "goal": {"metric": "accuracy", "minimum_detectable_effect": 0.02},
    "target_sample_size": 6000,
}
DRAFT: Final = [*SERVING, do("create_experiment", PLAN, "experiment_id=id", model="{model}")]
RUNNING: Final = [*DRAFT, do("start_experiment", experiment_id="{experiment_id}")]
HOOK: Final = [do("create_webhook", "standard", "webhook_id=id")]
SENT: Final = [*HOOK, do("test_webhook", kept="delivery_id=id", webhook_id="{webhook_id}")]
STORED: Final = [
    do("create_registered_model", {"name": "m{n}"}, "name=registered_model/name"),
    do(
        "create_model_version",
        {"name": "{name}", "source": "s3://models/1"},
        "version=model_version/version",
    ),
    do("set_registered_model_alias", {"name": "{name}", "alias": "champion", "version": "1"}),
    do(
        "transition_model_version_stage",
        {"name": "{name}", "version": "1", "stage": "Archived"},
    ),
]

BY_OPERATION: Final[Mapping[str, Sequence[Change]]] = {
    "approve_rollout": [
        *SERVING,
        do("start_rollout", CANARY | {"start_approval": True}, "rollout_id=id", model="{model}"),
    ],
    "resume_rollout": [*LIVE, do("pause_rollout", rollout_id="{rollout_id}")],
    "retry_rollout": [*LIVE, do("abort_rollout", rollout_id="{rollout_id}")],
    "start_rollout": SERVING,
    "rollback_model": LIVE,
    "set_split": SERVING,
    "delete_version": [
        do("register_version", {"version": "1.0.0"}, "model=model version=version", model="m{n}")
    ],
    "delete_model": [do("register_model", {"name": "m{n}"}, "model=name")],
    "start_experiment": DRAFT,
    "delete_experiment": DRAFT,
    "resume_experiment": [*RUNNING, do("pause_experiment", experiment_id="{experiment_id}")],
    "run_gates": [
        do("set_gate_policy", {"staging": {"gates": [GATE]}}, model="fraud-detection"),
    ],
    "show_shadow": [
        *SERVING,
        do("start_rollout", SHADOW, "rollout_id=id", model="{model}"),
    ],
    "create_registered_model": [],
    "delete_registered_model": STORED[:1],
    "delete_model_version": STORED,
    "delete_registered_model_alias": STORED,
}
BY_PLACE: Final[Mapping[str, Sequence[Change]]] = {
    "delivery_id": SENT,
    "webhook_id": HOOK,
    "rollout_id": LIVE,
    "experiment_id": RUNNING,
    "alias": [do("move_alias", {"version": "1.0.0"}, model="fraud-detection", alias="champion")],
    "update_id": [do("start_update", "latest", "update_id=id", model="fraud-detection")],
    "schedule_id": [
        do("create_update_schedule", "every night", "schedule_id=id", model="fraud-detection")
    ],
    "key_id": [do("create_api_key", {"name": "m{n}", "role": "viewer"}, "key_id=id")],
    "silence_id": [do("set_silence", "a model", "silence_id=id")],
    "approval": [
        do("register_version", {"version": "1.0.{n}"}, "version=version", model="fraud-detection"),
        do(
            "approve_version",
            {"to": "production"},
            "approval=id",
            model="fraud-detection",
            version="{version}",
        ),
    ],
}
"""The first that a request has a place for."""


@dataclass
class Things:
    client: AsyncClient
    operations: Mapping[str, Operation]
    headers: Mapping[str, str]
    check: Callable[[str, Response], None]
    count: int = 0

    async def made_for(self, operation: str, places: Collection[str]) -> Kept:
        if operation in BY_OPERATION:
            return await self.made(BY_OPERATION[operation])
        fitting = (made for place, made in BY_PLACE.items() if place in places)
        return await self.made(next(fitting, []))

    async def made(self, changes: Sequence[Change]) -> Kept:
        self.count += 1
        kept: Kept = {"n": str(self.count), "reason": "for a test"}
        for change in changes:
            operation = self.operations[change["operation"]]
            filled = {**change, "body": _filled(change["body"], kept)}
            answer = await carried_out(self.client, filled, operation, kept, self.headers)
            assert answer.status_code < 300, (operation.name, answer.text)
            self.check(operation.name, answer)
            kept |= {name: str(found(answer.json(), at)) for name, at in change["kept"].items()}
        return {name: value for name, value in kept.items() if name not in {"n", "reason"}}


def _filled(body: Any, kept: Kept) -> Any:
    if isinstance(body, dict):
        return {name: _filled(value, kept) for name, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, kept) for value in body]
    return body.format_map(kept) if isinstance(body, str) else body
